"""What can be wrong with a learnt posterior: its gates have collapsed, or the data have taught them nothing."""

from __future__ import annotations

from stzoo.space.evidence import Evidence
from stzoo.strategies.posterior import Posterior

COLLAPSED_DROP = 0.9
_NAMED = 8


def drops_of(posterior: Posterior) -> list[float]:
    """The drop rates of all branches of all sites."""
    return [drop for branches in posterior.drop.values() for drop in branches.values()]


def has_collapsed(posterior: Posterior) -> bool:
    """Whether most gates close for good, as they do when a net has learnt nothing yet."""
    drops = drops_of(posterior)
    return sum(drop > COLLAPSED_DROP for drop in drops) > len(drops) / 2


def faults_of(posterior: Posterior, evidence: Evidence) -> list[str]:
    """What is wrong with a posterior, in sentences; of few videos it is not said whether they taught it anything."""
    sentences = []
    if has_collapsed(posterior):
        sentences.append(
            f"The posterior has collapsed: more than half of its gates have a drop rate over {COLLAPSED_DROP}. "
            "Warm up until the net has converged, or lower variational.gate_learning_rate or objective.k."
        )
    if evidence.is_enough and not evidence.heard:
        sentences.append(
            f"The posterior was not learnt: at none of its {len(evidence.gates)} gates does the data's gradient stand "
            f"out of its noise over {evidence.videos} videos of {evidence.sources} sources, so chance and the price of "
            "branches have set them. Train longer, or look whether the labels are those of the videos."
        )
    return sentences


def what_was_heard(evidence: Evidence) -> str:
    """Of how many gates the data say something, in words."""
    if not evidence.is_enough:
        return f"not known from {evidence.sources} sources"
    gates = ", ".join(f"{gate.site} {gate.branch}" for gate in evidence.heard[:_NAMED])
    more = f" and {len(evidence.heard) - _NAMED} more" if len(evidence.heard) > _NAMED else ""
    return f"the data speak of {len(evidence.heard)} of {len(evidence.gates)} gates" + (gates and f": {gates}{more}")
