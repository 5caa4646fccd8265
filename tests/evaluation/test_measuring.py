from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.data.datasets import Item
from stzoo.errors import DataError
from stzoo.evaluation import SCORES, score_and_measure
from stzoo.prediction.predictor import Predictor
from tests.conftest import MakeVideo
from tests.data import layouts

CONTRACT = InputContract(frames=2, fps=5.0, clips=2, resize=24, crop=16)


class Brightness(nn.Module):
    """Counts videos, and is interrupted when one too many is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.clips, self.most = 0, 1000

    def forward(self, clips: Tensor) -> Tensor:
        self.clips += len(clips)
        if self.clips > self.most:
            raise KeyboardInterrupt
        mean = clips.mean(dim=(1, 2, 3, 4))
        return torch.stack([-mean, mean, mean - 9], dim=1)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(Brightness(), CONTRACT, ("dark", "bright", "never"), "brightness", "cpu", digest="0" * 64)


@pytest.fixture
def items(make_video: MakeVideo, tmp_path: Path) -> list[Item]:
    frames = (1, 1, 40, 40)
    made = [Item(make_video(f"{index}.mp4", count), int(count > 1)) for index, count in enumerate(frames)]
    return [*made, Item(made[0].path, 1), Item(tmp_path / "missing.mp4", 2)]


def test_everything_is_measured_and_failures_are_named(predictor: Predictor, items: list[Item], tmp_path: Path) -> None:
    found = score_and_measure(predictor, items, tmp_path / "out")
    found.write(tmp_path / "out")
    assert predictor.net.clips == 4 * CONTRACT.clips  # the video that is listed twice is read once
    np.testing.assert_array_equal(found.scores[0], predictor.scores(items[0].path))
    assert found.top1.value == 4 / 5
    assert found.top5 is None
    assert [None if value is None else (value.value, value.n) for value in found.classes] == [
        (1.0, 2),
        (2 / 3, 3),
        None,
    ]
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written == found.to_json()
    assert written["videos"] == 5
    missing = str(items[-1].path)
    assert written["failed"] == [{"path": missing, "reason": f"{missing} does not exist; check the path."}]
    assert written["protocol"] == CONTRACT.protocol
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion.png",
        "reliability.png",
        "results.json",
        "risk.png",
        "scores.npz",
    ]


def test_an_interrupted_run_goes_on(predictor: Predictor, items: list[Item], tmp_path: Path) -> None:
    predictor.net.most = 2 * CONTRACT.clips
    with pytest.raises(KeyboardInterrupt):
        score_and_measure(predictor, items, tmp_path)
    predictor.net.clips, predictor.net.most = 0, 1000
    resumed = score_and_measure(predictor, items, tmp_path)
    assert predictor.net.clips == 2 * CONTRACT.clips
    whole = score_and_measure(predictor, items, tmp_path / "whole")
    np.testing.assert_array_equal(resumed.scores, whole.scores)
    os.utime(items[1].path, ns=(0, 0))
    predictor.net.clips = 0
    score_and_measure(predictor, items, tmp_path)
    assert predictor.net.clips == CONTRACT.clips  # a video that has changed is read again


def test_frames_that_were_written_over_are_read_again(predictor: Predictor, tmp_path: Path) -> None:
    layouts.write_frames(tmp_path / "folder")
    layouts.zip_frames(tmp_path / "all.zip", ["x/", "y/"])
    paths = (tmp_path / "folder", tmp_path / "all.zip" / "x")
    items = [Item(path, 0, frame_rate=10.0) for path in paths]
    score_and_measure(predictor, items, tmp_path / "out")
    for changed in (tmp_path / "folder" / "00003.jpg", tmp_path / "all.zip"):
        os.utime(changed, ns=(0, 2**62))
        predictor.net.clips = 0
        score_and_measure(predictor, items, tmp_path / "out")
        assert predictor.net.clips == CONTRACT.clips


class Rising(nn.Module):
    """Whether a clip gets brighter, and by how much."""

    def forward(self, clips: Tensor) -> Tensor:
        change = clips[:, :, -1].mean(dim=(1, 2, 3)) - clips[:, :, 0].mean(dim=(1, 2, 3))
        return torch.stack([-change, change], dim=1)


def test_clips_may_be_seen_backwards_or_with_their_frames_mixed(make_video: MakeVideo, tmp_path: Path) -> None:
    contract = CONTRACT.changed(frames=8, fps=25.0, clips=1)
    predictor = Predictor(Rising(), contract, ("darker", "brighter"), "rising", "cpu", digest="0" * 64)
    items = [Item(make_video(f"{index}.mp4", 10), 1) for index in range(6)]
    found = {
        order: score_and_measure(predictor, items, tmp_path / order, workers=0, frame_order=order).scores
        for order in ("given", "reversed", "shuffled")
    }
    np.testing.assert_allclose(found["reversed"], found["given"][:, ::-1], atol=1e-6)
    assert len({tuple(row) for row in found["shuffled"].round(4)}) > 1
    assert "frame_order" not in score_and_measure(predictor, items, tmp_path / "given", workers=0).about
    with pytest.raises(DataError, match="holds scores with another frame_order"):
        score_and_measure(predictor, items, tmp_path / "given", workers=0, frame_order="shuffled")


def test_scores_of_something_else_are_refused(predictor: Predictor, items: list[Item], tmp_path: Path) -> None:
    score_and_measure(predictor, items, tmp_path)
    for name, changes in {"contract": {"contract": CONTRACT.changed(clips=3)}, "digest": {"digest": "1" * 64}}.items():
        with pytest.raises(DataError, match=f"holds scores with another {name}; choose another folder"):
            score_and_measure(dataclasses.replace(predictor, **changes), items, tmp_path)
    (tmp_path / SCORES).write_bytes(b"no scores")
    with pytest.raises(DataError, match="does not hold scores of stzoo"):
        score_and_measure(predictor, items, tmp_path)


def test_without_a_single_video_there_is_no_number(predictor: Predictor, items: list[Item], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the 1 videos can be read; the first: .* does not exist"):
        score_and_measure(predictor, items[-1:], tmp_path / "out")
