from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

from stzoo import cli
from stzoo.cli.predict import _lines
from stzoo.contract import InputContract
from stzoo.errors import ModelNotFoundError
from stzoo.predictor import Prediction, Predictor
from tests.conftest import MakeVideo

LABELS = ("still", "turn-left", "zoom ärgerlich")


class Constant(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        return torch.tensor([0.0, 2.0, 1.0]).repeat(len(clips), 1)


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A zoo with one model; gives the names that were loaded."""
    names: list[str] = []

    def load(name: str, *, device: str) -> Predictor:
        names.append(name)
        if name == "unknown":
            raise ModelNotFoundError('there is no model "unknown".')
        contract = InputContract(frames=2, fps=5.0, clips=2, resize=16, crop=16)
        return Predictor(Constant(), contract, LABELS, name, device)

    hub = types.ModuleType("stzoo.hub")
    hub.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stzoo.hub", hub)
    monkeypatch.delenv("STZOO_DEBUG", raising=False)
    return names


def run(*args: object) -> Result:
    return CliRunner().invoke(cli.main, ["predict", *map(str, args)], prog_name="stzoo")


def test_text_is_a_header_and_ranked_labels(make_video: MakeVideo, loaded: list[str]) -> None:
    path = make_video("a.mp4", 4)
    result = run(path)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        str(path),
        "  1   66.5 %  turn-left",
        "  2   24.5 %  zoom ärgerlich",
        "  3    9.0 %  still",
    ]
    assert loaded == ["camera-motion-opt"]


def test_several_files_and_fewer_labels(make_video: MakeVideo) -> None:
    paths = [make_video(f"{i}.mp4", 2) for i in range(2)]
    result = run(*paths, "--topk", 1, "--clips", 3, "--model", "other", "--device", "cpu")
    assert result.stdout.splitlines() == [
        str(paths[0]),
        "  1   66.5 %  turn-left",
        "",
        str(paths[1]),
        "  1   66.5 %  turn-left",
    ]


def test_a_blank_line_stands_between_answers_alone(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 2)
    result = run(tmp_path / "missing.mp4", path, path, "--topk", 1)
    answer = f"{path}\n  1   66.5 %  turn-left\n"
    assert result.stdout == f"{answer}\n{answer}"


def test_json_is_a_list_and_nothing_else(make_video: MakeVideo, cut_off_video: Path) -> None:
    path = make_video("a.mp4", 4)
    result = run(path, cut_off_video, "--format", "json", "--topk", 99)
    assert result.exit_code == 0
    first, second = json.loads(result.stdout)
    assert first["path"] == str(path)
    assert second["path"] == str(cut_off_video)
    assert [list(entry) for entry in first["predictions"]] == [["label", "score"]] * 3
    assert [entry["label"] for entry in first["predictions"]] == ["turn-left", "zoom ärgerlich", "still"]
    assert sum(entry["score"] for entry in first["predictions"]) == pytest.approx(1, abs=1e-6)
    assert result.stderr.startswith(f"Warning: {cut_off_video} is cut off or damaged")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_broken_file_does_not_stop_the_others(make_video: MakeVideo, tmp_path: Path, format_: str) -> None:
    first, missing, last = make_video("a.mp4", 2), tmp_path / "missing.mp4", make_video("b.mp4", 2)
    result = run(first, missing, last, "--format", format_)
    sentence = f"{missing} does not exist; check the path."
    assert result.exit_code == 1
    assert result.stderr == f"Error: {sentence}\n"
    if format_ == "json":
        answers = json.loads(result.stdout)
        assert [answer["path"] for answer in answers] == [str(first), str(missing), str(last)]
        assert answers[1] == {"path": str(missing), "error": sentence}
        assert all(len(answer["predictions"]) == 3 for answer in (answers[0], answers[2]))
    else:
        assert result.stdout.count("turn-left") == 2
        assert str(missing) not in result.stdout


def test_every_kind_of_bad_file_is_one_sentence_and_exit_code_1(tmp_path: Path, sound_file: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n")
    for path in (tmp_path / "missing.mp4", tmp_path, tmp_path / "empty.mp4", tmp_path / "text.mp4", sound_file):
        result = run(path)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith(f"Error: {path} ")
        assert result.stderr.count("\n") == 1


def test_an_unknown_model_is_one_sentence_and_exit_code_1(make_video: MakeVideo) -> None:
    result = run(make_video("a.mp4", 2), "--model", "unknown")
    assert result.exit_code == 1
    assert result.stderr == 'Error: there is no model "unknown".\n'


@pytest.mark.parametrize(
    "args", [["--topk", "0"], ["--clips", "0"], ["--clips", "x"], ["--format", "xml"], ["--device", "tpu"]]
)
def test_options_out_of_range_are_refused(args: list[str], loaded: list[str]) -> None:
    result = run("a.mp4", *args)
    assert result.exit_code == 2
    assert args[0] in result.stderr
    assert loaded == []


def test_without_a_file_usage_is_shown() -> None:
    assert run().exit_code == 2
    assert "FILE" in run("--help").stdout


def test_an_interruption_ends_quietly(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "predict", interrupt)
    result = run(make_video("a.mp4", 2))
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_people_see_bars_that_line_up() -> None:
    lines = _lines([Prediction("left", 0.5), Prediction("upwards", 0.25), Prediction("no", 0.0)], bars=True)
    starts = [line.index("\x1b") for line in lines[:2]]
    assert starts[0] == starts[1]
    assert [line.count("█") for line in lines] == [15, 8, 0]
