"""What a net says of clips that have been read: checked, and averaged over the clips of each video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from stzoo.contract import InputContract
from stzoo.errors import BundleError, UsageError

Clips = UInt8[np.ndarray, "views frames height width 3"]
OfClips = Callable[[Clips, InputContract], Float64[np.ndarray, "views numbers"]]
"""Numbers for each clip, such as its scores."""


def mean_of_each(
    of_clips: OfClips, videos: Iterable[Clips], contract: InputContract, name: str, *, at_once: int = 1
) -> Iterator[Float32[np.ndarray, " numbers"]]:
    """The mean over the clips of each video of what a net says of them.

    The net is given the clips of as many videos at a time as it takes to have `at_once` of them.

    Raises:
        UsageError: clips are of another kind or shape than the contract's.
        BundleError: the net, called `name`, answers with numbers that are not finite.
    """
    waiting: list[Clips] = []
    for clips in videos:
        _refuse_other_clips(clips, contract)
        waiting.append(clips)
        if sum(map(len, waiting)) >= at_once:
            yield from _means(of_clips, waiting, contract, name)
            waiting = []
    if waiting:
        yield from _means(of_clips, waiting, contract, name)


def _means(
    of_clips: OfClips, videos: Sequence[Clips], contract: InputContract, name: str
) -> list[Float32[np.ndarray, " numbers"]]:
    clips = videos[0] if len(videos) == 1 else np.concatenate(videos)
    answers = of_clips(np.ascontiguousarray(clips), contract)
    if not np.isfinite(answers).all():
        raise BundleError(
            f"the net{f' {name}' if name else ''} answers with numbers that are not finite; its weights or its input "
            "contract cannot be right"
        )
    ends = np.cumsum([len(clips) for clips in videos])
    return [of_video.mean(axis=0).astype(np.float32) for of_video in np.split(answers, ends[:-1])]


def _refuse_other_clips(clips: Any, contract: InputContract) -> None:
    """Raises `UsageError` for what is no array of clips that the contract describes."""
    wanted = (contract.frames, contract.crop, contract.crop, 3)
    shape = f"uint8 [{'views' if contract.crops > 1 else 'clips'}, {', '.join(map(str, wanted))}]"
    if not isinstance(clips, np.ndarray):
        raise UsageError(f"clips are given as a NumPy array, {shape}, and these are of type {type(clips).__name__}.")
    if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[1:] != wanted:
        raise UsageError(
            f"this model takes clips as {shape}, and these are {clips.dtype} {list(clips.shape)}; read them as "
            "stzoo.video.reader.read_clips does."
        )
    if len(clips) == 0 or len(clips) % contract.crops:
        crops = f" of {contract.crops} crops each" if contract.crops > 1 else ""
        raise UsageError(f"{len(clips)} views are not one or more clips{crops}; give all that belong to the video.")
