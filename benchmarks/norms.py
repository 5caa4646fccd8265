"""What a batch norm of several processes costs its host beyond a plain one: docs/results/feeding.md.

    python benchmarks/norms.py

Two processes meet through gloo on this machine. Norms on small activations, so that little is computed, go forward and
back in three ways in turn: plain, together as `stzoo.nets.norm` does it, and together as it did before (every process's
numbers gathered into tensors of their own, and more operations on them). Counted is the processor time of the thread
that trains; what the network of a cluster adds is not in it. With `--alone` one process copies in place of the
collectives, so that the operations around them are left.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from side_by_side import machine
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from stzoo.nets.norm import BatchNormOfAll
from stzoo.ranks import Ranks

EPSILON = 1e-5
SHAPE = (2, 256, 4, 4)  # images, channels, height, width


class Alone(Ranks):
    """Two processes of which the other brings the same."""

    def gathered(self, tensor: Tensor) -> Tensor:
        rows = tensor.new_empty(self.count, len(tensor))
        for row in rows.unbind():
            row.copy_(tensor)
        return rows

    def total(self, tensor: Tensor) -> Tensor:
        return tensor.mul_(self.count)


class Before(torch.autograd.Function):
    """`BatchNormOfAll` of commit d895e4e, of activations that are there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, ranks: Ranks, epsilon: float) -> Any:
        channels = x.shape[1]
        values = x.new_full((1,), x.numel() / channels)
        mean_here, variance_here = x.new_zeros(2, channels)
        mean_here, variance_here = torch.batch_norm_update_stats(x, mean_here, variance_here, 0.0)
        packed = torch.cat([mean_here, variance_here, values])
        rows = [torch.empty_like(packed) for _ in range(ranks.count)]
        if isinstance(ranks, Alone):
            for row in rows:
                row.copy_(packed)
        else:
            dist.all_gather(rows, packed)
        means, variances, counts = torch.stack(rows).split([channels, channels, 1], dim=1)
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (counts * (variances + (means - mean).square())).sum(0) / count
        y = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, epsilon)
        ctx.ranks, ctx.epsilon = ranks, epsilon
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> Any:
        x, weight, mean, variance, count = ctx.saved_tensors
        deviation = (variance + ctx.epsilon).rsqrt()
        torch.zeros_like(x), torch.zeros_like(mean), torch.zeros_like(mean)
        scaled, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, mean, deviation, False, ctx.epsilon, [True, True, True]
        )
        sums = torch.stack([of_bias, of_weight])
        ctx.ranks.total(sums)
        mean_gradient, mean_product = sums / count
        slope = -weight * deviation.square() * mean_product
        constant = -weight * deviation * mean_gradient - slope * mean
        spread = (slice(None), None, None)
        of_x = torch.addcmul(scaled + constant[spread], x, slope[spread])
        return of_x, of_weight, of_bias, None, None


def work(rank: int, norms: int, rounds: int) -> None:
    """One of two processes."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29511")
    dist.init_process_group("gloo", rank=rank, world_size=2)
    compare(Ranks(rank, 2, 2), norms, rounds, dist.barrier)
    dist.destroy_process_group()


def compare(ranks: Ranks, norms: int, rounds: int, meet: Callable[[], object]) -> None:
    torch.set_num_threads(1)
    x, weight, bias = torch.randn(SHAPE), torch.ones(SHAPE[1]), torch.zeros(SHAPE[1])
    for tensor in (x, weight, bias):
        tensor.requires_grad_()

    def plain(y: Tensor) -> Tensor:
        mean, variance = torch.zeros(SHAPE[1]), torch.ones(SHAPE[1])
        return F.batch_norm(y, mean, variance, weight, bias, True, 0.1, EPSILON)

    def by(function: type[torch.autograd.Function]) -> Callable[[Tensor], Tensor]:
        return lambda y: function.apply(y, weight, bias, ranks, EPSILON)[0]

    ways = {"plain": plain, "together before": by(Before), "together now": by(BatchNormOfAll)}
    outputs = {name: way(x) for name, way in ways.items()}
    gradients = {name: torch.autograd.grad(y.square().sum() + y[..., 0].sum(), x)[0] for name, y in outputs.items()}
    pairs = (outputs, gradients)
    apart = max(float((each["together now"] - each["together before"]).detach().abs().max()) for each in pairs)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            meet()
            began = time.thread_time()
            for _ in range(norms):
                way(x).backward(gradients[name])
            taken[name].append(1e6 * (time.thread_time() - began) / norms)
    if ranks.leads:
        print(machine())
        print(f"now and before differ by at most {apart:.1e}")
        for name, values in taken.items():
            print(f"{name}: {statistics.median(values):.0f} us a norm ({min(values):.0f} to {max(values):.0f})")
        for name in ("together before", "together now"):
            beyond = [value - without for value, without in zip(taken[name], taken["plain"], strict=True)]
            print(f"{name}, beyond plain: {statistics.median(beyond):.0f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--norms", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    if arguments.alone:
        compare(Alone(0, 2, 2), arguments.norms, arguments.rounds, lambda: None)
    else:
        spawn(work, (arguments.norms, arguments.rounds), nprocs=2)


if __name__ == "__main__":
    main()
