from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import stzoo
from stzoo import cli
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.vectors import load
from tests.conftest import MakeVideo

MODEL = "camera-motion-s"


def run(*arguments: object, **options: object) -> Result:
    return CliRunner().invoke(cli.main, ["embed", *map(str, arguments), "--model", MODEL, "--device", "cpu"], **options)


def test_a_folder_becomes_vectors_with_errors_as_rows(make_video: MakeVideo, tmp_path: Path) -> None:
    paths = [make_video(f"in/{name}.mp4", frames) for name, frames in (("a", 20), ("c", 4))]
    (tmp_path / "in" / "b.mp4").write_text("no video\n")
    result = run(tmp_path / "in", "-o", tmp_path / "v.npz")
    assert result.exit_code == 1
    assert result.stdout == f"{tmp_path}/v.npz: 2 vectors of 74 numbers\n"
    assert result.stderr.startswith(f"Error: {tmp_path}/in/b.mp4 is a text file")
    rows = load(tmp_path / "v.npz")
    assert [Path(path).name for path in rows.paths] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [bool(error) for error in rows.errors] == [False, True, False]
    expected = stzoo.load(MODEL, device="cpu", runtime="auto").embed(paths)
    np.testing.assert_array_equal(rows.matrix[[0, 2]], expected)


def test_it_goes_on_where_it_was_stopped(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, output = [make_video(f"{index}.mp4", 4) for index in range(3)], tmp_path / "v.npz"
    vector_of, calls = Predictor.vector_of, []

    def interrupted(self: Predictor, clips: np.ndarray) -> np.ndarray:
        calls.append(len(clips))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return vector_of(self, clips)

    monkeypatch.setattr(Predictor, "vector_of", interrupted)
    stopped = run(*paths, "-o", output)
    assert stopped.exit_code == 130
    assert stopped.stderr == f"Stopped: {output} holds 2 of 3 videos; the same command with --resume goes on.\n"
    assert "exists; choose another name" in run(*paths, "-o", output).stderr
    assert run(*paths, "-o", output, "--resume").exit_code == 0
    assert len(calls) == 4
    assert load(output).paths == list(map(str, paths))
    other = run(*paths, "-o", output, "--resume", "--clips", 1)
    assert "holds vectors of another model, precision or input" in other.stderr


def test_nonsense_is_refused_before_anything_is_read(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("a.mp4", 3)
    assert 'has the suffix ".csv"' in run(path, "-o", tmp_path / "v.csv").stderr
    piped = run("-", "-o", tmp_path / "v.npz", "--resume", input=path.read_bytes())
    assert "the one on standard input has none" in piped.stderr
    assert run("-", "-o", tmp_path / "v.npz", input=path.read_bytes()).exit_code == 0
    assert load(tmp_path / "v.npz").paths == ["-"]
