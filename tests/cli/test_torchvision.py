from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stzoo import bundle as bundles
from stzoo import cli
from stzoo.files import packaged
from stzoo.zoo.torchvision import NETS
from tests.conftest import write_dark_and_bright

SAMPLE = packaged("bundled") / "sample.mp4"
MODEL = "torchvision:swin_small"


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, args)], prog_name="stzoo")


def test_the_list_has_torchvisions_numbers_apart_from_ours() -> None:
    text = run("list", "--source", "torchvision").stdout
    assert all(f"torchvision:{name}" in text for name in NETS)
    assert "theirs: top-1, %" in text
    assert "not measured here" in " ".join(text.split())
    assert "derived from the dataset used for training" in " ".join(text.split())
    entries = json.loads(run("list", "swin*", "--source", "torchvision", "--format", "json").stdout)
    assert [entry["name"] for entry in entries] == [
        "torchvision:swin3d_t",
        "torchvision:swin3d_s",
        "torchvision:swin3d_b",
    ]
    assert entries[0]["theirs"]["top1"] == 77.715
    assert not {"metrics", "top1", "accuracy"} & entries[0].keys()
    assert "torchvision" not in run("list").stdout
    table = run("list", "--source", "torchvision", "--format", "csv").stdout.splitlines()
    assert table[0].startswith("name,parameters,multiply_adds,their_top1")
    assert table[4].startswith('torchvision:s3d,8320048,143827304448,68.368,88.05,clip,"1 clip of 128 frames, ')
    assert run("list", "--source", "torchvision", "--max-params", "9", "--format", "json").stdout.count('"name"') == 1
    assert "leave them out" in run("list", "--source", "torchvision", "--bundled").stderr
    assert "no net of torchvision is left" in run("list", "x*", "--source", "torchvision").stderr


def test_a_net_is_shown_before_its_weights_are_here() -> None:
    shown = run("show", "torchvision:s3d")
    assert shown.exit_code == 0
    assert "68.4 % top-1, 88.0 % top-5 (Kinetics-400, clip level, 1 clip of 128 frames" in shown.stdout
    assert "143,827,304,448 a clip" in shown.stdout
    assert json.loads(run("show", "torchvision:s3d", "--format", "json").stdout)["input"]["resize"] == [256, 256]


@pytest.mark.parametrize(
    "words",
    [
        ("show", "torchvision:r3d_18", "--figure", "a.png"),
        ("show", "torchvision:r3d_18", "--strategy", "sst"),
        ("diff", "torchvision:r3d_18", "camera-motion-opt"),
        ("diff", "camera-motion-opt", "torchvision:r3d_18"),
        ("evaluate", "torchvision:r3d_18", "--data", ".", "--strategy", "sst"),
        ("measure", "r3d_18", "--strategy", "sst"),
    ],
    ids=" ".join,
)
def test_what_needs_a_strategy_says_that_there_is_none(words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert refused.exit_code == 1
    assert "r3d_18 has no sites, the places where S, ST or both are chosen" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_net_is_counted_by_its_name() -> None:
    counted = run("measure", "r3d_18", "--size", "112")
    assert counted.exit_code == 0, counted.output
    assert "r3d_18, 400 classes, clip 16x112x112" in counted.stdout
    assert "40,696,553,472" in counted.stdout


def test_weights_are_for_torchvisions_nets(small_swin: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    for words in (
        ("predict", SAMPLE, "--model", tiny_bundle),
        ("evaluate", tiny_bundle, "--data", tmp_path),
        ("export", tiny_bundle, "-o", tmp_path / "a.onnx"),
        ("finetune", tiny_bundle, "--data", tmp_path),
        ("benchmark", tiny_bundle),
    ):
        refused = run(*words, "--weights", small_swin)
        assert refused.exit_code == 2
        assert "weights from a file are for nets of torchvision" in refused.stderr
    missing = run("predict", SAMPLE, "--model", MODEL, "--weights", tmp_path / "none.pth")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)
    assert "there is no file" in missing.stderr


def test_a_net_predicts_over_time_and_is_measured(
    small_swin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = ("--weights", small_swin, "--device", "cpu")
    answer = run("predict", SAMPLE, "--model", MODEL, *weights, "--format", "json")
    assert answer.exit_code == 0, answer.output
    row = json.loads(answer.stdout)[0]
    assert row["contract"]["resize"] == [40, 54]
    assert len(row["predictions"]) == 5
    timeline = run("predict", SAMPLE, "--model", MODEL, *weights, "--timeline", "--format", "srt")
    assert timeline.exit_code == 0, timeline.output
    assert "-->" in timeline.stdout
    rendered = run("predict", SAMPLE, "--model", MODEL, *weights, "--clips", "1", "--render", "out.mp4")
    assert rendered.exit_code == 0, rendered.output
    assert (tmp_path / "out.mp4").stat().st_size > 1000
    (tmp_path / "list.txt").write_text(f"{SAMPLE} {row['predictions'][0]['label']!r}\n".replace("'", '"'))
    measured = run("evaluate", MODEL, "--data", "list.txt", *weights, "--clips", "1", "--crops", "3")
    assert measured.exit_code == 0, measured.output
    assert (tmp_path / "evaluation-torchvision-swin_small-list" / "results.json").exists()


def test_a_net_is_finetuned_with_a_head_of_its_own_and_goes_on(
    small_swin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = write_dark_and_bright(tmp_path / "own")
    words = ("--data", "own", "--epochs", "2", "--quiet", "--set", "compute.threads=1", "--weights", small_swin)
    dry = run("finetune", MODEL, *words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    done = run("finetune", MODEL, *words)
    assert done.exit_code == 0, done.output
    assert "head replaced" in done.stdout
    folder = tmp_path / "runs" / "own-torchvision-swin-small" / "bundles" / "own-torchvision-swin-small"
    bundle = bundles.read(folder)
    assert bundle.labels == ("bright", "dark")
    assert bundle.contract == NETS["swin_small"].contract
    assert "## Strategy" not in (folder / bundles.README).read_text()
    uncached = run("finetune", MODEL, *words, "--set", "data.cache=false", "--out", "uncached")
    assert uncached.exit_code == 0, uncached.output
    assert run("finetune", MODEL, *words).exit_code == 0
    shown = run("show", folder)
    assert shown.exit_code == 0, shown.output
    assert "54x40 bilinear" in shown.stdout
    assert "sites" not in shown.stdout
    predicted = run("predict", own / "dark" / "0.mp4", "--model", folder)
    assert predicted.exit_code == 0, predicted.output
    assert "has no sites" in run("show", folder, "--figure", "a.png").stderr
    assert "has no sites" in run("diff", folder, "camera-motion-opt").stderr
    selected = run("select", tmp_path / "runs" / "own-torchvision-swin-small", "--strategies", "3")
    assert "trains one fixed net and has no strategies" in selected.stderr
    effects = run("effects", tmp_path / "runs" / "own-torchvision-swin-small")
    assert effects.exit_code == 1
    assert effects.stderr.count("\n") == 1
