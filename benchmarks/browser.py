"""Every backbone's portable file in headless Chromium: the second table of docs/results/portable.md.

    make test-web        # once: installs Chromium, playwright-core and onnxruntime-web
    python benchmarks/browser.py [BACKBONE|FILE.onnx ...] [--precision fp16] [--provider webgpu] [--seconds 300]

S+ST of every backbone with the weights of initialisation, full-size and tiny, for a clip of 4 frames of 64x64 pixels
(inception: 75x75): how far onnxruntime-web is from torch on a clip of noise, as a share of the largest logit, and how
long a clip takes with one thread. A file is compared with onnxruntime outside the browser. It prints a row when it has
it. For WebGPU without a GPU, set WEBGPU=software.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from portable import BACKBONES as FULL_SIZE
from portable import CLASSES, SIZES

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.export import to_fp16, to_onnx
from stzoo.nets import Architecture
from stzoo.zoo import npm

BACKBONES = ("mobilenet_v2_tiny", "mobilenet_v4_tiny", "resnet_tiny", "densenet_tiny", *FULL_SIZE)
HERE = Path(__file__).parent


def write_backbone(backbone: str, precision: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Writes the file, and gives a clip with the logits of the net in torch."""
    size = SIZES.get(backbone, 64)
    contract = InputContract(frames=4, fps=4.0, resize=size, crop=size)
    torch.manual_seed(0)
    architecture = Architecture(backbone, CLASSES, {})
    net = nets.fixed_net(architecture, architecture.uniform("S+ST")).eval()
    exact = path.with_name("exact.onnx")
    labels = [str(label) for label in range(CLASSES)]
    to_onnx.export(net, exact, contract, labels, form="portable", clips_at_once=1)
    if precision == "fp16":
        to_fp16.halve(exact, path)
    else:
        exact.rename(path)
    clip = np.random.default_rng(0).standard_normal((1, 3, 4, size, size), dtype=np.float32)
    with torch.inference_mode():
        return clip, net(torch.from_numpy(clip)).numpy()


def copy_file(file: Path, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Copies the file, and gives a clip with what onnxruntime gives for it."""
    shutil.copy(file, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    clip = np.random.default_rng(0).standard_normal(wanted.shape, dtype=np.float32)
    return clip, session.run(None, {wanted.name: clip})[0]


def row(model: str, precision: str, provider: str, tools: Path, seconds: int) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "model.onnx"
        is_file = model.endswith(".onnx")
        clip, logits = copy_file(Path(model), path) if is_file else write_backbone(model, precision, path)
        megabytes = path.stat().st_size / 1e6
        operators = sorted({node.op_type for node in onnx.load(path).graph.node})
        npm.unpack(folder / "vendor", tools / "packages", print)
        (folder / "index.html").write_text("<!doctype html><title>A model</title>")
        case = {"provider": provider, "shape": clip.shape, "clip": clip.ravel().tolist()}
        (folder / "case.json").write_text(json.dumps(case))
        environment = {"CHROMIUM": shutil.which("chromium") or "", "TOOLS": str(tools.resolve())} | os.environ
        command = ["node", str(HERE / "browser.mjs"), str(folder), str(seconds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
    if done.returncode:
        return f"| {model} | {precision} | {megabytes:.1f} | | | {last[:200]} |"
    answer = json.loads(last)
    off = np.abs(np.array(answer["logits"]) - logits.ravel()).max() / np.abs(logits).max()
    cells = f"{off:.1e} | {answer['milliseconds']:.0f} | {answer['opening']:.1f}"
    return f"| {model} | {precision} | {megabytes:.1f} | {cells} | {' '.join(operators)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="BACKBONE|FILE.onnx")
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp32")
    parser.add_argument("--provider", choices=["wasm", "webgpu"], default="wasm")
    parser.add_argument("--tools", type=Path, default=HERE.parent / ".web")
    parser.add_argument("--seconds", type=int, default=300, help="how long one model may take")
    chosen = parser.parse_args()
    print("| model | precision | MB | largest difference | ms a clip | seconds to open | operators |")
    print("|---|---|---|---|---|---|---|")
    for model in chosen.models or BACKBONES:
        print(row(model, chosen.precision, chosen.provider, chosen.tools, chosen.seconds), flush=True)


if __name__ == "__main__":
    main()
