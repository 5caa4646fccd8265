"""torchvision's nets for video in stzoo beside torchvision itself, on a real video, with seeded weights.

    python benchmarks/torchvision_nets.py --out records.jsonl            # all nine
    python benchmarks/torchvision_nets.py --out records.jsonl --nets r3d_18 s3d --no-files

Of every net: the pixels and logits of one clip, read and computed by stzoo out of a file of weights, against
torchvision's own transforms and forward pass on the same decoded frames; then the ONNX file against torch, and the
same clip on onnxruntime, on openvino and in int8. One line of JSON a net; a net that the file has is not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import machine
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

import stzoo
from stzoo.export import to_onnx
from stzoo.export.to_int8 import quantise
from stzoo.files import packaged
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes import is_there, open_session
from stzoo.runtimes.onnx_file import read
from stzoo.video.clips import plan
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.source import look_into
from stzoo.video.video import Video
from stzoo.zoo.torchvision import EDITION, NETS, PREFIX

RUNS = 3


def seeded(name: str, file: Path) -> None:
    """Writes torchvision's state dict of a net with random weights, and statistics that are not those of a new net."""
    torch.manual_seed(0)
    state = get_model(name, weights=None).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point() and ("bias" in key or "_pos" in key):
            value.normal_(0, 0.05)  # many are zero in a new net, and would not show a mistake
    torch.save(state, file)


def theirs(name: str, file: Path, frames: np.ndarray[Any, Any]) -> list[tuple[Tensor, Tensor]]:
    """Input and logits of a clip of frames by torchvision alone; resized with two threads, and with one.

    torch rounds otherwise with one thread than with more.
    """
    net = get_model(name, weights=None).eval()
    net.load_state_dict(torch.load(file, weights_only=True))
    transforms = get_model_weights(name)[EDITION].transforms()
    answers, threads = [], torch.get_num_threads()
    for resizing in (2, 1):
        torch.set_num_threads(resizing)
        clip = transforms(torch.from_numpy(frames).permute(0, 3, 1, 2))[None]
        torch.set_num_threads(threads)
        with torch.inference_mode():
            answers.append((clip, net(clip)))
    return answers


def raw_frames(video: Path, model: Predictor) -> np.ndarray[Any, Any]:
    """The frames of the clip that the contract wants, as they are decoded."""
    source = look_into(Video(video))
    indices = plan(source.info.timestamps_seconds, model.contract, 1)[0]
    frames = dict(source.frames(np.unique(indices)))
    return np.stack([frames[index] for index in indices.tolist()])


def milliseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 1)


def record(name: str, video: Path, *, files: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / f"{name}.pth"
        seeded(name, weights)
        model = stzoo.load(f"{PREFIX}{name}", weights=weights, device="cpu", protocol={"clips": 1})
        assert isinstance(model.net, nn.Module)
        pixels = read_clips(Video(video), model.contract, 1).clips
        clip = torch.from_numpy(normalise(pixels, model.contract))
        (their_clip, their_logits), (other_clip, other_logits) = theirs(name, weights, raw_frames(video, model))
        with torch.inference_mode():
            logits = model.net(clip)
        row: dict[str, Any] = {
            "net": name,
            "clip": "x".join(map(str, clip.shape[2:])),
            "input_difference": float((clip - their_clip).abs().max()),
            "logit_difference": float((logits - their_logits).abs().max()),
            "one_thread_pixels": float(((clip - other_clip).abs() > 0.001).float().mean()),
            "one_thread_logit_difference": float((logits - other_logits).abs().max()),
            "logit_deviation": float(their_logits.std()),
        }
        if files:
            row |= of_files(model, pixels, Path(temporary), logits)
    return row


def of_files(model: Predictor, pixels: np.ndarray[Any, Any], folder: Path, logits: Tensor) -> dict[str, Any]:
    assert isinstance(model.net, nn.Module)
    clips = normalise(pixels, model.contract)
    exact, quantised = folder / "model.onnx", folder / "model.int8.onnx"
    began = time.perf_counter()
    to_onnx.export(model.net, exact, model.contract, model.labels, name=model.name, digest=model.digest)
    seconds = time.perf_counter() - began
    agreement = to_onnx.compare(model.net, exact, np.concatenate([clips, clips[:, :, ::-1]]), (1, 2))
    row = {
        "torch_ms": milliseconds(lambda: model.scores_of(pixels)),
        "export_s": round(seconds),
        "file_mb": round(exact.stat().st_size / 1e6, 1),
        "onnx_difference": agreement.largest_difference,
        "onnx_same_label": agreement.top1_agreement,
        "onnxruntime_ms": agreement.milliseconds_a_clip,
    }
    if is_there("openvino"):
        session = open_session("openvino", read(exact), "cpu", "fp32")
        row["openvino_difference"] = float(np.abs(session.logits(clips) - logits.numpy()).max())
        row["openvino_ms"] = milliseconds(lambda: session.scores(pixels, model.contract))
    quantise(exact, quantised, (clip[None] for clip in clips))
    session = open_session("onnxruntime", read(quantised), "cpu", "int8")
    row["int8_difference"] = float(np.abs(session.logits(clips) - logits.numpy()).max())
    row["int8_ms"] = milliseconds(lambda: session.scores(pixels, model.contract))
    row["int8_mb"] = round(quantised.stat().st_size / 1e6, 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--video", type=Path, default=packaged("bundled") / "sample.mp4")
    parser.add_argument("--no-files", action="store_true", help="without ONNX, which takes minutes a net")
    arguments = parser.parse_args()
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    done = {json.loads(line)["net"] for line in lines}
    for name in arguments.nets:
        if name in done:
            continue
        row = record(name, arguments.video, files=not arguments.no_files)
        row["machine"] = machine()
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


if __name__ == "__main__":
    main()
