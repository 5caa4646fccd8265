from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stzoo import bundle as bundles
from tests.cli.test_train import run


@pytest.fixture
def seeds(template_bundle: Path, tmp_path: Path) -> list[Path]:
    """Two groups of two bundles, whose posteriors lie apart, with effects."""
    return [
        made(template_bundle, tmp_path / f"{group}-{seed}", 0.1 + 0.6 * place, 0.01 * seed)
        for place, group in enumerate(("motion", "scene"))
        for seed in (0, 1)
    ]


def made(bundle: Path, folder: Path, drop: float, shift: float, effects: bool = True) -> Path:
    shutil.copytree(bundle, folder)
    strategy = bundles.read(bundle).strategy
    drops = {site: {"S": drop + shift, "ST": drop + shift} for site in strategy.units}
    (folder / "marginals.json").write_text(json.dumps({"backbone": strategy.backbone, "drop": drops}))
    config = json.loads((folder / "config.json").read_text())
    config["provenance"]["recipe"] = folder.name.partition("-")[0]
    (folder / "config.json").write_text(json.dumps(config))
    if effects:
        entries = [effect(site, branch, drop + shift) for site, branches in drops.items() for branch in branches]
        about = {"template": bundles.weights_digest(folder, "template")}
        (folder / "effects.json").write_text(json.dumps({"about": about, "effects": entries}))
    return folder


def effect(site: str, branch: str, nats: float) -> dict[str, Any]:
    return {
        "site": site,
        "branch": branch,
        "cross_entropy": [nats, 0.01],
        "accuracy": [0.0, 0.01],
        "multiply_adds": 1000,
        "milliseconds": None,
        "videos": 9,
        "classes": [0.1, None],
    }


def test_groups_of_seeds_are_compared(seeds: list[Path], tmp_path: Path) -> None:
    result = run("compare", *seeds, "--figure", tmp_path / "compared.png")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "Groups: motion (2), scene (2)." in text
    assert "B1.L1 S 0.105 (0.100–0.110) 0.705 (0.700–0.710) +0.1050 ± 0.0050 +0.7050 ± 0.0050" in text
    assert (
        "exact permutation test over 6 assignments: p = 0.333; with so few runs it cannot be less than 0.333." in text
    )
    assert text.count("farther apart than runs of one") == 2
    assert (tmp_path / "compared.png").stat().st_size > 10_000

    value = json.loads(run("compare", *seeds, "--format", "json").stdout)
    assert [one["group"] for one in value["runs"]] == ["motion", "motion", "scene", "scene"]
    assert value["effects"]["distances"][0][2] == pytest.approx(0.6)
    assert value["logits"]["permutation_test"]["assignments"] == 6


def test_groups_are_named_before_the_model(seeds: list[Path]) -> None:
    value = json.loads(run("compare", f"x={seeds[0]}", f"y={seeds[1]}", "--format", "json").stdout)
    assert [one["group"] for one in value["runs"]] == ["x", "y"]
    assert value["logits"]["permutation_test"] is None
    result = run("compare", *seeds[:2])
    assert "all runs are of one group; name groups as GROUP=MODEL" in " ".join(result.stdout.split())


def test_without_effects_posteriors_are_compared(seeds: list[Path], tmp_path: Path) -> None:
    (seeds[3] / "effects.json").unlink()
    result = run("compare", *seeds, "--figure", tmp_path / "compared.svg")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "Effects are compared where stzoo effects has measured those of all; it lacks" in text
    assert "nats" not in text


def test_effects_of_another_template_are_passed_over(
    seeds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles of several runs have one name, and so has what was measured of one of them."""
    monkeypatch.chdir(tmp_path)
    here = Path(f"effects-{bundles.read(seeds[0]).name}", "effects.json")
    here.parent.mkdir()
    (seeds[0] / "effects.json").rename(here)
    (seeds[1] / "effects.json").unlink()
    value = json.loads(run("compare", *seeds[:2], "--format", "json").stdout)
    assert value["effects"]["distances"] == [[0, 0], [0, 0]], "both carry the template that was measured"

    template = seeds[1] / "template.safetensors"
    template.write_bytes((seeds[1] / "model.safetensors").read_bytes())
    assert passed_over(seeds, here)

    template.unlink()
    assert passed_over(seeds, here), "of a template that was left out, drop rates are known, and here they are not said"
    for seed, other in zip(seeds[:2], (True, False), strict=True):
        drops = json.loads((seed / "marginals.json").read_text())
        here.write_text(json.dumps(json.loads(here.read_text()) | {"posterior": drops}))
        assert passed_over(seeds, here) == other


def passed_over(seeds: list[Path], path: Path) -> bool:
    """Whether it is said that a file is not of the second one's template, and no effects are compared."""
    result = run("compare", *seeds[:2])
    sentence = f"{path} is passed over: it does not hold effects of the template of {seeds[1]}."
    assert (sentence in " ".join(result.stderr.split())) == ("nats" not in result.stdout)
    return sentence in " ".join(result.stderr.split())


def test_the_effects_of_a_run_are_those_of_its_bundles(seeds: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "run" / "bundles" / "tiny"
    folder.parent.mkdir(parents=True)
    seeds[0].rename(folder)
    (folder / "effects.json").rename(tmp_path / "run" / "effects.json")
    for model in (tmp_path / "run", folder):
        assert json.loads(run("compare", model, seeds[1], "--format", "json").stdout)["effects"] is not None


def test_effects_that_bundles_carry_are_compared(seeds: list[Path]) -> None:
    for seed, nats in zip(seeds[:2], (0.25, 0.5), strict=True):
        (seed / "effects.json").unlink()
        branches = [
            {**effect(site, branch, nats), "milliseconds": None, "classes": None}
            for site, rates in json.loads((seed / "marginals.json").read_text())["drop"].items()
            for branch in rates
        ]
        kept = [{key: value for key, value in one.items() if value is not None} for one in branches]
        carried = {"format": 1, "template_digest": "0" * 64, "data": "val", "cross_entropy": 1.0, "accuracy": 0.5}
        (seed / "branch-effects.json").write_text(json.dumps({**carried, "branches": kept}))
    value = json.loads(run("compare", *seeds[:2], "--format", "json").stdout)
    assert value["effects"]["distances"][0][1] == pytest.approx(0.25)
    assert value["runs"][1]["effects"][0] == {"site": "B1.L1", "branch": "S", "value": 0.5, "error": 0.01}


def test_effects_of_a_single_source_have_no_standard_error(seeds: list[Path]) -> None:
    path = seeds[0] / "effects.json"
    path.write_text(path.read_text().replace("0.01]", "null]"))
    value = json.loads(run("compare", *seeds[:2], "--format", "json").stdout, parse_constant=pytest.fail)
    assert [one["effects"][0]["error"] for one in value["runs"]] == [None, 0.01]
    text = " ".join(run("compare", f"x={seeds[0]}", f"y={seeds[1]}").stdout.split())
    assert "+0.1000 +0.1100 ± 0.0100" in text
    assert "have no standard error, because all videos are of one source." in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{0}"], "one run alone cannot be compared"),
        (["={0}", "{1}"], "names no group or no model"),
        (["{0}", "{0}-gone"], "motion-0-gone"),
        (["{0}", "{1}", "--figure", "a.gif"], "gif"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(seeds: list[Path], words: list[str], sentence: str) -> None:
    result = run("compare", *(word.format(*seeds) for word in words))
    assert result.exit_code in (1, 2)
    assert sentence in " ".join(result.stderr.split())
    assert result.stderr.count("\n") == 1


def test_nets_with_other_branches_are_refused(seeds: list[Path]) -> None:
    marginals = json.loads((seeds[1] / "marginals.json").read_text())
    del marginals["drop"]["B1.L1"]["S"]
    (seeds[1] / "marginals.json").write_text(json.dumps(marginals))
    result = run("compare", *seeds[:2])
    assert (result.exit_code, "have different sites or branches" in result.stderr) == (2, True)


def test_a_model_without_posterior_and_broken_effects_are_sentences(seeds: list[Path]) -> None:
    (seeds[1] / "effects.json").write_text("{")
    result = run("compare", *seeds)
    assert (result.exit_code, "does not hold effects" in result.stderr) == (1, True)
    (seeds[0] / "marginals.json").unlink()
    result = run("compare", *seeds)
    assert (result.exit_code, "has no posterior" in result.stderr) == (2, True)
