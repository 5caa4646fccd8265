"""Of which gates of a template the data speak: where the labels have more to do with a branch than noise would.

A gate's logit moves for three reasons: the price of its branch, the noise of batches, and the data. How far it moved
tells none of them from the others, so the data are asked anew, on videos that did not train: by how much every video's
own label gains on the labels of the others where a gate lets a little more of its branch through. Where labels have
nothing to do with the videos, as shuffled ones do, this is zero in the mean whatever the net has memorised and however
sure it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64, Int64

from stzoo import nets
from stzoo.inference import to_input
from stzoo.nets.classifier import Classifier
from stzoo.nets.fusion import named_gates, set_masks
from stzoo.space.one_shot import SelectionClips

MOST = 1024
"""Videos that are asked at most."""
FEWEST = 8
"""Sources without which nothing is said: the signs of fewer cannot rule chance out for all gates at once."""
SURE = 0.05
"""The chance that noise alone lets any gate stand out."""

_AT_ONCE, _FLIPS = 4, 2000
_NUMBERS = ("gradient", "error", "chance")


@dataclass(frozen=True)
class GateEvidence:
    """The data's gradient at one gate, what a little more of its branch gains in logits, with its standard error.

    Its sign is that of a small change where masks are 0 or 1; what closing the branch costs is its effect. `chance` is
    how likely noise alone would make any of the template's gates stand out as far.
    """

    site: str
    branch: str
    gradient: float
    error: float
    chance: float

    @property
    def is_heard(self) -> bool:
        """Whether the data speak of the gate: its gradient stands out of its noise."""
        return self.chance < SURE


@dataclass(frozen=True)
class Evidence:
    """Of all gates in network order, on so many videos of so many sources."""

    gates: tuple[GateEvidence, ...]
    videos: int
    sources: int

    def to_json(self) -> dict[str, Any]:
        """Every number."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Evidence:
        """Reads `to_json()`'s form. Raises `TypeError`, `KeyError` or `ValueError` for anything else."""
        gates = tuple(
            GateEvidence(str(gate["site"]), str(gate["branch"]), *(float(gate[name]) for name in _NUMBERS))
            for gate in value["gates"]
        )
        return cls(gates, int(value["videos"]), int(value["sources"]))

    @property
    def is_enough(self) -> bool:
        """Whether there are videos enough to say anything."""
        return self.sources >= FEWEST

    @property
    def heard(self) -> tuple[GateEvidence, ...]:
        """The gates of which the data speak."""
        return tuple(gate for gate in self.gates if gate.is_heard)


def evidence(template: Classifier, data: SelectionClips) -> Evidence:
    """Asks each video once, with every branch open or closed as the template's gates draw it; the same at every call.

    The statistic of a gate is the mean gradient over its standard error over sources; those that come of random signs
    of the sources' gradients, the same for all gates, say what noise makes of the largest (Westfall and Young 1993).

    The template is left as it was.
    """
    random = np.random.default_rng(0)
    rows = random.permutation(len(data.labels))[:MOST]
    gains = _gains(template, data, rows, random)
    names = [data.sources[row] if data.sources else str(row) for row in rows]
    _, places = np.unique(np.array(names), return_inverse=True)
    sums = np.zeros((places.max() + 1, gains.shape[1]))
    np.add.at(sums, places, gains)
    errors = np.sqrt(np.square(sums).sum(axis=0))
    signs = random.choice([-1.0, 1.0], (_FLIPS, len(sums)))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.nan_to_num(np.abs(sums.sum(axis=0)) / errors)
        noise = np.nan_to_num(np.abs(signs @ sums) / errors).max(axis=1)
    chances = (1 + (noise[:, None] >= found).sum(axis=0)) / (1 + _FLIPS)
    gates = [
        GateEvidence(site, branch, float(gains[:, number].mean()), float(errors[number]) / len(rows), float(chance))
        for number, ((site, branch, _, _), chance) in enumerate(zip(named_gates(template), chances, strict=True))
    ]
    return Evidence(tuple(gates), len(rows), len(sums))


def _gains(
    template: Classifier, data: SelectionClips, rows: Int64[np.ndarray, " videos"], random: np.random.Generator
) -> Float64[np.ndarray, "videos gates"]:
    """For every video and gate the derivative, by the gate's mask, of its own label's logit less the mean label's."""
    drops = np.array([float(gate.drop.detach()) for _, _, gate, _ in named_gates(template)])
    classes = nets.architecture(template).classes
    share = torch.from_numpy(np.bincount(data.labels[rows], minlength=classes) / len(rows)).float().to(data.device)
    gains = []
    template.eval()
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        drawn = (random.random((len(part), len(drops))) >= drops).astype(np.float32)
        masks: Float32[torch.Tensor, "clips gates"] = torch.from_numpy(drawn).to(data.device).requires_grad_()
        clips = torch.from_numpy(data.clips[part, 0]).to(data.device)
        try:
            set_masks(template, masks)
            logits = template(to_input(clips, data.contract)).float()
        finally:
            set_masks(template, None)
        own = F.one_hot(torch.from_numpy(data.labels[part]).to(data.device), classes)
        (gradient,) = torch.autograd.grad(((own - share) * logits).sum(), masks)
        gains.append(gradient.double().cpu().numpy())
    return np.concatenate(gains)
