from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.prediction.predictor import Predictor
from tests.conftest import MakeVideo

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_predict.py"
CONTRACT = InputContract(frames=3, fps=5.0, clips=2, resize=24, crop=16)


class Brightness(nn.Module):
    """Logits that follow the clip's mean, and say how much its first frame differs from its last."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        mean = clips.mean(dim=(1, 2, 3, 4))
        change = clips[:, :, -1].mean(dim=(1, 2, 3)) - clips[:, :, 0].mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean, 2 * change], dim=1)


def test_the_example_gives_what_stzoo_gives_and_does_without_it(make_video: MakeVideo, tmp_path: Path) -> None:
    net, labels = Brightness(), ("dark", "bright", "brighter and brighter")
    to_onnx.export(net, tmp_path / "model.onnx", CONTRACT, labels, with_preprocess=True)
    video = make_video("a.mp4", 20, width=64, height=36)
    program = f"import runpy, sys; sys.argv[1:] = ['model.onnx', 'a.mp4']; runpy.run_path({str(EXAMPLE)!r})\n"
    program += "assert not {'torch', 'stzoo', 'cv2'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {
        label: float(score.rstrip("%")) / 100
        for score, label in (line.split(maxsplit=1) for line in done.stdout.splitlines())
    }
    expected = dict(zip(labels, Predictor(net, CONTRACT, labels, device="cpu").scores(video).tolist(), strict=True))
    assert found.keys() == expected.keys()
    for label in labels:
        np.testing.assert_allclose(found[label], expected[label], atol=0.01)
