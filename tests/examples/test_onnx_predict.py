from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import stzoo
from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.files import packaged
from stzoo.prediction.predictor import Predictor
from stzoo.video.frames import crops_along
from tests.conftest import MakeVideo

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_predict.py"
SAMPLE = packaged("bundled") / "sample.mp4"
MODEL = packaged("bundled") / "camera-motion-opt" / "model.onnx"
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


def answers(model: Path, video: Path, example: Path = EXAMPLE) -> dict[str, float]:
    """What the example gives for a video, in a process without stzoo."""
    program = (
        f"import json, pathlib, runpy, sys\nexample = runpy.run_path({str(example)!r})\n"
        f"labels, scores = example['predict'](pathlib.Path({str(model)!r}), pathlib.Path({str(video)!r}))\n"
        "assert not {'torch', 'stzoo', 'cv2'} & set(sys.modules)\n"
        "print(json.dumps(dict(zip(labels, scores.tolist()))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
    shown = answers(tmp_path / "model.onnx", video)
    assert list(shown) == list(labels)
    assert list(shown.values()) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("resize", [24, (24, 32), (32, 24)])
@pytest.mark.parametrize(("height", "width", "aspect"), [(40, 60, 1.0), (60, 40, 1.0), (20, 20, 2.0)])
def test_the_example_sees_what_is_resized_like_torch(
    resize: int | tuple[int, int], height: int, width: int, aspect: float
) -> None:
    seen = {"resize": resize, "interpolation": "bilinear", "crops": 3}
    contract = InputContract.model_validate(CONTRACT.model_dump() | seen)
    frame = pixels(1, height, width)[0]
    squares = runpy.run_path(str(EXAMPLE))["squares"]
    theirs = np.stack(list(squares(frame, aspect, json.loads(contract.model_dump_json()))))
    assert np.abs(theirs.astype(int) - crops_along(frame, contract, aspect)).max() <= 1


def test_the_example_answers_as_stzoo_once_it_has_checked_itself() -> None:
    model = stzoo.load("camera-motion-opt", device="cpu")
    done = subprocess.run(
        [sys.executable, EXAMPLE, MODEL, SAMPLE], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    expected = "".join(f"{score:6.1%}  {label}\n" for label, score in model.predict(SAMPLE))
    assert done.stdout == expected


MISTAKES = {
    "BGR for RGB": (
        'picture = frames[index].to_ndarray(format="rgb24")',
        'picture = frames[index].to_ndarray(format="bgr24")',
    ),
    "BGR into the net": ("normal = (clips / 255", "normal = (clips[..., ::-1] / 255"),
    "a wrong mean": ('np.array(wants["mean"])', "np.full(3, 0.5)"),
    "no division by 255": ("clips / 255 -", "clips -"),
    "a wrong stride": ('1 / wants["fps"]', '2 / wants["fps"]'),
    "clips from the beginning": ("starts[:, None] + offsets", "0 * starts[:, None] + offsets"),
    "frames reversed": ("for index in clip]", "for index in clip[::-1]]"),
    "resize without crop": ('wants["resize"], wants["crop"]', 'wants["crop"], wants["crop"]'),
    "the best clip for the mean": (".mean(axis=0)", ".max(axis=0)"),
}
NAMED = {
    "BGR for RGB": "its colours are in the order BGR",
    "BGR into the net": "its colours are in the order BGR",
    "a wrong mean": "it normalises by another mean",
    "no division by 255": "it normalises by another mean",
    "a wrong stride": "it takes other frames",
    "clips from the beginning": "it takes other frames",
    "frames reversed": "its frames run backwards",
    "resize without crop": "it resizes or crops otherwise",
    "the best clip for the mean": "it puts the crops or the answers of several clips together otherwise",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_copy_of_the_example_is_found_and_named(mistake: str, tmp_path: Path) -> None:
    right, wrong = MISTAKES[mistake]
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count(right) == 1
    copy = tmp_path / "copy.py"
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, copy, MODEL, SAMPLE], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"model.onnx is not run as it was made to be: {NAMED[mistake]}" in done.stderr


def test_the_example_says_that_nobody_has_checked_it_where_there_are_no_golden_clips(tmp_path: Path) -> None:
    shutil.copy(MODEL, tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path / "model.onnx", SAMPLE],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0
    assert "nobody has checked" in done.stderr
    assert "still" in done.stdout
