from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn

import stzoo
from stzoo import cli
from stzoo.cli.predict import _rows
from stzoo.contract import InputContract
from stzoo.errors import ModelNotFoundError
from stzoo.prediction.predictor import Predictor
from stzoo.terminal.progress import Bar
from stzoo.video.video import Video
from stzoo.zoo import loading
from tests.conftest import MakeVideo

LABELS = ("still", "turn-left", "zoom ärgerlich")


class Constant(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        return torch.tensor([0.0, 2.0, 1.0]).repeat(len(clips), 1)


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A zoo with one model; gives the names that were loaded."""
    names: list[str] = []

    def load(
        name: str, *, device: str, protocol: dict[str, Any], say: Callable[[str], None], **others: object
    ) -> Predictor:
        names.append(name)
        if name == "unknown":
            raise ModelNotFoundError('there is no model "unknown".')
        kept = {"strategy": None, "calibrate": (), "average": None}
        assert others == {"runtime": "auto", "precision": "fp32", "calibrated": False, **kept}
        contract = InputContract(frames=2, fps=5.0, clips=2, resize=16, crop=16)
        if protocol:
            say(f"Input: {contract.changed(**protocol).text}")
        return Predictor(Constant(), contract.changed(**protocol), LABELS, name, device)

    monkeypatch.setattr(loading, "load", load)
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
    assert loaded == [stzoo.DEFAULT_MODEL]


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
    (tmp_path / "folder").mkdir()
    names = ("missing.mp4", "folder", "empty.mp4", "text.mp4")
    for path in (*(tmp_path / name for name in names), sound_file):
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


@pytest.mark.parametrize("args", [["--resume"], ["--resume", "-o", "a.json"], ["--fps", "2", "--stride", "3"]])
def test_options_that_contradict_each_other_are_one_sentence(args: list[str], make_video: MakeVideo) -> None:
    result = run(make_video("a.mp4", 2), *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_a_mistyped_suffix_is_no_text(make_video: MakeVideo, tmp_path: Path) -> None:
    result = run(make_video("clip.mp4"), "-o", tmp_path / "out.ndjson")
    assert result.exit_code == 2
    assert 'is no format; choose another one, or say --format. Did you mean "json' in result.stderr
    assert not (tmp_path / "out.ndjson").exists()


def test_a_folder_a_pattern_and_a_list_are_the_same_videos(make_video: MakeVideo, tmp_path: Path) -> None:
    paths = [str(make_video(name, 2)) for name in ("in/a.mp4", "in/b/c.avi")]
    (tmp_path / "in" / "notes.txt").touch()
    for argument in (tmp_path / "in", f"{tmp_path}/in/**/*.[ma][pv][4i]", "-"):
        result = CliRunner().invoke(
            cli.main, ["predict", str(argument), "--format", "jsonl"], input="\n".join([*paths, ""])
        )
        assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == paths
        assert result.exit_code == 0


def test_everything_that_is_known_of_a_prediction_is_in_its_row(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20, fps=10, width=64)
    result = run(path, "--format", "jsonl", "--clips", 1, "--crops", 3, "--frames", 3, "--stride", 2)
    (entry,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert entry["clips"] == [[0.8, 1.2]]
    assert entry["video"] == {"width": 64, "height": 32, "frames": 20, "fps": 10.0, "duration_seconds": 2.0}
    changed = {"clips": 1, "crops": 3, "frames": 3, "stride_frames": 2, "fps": None}
    assert changed.items() <= entry["contract"].items()
    assert entry["model"] == {"name": stzoo.DEFAULT_MODEL, "digest": ""}
    assert min(entry["seconds"].values()) > 0
    assert entry["warnings"] == []
    assert entry["runtime"] == {"name": "torch", "precision": "fp32", "device": entry["runtime"]["device"]}
    assert result.stderr == (
        "Input: 1 clip of 3 frames, one frame in 2, short side 16, 3 crops 16 along the long side\n"
    )


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_file_of_results_goes_on_where_it_ended(make_video: MakeVideo, tmp_path: Path, form: str) -> None:
    paths = [make_video(f"{index}.mp4", 2) for index in range(3)]
    output = tmp_path / f"out.{form}"
    assert run(*paths, "-o", output).exit_code == 0
    whole = output.read_bytes()
    again = run(*paths, "-o", output)
    assert again.exit_code == 2
    assert "exists; choose another name for the results or go on with it by --resume" in again.stderr
    rows = whole.splitlines(keepends=True)
    output.write_bytes(b"".join(rows[:-2]) + rows[-2][:40])
    assert run(*paths, "-o", output, "--resume").exit_code == 0
    assert [line.split(b",")[0] for line in output.read_bytes().splitlines()] == [
        line.split(b",")[0] for line in whole.splitlines()
    ]
    other = run(*paths, "-o", output, "--resume", "--clips", 5)
    assert other.exit_code == 1
    assert "holds results of another model, precision, input or --min-precision" in other.stderr
    output.write_text("something else\n")
    assert "does not hold results" in run(*paths, "-o", output, "--resume").stderr


def test_errors_stand_above_the_bar_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Bar, "say", lambda self, sentence: said.append(sentence))
    predictor = Predictor(Constant(), InputContract(frames=2, fps=5.0, resize=16, crop=16), LABELS, device="cpu")
    (row,) = _rows(predictor, [Video(tmp_path / "missing.mp4")], 1, 0, 0, shown=True)
    assert said == [f"Error: {row['error']}"]
    assert "Error" not in capsys.readouterr().err


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_names_with_line_separators_are_found_again(make_video: MakeVideo, tmp_path: Path, form: str) -> None:
    video, output = make_video("a\u2028b\x0bc.mp4", 2), tmp_path / f"out.{form}"
    for _ in range(2):
        assert run(video, "-o", output, "--resume").exit_code == 0
    assert output.read_bytes().count(b"\n") == 1 + (form == "csv")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_an_interruption_leaves_what_was_found(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    paths = [make_video(f"{index}.mp4", 2) for index in range(3)]
    scores_of, calls = Predictor.scores_of_each_net, []

    def interrupted(self: Predictor, clips: np.ndarray) -> np.ndarray:
        calls.append(len(clips))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return scores_of(self, clips)

    monkeypatch.setattr(Predictor, "scores_of_each_net", interrupted)
    output = tmp_path / f"out.{form}"
    result = run(*paths, "-o", output)
    assert result.exit_code == 130
    assert f"Stopped: {output} holds 2 of 3 videos; " in result.stderr
    assert "--resume" in result.stderr
    text = output.read_text()
    rows = json.loads(text) if form == "json" else text.splitlines()[form == "csv" :]
    assert len(rows) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "text"])
def test_a_full_disk_says_what_is_kept_and_how_to_go_on(make_video: MakeVideo, form: str) -> None:
    result = run(make_video("a.mp4", 2), make_video("b.mp4", 2), "--format", form, "-o", "/dev/full")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: /dev/full cannot be written (No space left on device) and holds 0 of 2 videos; make room, and the same "
        if form in ("jsonl", "csv")
        else "Error: /dev/full cannot be written (No space left on device); make room, and begin again; "
    )
    assert len(result.stderr.splitlines()) == 1


def test_the_first_broken_file_can_be_the_last(make_video: MakeVideo, tmp_path: Path) -> None:
    result = run(
        make_video("a.mp4", 2), tmp_path / "no.mp4", make_video("b.mp4", 2), "--fail-fast", "--format", "jsonl"
    )
    assert result.exit_code == 1
    assert [list(json.loads(line))[:2] for line in result.stdout.splitlines()] == [
        ["path", "predictions"],
        ["path", "error"],
    ]


def test_an_interruption_ends_quietly(make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "scores_of_each_net", interrupt)
    result = run(make_video("a.mp4", 2))
    assert result.exit_code == 130
    assert result.stderr == (
        "Stopped after 0 of 1 videos; with -o FILE.jsonl the answers are kept, and --resume goes on with them.\n"
    )
