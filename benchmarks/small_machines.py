"""The member for small machines beside its peers, best runtime against best runtime: docs/results/speed.md.

    OMP_NUM_THREADS=1 python benchmarks/small_machines.py --rounds 15

Every net runs one clip of 16x224 on onnxruntime and on openvino in fp32, all of them in turn in every round, one thread
each; seconds are processor time. A ratio is the median of the ratios within a round of a net's faster runtime to ours.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision
from jaxtyping import Float32
from merge import Case, net_of
from predict import CLASSES, FASTEST, Subject
from side_by_side import in_turn, machine, quartiles
from torch import nn
from x3d import X3dS

from stzoo.contract import InputContract
from stzoo.export import to_onnx
from stzoo.runtimes import Runtime, is_there, open_session
from stzoo.runtimes.onnx_file import read

Clip = Float32[np.ndarray, "1 3 frames height width"]
OURS = "mobilenet_v4 ST"
FRAMES, SIDE = 16, 224
SUBJECTS = (
    Subject(OURS, lambda: net_of(Case("mobilenet_v4", FRAMES, SIDE), "ST"), ours=True),
    Subject("mobilenet_v4 S", lambda: net_of(Case("mobilenet_v4", FRAMES, SIDE), "S"), ours=True),
    Subject("mobilenet_v2 ST", lambda: net_of(Case("mobilenet_v2", FRAMES, SIDE), "ST"), ours=True),
    Subject("x3d_s", X3dS, ours=False),
    Subject("s3d", torchvision.models.video.s3d, ours=False),
)


def plainly(net: nn.Module, path: Path, runtime: Runtime, clip: Clip) -> Callable[[], object]:
    """The net on a runtime without stzoo, whose files have no sigmoid; the same numbers as in torch to 1e-3."""
    with torch.inference_mode():
        wanted = net(torch.from_numpy(clip)).numpy()
        torch.onnx.export(net, (torch.from_numpy(clip),), path, dynamo=True, verbose=False)
    if runtime == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        run = partial(session.run, None, {name: clip})
        found = run()[0]
    else:
        import openvino

        compiled = openvino.compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        run = partial(compiled, clip)
        found = run()[0]
    assert np.abs(found - wanted).max() <= 1e-3 * np.abs(wanted).max()
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    contract = InputContract(frames=FRAMES, stride_frames=2, clips=1, resize=SIDE, crop=SIDE)
    clip = np.random.default_rng(0).normal(size=(1, 3, FRAMES, SIDE, SIDE)).astype(np.float32)
    ways = {}
    with tempfile.TemporaryDirectory() as folder:
        for subject in SUBJECTS:
            net = subject.build().eval()
            for runtime, fastest in FASTEST.items():
                if is_there(runtime):
                    path = Path(folder) / f"{subject.name}.{runtime}.onnx"
                    if isinstance(net, X3dS):
                        ways[subject.name, runtime] = plainly(net, path, runtime, clip)
                    else:
                        to_onnx.export(net, path, contract, CLASSES, form=fastest if subject.ours else "images")
                        session = open_session(runtime, read(path), "cpu", "fp32")
                        ways[subject.name, runtime] = partial(session.logits, clip)
        for way in ways.values():
            way()
        spent = in_turn({" ".join(key): way for key, way in ways.items()}, 0.0, fewest=rounds)
    seconds = {key: np.asarray(spent[" ".join(key)]) for key in ways}
    best = {
        subject.name: min((key for key in ways if key[0] == subject.name), key=lambda key: np.median(seconds[key]))
        for subject in SUBJECTS
    }
    print(f"benchmarks/small_machines.py {' '.join(sys.argv[1:])}".strip())
    print(f"{machine()}; {os.cpu_count()} processors\n")
    print(f"| net | {' | '.join(f'{runtime}, ms' for runtime in FASTEST)} | best against ours |\n|{'---|' * 4}")
    for subject in SUBJECTS:
        cells = [
            f"{1000 * np.median(seconds[key]):.1f}" if (key := (subject.name, runtime)) in seconds else ""
            for runtime in FASTEST
        ]
        ratio = quartiles(seconds[best[subject.name]] / seconds[best[OURS]])
        print(f"| {subject.name} | {' | '.join(cells)} | {ratio} |")


if __name__ == "__main__":
    main()
