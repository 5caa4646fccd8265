"""What ImageNet features say of real actions untrained: by what is kept of time, and by whose statistics normalise.

    python benchmarks/frozen.py CLIPS --init FEATURES.safetensors

CLIPS is a folder as benchmarks/actions.py takes it. MobileNetV2 sees single frames of clips, as its recipe takes
them; a logistic regression on what the head would see learns from three folds and is asked about the fourth. Batch
norms have ImageNet's statistics, those of clips of the set, or these behind `init.batch_norm = "absorbed"`; such clips
are of all folds, without labels.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from folds import Folds, read_folds
from jaxtyping import Bool, Float, UInt8
from side_by_side import machine
from torch import Tensor

from stzoo import nets
from stzoo.contract import InputContract
from stzoo.data.cache import open_clips
from stzoo.data.datasets import read_classes
from stzoo.files import write_json
from stzoo.inference import clip_vectors, to_input
from stzoo.nets import Architecture, Classifier
from stzoo.nets.imagenet import read_weights
from stzoo.nets.inflate import inflate
from stzoo.nets.pooling import MEAN, STATISTICS, Statistic
from stzoo.nets.reestimation import absorb_batch_norm, reestimate_batch_norm
from stzoo.recipe import read

RECIPE = "jhmdb21-mobilenet_v2"
POOLINGS: tuple[tuple[Statistic, ...], ...] = (MEAN, ("deviation",), ("mean", "deviation"), STATISTICS)
CALIBRATION, AT_ONCE = 160, 8
PENALTY, STEPS = 1e-3, 200
"""Of a weight's square, on features of variance 0.09 in all; the steps of LBFGS."""

Videos = UInt8[np.ndarray, "videos clips frames height width 3"]


def nets_by_statistics(
    init: Path, classes: int, videos: Videos, contract: InputContract
) -> Iterator[tuple[str, Classifier]]:
    """MobileNetV2 with ImageNet's statistics, with those of some of the videos, and with these of others, absorbed."""
    shape = Architecture("mobilenet_v2", classes, {"stem_frames": 1, "pooling": STATISTICS})
    kept = nets.fixed_net(shape, shape.uniform("S")).eval()
    inflate(kept, read_weights(init), temporal="centre")
    first, second = np.random.default_rng(0).permutation(len(videos))[: 2 * CALIBRATION].reshape(2, -1)

    def batches(rows: np.ndarray) -> Iterator[Tensor]:
        for part in np.array_split(rows, len(rows) // (2 * AT_ONCE)):
            yield to_input(torch.from_numpy(videos[np.sort(part), 1]), contract)

    yield "kept", kept
    estimated, absorbed = copy.deepcopy(kept), copy.deepcopy(kept)
    reestimate_batch_norm(estimated, batches(second))
    yield "re-estimated", estimated
    absorb_batch_norm(absorbed, kept, lambda: batches(first))
    reestimate_batch_norm(absorbed, batches(second))
    yield "absorbed, then re-estimated on other clips", absorbed


def features_of(net: Classifier, videos: Videos, contract: InputContract) -> Float[Tensor, "videos features"]:
    """What enters the head, in the mean over a video's clips."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(videos), AT_ONCE):
            part = torch.from_numpy(np.array(videos[start : start + AT_ONCE]))
            found.append(clip_vectors(net, part.flatten(0, 1), contract).unflatten(0, part.shape[:2]).mean(dim=1))
    return torch.cat(found)


def ranks(features: Float[Tensor, "videos features"], folds: Folds) -> Float[Tensor, " videos"]:
    """The place of every video's class among the scores of a regression that learnt from the other folds; 0 is best."""
    labels = torch.tensor([item.label for item in folds.items])
    found = torch.empty(len(labels))
    for fold in sorted(set(folds.folds)):
        held_out = torch.tensor([one == fold for one in folds.folds])
        scores = regression(features, labels, ~held_out)[held_out]
        own = scores.gather(1, labels[held_out, None])
        found[held_out] = (scores > own).sum(dim=1).float()
    return found


def regression(
    features: Float[Tensor, "videos features"], labels: Tensor, known: Bool[Tensor, " videos"]
) -> Float[Tensor, "videos classes"]:
    """The logits of all videos by a logistic regression on the known ones."""
    mean, deviation = features[known].mean(dim=0), features[known].std(dim=0)
    x = 0.3 * (features - mean) / (deviation + 1e-3) / (features.shape[1] / 1280) ** 0.5
    head = torch.nn.Linear(features.shape[1], len(labels.unique()))
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(head(x[known]), labels[known]) + PENALTY * head.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        logits: Tensor = head(x)
    return logits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--init", type=Path, required=True, help="ImageNet weights of MobileNetV2")
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/frozen.json"))
    options = parser.parse_args()
    classes = read_classes(options.clips / "classes.txt")
    folds = read_folds(options.clips, options.clips / "groups.csv", classes)
    contract = read(RECIPE).input
    videos = open_clips(options.cache, folds.items, contract, max_broken=0.0).clips
    found, channels = {}, 1280
    print("| statistics | of the features over time | top-1 | top-5 | by fold |\n|---|---|---|---|---|")
    for name, net in nets_by_statistics(options.init, len(classes), videos, contract):
        features = features_of(net, videos, contract)
        for pooling in POOLINGS:
            columns = [features[:, channels * place :][:, :channels] for place in map(STATISTICS.index, pooling)]
            places = ranks(torch.cat(columns, dim=1), folds)
            top1, top5 = ((100 * (places < most).float().mean()).item() for most in (1, 5))
            by_fold = {
                fold: 100 * float((places == 0)[[one == fold for one in folds.folds]].float().mean())
                for fold in sorted(set(folds.folds))
            }
            found[f"{name}: {', '.join(pooling)}"] = {"top1": top1, "top5": top5, "folds": by_fold}
            shown = ", ".join(f"{share:.0f}" for share in by_fold.values())
            print(f"| {name} | {', '.join(pooling)} | {top1:.1f} | {top5:.1f} | {shown} |", flush=True)
    write_json(options.results, {"machine": machine(), "videos": len(folds.items), "top": found})


if __name__ == "__main__":
    main()
