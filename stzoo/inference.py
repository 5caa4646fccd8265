"""Scores of a fixed net on clips that have been read, and batch-norm re-estimation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.nets import Classifier, is_template


def to_input(
    clips: UInt8[Tensor, "clips frames height width 3"], contract: InputContract
) -> Float[Tensor, "clips 3 frames height width"]:
    """(pixel / 255 - mean) / std per colour, on the clips' own device."""
    scale = 1.0 / (255.0 * torch.tensor(contract.std, device=clips.device))
    shift = torch.tensor(contract.mean, device=clips.device) / torch.tensor(contract.std, device=clips.device)
    return (clips.float() * scale - shift).permute(0, 4, 1, 2, 3)


def clip_scores(
    net: Callable[[Tensor], Tensor], clips: UInt8[Tensor, "clips frames height width 3"], contract: InputContract
) -> Float[Tensor, "*nets clips classes"]:
    """The softmax of the net's logits, on the clips' own device: what `over_clips` averages."""
    return net(to_input(clips, contract)).float().softmax(dim=-1)


def clip_vectors(
    net: Classifier, clips: UInt8[Tensor, "clips frames height width 3"], contract: InputContract
) -> Float[Tensor, "clips features"]:
    """What enters the net's head, on the clips' own device."""
    return net.vectors(to_input(clips, contract)).float()


def over_clips(scores: Float[Tensor, "*videos clips classes"]) -> Float[Tensor, "*videos classes"]:
    """What is said of a video whose clips have these scores: their mean, in evaluation, prediction and export alike."""
    return scores.mean(dim=-2)


def clip_batches(
    clips: UInt8[np.ndarray, "videos clips frames height width 3"], videos: int
) -> Iterator[UInt8[Tensor, "some clips frames height width 3"]]:
    """So many videos' clips at a time, in the memory that they are in, unless that cannot be written to."""
    for start in range(0, len(clips), videos):
        part = np.asarray(clips[start : start + videos])
        yield torch.from_numpy(part if part.flags.writeable else part.copy())


def video_scores(
    net: Callable[[Tensor], Tensor],
    clips: UInt8[np.ndarray, "videos clips frames height width 3"],
    contract: InputContract,
    *,
    device: torch.device | str = "cpu",
    at_once: int = 64,
    advance: Callable[[int], None] = lambda videos: None,
) -> Float32[np.ndarray, "*nets videos classes"]:
    """The mean over a video's clips of the net's softmax; of each of several nets that take the same clips, if `net`
    gives logits with one more axis before those of one.

    The net gets the clips of whole videos, `at_once` of them at most, or as many of one video. `advance` is told how
    many videos each step finished.

    Raises `UsageError` for a template, whose outputs are random, and for a net in training mode.
    """
    if isinstance(net, nn.Module) and is_template(net):
        raise UsageError("a template has random outputs and cannot be evaluated; prune a strategy out of it first")
    if isinstance(net, nn.Module) and net.training:
        raise UsageError("the net to evaluate is in training mode, where clips change each other; call eval() first")
    scores = []
    with torch.inference_mode():
        videos = max(1, at_once // clips.shape[1])
        for batch in (part.to(device) for part in clip_batches(clips, videos)):
            parts = batch.flatten(0, 1).split(at_once)
            of_clips = torch.cat([clip_scores(net, part, contract) for part in parts], dim=-2)
            scores.append(over_clips(of_clips.unflatten(-2, (len(batch), -1))).cpu().numpy())
            advance(len(batch))
    return np.concatenate(scores, axis=-2)
