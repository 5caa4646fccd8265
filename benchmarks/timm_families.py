"""Which nets of timm can be backbones, and what holds for each that can: docs/results/timm.md.

    stzoo data make camera --out data/smoke --clips 120
    python benchmarks/timm_families.py --data data/smoke --out docs/results/timm.md

Weights are those of initialisation, clips are noise of 4 frames of 64 pixels. For a net of every family: its sites;
whether every gate has a gradient; how far S everywhere is from timm's net averaged over frames; how far the merged net
and the ONNX file of a mixed strategy are from the net that they were made of. Then recipes/smoke.toml is run with it on
the question of camera-motion, from a file of timm's weights to the bundle.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import timm
import torch
from timm.utils import reparameterize_model
from torch import Tensor

import stzoo
from stzoo import nets
from stzoo.contract import InputContract
from stzoo.errors import ExportError, UsageError
from stzoo.export.to_onnx import compare, export
from stzoo.files import replacing
from stzoo.nets.fusion import named_gates, set_noise
from stzoo.nets.inflate import inflate
from stzoo.strategies.strategy import Strategy

NAMES = (
    "test_byobnet", "test_resnet", "tinynet_e", "mnasnet_small", "mobilenetv2_035", "mobilenetv3_small_050",
    "mobilenetv4_conv_small_035", "efficientnet_lite0", "regnetx_002", "convnext_atto", "fastvit_t8", "starnet_s050",
    "resnet26", "repvit_m0_9", "densenet121", "dla34", "ghostnet_050", "lcnet_050", "mobileone_s0",
    "repvgg_a0", "resnet18", "vit_tiny_patch16_224", "vovnet39a",
)  # fmt: skip
CLIPS = (2, 3, 4, 64, 64)
CONTRACT = InputContract(
    frames=CLIPS[2], stride_frames=1, clips=1, resize=CLIPS[3], crop=CLIPS[3], mean=(0.5,) * 3, std=(0.5,) * 3
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="what `stzoo data make camera` left")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("names", nargs="*", default=NAMES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    works, refused = [], []
    for name in arguments.names:
        try:
            works.append(f"| `{name}` | {' | '.join([*_measured(name), _run(name, arguments.data)])} |")
        except UsageError as error:
            refused.append(f"| `{name}` | {str(error).partition(': ')[2]} |")
        print((works if not refused or f"`{name}`" not in refused[-1] else refused)[-1], flush=True)
    text = _HEAD.format(timm=timm.__version__, torch=torch.__version__) + "\n".join(works) + _REFUSED
    with replacing(arguments.out) as temporary:
        temporary.write_text(text + "\n".join(refused) + "\n", encoding="utf-8")


def _measured(name: str) -> list[str]:
    backbone = f"timm:{name}"
    torch.manual_seed(0)
    template = nets.template(backbone, 3)
    shape = nets.architecture(template)
    sites = f"{len(shape.sites)}, {sum(not site.closable for site in shape.sites)}"
    clips = torch.randn(CLIPS)
    set_noise(template, torch.full((len(clips), 2 * len(shape.sites)), 0.9))
    template(clips).square().sum().backward()
    silent = sum(gate.logit.grad is None or not gate.logit.grad.abs() > 0 for *_, gate, _ in named_gates(template))
    set_noise(template, None)
    flat = timm.create_model(name, num_classes=3)
    inflate(template, flat.state_dict(), keep_head=True)
    template.eval()
    units = ("ST", "S", "S+ST", "none")
    mixed = {site.name: units[at % (4 if site.closable else 3)] for at, site in enumerate(shape.sites)}
    net = nets.prune(template, Strategy(backbone, mixed)).eval()
    with torch.no_grad():
        spatial = nets.prune(template, shape.uniform("S"))(clips)
        apart = float((spatial - _over_frames(flat, clips)).abs().max())
        logits = net(clips)
        largest = float(logits.abs().max())
        merged = float((nets.merge(net)(clips) - logits).abs().max()) / largest
    return [sites, str(silent), f"{apart:.1g}", f"{merged:.1g}", _onnx(net, clips, largest)]


def _over_frames(flat: Any, clips: Tensor) -> Tensor:
    """The classifier on the mean over frames of what timm's net gives it."""
    flat = reparameterize_model(flat).eval()
    images = clips.transpose(1, 2).flatten(0, 1).to(memory_format=torch.channels_last)
    features = flat.forward_head(flat.forward_features(images), pre_logits=True)
    return flat.get_classifier()(features.reshape(len(clips), clips.shape[2], -1).mean(dim=1))


def _onnx(net: nets.Classifier, clips: Tensor, largest: float) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        try:
            export(net, path, CONTRACT, ["a", "b", "c"])
            return f"{compare(net, path, clips.numpy(), (1, 2)).largest_difference / largest:.1g}"
        except ExportError as error:
            return "refused: " + str(error).replace(str(path), "the file")


def _run(name: str, data: Path) -> str:
    """The cross-entropy of the first and the last epoch of a run's warm-up, if the run ends with a bundle."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        weights, run = Path(folder) / "flat.pth", Path(folder) / "run"
        torch.save(timm.create_model(name).state_dict(), weights)
        overrides = [
            *(f"data.root='{data.resolve()}'", f"net.backbone='timm:{name}'", f"init.from='{weights}'"),
            *("input.resize=72", "input.crop=64", "augment.strip_size=72", "variational.epochs=1"),
            *("warmup.epochs=4", "warmup.optimiser='adamw'", "warmup.learning_rate=0.001"),
        ]
        stzoo.load(stzoo.train("recipes/smoke.toml", folder=run, overrides=overrides, cache=data / "cache"))
        epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        losses = [epoch["cross_entropy"] for epoch in epochs if epoch["stage"] == "warmup"]
        return f"{losses[0]:.2f} to {losses[-1]:.2f}"


_HEAD = """# Nets of timm as backbones (experimental, ours)

Written by `benchmarks/timm_families.py` with timm {timm} and torch {torch}; weights of initialisation, clips of noise
(4 frames, 64 pixels). Differences are the largest of a logit, beside the largest logit but for S everywhere, where 0 is
equal to the bit. The last column is the cross-entropy of the first and the fourth epoch of the warm-up of a whole run
on about 80 videos of `camera-motion` (10 classes: chance is 2.30), from timm's weights in a file, by warm-up, gates,
selection and finetuning to a bundle that loads. In so few steps, at one learning rate for all, it need not fall, and it
says nothing of how well such a net recognises.

| net | sites, of these never closed | gates without gradient | S everywhere, against timm's | merged | ONNX | run |
|---|---|---|---|---|---|---|
"""

_REFUSED = """

## Refused

| net | because |
|---|---|
"""

if __name__ == "__main__":
    main()
