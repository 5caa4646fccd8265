"""The member for small machines beside its peers, best runtime against best runtime.

    OMP_NUM_THREADS=1 python benchmarks/small_machines.py --rounds 15           docs/results/speed.md
    OMP_NUM_THREADS=1 python benchmarks/small_machines.py --tiny --rounds 100   docs/results/backbones.md

Every net runs one clip on onnxruntime and on openvino in fp32, all of them in turn in every round, one thread each;
seconds are processor time. A ratio is the median of the ratios within a round of a net's faster runtime to ours.
Clips are of 16 frames of 224 pixels; of 8 frames of 64 pixels, as camera-motion has them, with --tiny.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from merge import Case, net_of
from predict import CLASSES, FASTEST, Subject, Way, peer, plain_session
from side_by_side import in_turn, machine, quartiles
from x3d import X3dS

from stzoo.contract import InputContract
from stzoo.errors import StzooError
from stzoo.export import to_onnx
from stzoo.runtimes import Runtime, is_there, open_session
from stzoo.runtimes.onnx_file import read


@dataclass(frozen=True)
class Contest:
    """Nets on one kind of clip; the first is what the others are compared with."""

    frames: int
    side: int
    subjects: tuple[Subject, ...]


def member(backbone: str, unit: str, frames: int, side: int) -> Subject:
    """A net of ours with one unit everywhere."""
    return Subject(f"{backbone} {unit}", lambda: net_of(Case(backbone, frames, side), unit), ours=True)


OURS = (("mobilenet_v4", "ST"), ("mobilenet_v4", "S"), ("mobilenet_v2", "ST"), ("densenet121", "ST"))
SMALL = Contest(
    16,
    224,
    (
        *(member(*net, 16, 224) for net in OURS),
        Subject("x3d_s", X3dS, ours=False),
        *map(peer, ("s3d", "swin3d_t", "r2plus1d_18")),
    ),
)
TINY = Contest(
    8,
    64,
    tuple(
        member(f"{backbone}_tiny", unit, 8, 64)
        for backbone in ("mobilenet_v4", "mobilenet_v2", "resnet", "densenet")
        for unit in ("ST", "S+ST")
    ),
)


def session_of(subject: Subject, runtime: Runtime, path: Path, clip: np.ndarray) -> Way:
    """What runs the net on a runtime in fp32.

    Raises:
        StzooError: if the runtime refuses it.
    """
    net = subject.build().eval()
    if isinstance(net, X3dS):
        return plain_session(net, path, runtime, clip)
    frames, side = clip.shape[2:4]
    contract = InputContract(frames=frames, stride_frames=2, clips=1, resize=side, crop=side)
    to_onnx.export(net, path, contract, CLASSES, form=FASTEST[runtime] if subject.ours else "images")
    return open_session(runtime, read(path), "cpu", "fp32").logits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tiny", action="store_true", help="the backbones of docs/results/backbones.md")
    arguments = parser.parse_args()
    contest = TINY if arguments.tiny else SMALL
    frames, side, subjects = contest.frames, contest.side, contest.subjects
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    clip = np.random.default_rng(0).normal(size=(1, 3, frames, side, side)).astype(np.float32)
    ways = {}
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            for runtime in filter(is_there, FASTEST):
                try:
                    session = session_of(subject, runtime, Path(folder) / f"{subject.name}.{runtime}.onnx", clip)
                    ways[subject.name, runtime] = partial(session, clip)
                except StzooError as error:
                    print(f"{subject.name}: {error}", file=sys.stderr)
        subjects = tuple(subject for subject in subjects if any(name == subject.name for name, _ in ways))
        for way in ways.values():
            way()
        spent = in_turn({" ".join(key): way for key, way in ways.items()}, 0.0, fewest=arguments.rounds)
    seconds = {key: np.asarray(spent[" ".join(key)]) for key in ways}
    best = {
        subject.name: min((key for key in ways if key[0] == subject.name), key=lambda key: np.median(seconds[key]))
        for subject in subjects
    }
    print(f"benchmarks/small_machines.py {' '.join(sys.argv[1:])}".strip())
    print(f"{machine()}; {os.cpu_count()} processors; clips of {frames}x{side}\n")
    ours = subjects[0].name
    print(f"| net | {' | '.join(f'{runtime}, ms' for runtime in FASTEST)} | best against {ours} |\n|{'---|' * 4}")
    for subject in subjects:
        cells = [
            f"{1000 * np.median(seconds[key]):.2f}" if (key := (subject.name, runtime)) in seconds else ""
            for runtime in FASTEST
        ]
        ratio = quartiles(seconds[best[subject.name]] / seconds[best[ours]])
        print(f"| {subject.name} | {' | '.join(cells)} | {ratio} |")


if __name__ == "__main__":
    main()
