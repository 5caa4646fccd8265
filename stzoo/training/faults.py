"""What can be wrong with a learnt posterior: its gates have collapsed, or never left their start."""

from __future__ import annotations

import torch

from stzoo.strategies.posterior import Posterior

COLLAPSED_DROP = 0.9
MOVED_LOGIT = 0.2


def drops_of(posterior: Posterior) -> list[float]:
    """The drop rates of all branches of all sites."""
    return [drop for branches in posterior.drop.values() for drop in branches.values()]


def has_collapsed(posterior: Posterior) -> bool:
    """Whether most gates close for good, as they do when a net has learnt nothing yet."""
    drops = drops_of(posterior)
    return sum(drop > COLLAPSED_DROP for drop in drops) > len(drops) / 2


def faults_of(posterior: Posterior, initial_drop: float) -> list[str]:
    """What is wrong with a posterior whose gates all started with that drop rate, in sentences."""
    start = torch.logit(torch.tensor(initial_drop, dtype=torch.float64))
    logits = torch.logit(torch.tensor(drops_of(posterior), dtype=torch.float64), eps=1e-9)
    sentences = []
    if has_collapsed(posterior):
        sentences.append(
            f"The posterior has collapsed: more than half of its gates have a drop rate over {COLLAPSED_DROP}. "
            "Warm up until the net has converged, or lower variational.gate_learning_rate or objective.k."
        )
    if (logits - start).abs().max() < MOVED_LOGIT:
        sentences.append(
            f"The posterior was not learnt: no gate's logit moved by more than {MOVED_LOGIT} from its start. "
            "Raise variational.gate_learning_rate or variational.epochs."
        )
    return sentences
