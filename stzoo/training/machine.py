"""Where a stage is computed, and how: device, precision, passes, checkpointing, compilation, other processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from stzoo.contract import InputContract
from stzoo.errors import TrainingError
from stzoo.inference import video_scores
from stzoo.nets import BACKBONES
from stzoo.nets.classifier import Classifier
from stzoo.nets.norm import synchronise
from stzoo.nets.recompute import recomputed
from stzoo.ranks import ALONE, Ranks
from stzoo.recipe import Compute
from stzoo.training.batches import Samples

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
COMPILER = "inductor"

Forward = Callable[[Tensor], Tensor]
"""A net as training calls it: clips to logits."""


@dataclass(frozen=True)
class Machine:
    """The device of this process and what it is to do there; `ranks` are the processes that train together.

    A batch of a recipe is that of all processes. With a `micro_batch` no process computes more clips at once: it takes
    as many passes as it needs to a step of the optimiser. `compiler` is a backend of torch.compile.
    """

    device: torch.device
    precision: str = "float32"
    micro_batch: int = 0
    checkpoint_activations: bool = False
    compiler: str | None = None
    ranks: Ranks = ALONE

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which a net is called."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, AUTOCAST[self.precision])

    def passes(self, batch: Samples) -> list[Samples]:
        """What this process computes of a batch in each pass; some of it may be empty.

        The passes of all processes, put together, are those of one process with as many times the `micro_batch`.
        """
        return [np.array_split(part, self.ranks.count)[self.ranks.rank] for part in self.together(batch)]

    def together(self, batch: Samples) -> list[Samples]:
        """What all processes together compute of a batch in each pass."""
        at_once = self.micro_batch * self.ranks.count or len(batch)
        return np.array_split(batch, -(-len(batch) // at_once))

    @contextlib.contextmanager
    def training(self, net: Classifier) -> Iterator[Forward]:
        """The net as it is called in training: in the end its gradients are the mean over all processes.

        What this changes of the net itself is undone when the block ends.
        """
        if self.ranks.count > 1 and any(isinstance(module, _BatchNorm) for module in net.modules()):
            raise TrainingError(
                f"a net of torchvision with batch norms trains in one process, not in {self.ranks.count}, since each "
                "would take statistics from its own clips alone; start one"
            )
        synchronise(net, self.ranks)
        net.recompute = recomputed if self.checkpoint_activations else None
        module: nn.Module = net
        if self.compiler is not None:
            compiled = torch.compile(module, backend=self.compiler, dynamic=False)
            assert isinstance(compiled, nn.Module)
            module = compiled
        if self.ranks.count > 1:
            devices = [self.device] if self.device.type == "cuda" else None
            together = DistributedDataParallel(module, device_ids=devices)
            # Statistics are everybody's already. The attribute, since torch 2.13 renamed the argument.
            together.broadcast_buffers = False
            module = together
        try:
            yield module
        finally:
            synchronise(net, ALONE)
            net.recompute = None


def gradients_stay(forward: Forward, here: bool) -> AbstractContextManager[Any]:
    """Within this context backward passes add to the gradients of this process alone, if they are to stay `here`."""
    return forward.no_sync() if here and isinstance(forward, DistributedDataParallel) else nullcontext()


def device_of(compute: Compute, ranks: Ranks = ALONE) -> torch.device:
    """Where one of several processes computes. Raises `TrainingError` when there is no such GPU."""
    has_gpu = torch.cuda.is_available()
    name = ("cuda" if has_gpu else "cpu") if compute.device == "auto" else compute.device
    if name.startswith("cuda") and not has_gpu:
        raise TrainingError(f'compute.device is "{name}" but torch finds no GPU; use "auto" or "cpu"')
    if name == "cuda" and ranks.count > 1:
        name = f"cuda:{torch.cuda.current_device()}"
    return torch.device(name)


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions that multiply bfloat16: AMX, or AVX-512 with BF16."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))


def settled(compute: Compute, backbone: str, device: torch.device) -> Compute:
    """The same with a precision, where it is left open which one is the faster for nets of a backbone.

    Nets of torchvision and timm stay in float32: torch's 16-bit gradients of some of their convolutions are no good.
    """
    if compute.precision != "auto":
        return compute
    faster = device.type == "cpu" and multiplies_bfloat16() and backbone in BACKBONES
    return compute.model_copy(update={"precision": "bfloat16" if faster else "float32"})


def machine_of(compute: Compute, ranks: Ranks = ALONE) -> Machine:
    """What a settled recipe asks for, of one of several processes. Raises `TrainingError` when there is no such GPU."""
    if compute.threads:
        torch.set_num_threads(compute.threads)
    return Machine(
        device_of(compute, ranks),
        compute.precision,
        compute.micro_batch,
        compute.checkpoint_activations,
        COMPILER if compute.compile else None,
        ranks,
    )


def shared_scores(
    net: Classifier,
    clips: UInt8[np.ndarray, "videos clips frames height width 3"],
    contract: InputContract,
    machine: Machine,
    at_once: int,
    advance: Callable[[int], None] = lambda videos: None,
) -> Float32[np.ndarray, "videos classes"]:
    """`video_scores`, of which every process of the machine computes a run of videos, each video once."""
    ranks = machine.ranks
    start, stop = (len(clips) * part // ranks.count for part in (ranks.rank, ranks.rank + 1))
    share = (
        video_scores(net, clips[start:stop], contract, device=machine.device, at_once=at_once, advance=advance)
        if stop > start
        else None
    )
    return np.concatenate([scores for scores in ranks.of_all(share) if scores is not None])
