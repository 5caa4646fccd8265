"""Whether `--form images` is faster with its weights as constants, as `--form portable` has them.

    python benchmarks/constants.py [BACKBONE ...] [--rounds 30]

S+ST of a backbone with the weights of initialisation is written twice, as `stzoo export` does and with what follows
from constants alone computed beforehand. Both files are opened and run by turns, in an order that changes from round
to round, and the ratio of their processor times is taken in every round: below 1, constants are faster.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnxruntime
import torch

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.nets import Architecture

BACKBONES = ("mobilenet_v2_tiny", "mobilenet_v2", "resnet50", "densenet121")
CLASSES = 10


def files(backbone: str, contract: InputContract, folder: Path) -> list[Path]:
    """The file as it is, and the one with constants."""
    torch.manual_seed(0)
    architecture = Architecture(backbone, CLASSES, {})
    net = nets.fixed_net(architecture, architecture.uniform("S+ST")).eval()
    labels = [str(label) for label in range(CLASSES)]
    plain, folded = folder / "plain.onnx", folder / "folded.onnx"
    to_onnx.export(net, plain, contract, labels)
    export = torch.onnx.export

    def exported(*arguments: Any, **options: Any) -> object:
        program: Any = export(*arguments, **options)
        to_onnx._fold_constants(program.model)
        return program

    with mock.patch.object(torch.onnx, "export", exported):
        to_onnx.export(net, folded, contract, labels)
    return [plain, folded]


def opened(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def seconds(what: Callable[[], object]) -> float:
    began = time.process_time()
    what()
    return time.process_time() - began


def ratios(both: Sequence[Callable[[], object]], rounds: int) -> str:
    """The median of second to first, with quartiles, and the median of the first in milliseconds."""
    taken = np.empty((rounds, 2))
    for turn in range(rounds):
        for place, what in list(enumerate(both))[:: 1 if turn % 2 else -1]:
            taken[turn, place] = seconds(what)
    low, middle, high = np.percentile(taken[:, 1] / taken[:, 0], [25, 50, 75])
    return f"{1000 * np.median(taken[:, 0]):.1f} | {middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE")
    parser.add_argument("--rounds", type=int, default=30)
    chosen = parser.parse_args()
    contract = InputContract(frames=4, fps=4.0, resize=64, crop=64)
    clip = np.random.default_rng(0).standard_normal((1, 3, 4, 64, 64), dtype=np.float32)
    print("| backbone | ms a clip | with constants | ms to open | with constants |")
    print("|---|---|---|---|---|")
    for backbone in chosen.backbones or BACKBONES:
        with tempfile.TemporaryDirectory() as folder:
            plain, folded = files(backbone, contract, Path(folder))
            sessions = [opened(plain), opened(folded)]
            answers = [session.run(None, {"clips": clip})[0] for session in sessions]
            np.testing.assert_allclose(answers[1], answers[0], atol=1e-4)
            runs = [partial(session.run, None, {"clips": clip}) for session in sessions]
            opens = [partial(opened, path) for path in (plain, folded)]
            line = f"{ratios(runs, chosen.rounds)} | {ratios(opens, max(5, chosen.rounds // 4))}"
        print(f"| {backbone} | {line} |", flush=True)


if __name__ == "__main__":
    main()
