from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from stzoo import cli
from tests.conftest import MakeVideo

SCRIPT = Path(__file__).parents[2] / "examples" / "search.py"


def test_a_video_is_most_like_itself(make_video: MakeVideo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [make_video(f"in/{name}.mp4", frames) for name, frames in (("a", 20), ("b", 4))]
    (tmp_path / "in" / "broken.mp4").write_text("no video\n")
    CliRunner().invoke(cli.main, ["embed", str(tmp_path / "in"), "-o", str(tmp_path / "in" / "vectors.npz")])
    runpy.run_path(str(SCRIPT))["main"](str(paths[1]), str(tmp_path / "in"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1.000  {paths[1]}"
    assert [Path(line[7:]).name for line in lines] == ["b.mp4", "a.mp4", "broken.mp4"]


@pytest.mark.parametrize("words", [[], ["a.mp4"], ["a.mp4", "in", "5"]])
def test_other_than_a_video_and_a_folder_says_what_to_give(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *words])
    with pytest.raises(SystemExit, match=r"search\.py VIDEO FOLDER"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
