from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import bundle as bundles
from stzoo import cli
from stzoo.recipe import read
from stzoo.training import pipeline
from stzoo.zoo import loading
from tests.conftest import write_dark_and_bright


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, args)], prog_name="stzoo")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten videos in two classes, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return write_dark_and_bright(tmp_path / "own")


def test_a_stopped_finetuning_goes_on_and_its_bundle_predicts(
    own: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("finetune", tiny_bundle, "--data", "own", "--epochs", "3", "--quiet", "--set", "compute.threads=1")
    straight = run(*command, "--out", "straight")
    assert straight.exit_code == 0, straight.output
    assert f"The first stage starts from {tiny_bundle} (SHA-256" in straight.stdout
    assert "head replaced" in straight.stdout
    folder = tmp_path / "straight" / "bundles" / "straight"
    assert f"Try it: stzoo predict --model {folder.relative_to(tmp_path)} VIDEO" in straight.stdout
    assert (tmp_path / "straight" / "given" / "classes.txt").read_text() == "bright\ndark\n"
    bundle = bundles.read(folder)
    assert bundle.labels == ("bright", "dark")
    assert bundle.strategy == bundles.read(tiny_bundle).strategy
    assert bundle.metrics[0].n == 2
    assert bundle.recipe is not None
    assert 'root = "own"' in bundle.recipe
    told = bundle.recipe + json.dumps(bundle.config.provenance)
    assert not any(str(place.parent) in told for place in (tmp_path, tiny_bundle))
    predicted = run("predict", own / "dark" / "0.mp4", "--model", folder, "--format", "json")
    assert predicted.exit_code == 0, predicted.output
    assert "dark" in predicted.stdout

    save = pipeline.save_bundle
    monkeypatch.setattr("stzoo.training.loop.save_checkpoint", _interrupting(after=2))
    stopped = run(*command, "--out", "stopped")
    assert stopped.exit_code == 130
    assert "The same command goes on" in stopped.stderr
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert pipeline.save_bundle is save
    went_on = run(*command, "--out", "stopped")
    assert went_on.exit_code == 0, went_on.output
    assert "This run started from" in went_on.stdout
    assert "fixed 1 " not in went_on.stdout
    other = tmp_path / "stopped" / "bundles" / "stopped"
    assert (other / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert "is finished; its bundle is" in run(*command, "--out", "stopped").stdout


def _interrupting(after: int) -> object:
    from stzoo.training import loop

    save, done = loop.save_checkpoint, []

    def interrupting(*args: object) -> None:
        save(*args)  # type: ignore[arg-type]
        done.append(1)
        if len(done) == after:
            raise KeyboardInterrupt

    return interrupting


def test_the_same_classes_keep_the_head(own: Path, tiny_bundle: Path) -> None:
    for old, new in (("dark", "still"), ("bright", "right")):
        (own / old).rename(own / new)
    shutil.copytree(own / "still", own / "left")
    result = run("finetune", tiny_bundle, "--data", "own", "--epochs", "1", "--quiet", "--out", "kept")
    assert result.exit_code == 0, result.output
    assert "head kept" in result.stdout
    assert loading.load("kept").labels == ("left", "right", "still")


def test_a_dry_run_writes_nothing(own: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = run("finetune", tiny_bundle, "--data", "own", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "strategy strategy.json alone" in result.stdout
    assert ["val", "2"] in [line.split()[:2] for line in result.stdout.splitlines()]
    assert sorted(tmp_path.rglob("*")) == before
    _, _, below = result.stdout.partition("every value written out:\n\n")
    (tmp_path / "shown.toml").write_text(below.partition("\n\nThe lists can be read")[0])
    began = run("finetune", tiny_bundle, "--data", "own", "--epochs", "1", "--quiet")
    assert began.exit_code == 0, began.output
    ran = read(tmp_path / "runs" / "own-tiny-opt" / "recipe.toml")
    settled = ["fixed.epochs=1", f"compute.precision={ran.compute.precision}"]  # which is left open until a run begins
    assert read(tmp_path / "shown.toml", settled) == ran


def test_a_run_goes_on_whatever_its_paths_are_given_from(
    own: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("finetune", tiny_bundle, "--epochs", "1", "--quiet")
    began = run(*command, "--data", "own", "--out", "runs/mine")
    assert began.exit_code == 0, began.output
    monkeypatch.chdir(own / "dark")
    again = run(*command, "--data", "..", "--out", "../../runs/mine")
    assert "is finished; its bundle is" in again.output


def test_unreadable_videos_are_counted_and_capped(own: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    for index in range(5, 40):
        shutil.copy(own / "dark" / f"{index % 5}.mp4", own / "dark" / f"{index}.mp4")
    val = tmp_path / "val.txt"
    (own / "bright" / "4.mp4").rename(tmp_path / "aside.mp4")
    val.write_text("aside.mp4 bright\n")
    (own / "dark" / "39.mp4").write_bytes(b"no video")
    command = ("finetune", tiny_bundle, "--data", "own", "--val", val, "--epochs", "1", "--quiet")
    one = run(*command, "--out", "one")
    assert one.exit_code == 0, one.output
    assert "1 of the 44 videos of train cannot be read and are left out: " in one.stdout
    changed = run("finetune", tiny_bundle, "--data", "own", "--epochs", "1", "--quiet", "--out", "one")
    assert changed.exit_code == 1
    assert "are not those that the run one began with" in changed.stderr
    for index in range(30, 39):
        (own / "dark" / f"{index}.mp4").write_bytes(b"no video")
    many = run(*command, "--out", "many")
    assert many.exit_code == 1
    assert "cannot be read, more than 5.0% of the list" in many.stderr
    for index in range(30, 40):
        (own / "dark" / f"{index}.mp4").unlink()
    mended = run(*command, "--out", "many", "--set", "data.max_broken=0.1")
    assert mended.exit_code == 0, mended.output


def test_what_cannot_be_meant_is_refused(own: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    refusals = (
        (("nowhere", "--data", "own"), 1, 'no model and no folder is called "nowhere"'),
        ((tiny_bundle, "--data", "absent"), 2, "'absent' does not exist"),
        ((tiny_bundle, "--data", "own", "--out", "camera-motion-st"), 2, "is the name of a model of the zoo"),
        ((tiny_bundle, "--data", "own", "--val", "own"), 1, "0.mp4 stands twice in own"),
        ((tiny_bundle, "--data", "own", "--set", "input.crop=99"), 1, "crop 99 is larger"),
    )
    for arguments, code, words in refusals:
        result = run("finetune", *arguments)
        assert (result.exit_code, words in result.stderr) == (code, True), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_the_run_is_named_after_data_and_model(own: Path, tiny_bundle: Path) -> None:
    result = run("finetune", f"{tiny_bundle}/", "--data", "own", "--epochs", "1", "--quiet")
    assert result.exit_code == 0, result.output
    rows = json.loads(Path("runs/own-tiny-opt/metrics.json").read_text())
    assert [row["net"] for row in rows] == ["own-tiny-opt"]


def test_a_strategy_that_does_not_fit_is_said_before_anything_is_written(own: Path, tiny_bundle: Path) -> None:
    result = run("finetune", tiny_bundle, "--data", own, "--out", "bad", "--set", "fixed.strategy=sstt")
    assert result.exit_code == 1
    assert f'the recipe that finetunes {tiny_bundle}: fixed.strategy = "sstt": no strategy is called' in result.stderr
    assert not Path("bad").exists()
