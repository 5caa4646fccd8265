from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.cli.diff import diff
from stzoo.errors import ModelNotFoundError, StrategyError, UsageError
from stzoo.strategies.published import published
from stzoo.strategies.strategy import ALL_BRANCHES


def run(*arguments: str) -> str:
    result = CliRunner().invoke(diff, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_site_that_differs_is_shown_with_both_units() -> None:
    one, other = published("sthv1").strategy.units, published("sthv2").strategy.units
    wanted = {site: [unit, other[site]] for site, unit in one.items() if unit != other[site]}
    text = run("sthv1-opt", "published:sthv2")
    lines = [line.split() for line in text.splitlines()]
    assert {line[0]: line[1:] for line in lines if line[:1] and line[0] in one} == wanted
    assert run("published:sthv1", "published:k400").split()[:3] == ["site", "published:sthv1", "published:k400"]
    assert f"They differ at {len(wanted)} of 61 sites of densenet121: ST → S+ST at 12," in text
    value = json.loads(run("sthv1-opt", "published:sthv2", "--format", "json"))
    assert value["differing"] == wanted
    assert value["sites"] == 61
    assert value["b"]["digest"] == published("sthv2").strategy.digest


def test_equal_strategies_are_called_so() -> None:
    assert run("ucf101-opt", "sst") == "ucf101-opt and sst have the same unit at all 61 sites of densenet121.\n"


def test_a_bundle_is_compared_with_a_name_or_a_file(tiny_bundle: Path) -> None:
    units = bundles.read(tiny_bundle).strategy.units
    closed = [site for site, unit in units.items() if unit != "S+ST"]
    assert f"They differ at {len(closed)} of 15 sites" in run("sst", str(tiny_bundle))
    assert "the same unit at all 15 sites" in run(str(tiny_bundle), str(tiny_bundle / "strategy.json"))


@pytest.mark.parametrize(
    ("first", "second", "error", "sentence"),
    [
        ("sthv1-opt", "camera-motion-s", StrategyError, "sthv1-opt is for densenet121 and camera-motion-s for dense"),
        ("s", "st", UsageError, 'neither "s" nor "st" is a model'),
        ("k400-otp", "k400-opt", ModelNotFoundError, 'Did you mean "k400-opt"'),
        ("k400-opt", "published:k4000", StrategyError, "k4000"),
        ("k400-opt", "xyz", StrategyError, 'no strategy is called "xyz"'),
        ("no/where/at/all", "s", ModelNotFoundError, "no model and no folder"),
    ],
)
def test_what_cannot_be_compared_is_said(first: str, second: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        run(first, second)


def test_a_name_is_resolved_with_the_branches_of_the_bundle(tmp_path: Path, tiny_bundle: Path) -> None:
    bundle = bundles.read(tiny_bundle)
    strategy = nets.Architecture("densenet_tiny", 3, {"branches": ALL_BRANCHES}).uniform("S+T")
    backbone = bundles.Backbone(name="densenet_tiny", options={"branches": ALL_BRANCHES})
    config = bundle.config.model_copy(update={"backbone": backbone, "strategy": strategy})
    weights = bundles.read_weights(tiny_bundle)
    folder = bundles.save(tmp_path / "all", dataclasses.replace(bundle, config=config, posterior=None), weights)
    value = json.loads(run(str(folder), "t+st", "--format", "json"))
    assert value["differing"]["B1.L1"] == ["S+T", "T+ST"]
    assert len(value["differing"]) > 1


def test_other_sites_are_said(tmp_path: Path) -> None:
    file = tmp_path / "strategy.json"
    file.write_text(json.dumps({"backbone": "densenet121", "units": {"B1.L1": "S"}}))
    with pytest.raises(StrategyError, match="has 1 sites and sthv1-opt 61"):
        run(str(file), "sthv1-opt")
