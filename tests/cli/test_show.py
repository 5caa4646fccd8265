from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stzoo import bundle as bundles
from stzoo.cli.show import show
from stzoo.errors import ModelNotFoundError, StrategyError, UsageError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(show, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_bundle_is_shown_site_by_site(tiny_bundle: Path) -> None:
    text = run(str(tiny_bundle))
    for part in (
        "tiny-opt",
        "2 clips of 4 frames, 5 frames a second, short side 32, centre crop 32",
        "left, right, still",
        "90.0 %",
        "85.0 to 94.0 %",
        "B1.L1",
        "P(S+ST)",
        "P(none)",
        "as it is sampled",
    ):
        assert part in text
    sites = bundles.read(tiny_bundle).strategy.units
    for site, unit in sites.items():
        line = next(line for line in text.splitlines() if line.split()[:1] == [site])
        assert line.split()[1] == unit


def test_the_two_conventions_differ(tiny_bundle: Path) -> None:
    paper, linear = (
        json.loads(run(str(tiny_bundle), "--format", "json", "--convention", convention))["marginals"]["B1.L1"]
        for convention in ("paper", "linear")
    )
    assert linear["S+ST"] == pytest.approx(0.8 * 0.6)
    assert paper["S+ST"] == pytest.approx((1 - 0.2**0.5) * (1 - 0.4**0.5))


def test_a_bundle_is_shown_as_it_is_sampled_and_publications_as_they_are_printed(tiny_bundle: Path) -> None:
    sampled = json.loads(run(str(tiny_bundle), "--format", "json"))
    assert sampled["convention"] == "linear"
    assert all(sum(units.values()) == pytest.approx(1) and "none" in units for units in sampled["marginals"].values())
    posterior = bundles.read(tiny_bundle).posterior
    assert posterior is not None
    likeliest = posterior.most_probable().units
    for site, units in sampled["marginals"].items():
        assert units[likeliest[site]] == max(value for unit, value in units.items() if unit != "none")
    for name in ("published:sthv1", "k400-opt"):
        assert json.loads(run(name, "--format", "json"))["convention"] == "paper"
        assert "as in Fig. 4 of the paper" in run(name)
    assert "as it is sampled" in run("published:sthv1", "--convention", "linear")


def test_what_is_shown_is_drawn_and_the_file_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(show, [str(tiny_bundle), "--figure", str(tmp_path / "new" / "m.png")])
    assert result.exit_code == 0
    assert f"Wrote {tmp_path / 'new' / 'm.png'}" in result.stderr
    assert (tmp_path / "new" / "m.png").read_bytes().startswith(b"\x89PNG")
    run("densenet_tiny", "--strategy", "sst", "--figure", str(tmp_path / "s.svg"))
    with pytest.raises(UsageError, match=r"s\.svg exists; choose another name"):
        run("densenet_tiny", "--strategy", "sst", "--figure", str(tmp_path / "s.svg"))
    with pytest.raises(UsageError, match=r'suffix "\.gif"'):
        run(str(tiny_bundle), "--figure", str(tmp_path / "s.gif"))


def test_what_a_bundle_says_of_its_making_replaces_no_fact(tiny_bundle: Path) -> None:
    from stzoo.cli.drawing import pairs

    lines = pairs({"parameters": "5"}, {"parameters": "none at all", "weights": "pruned"}).columns[1]._cells
    assert [str(cell) for cell in lines] == ["5", "none at all", "pruned"]
    assert len([line for line in run(str(tiny_bundle)).splitlines() if line.startswith("weights ")]) == 0


def test_a_name_is_shown_with_its_title(zoo: Path) -> None:
    assert "Which way" in run("toy-opt")
    with pytest.raises(ModelNotFoundError, match="no weights yet"):
        run("toy-never")


def test_what_the_paper_publishes_is_shown() -> None:
    text = run("published:sthv1")
    assert "Fig. 4" in text
    assert sum(line.split()[1:2] == ["ST"] for line in text.splitlines()) == 19
    assert json.loads(run("published:ucf101", "--format", "json"))["strategy"]["backbone"] == "densenet121"
    with pytest.raises(StrategyError, match="sthv1"):
        run("published:sthv3")


def test_a_strategy_of_a_backbone_is_shown() -> None:
    lines = run("densenet_tiny", "--strategy", "mc3").splitlines()
    assert lines[0] == "mc3"
    assert lines[1].split() == ["backbone", "densenet_tiny"]
    assert [line.split()[1] for line in lines if line.strip().startswith(("B1", "T1"))] == ["ST", "ST", "ST"]
    assert lines[-2].startswith("S at 12, ST at 3 of 15 sites; ")
    assert lines[-1].startswith("A site is a place of the network")
    value = json.loads(run("densenet121", "--strategy", "published:sthv1", "--format", "json"))
    assert value["backbone"] == "densenet121"
    assert value["strategy"] == json.loads(run("published:sthv1", "--format", "json"))["strategy"]
    with pytest.raises(UsageError, match='no backbone is called "densenet12"'):
        run("densenet12", "--strategy", "mc3")


def test_a_name_that_nobody_has_trained_is_shown_with_what_the_paper_says_and_the_two_ways_on() -> None:
    text = run("sthv2-opt")
    for part in (
        "not trained yet",
        "62.9 % top-1, 88.0 % top-5 (Table 3;",
        "19,773,806",
        "weights=None",
        "stzoo train",
    ):
        assert part in text
    assert "P(S+ST)" in text
    value = json.loads(run("ucf101-st", "--format", "json"))
    assert value["classes"] == 101
    assert set(value["strategy"]["units"].values()) == {"ST"}
    assert value["model"]["metrics"] == []
    assert value["model"]["paper"][0]["top1"] == 83.1
    assert "marginals" not in value


def test_t_units_are_shown_with_their_branches_and_named_without() -> None:
    value = json.loads(run("resnet50", "--strategy", "t", "--branches", "S,T,ST", "--format", "json"))
    assert set(value["strategy"]["units"].values()) == {"T"}
    value = json.loads(run("densenet121", "--strategy", "t+st", "--branches", "S,T,ST", "--format", "json"))
    assert value["strategy"]["units"]["B1.L1"] == "T+ST"
    with pytest.raises(StrategyError, match="T units need --branches S,T,ST"):
        run("densenet121", "--strategy", "t")
    with pytest.raises(UsageError, match="give both"):
        run("sthv1-opt", "--branches", "S,T,ST")


def test_a_models_backbone_is_taken_for_a_strategy_and_a_backbone_is_no_model(tiny_bundle: Path) -> None:
    value = json.loads(run(str(tiny_bundle), "--strategy", "mc2", "--format", "json"))
    assert value["strategy"]["backbone"] == value["backbone"] == "densenet_tiny"
    with pytest.raises(ModelNotFoundError, match=r'"resnet50" is a backbone and no model; .* --strategy'):
        run("resnet50")
