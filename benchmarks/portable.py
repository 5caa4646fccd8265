"""Every backbone's portable files at full size: the last table of docs/results/portable.md.

    python benchmarks/portable.py [BACKBONE ...] [--units S ST S+ST]

A net with the weights of initialisation is written for a clip of 4 frames of 64x64 pixels (inception: 75x75), which is
refused where there is a Conv3d or a weight that is no constant. Onnxruntime and openvino run it on a clip of noise:
the difference is that of a logit from torch's, as a share of the largest logit. CoreML and NNAPI are onnxruntime's
checker. It prints a row when it has it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.export.targets import targets
from stzoo.nets import Architecture

BACKBONES = (
    "mobilenet_v2",
    "mobilenet_v4",
    "resnet50",
    "resnext50",
    "resnext101",
    "inception",
    "densenet121",
    "densenet169",
    "densenet201",
)
SIZES = {"inception": 75}
CLASSES = 10


def row(backbone: str, unit: str) -> str:
    size = SIZES.get(backbone, 64)
    contract = InputContract(frames=4, fps=4.0, resize=size, crop=size)
    torch.manual_seed(0)
    architecture = Architecture(backbone, CLASSES, {})
    net = nets.fixed_net(architecture, architecture.uniform(unit)).eval()
    clip = np.random.default_rng(0).standard_normal((1, 3, 4, size, size), dtype=np.float32)
    with torch.inference_mode():
        logits = net(torch.from_numpy(clip)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        labels = [str(label) for label in range(CLASSES)]
        to_onnx.export(net, path, contract, labels, form="portable", clips_at_once=1)
        known = targets(path, clip, logits)
    differences = (
        f"{known[name]['largest_difference'] / np.abs(logits).max():.1e}" for name in ("onnxruntime", "openvino")
    )
    return f"| {' | '.join([backbone, unit, *differences, taken(known['coreml']), taken(known['nnapi'])])} |"


def taken(facts: dict[str, Any]) -> str:
    return f"{facts['supported_nodes']} of {facts['nodes']} in {facts['partitions']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE")
    parser.add_argument("--units", nargs="+", default=["S", "ST", "S+ST"])
    chosen = parser.parse_args()
    print("| backbone | strategy | onnxruntime | openvino | CoreML: nodes in partitions | NNAPI |")
    print("|---|---|---|---|---|---|")
    for backbone in chosen.backbones or BACKBONES:
        for unit in chosen.units:
            print(row(backbone, unit), flush=True)


if __name__ == "__main__":
    main()
