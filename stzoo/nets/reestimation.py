"""Batch-norm statistics of a fixed net, estimated anew from clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stzoo.errors import UsageError
from stzoo.nets.backbones import architecture
from stzoo.nets.classifier import Classifier
from stzoo.nets.norm import Affine, BatchNorm, ScaleAndShift, Statistics
from stzoo.nets.pooling import RunningNorm
from stzoo.nets.pruning import fixed_net, is_template
from stzoo.nets.timm import TimmNet
from stzoo.strategies.strategy import Strategy

Clips = Float[Tensor, "clips 3 frames height width"]


def reestimate_batch_norm(net: nn.Module, inputs: Iterable[Clips]) -> None:
    """Replaces all batch-norm statistics of a fixed net by the plain average over the given batches, in place.

    Statistics of pooled features stay once they have learnt: the head learns on them, and what comes before them is
    standardised anew. A net of timm that has no batch norms, and is not merged, stays as it is. Raises `UsageError` for
    a template, for another net without batch norms, and when there is no batch.
    """
    if is_template(net):
        raise UsageError("batch-norm statistics are re-estimated for fixed nets; prune a strategy out of it first")
    learnt = {module for module in net.modules() if isinstance(module, RunningNorm) and module.has_learnt}
    norms = [module for module in net.modules() if isinstance(module, Statistics | _BatchNorm) and module not in learnt]
    if not norms and any(isinstance(module, TimmNet) and module.architecture for module in net.modules()):
        return
    if not norms:
        raise UsageError("this net has no batch norms whose statistics could be re-estimated")
    momenta = [norm.momentum for norm in norms]
    training = net.training
    for norm in norms:
        if isinstance(norm, Statistics):
            norm.reset()
        else:
            norm.reset_running_stats()
        norm.momentum = None
    net.train()
    for norm in learnt:
        norm.eval()
    batches = 0
    with torch.no_grad():
        for batch in inputs:
            net(batch)
            batches += 1
    net.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    if batches == 0:
        raise UsageError("batch-norm statistics are re-estimated from no clips at all; give at least one batch")


def absorb_batch_norm(net: Classifier, reference: Classifier, inputs: Callable[[], Iterable[Clips]]) -> None:
    """Replaces the statistics of a fixed net by those of clips, and changes scales and shifts by as much, in place.

    What `reference` computes with the statistics that it has is what it then computes with those of the clips, and
    `net` as far as it has the same weights: re-estimating loses nothing any more of what they know. `reference` has the
    net's weights, with one or more of the branches that the net has at every site; of a branch that it lacks, the norms
    change as those of its own do. Norms without a scale are only re-estimated. Raises `UsageError` for a net without
    batch norms that could absorb anything.
    """
    changes = _changes(reference, inputs())
    with torch.no_grad():
        for name, module in net.named_modules():
            if isinstance(module, BatchNorm | Affine) and (change := changes.get(_counterpart(name, changes))):
                factor, shift = change
                module.bias.add_(module.weight * shift)
                module.weight.mul_(factor)
    reestimate_batch_norm(net, inputs())


def without_sums(net: Classifier, strategy: Strategy) -> Classifier:
    """A fixed net with that strategy's weights, and with one branch alone where it has several, in eval mode.

    Of 2D weights it is what they know: a site that sums branches that all have them gives a multiple of it.
    """
    first = {site: unit.partition("+")[0] for site, unit in strategy.units.items()}
    alone = fixed_net(architecture(net), Strategy(strategy.backbone, first))
    weights = net.state_dict()
    alone.load_state_dict({name: weights[name] for name in alone.state_dict()})
    return alone.to(next(net.parameters()).device).eval()


def _changes(reference: Classifier, inputs: Iterable[Clips]) -> dict[str, ScaleAndShift]:
    """By norm, the factor of its scale, and what its shift gains for a scale of one, if its clips are to be its own."""
    norms = {
        name: module
        for name, module in reference.named_modules()
        if isinstance(module, Statistics) and not isinstance(module, RunningNorm)
    }
    if not norms:
        raise UsageError(
            "this net has no batch norm of stzoo's whose scale could absorb other statistics; use init.batch_norm = "
            '"re-estimated" or "kept"'
        )
    seen = {
        name: Statistics(len(norm.running_mean), norm.epsilon).to(norm.running_mean) for name, norm in norms.items()
    }
    hooks = [norm.register_forward_pre_hook(_seen_by(seen[name])) for name, norm in norms.items()]
    with torch.no_grad():
        for clips in inputs:
            reference(clips)
    for hook in hooks:
        hook.remove()
    changes = {}
    for name, norm in norms.items():
        own = (norm.running_var + norm.epsilon).sqrt()
        there = (seen[name].running_var + norm.epsilon).sqrt()
        changes[name] = (there / own, (seen[name].running_mean - norm.running_mean) / own)
    return changes


def _seen_by(statistics: Statistics) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """A hook that lets statistics average all batches that enter a module."""
    statistics.momentum = None
    statistics.train()

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        statistics(*inputs)

    return look


def _counterpart(name: str, norms: Iterable[str]) -> str:
    """The norm of a reference that a norm, or a scale behind shared statistics, changes with."""
    site, branch, _ = name.partition(".branches.")
    if not branch or name in norms:
        return name
    return next((other for other in norms if other == f"{site}.shared" or other.startswith(f"{site}.branches.")), name)
