"""Activation checkpointing: a part of a net keeps what goes into it, and computes the rest again when it goes backward.

Reference: Chen et al. 2016; for dense blocks Pleiss et al. 2017.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from torch import nn
from torch.utils.checkpoint import checkpoint

from stzoo.nets.layout import Activation
from stzoo.nets.norm import Statistics


@runtime_checkable
class Recompute(Protocol):
    """How a backbone runs a part whose inner tensors are not to be kept: `function` of `inputs`, which uses `part`."""

    def __call__(self, part: nn.Module, function: Callable[..., Activation], *inputs: Activation) -> Activation: ...


def recomputed(part: nn.Module, function: Callable[..., Activation], *inputs: Activation) -> Activation:
    """`function(*inputs)`, of which autograd keeps the inputs alone; its gradients are exactly those of a plain call.

    The second pass leaves batch-norm statistics alone, which have followed the batch in the first.
    """
    return checkpoint(
        function,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _not_following(part)),
    )


@contextlib.contextmanager
def _not_following(part: nn.Module) -> Iterator[None]:
    norms = [module for module in part.modules() if isinstance(module, Statistics)]
    for norm in norms:
        norm.follows_batches = False
    try:
        yield
    finally:
        for norm in norms:
            norm.follows_batches = True
