from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from stzoo import cli
from stzoo.ray_stage import PredictStage
from tests.conftest import MakeVideo

MODEL = "camera-motion-s"


def test_a_stage_gives_the_rows_of_a_prediction(make_video: MakeVideo, tmp_path: Path) -> None:
    paths = [str(make_video("a.mp4", 20)), str(tmp_path / "missing.mp4"), str(make_video("b.mp4", 4))]
    found = PredictStage(MODEL, topk=3, device="cpu")({"path": np.array(paths, dtype=object)})
    predicted = CliRunner().invoke(
        cli.main, ["predict", *paths, "--model", MODEL, "--device", "cpu", "--topk", "3", "--format", "jsonl"]
    )
    expected = [json.loads(line) for line in predicted.stdout.splitlines()]
    rows = [json.loads(line) for line in found["json"]]
    for entry in (*rows, *expected):
        entry.pop("seconds", None)
    assert rows == expected
    assert found["path"].tolist() == paths
    assert found["error"].tolist() == ["", expected[1]["error"], ""]
    best = [entry["predictions"][0] for entry in (expected[0], expected[2])]
    assert found["label"].tolist() == [best[0]["label"], "", best[1]["label"]]
    assert found["score"][[0, 2]].tolist() == [entry["score"] for entry in best]
    assert math.isnan(found["score"][1])
