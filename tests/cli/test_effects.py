from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from stzoo import bundle as bundles
from stzoo import cli
from stzoo.errors import BundleError, UsageError
from stzoo.space import effects
from stzoo.space.effects import closings
from stzoo.space.keeping import bundles_to_keep_in
from stzoo.strategies.posterior import Posterior
from tests.conftest import MakeVideo


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, ["effects", *map(str, words), "--quiet"])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def three_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many nets as a test has time for."""
    monkeypatch.setattr(effects, "closings", lambda architecture: islice(closings(architecture), 3))


@pytest.fixture
def listed(make_video: MakeVideo, tmp_path: Path) -> Path:
    lines = []
    for index, label in enumerate(("left", "right", "still", "left")):
        make_video(f"{index}.mp4", 6 + index)
        lines.append(f"{index}.mp4 {label}")
    (tmp_path / "list.txt").write_text("\n".join(lines))
    return tmp_path / "list.txt"


@pytest.mark.usefixtures("three_branches")
def test_the_effects_of_a_bundle_with_a_template(template_bundle: Path, listed: Path, tmp_path: Path) -> None:
    code, out, err = run(template_bundle, "--data", listed, "--check", 3, "--per-class", "-o", tmp_path / "out")
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    branches = [line[:2] for line in lines if len(line) > 6 and line[1] in ("S", "ST")]
    assert branches[:3] == [["B1.L1", "S"], ["B1.L1", "ST"], ["B1.L2", "S"]]
    assert len(branches) == 3
    assert "With every branch open: cross-entropy" in out
    assert "ranks 3 strategies from all over the space with a rank correlation of" in out
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files >= {"effects.csv", "effects-classes.csv", "effects.json", "effects.png"}
    code, out, err = run(template_bundle, "--data", listed, "-o", tmp_path / "out", "--format", "json")
    assert code == 0, err
    value = json.loads(out)
    assert len(value["effects"]) == 3
    assert value["labels"] == list(bundles.read(template_bundle).labels)


@pytest.mark.usefixtures("three_branches")
def test_effects_are_kept_in_a_bundle_whose_card_and_show_have_them(
    template_bundle: Path, listed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny-opt"
    shutil.copytree(template_bundle, folder)
    code, out, err = run(folder, "--data", listed, "--check", 3, "-o", tmp_path / "out", "--keep")
    assert code == 0, err
    assert f"Kept in {folder}" in out
    effects = bundles.read(folder).effects
    assert effects is not None
    assert [(one.site, one.branch) for one in effects.branches] == [("B1.L1", "S"), ("B1.L1", "ST"), ("B1.L2", "S")]
    assert (effects.videos, effects.data, effects.rank_correlation is None) == (4, "list.txt", False)
    card = (folder / "README.md").read_text()
    assert "## Where time pays" in card
    assert "](effects.png)" in card
    assert all(f"| {one.site} | {one.branch} | {one.text} |" in card for one in effects.branches)
    shown = CliRunner().invoke(cli.main, ["show", str(folder)]).stdout
    assert "ST closed" in shown
    assert effects.branches[1].text in shown
    value = json.loads(CliRunner().invoke(cli.main, ["show", str(folder), "--format", "json"]).stdout)
    assert len(value["effects"]["branches"]) == 3
    (folder / "template.safetensors").write_bytes((template_bundle / "model.safetensors").read_bytes())
    with pytest.raises(BundleError, match="the effects are not those of"):
        bundles.add_effects(folder, effects, b"", None)


def test_effects_are_kept_in_bundles_out_of_their_template_alone(template_bundle: Path, tmp_path: Path) -> None:
    learnt = bundles.read(template_bundle).posterior
    assert learnt is not None
    left_out = tmp_path / "run" / "bundles" / "tiny-opt"
    shutil.copytree(template_bundle, left_out)
    (left_out / "template.safetensors").unlink()
    assert bundles_to_keep_in(str(tmp_path / "run"), "0" * 64, learnt) == [left_out]
    site, rates = next(iter(learnt.drop.items()))
    other = Posterior(learnt.backbone, {**learnt.drop, site: {**rates, "ST": rates["ST"] / 2}})
    for folder, posterior in ((left_out, other), (template_bundle, learnt)):
        with pytest.raises(UsageError, match="has no bundle out of this template"):
            bundles_to_keep_in(str(folder), "0" * 64, posterior)


def test_a_bundle_without_a_template_and_a_model_without_data_are_refused(tiny_bundle: Path, listed: Path) -> None:
    code, _, err = run(tiny_bundle, "--data", listed)
    assert (code, "has no template.safetensors" in err) == (1, True)
    code, _, err = run(tiny_bundle)
    assert (code, "is not a run; say with --data" in err) == (2, True)


@pytest.mark.usefixtures("three_branches")
def test_what_a_measurement_costs_is_said_before_and_what_it_checked_is_kept(
    template_bundle: Path, listed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny-opt"
    shutil.copytree(template_bundle, folder)
    words = (folder, "--data", listed, "-o", tmp_path / "out")
    code, _, err = run(*words)
    assert code == 0, err
    assert "4 nets, 3 of them with one branch closed, see 4 videos each: 16 forward passes of a clip, besides" in err
    code, out, err = run(*words, "--check", 3)
    assert "4 nets, 0 of them with one branch closed, see 4 videos each: 16 forward passes of a clip, 4 of them" in err
    assert "ranks 3 strategies" in " ".join(out.split())
    code, out, err = run(*words, "--keep")
    assert "forward passes" not in err, "all of it was measured before"
    assert "ranks 3 strategies" in " ".join(out.split())
    assert len(json.loads((tmp_path / "out" / "effects.json").read_text())["sum"]["strategies"]) == 3
    effects = bundles.read(folder).effects
    assert effects is not None
    assert effects.rank_correlation is not None


@pytest.mark.usefixtures("three_branches")
def test_videos_of_one_source_give_no_standard_error(template_bundle: Path, listed: Path, tmp_path: Path) -> None:
    listed.write_text(listed.read_text().splitlines()[0])
    words = (template_bundle, "--data", listed, "-o", tmp_path / "out")
    code, out, err = run(*words)
    assert code == 0, err
    assert "There is no standard error, because all videos are of one source." in " ".join(out.split())
    code, out, err = run(*words, "--format", "json")
    value = json.loads(out, parse_constant=pytest.fail)
    assert [effect["accuracy"][1] for effect in value["effects"]] == [None] * 3


def test_a_run_that_does_not_exist_is_called_so(tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "nothere")
    assert (code, "nothere does not exist; give the folder of a run" in " ".join(err.split())) == (2, True)
