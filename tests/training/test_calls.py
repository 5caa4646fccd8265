from __future__ import annotations

import json
from pathlib import Path

import pytest

import stzoo
from stzoo.errors import TrainingError, UsageError
from stzoo.strategies.budget import Budget
from stzoo.training import calls, pipeline
from stzoo.training.run import Run
from tests.conftest import MakeVideo, write_dark_and_bright


def test_finetune_returns_a_bundle_that_predicts_and_says_what_it_does_to_nobody_else(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    own = write_dark_and_bright(tmp_path / "own")
    said: list[str] = []
    bundle = stzoo.finetune(tiny_bundle, own, epochs=1, folder="mine", overrides=["compute.threads=1"], say=said.append)
    assert bundle == Path("mine/bundles/mine")
    assert stzoo.load(bundle).labels == ("bright", "dark")
    assert any(sentence.startswith("fixed 1 ") for sentence in said)
    weights = (bundle / "model.safetensors").read_bytes()
    again = stzoo.finetune(str(tiny_bundle), "own", epochs=1, folder="mine", overrides=["compute.threads=1"])
    assert (again, (again / "model.safetensors").read_bytes()) == (bundle, weights)
    (own / "dark" / "0.mp4").rename(own / "dark" / "other.mp4")
    with pytest.raises(TrainingError, match="are not those that the run mine began with"):
        stzoo.finetune(tiny_bundle, own, epochs=1, folder="mine", overrides=["compute.threads=1"])
    assert capfd.readouterr() == ("", "")


def test_finetune_takes_parts_of_recordings_which_train_or_validate_as_a_whole(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path
) -> None:
    rows = ["path,start,end,label"]
    for number in range(4):
        path = make_video(f"{number}.mp4", 40)
        rows += [f"{path.name},0,1.5,first", f"{path.name},1.5,4,second"]
    rows.append("3.mp4,0.5,1,first")
    (tmp_path / "parts.csv").write_text("\n".join(rows) + "\n")
    folder = tmp_path / "mine"
    overrides = ["compute.threads=1"]
    bundle = stzoo.finetune(
        tiny_bundle, tmp_path / "parts.csv", epochs=1, balance=True, folder=folder, overrides=overrides
    )
    assert stzoo.load(bundle).labels == ("first", "second")
    assert Run.open(folder).recipe.data.balance
    train, val = ((folder / "given" / name).read_text().split() for name in ("train.txt", "val.txt"))
    recordings = [{word.partition("#")[0] for word in words[::2]} for words in (train, val)]
    assert recordings[0] | recordings[1] == {f"{number}.mp4" for number in range(4)}
    assert not recordings[0] & recordings[1]
    measured = stzoo.evaluate(bundle, tmp_path / "parts.csv")
    assert measured["videos"] == 9
    assert 0 <= measured["balanced_accuracy"]["value"] <= 1


def test_train_and_select_go_from_a_recipe_to_rows(
    motions: Path, clip_cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    overrides = [f"data.root='{motions}'"]
    said: list[str] = []
    bundle = stzoo.train("smoke", folder=tmp_path / "smoke", overrides=overrides, cache=clip_cache, say=said.append)
    assert bundle == tmp_path / "smoke" / "bundles" / "smoke-opt"
    assert stzoo.load(bundle).labels == ("still", "turn-left", "turn-right")
    assert any(sentence.startswith("variational 2 ") for sentence in said)
    rows = stzoo.select(tmp_path / "smoke", strategies=3, cache=clip_cache)
    kept = json.loads((tmp_path / "smoke" / "metrics.json").read_text())
    assert [{**row, "bundle": str(bundle)} for row in kept] == rows
    assert capfd.readouterr() == ("", "")


def test_budgets_give_rows_with_the_bundle_of_each(
    motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stzoo import nets
    from stzoo.metrics import Estimate
    from stzoo.recipe import read
    from stzoo.space.frontier import FIELDS, Point

    run = Run(tmp_path / "smoke", read("smoke", [f"data.root='{motions}'"]))
    run.begin()
    strategy = nets.Architecture("densenet_tiny", 3, {}).uniform("ST")
    share = Estimate(0.5, 0.25, 0.75, 9)
    points = [
        Point(Budget.parse("3.2M"), "found", 3_000_000, None, share, 1.0, strategy, None),
        Point(None, "st", 1, None, share, 1.0, strategy, None),
    ]
    asked = []
    monkeypatch.setattr(
        pipeline, "select_within", lambda *asking, frontier, runtime: asked.append((asking[1], frontier)) or points
    )
    rows = calls.select(tmp_path / "smoke", budgets=["3.2M"], frontier=True)
    assert asked == [([Budget.parse("3.2M")], True)]
    assert [tuple(row)[:-1] for row in rows] == [FIELDS, FIELDS]
    assert (rows[0]["multiply_adds"], rows[0]["low"], rows[0]["less_than_found"]) == (3_000_000, 0.25, None)
    assert [row["bundle"] for row in rows] == [str(tmp_path / "smoke" / "bundles" / "smoke-3.2M"), None]


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="val goes with data"):
        stzoo.train("smoke", val=tmp_path)
    with pytest.raises(UsageError, match="give one or the other"):
        stzoo.select(tmp_path, strategies=3, frontier=True)
    with pytest.raises(TrainingError, match="is not a run"):
        stzoo.select(tmp_path)
