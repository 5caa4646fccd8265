"""A net in torch, merged before it is run."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.inference import clip_scores, clip_vectors
from stzoo.nets import Classifier, is_template, merge
from stzoo.nets.averaging import Averaged
from stzoo.nets.classifier import StagedClassifier
from stzoo.nets.layout import Activation, ChannelsLast
from stzoo.runtimes.session import Runner, clips_at_once


class _Merged(NamedTuple):
    """A merged net, and which tensors it was made of: their ids, and how often each had been written to."""

    made_of: list[tuple[int, int]]
    net: nn.Module


class TorchNet(Runner):
    """Puts a net, or an `Averaged`, into eval mode and on a device, and runs a merged copy of it.

    The copy is made when it is first needed and again when a weight has changed, so the weights are held twice. With
    forward hooks on any of its modules the net itself is run.

    Raises `UsageError` when the net is a template, or the device does not exist.
    """

    def __init__(self, net: nn.Module, device: torch.device | str | None) -> None:
        if is_template(net):
            raise UsageError("a template has random outputs and cannot predict; prune a strategy out of it first.")
        self.net = net
        self.nets = len(net.nets) if isinstance(net, Averaged) else 1
        self.device = torch_device(device)
        self.net.eval().to(self.device)
        self._merged: _Merged | None = None

    def clip_scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "clips classes"]:
        """The softmax of the logits of every clip, averaged where there are several nets."""
        return np.asarray(self.each_clip_scores(clips, contract).mean(axis=0))

    def each_clip_scores(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "nets clips classes"]:
        """The softmax of the logits of every clip: of each net of an `Averaged`, or of the one."""
        _refuse_after_fork()
        net = self._net_to_run()
        with torch.inference_mode():
            batches = torch.from_numpy(clips).split(clips_at_once(self.device.type))
            scores = [clip_scores(net, batch.to(self.device), contract).cpu() for batch in batches]
            of_all = torch.cat(scores, dim=-2).double().numpy()
        return of_all if of_all.ndim == 3 else of_all[None]

    def clip_vectors(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> Float64[np.ndarray, "clips numbers"]:
        """What enters the net's head for every clip. Raises `UsageError` for a net that is no `Classifier`."""
        _refuse_after_fork()
        net = self._net_to_run()
        if not isinstance(net, Classifier):
            raise UsageError(f"a {type(net).__name__} does not show what enters its head; give a Classifier of stzoo.")
        with torch.inference_mode():
            batches = torch.from_numpy(clips).split(clips_at_once(self.device.type))
            vectors = [clip_vectors(net, batch.to(self.device), contract).cpu() for batch in batches]
            return torch.cat(vectors).double().numpy()

    def stage_features(
        self, clips: UInt8[np.ndarray, "clips frames height width 3"], contract: InputContract
    ) -> dict[str, Float32[np.ndarray, "clips _channels _frames _height _width"]]:
        """What leaves every stage of the net, by its name. Raises `UsageError` as `clip_vectors` does."""
        _refuse_after_fork()
        if not isinstance(self.net, StagedClassifier):
            raise UsageError(f"a {type(self.net).__name__} has no stages to look into; give a net of stzoo's own.")
        kept: dict[str, list[Tensor]] = {name: [] for name in self.net.stages}
        with ExitStack() as stack, torch.inference_mode():
            for name in kept:
                hook = partial(_keep, kept[name])
                stack.callback(self.net.get_submodule(name).register_forward_hook(hook).remove)
            for batch in torch.from_numpy(clips).split(clips_at_once(self.device.type)):
                clip_vectors(self.net, batch.to(self.device), contract)
        return {name: torch.cat(parts).numpy() for name, parts in kept.items()}

    def _net_to_run(self) -> nn.Module:
        if any(module._forward_hooks or module._forward_pre_hooks for module in self.net.modules()):
            return self.net
        tensors = (*self.net.parameters(), *self.net.buffers())
        made_of = [(id(tensor), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
        if self._merged is None or self._merged.made_of != made_of:
            self._merged = _Merged(made_of, _merged(self.net))
        return self._merged.net


def _merged(net: nn.Module) -> nn.Module:
    """The net merged; nets of one template share weights, which each of them scales in another way."""
    return Averaged(map(merge, net.nets)) if isinstance(net, Averaged) else merge(net)


def _keep(kept: list[Tensor], stage: nn.Module, inputs: object, output: Activation) -> None:
    """Keeps what leaves a stage: a copy, for what follows may write over it."""
    kept.append(ChannelsLast().volume(output).float().cpu().clone(memory_format=torch.contiguous_format))


_computed_in: int | None = None
"""The process that torch computed in, if it did: one that is forked from it has the state of its threads and none of
them."""


def _refuse_after_fork() -> None:
    """Raises `UsageError` where torch would wait for threads that a fork has not copied."""
    global _computed_in
    if _computed_in not in (None, os.getpid()) and torch.get_num_threads() > 1:
        raise UsageError(
            "this process was forked from one in which torch had computed already, and would wait for its threads for "
            'ever; start it with "spawn" or "forkserver", call torch.set_num_threads(1) in it, or fork before anything '
            "is predicted."
        )
    _computed_in = os.getpid()


def _refuse_unusable(device: torch.device) -> None:
    """Raises `UsageError` for a device that holds no numbers, as `meta`, or that this torch cannot use."""
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # of many kinds, one a device
        raise UsageError(f"torch cannot use the device {device} here; choose auto, cpu or cuda.") from error


def torch_device(device: torch.device | str | None) -> torch.device:
    """A device that torch has; None and `auto` are a GPU if there is one. Raises `UsageError` where there is none."""
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f'there is no device "{device}"; choose auto, cpu or cuda.') from error
    if wanted.type not in ("cpu", "cuda"):
        _refuse_unusable(wanted)
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"the device {device} was asked for and torch finds no such GPU here; choose auto or cpu.")
    return wanted
