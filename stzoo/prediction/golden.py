"""Golden clips put to work: made with a predictor that is trusted, and asked of one that is not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from stzoo.bundle.golden import (
    MOST_PIXEL_BYTES,
    Golden,
    GoldenClip,
    GoldenVideo,
    Pixels,
    block_means,
    mosaic,
    packed,
    rounded,
)
from stzoo.bundle.tensors import digest
from stzoo.contract import InputContract
from stzoo.errors import BundleError, UsageError
from stzoo.files import packaged
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes import Precision, Session
from stzoo.video.clips import plan
from stzoo.video.reader import read_clips
from stzoo.video.video import Video

CLIPS = 3
"""How many clips are kept of a video."""

TOLERANCES: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.02, "bf16": 0.05, "int8": 0.2}
"""The largest difference of a probability that passes, by what is computed in."""

_SAME_SECONDS = 1e-3
_SAME_PIXELS = 2.0
"""Of 255, on average: decoders and filters differ by less."""

_MISTAKES: dict[str, Any] = {
    "as if its colours were in the order BGR": (..., slice(None, None, -1)),
    "as if its frames ran backwards": (slice(None), slice(None, None, -1)),
}
"""What is wrong, and how clips [clips, frames, height, width, 3] come to be so."""


@dataclass(frozen=True)
class Differences:
    """How far a predictor's probabilities are from golden ones, at most."""

    clips: float
    video: float | None
    """Of the whole video; None where it is not at hand."""
    tolerance: float
    mistake: str | None
    """What explains a difference that is too large, where that is known."""

    @property
    def passed(self) -> bool:
        return max(self.clips, self.video or 0.0) <= self.tolerance


class Reading(NamedTuple):
    """The clips of a video read anew, beside golden ones."""

    largest_seconds: float
    """Between the times of two frames."""
    mean_pixels: float
    """Between the colours of two blocks, of 255."""

    @property
    def passed(self) -> bool:
        return self.largest_seconds <= _SAME_SECONDS and self.mean_pixels <= _SAME_PIXELS


def make(predictor: Predictor, video: Path) -> Golden:
    """Golden clips of a video, in the finest blocks that let the file stay small.

    Errors are those of `read_clips` and `Predictor.scores_of`.
    """
    contract = predictor.contract
    pixels, times = _read(video, contract)
    block, clips, pictures = _small_enough(pixels)
    whole = None
    if video.is_file():
        scores = predictor.scores_of(read_clips(Video(video), contract).clips)
        name = video.name if video.name.isprintable() else f"video{video.suffix}"
        whole = GoldenVideo(name=name, sha256=digest(video), probabilities=rounded(scores))
    return Golden(
        model=predictor.name,
        model_digest=predictor.digest,
        frames=contract.frames,
        size=contract.crop,
        block=block,
        clips=tuple(
            GoldenClip(times_seconds=tuple(shown), pixels=picture, probabilities=rounded(scores))
            for shown, picture, scores in zip(
                times.round(6).tolist(), pictures, _answers(predictor, clips), strict=True
            )
        ),
        video=whole,
    )


def _small_enough(pixels: Pixels) -> tuple[int, Pixels, list[str]]:
    """The smallest blocks with which the pictures take no more than they may, the clips in them, and the pictures."""
    size, block = pixels.shape[2], 1
    while True:
        clips = mosaic(pixels, block)
        pictures = [packed(clip) for clip in clips]
        if block == size or sum(map(len, pictures)) <= MOST_PIXEL_BYTES:
            return block, clips, pictures
        block = next(larger for larger in range(block + 1, size + 1) if size % larger == 0)


def differences(golden: Golden, predictor: Predictor, video: Path | None) -> Differences:
    """Runs the clips, and the video where it is given, which must be that of the clips.

    Raises `BundleError` for clips that cannot be read, and what `Predictor.scores` raises.
    """
    is_halved = isinstance(predictor.net, Session) and predictor.net.file.storage == "float16"
    tolerance, pixels = TOLERANCES["fp16" if is_halved else predictor.precision], golden.pixels()

    def of_clips(altered: Pixels) -> float:
        return float(np.abs(_answers(predictor, altered) - golden.probabilities).max())

    off = of_clips(pixels)
    mistakes = [what for what, how in _MISTAKES.items() if off > tolerance >= of_clips(pixels[how])]
    off_video = None
    if video is not None and golden.video is not None:
        scores = predictor.scores_of(read_clips(Video(video), predictor.contract).clips)
        off_video = float(np.abs(scores - np.array(golden.video.probabilities)).max())
    return Differences(off, off_video, tolerance, mistakes[0] if mistakes else None)


def read_anew(golden: Golden, video: Path, contract: InputContract) -> Reading:
    """Decodes the video, chooses frames, resizes and crops, and compares with the golden clips."""
    pixels, times = _read(video, contract, len(golden.clips))
    means = [block_means(clips, golden.block) for clips in (pixels, golden.pixels())]
    return Reading(float(np.abs(times - golden.times_seconds).max()), float(np.abs(means[0] - means[1]).mean()))


def refuse_another_model(golden: Golden, predictor: Predictor) -> None:
    """Raises `BundleError` for golden clips of another model than the predictor's."""
    contract = predictor.contract
    for what, theirs, ours in (
        ("weights with the digest", golden.model_digest, predictor.digest),
        ("frames", golden.frames, contract.frames),
        ("pixels a side", golden.size, contract.crop),
        ("classes", golden.classes, len(predictor.labels)),
    ):
        if theirs != ours:
            raise BundleError(
                f"the golden clips are of another model than {predictor.name or 'this one'}, which has {what}: {ours}, "
                f"and they are of {theirs}; make them again, with `stzoo verify --make` or `stzoo export`"
            )


def refuse_another_video(golden: Golden, video: Path) -> Path:
    """The video. Raises `UsageError` where the golden clips are of another one."""
    if golden.video is None or not video.is_file() or digest(video) != golden.video.sha256:
        theirs = "a folder of frames" if golden.video is None else golden.video.name
        raise UsageError(f"{video} is not the video that the golden clips are of, {theirs}; give that one, or none")
    return video


def find_video(golden: Golden, folder: Path) -> Path | None:
    """The video of the clips where it is at hand: in the folder, or the package's sample."""
    if golden.video is None:
        return None
    for path in (folder / Path(golden.video.name).name, sample()):
        if path.is_file() and digest(path) == golden.video.sha256:
            return path
    return None


def sample() -> Path:
    """The video that golden clips are made of where no other is given."""
    return packaged("bundled") / "sample.mp4"


def _read(
    video: Path, contract: InputContract, clips: int = CLIPS
) -> tuple[Pixels, Float64[np.ndarray, "clips frames"]]:
    """The centre crops of clips of a video, and when each of their frames is shown."""
    contract = contract.changed(crops=1)
    read = read_clips(Video(video), contract, clips)
    stamps = read.info.timestamps_seconds
    return read.clips, stamps[plan(stamps, contract, clips)]


def _answers(predictor: Predictor, clips: Pixels) -> Float32[np.ndarray, "clips classes"]:
    """The probabilities of each clip alone."""
    contract = predictor.contract
    alone = predictor if contract.crops == 1 else dataclasses.replace(predictor, contract=contract.changed(crops=1))
    return np.stack([alone.scores_of(clip[None]) for clip in clips])
