from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stzoo.stage import PredictStage
from tests.conftest import MakeVideo

SCRIPT = Path(__file__).parents[2] / "examples" / "ray_predict.py"

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")


@needs_ray
def test_two_workers_write_the_rows_of_one_process(make_video: MakeVideo, tmp_path: Path) -> None:
    paths = [str(make_video(f"{index}.mp4", 2 + 3 * index)) for index in range(6)]
    (tmp_path / "text.mp4").write_text("no video")
    output = tmp_path / "rows.jsonl"
    command = [sys.executable, SCRIPT, tmp_path, "-o", output, "--workers", "2", "--batch", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    assert "text.mp4 is a text file" in done.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    expected = [json.loads(line) for line in PredictStage()({"path": [*paths, str(tmp_path / "text.mp4")]})["json"]]
    for row in (*rows, *expected):
        row.pop("seconds", None)
    assert rows == expected
