"""Training steps of our nets beside torchvision's, with and without the loader: docs/results/training-speed.md.

    python benchmarks/train.py --videos data/camera/videos
    python benchmarks/train.py --kernels

A step is what training does with a batch: normalise uint8 clips, forward, cross-entropy and, in a template, the
regulariser, backward, SGD with momentum. Its kernels are the operations of torch, views included. All nets take the
same clips and run in turn in one process, on the GPU if there is one. Peak memory is that of one step in a process of
its own. The loader decodes random clips of the videos in worker processes, alone and then feeding the template.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from side_by_side import in_turn, machine, quartiles
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import video
from x3d import X3dS

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.data.broken import Cap
from stzoo.data.datasets import Item
from stzoo.inference import to_input
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import draw_masks, named_gates, set_masks
from stzoo.nets.measure import count_kernels
from stzoo.pool import processors
from stzoo.training.batches import DecodedClips
from stzoo.training.draws import Draws
from stzoo.training.machine import AUTOCAST, Machine
from stzoo.training.objective import divergence
from stzoo.video.augment import Cut

CLASSES = 400
BASE = "template"
OURS = {"template": None, "S+ST": "S+ST", "ST": "ST", "S": "S"}
PEERS: dict[str, Callable[[], nn.Module]] = {
    "r2plus1d_18": partial(video.r2plus1d_18, num_classes=CLASSES),
    "s3d": partial(video.s3d, num_classes=CLASSES),
    "x3d_s": partial(X3dS, CLASSES),
}


@dataclass(frozen=True)
class Setting:
    """Batch and clip shape, and where and in which precision a step is computed."""

    backbone: str
    batch: int
    frames: int
    side: int
    machine: Machine

    @property
    def contract(self) -> InputContract:
        return InputContract(frames=self.frames, stride_frames=2, resize=self.side * 8 // 7, crop=self.side)

    def clips(self) -> Tensor:
        """Random uint8 clips, [batch, frames, side, side, 3]."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.batch, self.frames, self.side, self.side, 3)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def net_of(name: str, backbone: str) -> nn.Module:
    """One of `OURS` or `PEERS` with random weights."""
    torch.manual_seed(0)
    if name in PEERS:
        return PEERS[name]()
    unit = OURS[name]
    if unit is None:
        return nets.template(backbone, CLASSES)
    architecture = nets.Architecture(backbone, CLASSES, {})
    return nets.fixed_net(architecture, architecture.uniform(unit))


class Step:
    """A net and its optimiser, called with uint8 clips for one training step."""

    def __init__(self, net: nn.Module, setting: Setting) -> None:
        self.setting = setting
        self.net = net.to(setting.machine.device).train()
        self.gates = sum(1 for _ in named_gates(net))
        self.optimiser = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)

    def __call__(self, clips: Tensor) -> None:
        device = self.setting.machine.device
        clips = clips.to(device, non_blocking=True)
        if self.gates:
            draw_masks(self.net, torch.rand(len(clips), self.gates, device=device))
        with self.setting.machine.autocast():
            logits = self.net(to_input(clips, self.setting.contract))
        loss = F.cross_entropy(logits.float(), torch.zeros(len(clips), dtype=torch.long, device=device))
        if isinstance(self.net, Classifier) and self.gates:
            loss = loss + divergence(self.net, k=10.0, samples=240_000)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)


def process_bytes(field: str) -> int:
    """Memory of this process as Linux tells it: `VmRSS` is held, `VmHWM` was held at most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def peak_bytes(name: str, setting: Setting) -> int:
    """What two steps of a net hold at most, without what the process held before there was a net."""
    clips, before = setting.clips(), process_bytes("VmRSS")
    step = Step(net_of(name, setting.backbone), setting)
    for _ in range(2):
        step(clips)
    if setting.machine.device.type == "cuda":
        return torch.cuda.max_memory_allocated(setting.machine.device)
    return process_bytes("VmHWM") - before


def alone(function: Callable[..., int], *arguments: object) -> int:
    """What a function returns in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def multiply_adds(net: nn.Module, setting: Setting) -> int:
    """Of one clip, forward: convolutions and linear layers."""
    set_masks(net, None)  # that of the last step belongs to the clips of a batch
    clip = torch.zeros(1, 3, setting.frames, setting.side, setting.side, device=setting.machine.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(clip)
    net.train()
    return counter.get_total_flops() // 2


def peak_multiply_adds(setting: Setting, size: int) -> float:
    """Multiply-adds a second of a large square matrix product in the setting's precision: the best of ten.

    The matrices are made in that precision, and float32 is TF32 on a GPU, as it is in torch's convolutions.
    """
    device = setting.machine.device
    dtype = AUTOCAST.get(setting.machine.precision, torch.float32)
    left, right = torch.randn(2, size, size, device=device, dtype=dtype)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")

    def product() -> None:
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    clock = time.perf_counter if device.type == "cuda" else time.process_time
    return size**3 / float(in_turn({"product": product}, 0.0, fewest=10, clock=clock)["product"].min())


def kernels_table(setting: Setting) -> Iterator[str]:
    """Markdown: how many operations of torch a step of every net carries out."""
    clips = setting.clips()
    yield "| net | kernels |"
    yield "|---|---:|"
    for name in (*OURS, *PEERS):
        step = Step(net_of(name, setting.backbone), setting)
        yield f"| {name} | {count_kernels(partial(step, clips)):,} |"


def steps_table(setting: Setting, seconds: float) -> Iterator[str]:
    """Markdown: every net's step, beside that of the template."""
    cuda = setting.machine.device.type == "cuda"
    clips = setting.clips()
    steps = {name: Step(net_of(name, setting.backbone), setting) for name in (*OURS, *PEERS)}
    times = in_turn(
        {name: partial(step, clips) for name, step in steps.items()},
        seconds,
        clock=time.perf_counter if cuda else time.process_time,
    )
    peak = peak_multiply_adds(setting, 8192 if cuda else 2048)
    if cuda:
        torch.cuda.empty_cache()  # leaves the memory of the GPU to the processes that measure it
    yield f"A large matrix product reaches {peak / 1e9:,.0f} G multiply-adds a second; a step counts as three forwards."
    yield ""
    heads = ("net", "multiply-adds, G", "kernels", "clips a second", "speed beside the template")
    yield f"| {' | '.join(heads)} | of the product's peak | memory, GB |"
    yield "|---|---|---|---|---|---|---|"
    for name, step in steps.items():
        kernels = count_kernels(partial(step, clips))
        work = multiply_adds(step.net, setting)
        rate = setting.batch / float(np.median(times[name]))
        memory = alone(peak_bytes, name, setting) / 1e9
        yield (
            f"| {name} | {work / 1e9:.1f} | {kernels:,} | {rate:.2f} | {quartiles(times[BASE] / times[name])} "
            f"| {3 * work * rate / peak:.0%} | {memory:.1f} |"
        )


def loader_table(setting: Setting, videos: Path, workers: int, count: int) -> Iterator[str]:
    """Markdown: wall-clock clips a second of the template fed from memory, of the loader alone, and of both."""
    files = sorted(path for path in videos.rglob("*") if path.is_file())
    if not files:
        sys.exit(f"no file in {videos}; give a folder of videos")
    items = [Item(path, 0) for path in itertools.islice(itertools.cycle(files), count)]
    source = DecodedClips(items, Cut(setting.contract), Cap(0.0, count), print, workers)
    step, batch = Step(net_of(BASE, setting.backbone), setting), setting.clips()
    step(batch)

    def fed_from_memory() -> None:
        for _ in range(0, count, setting.batch):
            step(batch)

    def loader_alone() -> None:
        for _ in source.epoch(Draws(0, "warmup", 0), setting.batch):
            pass

    def both() -> None:
        for loaded in source.epoch(Draws(0, "warmup", 0), setting.batch):
            step(loaded.clips.flatten(0, 1))

    yield f"| {count} clips, {workers} worker processes | clips a second |"
    yield "|---|---|"
    for name, run in (("template, from memory", fed_from_memory), ("loader alone", loader_alone), ("both", both)):
        start = time.perf_counter()
        run()
        yield f"| {name} | {count / (time.perf_counter() - start):.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="densenet121")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=224, help="s3d needs 224 pixels and 16 frames")
    parser.add_argument("--precision", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--kernels", action="store_true", help="only count them, which other work cannot disturb")
    parser.add_argument("--seconds", type=float, default=60.0, help="for the steps that are run in turn")
    parser.add_argument("--videos", type=Path, help="a folder of videos for the loader")
    parser.add_argument("--workers", type=int, default=processors())
    parser.add_argument("--clips", type=int, default=32, help="how many the loader decodes; its start counts, so many")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    setting = Setting(
        arguments.backbone, arguments.batch, arguments.frames, arguments.side, Machine(device, arguments.precision)
    )
    print(f"benchmarks/train.py {' '.join(sys.argv[1:])}".strip())
    print(f"{machine()}; {setting.batch} x {setting.frames}x{setting.side}x{setting.side}, {arguments.precision}\n")
    for line in kernels_table(setting) if arguments.kernels else steps_table(setting, arguments.seconds):
        print(line, flush=True)
    if arguments.videos is not None:
        print()
        for line in loader_table(setting, arguments.videos, arguments.workers, arguments.clips):
            print(line, flush=True)


if __name__ == "__main__":
    main()
