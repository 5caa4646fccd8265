"""Every backbone as an ExecuTorch program: the table of docs/results/executorch.md.

    python benchmarks/executorch_backbones.py [BACKBONE ...]

ST of every backbone at its full depth and width, with the weights of initialisation, for a clip of 4 frames of 64x64
pixels (inception: 75x75): how many convolutions XNNPACK takes, and how far the program is from torch on two such clips
of noise. It prints a row when it has it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.export import to_executorch
from stzoo.nets import Architecture
from stzoo.runtimes.executorch_net import ExecutorchNet

BACKBONES = (
    "mobilenet_v2",
    "mobilenet_v4",
    "resnet50",
    "resnext50",
    "inception",
    "resnext101",
    "densenet121",
    "densenet169",
    "densenet201",
)
SIZES = {"inception": 75}
CLASSES = 10


def row(backbone: str) -> str:
    size = SIZES.get(backbone, 64)
    contract = InputContract(frames=4, fps=4.0, resize=size, crop=size)
    torch.manual_seed(0)
    architecture = Architecture(backbone, CLASSES, {})
    net = nets.fixed_net(architecture, architecture.uniform("ST")).eval()
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pte"
        found = to_executorch.export(net, path, contract, [str(label) for label in range(CLASSES)])
        seconds, megabytes = time.process_time() - began, path.stat().st_size / 1e6
        program = ExecutorchNet(path)
    clips = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 4, size, size), dtype=np.float32))
    with torch.inference_mode():
        wanted = net(clips)
        off = float((program(clips) - wanted).abs().max() / wanted.abs().max())
    cells = (
        backbone,
        f"{found.delegated_convolutions} of {found.convolutions}",
        found.partitions,
        ", ".join(found.left),
        f"{off:.1e}",
        f"{megabytes:.1f}",
        f"{seconds:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE")
    print("| backbone | convolutions | partitions | left | largest difference of a logit | MB | CPU seconds |")
    print("|---|---|---|---|---|---|---|")
    for backbone in parser.parse_args().backbones or BACKBONES:
        print(row(backbone), flush=True)


if __name__ == "__main__":
    main()
