from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.prediction.predictor import Predictor
from tests.conftest import MakeVideo

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_predict.py"
CONTRACT = InputContract(frames=3, fps=5.0, clips=2, resize=24, crop=16)


class Corners(nn.Module):
    """Logits that say which side of a clip is brighter, and how much its first frame differs from its last."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        frames, height, width = clips.shape[2:]
        left, *_ = clips.split([5, width - 5], dim=4)
        *_, right = clips.split([width - 5, 5], dim=4)
        top, *_ = clips.split([5, height - 5], dim=3)
        first, *_ = clips.split([1, frames - 1], dim=2)
        *_, last = clips.split([frames - 1, 1], dim=2)
        means = [part.mean(dim=(2, 3, 4)).mean(dim=1, keepdim=True) for part in (left, right, top, last, first)]
        return 2 * torch.cat([*means[:3], means[3] - means[4]], dim=1)


def answers(video: Path, model: Path, tmp_path: Path) -> dict[str, float]:
    """What the example prints."""
    program = f"import runpy, sys; sys.argv[1:] = {[str(model), str(video)]!r}; runpy.run_path({str(EXAMPLE)!r})\n"
    program += "assert not {'torch', 'stzoo', 'cv2'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    return {label: float(score.rstrip("%")) / 100 for score, label in lines}


def pixels(frames: int, height: int, width: int) -> np.ndarray:
    """Frames whose parts differ and that grow brighter."""
    ramp = np.add.outer(np.linspace(0, 90, height), np.linspace(0, 90, width))
    return np.stack([ramp[..., None] * [1, 0.5, 0.2] + 4 * index for index in range(frames)]).astype(np.uint8)


STRIDE = {"fps": None, "stride_frames": 3}


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({}, {"rotate": 90}),
        ({}, {"rotate": 180, "mirror": True}),
        ({}, {"rotate": 270, "mirror": True}),
        ({}, {"pixel_aspect": Fraction(2)}),
        ({}, {"pixel_aspect": Fraction(1, 2), "rotate": 90}),
        ({}, {"frames": 3}),
        ({"short_video": "stretch"}, {"frames": 3}),
        ({}, {"frames": 1}),
        ({}, {"times_ms": [0, 40, 200, 210, 220, 900, 1000, 1300]}),
        (STRIDE, {}),
        (STRIDE, {"frames": 5}),
        (STRIDE | {"short_video": "stretch"}, {"frames": 5}),
        ({"fps": None, "sampling": "segments"}, {}),
        ({"crops": 3, "clips": 1}, {}),
        ({}, {"width": 20, "height": 12}),
    ],
)
def test_the_example_gives_what_stzoo_gives_and_does_without_it(
    make_video: MakeVideo, tmp_path: Path, changes: dict[str, object], options: dict[str, object]
) -> None:
    net, labels = Corners(), ("left", "right", "top", "brighter and brighter")
    contract = InputContract.model_validate(CONTRACT.model_dump() | changes)
    to_onnx.export(net, tmp_path / "model.onnx", contract, labels, with_preprocess=True)
    frames = options.pop("frames", 8 if "times_ms" in options else 20)
    width, height = options.pop("width", 64), options.pop("height", 36)
    options = {"width": width, "height": height, "pixels": pixels(frames, height, width)} | options
    video = make_video("a.mkv" if "times_ms" in options else "a.mp4", frames, **options)
    expected = Predictor(net, contract, labels, device="cpu").scores(video).tolist()
    shown = answers(video, tmp_path / "model.onnx", tmp_path)
    assert shown.keys() == set(labels)
    for label, score in zip(labels, expected, strict=True):
        assert shown[label] == pytest.approx(score, abs=0.006)
