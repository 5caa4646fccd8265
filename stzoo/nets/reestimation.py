"""Batch-norm statistics of a fixed net, estimated anew from clips."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stzoo.errors import UsageError
from stzoo.nets.norm import Statistics
from stzoo.nets.pruning import is_template
from stzoo.nets.timm import TimmNet


def reestimate_batch_norm(net: nn.Module, inputs: Iterable[Float[Tensor, "clips 3 frames height width"]]) -> None:
    """Replaces all batch-norm statistics of a fixed net by the plain average over the given batches, in place.

    A net of timm that has none, and is not merged, stays as it is. Raises `UsageError` for a template, for another net
    without batch norms, and when there is no batch.
    """
    if is_template(net):
        raise UsageError("batch-norm statistics are re-estimated for fixed nets; prune a strategy out of it first")
    norms = [module for module in net.modules() if isinstance(module, Statistics | _BatchNorm)]
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
