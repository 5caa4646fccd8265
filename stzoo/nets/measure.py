"""How large a net is, what one clip costs it in multiply-adds, activations and memory, and how long it takes here."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from stzoo.nets import Architecture, fixed_net, template
from stzoo.nets.blank import without_memory
from stzoo.nets.classifier import Classifier
from stzoo.nets.layout import Activation
from stzoo.strategies.strategy import Strategy

LATENCY_SECONDS, LATENCY_LEAST_RUNS, LATENCY_MOST_RUNS = 3.0, 5, 50


@dataclass(frozen=True)
class Measurement:
    """`parameters` of the fixed net; `multiply_adds` and `activations` of one clip."""

    parameters: int
    multiply_adds: int
    activations: int


@dataclass(frozen=True)
class TrainingMeasurement:
    """`parameters` of the net; `multiply_adds` of one clip forward, and `kept_bytes` of it for the backward pass.

    With activation checkpointing the backward pass computes `recomputed_multiply_adds` again, part by part, and keeps
    at most `recomputed_bytes` at a time while it does.
    """

    parameters: int
    multiply_adds: int
    kept_bytes: int
    recomputed_multiply_adds: int = 0
    recomputed_bytes: int = 0


@dataclass(frozen=True)
class Latency:
    """`milliseconds` is the median over `runs` of one clip on the CPU, with that many threads and that torch."""

    milliseconds: float
    runs: int
    threads: int
    torch: str


class _Kernels(TorchDispatchMode):
    """Counts the operations of torch within the context, views of tensors among them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def count_kernels(function: Callable[[], object]) -> int:
    """How many operations of torch a call carries out, backward passes, optimisers and views included."""
    with _Kernels() as kernels:
        function()
    return kernels.count


_PRODUCTS = (torch.matmul, Tensor.matmul)


def _summed(equation: str, operands: Sequence[Tensor]) -> int:
    """How many products one number of an einsum is the sum of."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    sizes: dict[str, int] = {}
    for letters, operand in zip(inputs.split(","), operands, strict=True):
        sizes |= dict(zip(letters, operand.shape, strict=True))
    return math.prod(size for letter, size in sizes.items() if letter not in output)


class _Counter(TorchFunctionMode):
    """Counts what convolutions, linear layers and products of matrices within the context compute."""

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0
        self.activations = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.conv3d, F.linear):
            _, weight, *_ = args
            self.activations += output.numel()
            self.multiply_adds += output.numel() * weight[0].numel()
        elif func in _PRODUCTS:
            self.activations += output.numel()
            self.multiply_adds += output.numel() * args[0].shape[-1]
        elif func is torch.einsum:
            self.activations += output.numel()
            self.multiply_adds += output.numel() * _summed(args[0], args[1:])
        return output


def measure(architecture: Architecture, strategy: Strategy, *, frames: int, height: int, width: int) -> Measurement:
    """Counts a fixed net on meta tensors: nothing is allocated and nothing is computed.

    A convolution counts one multiply-add for every kernel element of every output element, padding included; a product
    of matrices, as in attention, what it multiplies; norms, activation functions and pools count nothing. Activations
    are the elements of all outputs of these, which tell more about the time a network takes than its multiply-adds do.

    Raises `StrategyError` when the strategy does not fit the backbone.

    Reference: section 3.2, Radosavovic et al. 2020; Dollár et al. 2021.
    """
    parts = measure_parts(architecture, strategy, frames=frames, height=height, width=width)
    return Measurement(
        sum(part.parameters for part in parts),
        sum(part.multiply_adds for part in parts),
        sum(part.activations for part in parts),
    )


def measure_parts(
    architecture: Architecture, strategy: Strategy, *, frames: int, height: int, width: int
) -> list[Measurement]:
    """What `measure` counts, for each of `Classifier.parts`; all parameters outside of blocks are the last one's."""
    with without_memory():
        net = fixed_net(architecture, strategy).eval()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    x = torch.empty(1, 3, frames, height, width, device="meta")
    counted = []
    for part in net.parts():
        with torch.no_grad(), _Counter() as counter:
            x = part(x)
        own = sum(parameter.numel() for parameter in part.parameters()) if isinstance(part, nn.Module) else 0
        parameters -= own
        counted.append(Measurement(own, counter.multiply_adds, counter.activations))
    counted[-1] = replace(counted[-1], parameters=counted[-1].parameters + parameters)
    return counted


def measure_training(
    architecture: Architecture,
    strategy: Strategy | None,
    *,
    frames: int,
    height: int,
    width: int,
    checkpoint_activations: bool = False,
) -> TrainingMeasurement:
    """Counts on meta tensors what one clip of a training batch costs, in float32: with None, in the template.

    Memory is every tensor that autograd keeps for the backward pass, each once, without the net's own. What the
    backward pass and the allocator need besides is not counted.

    Raises `StrategyError` when the strategy does not fit the backbone.
    """
    with without_memory():
        if strategy is None:
            net = template(architecture.backbone, architecture.classes, **architecture.options)
        else:
            net = fixed_net(architecture, strategy)
    kept = _Kept(net)
    clip = torch.empty(1, 3, frames, height, width, device="meta")
    again = largest = 0

    def counted(part: nn.Module, function: Callable[..., Activation], *inputs: Activation) -> Activation:
        nonlocal again, largest
        for tensor in inputs:
            kept.keep(tensor)
        before = last = counter.multiply_adds

        def keep(tensor: Tensor) -> Tensor:
            nonlocal last
            last = counter.multiply_adds  # the second pass ends with the last tensor that it needs
            return inner.keep(tensor)

        inner = _Kept(net, inputs)
        with torch.autograd.graph.saved_tensors_hooks(keep, _given_back):
            output = function(*inputs)
        again += last - before
        largest = max(largest, inner.bytes)
        return output

    if checkpoint_activations:
        net.recompute = counted
    with torch.autograd.graph.saved_tensors_hooks(kept.keep, _given_back), _Counter() as counter:
        net.train()(clip)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return TrainingMeasurement(parameters, counter.multiply_adds, kept.bytes, again, largest)


class _Kept:
    """The memory of tensors that autograd keeps, each once; those of the net and `others` are there anyway."""

    def __init__(self, net: Classifier, others: Iterable[Tensor] = ()) -> None:
        there = (*net.state_dict().values(), *others)
        self._seen = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in there}
        self.bytes = 0

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage
            self.bytes += storage.nbytes()
        return tensor


def _given_back(tensor: Tensor) -> Tensor:
    return tensor


def measure_latency(architecture: Architecture, strategy: Strategy, *, frames: int, height: int, width: int) -> Latency:
    """Runs a fixed net with random weights on one random clip, again and again, on the CPU as torch is set up here.

    The first run is not counted. Then it runs for some seconds, but at least five times.

    Raises `StrategyError` when the strategy does not fit the backbone.
    """
    net = fixed_net(architecture, strategy).eval()
    clip = torch.randn(1, 3, frames, height, width)
    seconds: list[float] = []
    with torch.inference_mode():
        net(clip)
        while len(seconds) < LATENCY_LEAST_RUNS or (
            sum(seconds) < LATENCY_SECONDS and len(seconds) < LATENCY_MOST_RUNS
        ):
            start = time.perf_counter()
            net(clip)
            seconds.append(time.perf_counter() - start)
    milliseconds = round(1000 * statistics.median(seconds), 3)
    return Latency(milliseconds, len(seconds), torch.get_num_threads(), torch.__version__)
