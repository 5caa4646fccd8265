"""What merging saves: every net beside its merged copy, in the tables of docs/results/merge.md.

    OMP_NUM_THREADS=1 python benchmarks/merge.py

Both nets run one clip in turn, the order reversed every other round, for as many rounds as fit into --seconds (5 at
least). A ratio is that of the process CPU time of two neighbouring runs, so other work on the machine weighs little.
Weights are random, batch-norm statistics too: neither decides what an operation costs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from side_by_side import in_turn, machine, quartiles
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stzoo.nets import Architecture, fixed_net, merge
from stzoo.nets.norm import Affine, BatchNorm, Statistics


@dataclass(frozen=True)
class Case:
    """A backbone with an option or none, and the clip that it is measured on: frames and side in pixels."""

    backbone: str
    frames: int
    side: int
    option: str | None = None

    @property
    def name(self) -> str:
        return f"{self.backbone}, {self.option}" if self.option else self.backbone


CASES = (
    Case("densenet_tiny", 8, 64),
    Case("resnet_tiny", 8, 64),
    Case("mobilenet_v2_tiny", 8, 64),
    Case("densenet121", 8, 112),
    Case("densenet121", 8, 112, "shared_norm"),
    Case("resnet50", 8, 112),
    Case("mobilenet_v2", 8, 112),
)


@torch.no_grad()
def net_of(case: Case, unit: str) -> nn.Module:
    """A fixed net in eval mode whose batch norms have statistics, scales and shifts of their own."""
    torch.manual_seed(0)
    architecture = Architecture(case.backbone, 400, {case.option: True} if case.option else {})
    net = fixed_net(architecture, architecture.uniform(unit))
    for module in net.modules():
        if isinstance(module, Statistics):
            module.running_mean.normal_(std=0.5)
            module.running_var.uniform_(0.5, 2.0)
        if isinstance(module, Affine | BatchNorm):
            module.weight.detach().uniform_(0.5, 1.5)
            module.bias.detach().normal_(std=0.3)
    return net.eval()


def multiply_adds(net: nn.Module, clip: torch.Tensor) -> int:
    """Of convolutions and linear layers."""
    with FlopCounterMode(display=False) as counter:
        net(clip)
    return counter.get_total_flops() // 2


def main() -> None:
    """Measures every case with S, ST and S+ST and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU time of each row")
    parser.add_argument("--backbone", action="append", help="only this one; may be given several times")
    arguments = parser.parse_args()
    print(f"benchmarks/merge.py {' '.join(sys.argv[1:])}".strip())
    print(f"{machine()}\n")
    columns = (
        "backbone",
        "clip",
        "unit",
        "multiply-adds, G",
        "ms plain",
        "ms merged",
        "speed-up",
        "rounds",
        "difference",
    )
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for case in CASES:
        if arguments.backbone and case.backbone not in arguments.backbone:
            continue
        for unit in ("S", "ST", "S+ST"):
            plain = net_of(case, unit)
            merged = merge(plain)
            clip = torch.randn(1, 3, case.frames, case.side, case.side)
            with torch.inference_mode():
                expected = plain(clip)
                difference = float((merged(clip) - expected).abs().max() / expected.abs().max())
                work = [multiply_adds(net, clip) / 1e9 for net in (plain, merged)]
                times = in_turn({"plain": partial(plain, clip), "merged": partial(merged, clip)}, arguments.seconds)
            ratios = times["plain"] / times["merged"]
            print(
                f"| {case.name} | {case.frames}x{case.side}x{case.side} | {unit} | {work[0]:.3g} -> {work[1]:.3g} "
                f"| {1e3 * np.median(times['plain']):.1f} | {1e3 * np.median(times['merged']):.1f} "
                f"| {quartiles(ratios)} | {len(ratios)} | {difference:.0e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
