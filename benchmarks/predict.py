"""How fast nets predict, ours beside torchvision's, in torch, onnxruntime and openvino: docs/results/speed.md.

    python benchmarks/predict.py --threads 1
    python benchmarks/predict.py --quick

The first table runs one clip through every net in every way, in rounds that go through all ways of a net in turn, the
order reversed every other round. A ratio is the median of the ratios to the net's first way, plain eager 3D
convolutions, within a round; with one thread it is one of process CPU time, else of time on the clock. The second table
parts a video's seconds into decoding, preprocessing and computing. The third starts `stzoo predict` anew for each row.
Weights are random, which does not change what an operation costs. ONNX files go into --keep, where a second run finds
them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from decode import make_video
from merge import Case, net_of
from side_by_side import in_turn, machine, quartiles
from torch import nn
from x3d import X3dS

from stzoo.contract import InputContract
from stzoo.errors import StzooError
from stzoo.export import to_onnx
from stzoo.export.to_int8 import quantise
from stzoo.nets import merge
from stzoo.nets.layout import ChannelsLast, Volumes, laid_out
from stzoo.nets.torchvision import TorchvisionNet
from stzoo.runtimes import Runtime, is_there, open_session
from stzoo.runtimes.onnx_file import Form, Precision, read
from stzoo.video.frames import normalise
from stzoo.video.reader import read_clips
from stzoo.video.video import Video

FASTEST: dict[Runtime, Form] = {"onnxruntime": "images", "openvino": "volumes"}
"""The form in which each runs a net of ours fastest; to the nets of others it makes no difference."""

PEERS = ("r2plus1d_18", "r3d_18", "mc3_18", "s3d", "swin3d_t", "mvit_v1_b")
CLASSES = [f"class {index}" for index in range(400)]
LAUNCHER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run([sys.executable, "-m", "stzoo", *sys.argv[1:]], check=True, **silent)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss]))
"""
"""Starts a command from a process that is small itself: a child's memory counts from that of its parent on."""

Way = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Subject:
    """A net to be timed; `ours` has a plain form, a form in views and a merged form."""

    name: str
    build: Callable[[], nn.Module]
    ours: bool


def peer(name: str) -> Subject:
    """A net of torchvision, as `torchvision:NAME` writes it into a file."""
    return Subject(name, lambda: TorchvisionNet(None, name, len(CLASSES)), ours=False)


def in_torch(net: nn.Module, *, volumes: bool = False) -> Way:
    def run(clips: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), laid_out(Volumes() if volumes else ChannelsLast()):
            return net(torch.from_numpy(clips)).numpy()

    return run


def plain_session(net: nn.Module, path: Path, runtime: Runtime, clip: np.ndarray) -> Way:
    """A net in fp32 on a runtime without stzoo, whose files have no sigmoid; the same numbers as in torch to 1e-3."""
    threads = torch.get_num_threads()
    with torch.inference_mode():
        wanted = net(torch.from_numpy(clip)).numpy()
        torch.onnx.export(net, (torch.from_numpy(clip),), path, dynamo=True, verbose=False)
    if runtime == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name

        def run(clips: np.ndarray) -> np.ndarray:
            return session.run(None, {name: clips})[0]

    else:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.compile_model(path, "CPU", settings)

        def run(clips: np.ndarray) -> np.ndarray:
            return compiled(clips)[0]

    assert np.abs(run(clip) - wanted).max() <= 1e-3 * np.abs(wanted).max()
    return run


def ways_of(subject: Subject, contract: InputContract, folder: Path, clip: np.ndarray) -> dict[str, Way]:
    """Everything that runs the net, the plain form first; what cannot is named and left out."""
    net = subject.build().eval()
    ways = {"torch, eager 3D": in_torch(net, volumes=True)}
    if subject.ours:
        ways |= {"torch, 2D views": in_torch(net), "torch, 2D views, merged": in_torch(merge(net))}
    name = f"{subject.name.replace(' ', '-')}-{contract.frames}x{contract.crop}"
    for runtime, fastest in FASTEST.items():
        if not is_there(runtime):
            continue
        form = fastest if subject.ours else "images"
        path = folder / f"{name}.{form}.onnx"
        quantised = path.with_suffix(".int8.onnx")
        if isinstance(net, X3dS):
            ways[f"{runtime}, fp32"] = plain_session(net, path, runtime, clip)
            continue
        try:
            if not path.exists():
                to_onnx.export(net, path, contract, CLASSES, form=form)
            if not quantised.exists():
                quantise(path, quantised, [clip])
        except StzooError as error:
            print(f"{subject.name}: {error}", file=sys.stderr)
        files: tuple[tuple[Path, Precision], ...] = ((path, "fp32"), (path, "bf16"), (quantised, "int8"))
        for file, precision in files:
            if file.exists() and (runtime, precision) != ("onnxruntime", "bf16"):
                try:
                    ways[f"{runtime}, {precision}"] = open_session(runtime, read(file), "cpu", precision).logits
                except StzooError as error:
                    print(f"{subject.name}: {error}", file=sys.stderr)
    return ways


def compare(subjects: list[Subject], contract: InputContract, folder: Path, rounds: int, threads: int) -> None:
    """The first table."""
    clock = time.process_time if threads == 1 else time.perf_counter
    clip = (
        np.random.default_rng(0).normal(size=(1, 3, contract.frames, contract.crop, contract.crop)).astype(np.float32)
    )
    print(f"| net | way | ms a clip | against its eager 3D | difference |\n|{'---|' * 5}")
    for subject in subjects:
        ways = ways_of(subject, contract, folder, clip)
        answers = {name: way(clip) for name, way in ways.items()}
        spent = in_turn({name: partial(way, clip) for name, way in ways.items()}, 0.0, fewest=rounds, clock=clock)
        first = next(iter(ways))
        for name in ways:
            difference = np.abs(answers[name] - answers[first]).max() / np.abs(answers[first]).max()
            print(
                f"| {subject.name} | {name} | {1000 * np.median(spent[name]):.1f} "
                f"| {quartiles(spent[first] / spent[name])} | {difference:.0e} |",
                flush=True,
            )


def end_to_end(subject: Subject, contract: InputContract, folder: Path, video: Path) -> None:
    """The second table: seconds of one video on the clock."""
    print(f"\n{subject.name}, {contract.text}\n\n| way | decode | preprocess | compute | together |\n|{'---|' * 5}")
    clip = np.zeros((1, 3, contract.frames, contract.crop, contract.crop), np.float32)
    for name, way in ways_of(subject, contract, folder, clip).items():
        way(clip)
        marks = [time.perf_counter()]
        pixels = read_clips(Video(video), contract).clips
        marks.append(time.perf_counter())
        clips = [normalise(pixels[start : start + 1], contract) for start in range(len(pixels))]
        marks.append(time.perf_counter())
        for one in clips:
            way(one)
        marks.append(time.perf_counter())
        parts = [after - before for before, after in itertools.pairwise(marks)]
        print(f"| {name} | {' | '.join(f'{part:.2f} s' for part in [*parts, sum(parts)])} |", flush=True)


def cold_starts(video: Path, rounds: int) -> None:
    """The third table: the bundled densenet_tiny, one clip, a new process a row; the first of each may write a file."""
    print(f"\n| stzoo predict --clips 1 --runtime | CPU | clock | most memory |\n|{'---|' * 4}")
    for runtime in ("onnxruntime", "openvino", "torch"):
        if not is_there(runtime):
            continue
        rows = [
            _process("predict", str(video), "--clips", "1", "--device", "cpu", "--runtime", runtime)
            for _ in range(1 + rounds)
        ][1:]
        cpu, clock, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {runtime} | {cpu:.2f} s | {clock:.2f} s | {memory:.0f} MB |", flush=True)


def _process(*arguments: str) -> tuple[float, float, float]:
    """Seconds of CPU and on the clock, and the most megabytes of memory, of `stzoo` with these arguments."""
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *arguments], capture_output=True, text=True, check=True)
    cpu, clock, memory = json.loads(done.stdout)
    return cpu, clock, memory / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clips", type=int, default=10, help="of the video, in the second table")
    parser.add_argument("--net", action="append", help="only nets whose name begins so; may be given several times")
    parser.add_argument("--keep", type=Path, help="the folder of the ONNX files, to be used again")
    parser.add_argument(
        "--quick", action="store_true", help="densenet_tiny alone, small and three times: a few minutes"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.frames, arguments.size, arguments.rounds, arguments.clips = 8, 64, 3, 2
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    torch.set_num_threads(arguments.threads)
    contract = InputContract(
        frames=arguments.frames, stride_frames=2, clips=arguments.clips, resize=arguments.size, crop=arguments.size
    )
    backbone = "densenet_tiny" if arguments.quick else "densenet121"
    options = [("S", None), ("ST", None), ("S+ST", None), ("S+ST", "shared_norm")]
    subjects = [
        Subject(
            f"{backbone} {unit}{f' {option}' if option else ''}",
            partial(net_of, Case(backbone, contract.frames, contract.crop, option), unit),
            ours=True,
        )
        for unit, option in (options[2:3] if arguments.quick else options)
    ]
    if not arguments.quick:
        subjects += [*map(peer, PEERS), Subject("x3d_s", X3dS, ours=False)]
    if arguments.net:
        subjects = [subject for subject in subjects if subject.name.startswith(tuple(arguments.net))]
    print(f"benchmarks/predict.py {' '.join(sys.argv[1:])}".strip())
    print(f"{machine()}; {os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        compare(subjects, contract, folder, arguments.rounds, arguments.threads)
        video = Path(temporary) / "made.mp4"
        make_video(video, seconds=10, width=640, height=360, gop=250)
        for subject in subjects[:3]:
            end_to_end(subject, contract, folder, video)
        cold_starts(video, 1 if arguments.quick else 5)


if __name__ == "__main__":
    main()
