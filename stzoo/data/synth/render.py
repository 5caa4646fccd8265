"""Films a picture: frames of a clip, and the mp4 file that holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from stzoo.data.synth import appearance, geometry, motions, objects
from stzoo.data.synth.textures import Picture

RATES = {
    "12": Fraction(12),
    "15": Fraction(15),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "60": Fraction(60),
}
_RATE_WEIGHTS = np.array([0.1, 0.12, 0.15, 0.18, 0.1, 0.23, 0.05, 0.07])
_ASPECTS = (4 / 3, 16 / 9, 1.0, 9 / 16, 3 / 4)
_ASPECT_WEIGHTS = np.array([0.32, 0.36, 0.12, 0.14, 0.06])

Shrunk = UInt8[np.ndarray, "fewer_rows fewer_columns 3"]
Frames = UInt8[np.ndarray, "frames height width 3"]


@dataclass(frozen=True)
class Shot:
    """All that decides a clip's pixels but the picture. quality: x264's crf to begin with; most_bytes: file limit."""

    motion: motions.Motion
    camera: geometry.Camera
    look: appearance.Look
    things: tuple[objects.Thing, ...]
    overlay: UInt8[np.ndarray, "height width 4"] | None
    rate: str
    width: int
    height: int
    quality: int
    most_bytes: int
    seeds: tuple[int, ...]

    @property
    def frames(self) -> int:
        """The number of frames."""
        return round(self.motion.duration_seconds * RATES[self.rate])


def plan(name: str, seeds: tuple[int, ...]) -> Shot:
    """Draws everything about a clip of the class `name` from the seeds alone."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))
    rate = str(rng.choice(list(RATES), p=_RATE_WEIGHTS))
    fps = float(RATES[rate])
    duration = round(float(rng.uniform(1.7, 3.2)) * fps) / fps
    aspect = _ASPECTS[int(rng.choice(len(_ASPECTS), p=_ASPECT_WEIGHTS))]
    short = int(rng.choice([80, 88, 96, 104, 112])) if fps < 40 else 80
    width = 2 * round(short * max(aspect, 1.0) / 2)
    height = 2 * round(short * max(1 / aspect, 1.0) / 2)
    motion = motions.sample(name, fps, duration, rng)
    camera = geometry.sample(motion, width / height, rng)
    look = appearance.sample(rng)
    things = objects.sample(rng, duration, width / height, name == "still")
    overlay = objects.overlay(rng, width, height) if rng.random() < 0.14 else None
    quality = int(rng.integers(20, 37))
    most_bytes = int(np.clip(rng.lognormal(np.log(12_000), 0.3), 7_000, 20_000))
    return Shot(motion, camera, look, things, overlay, rate, width, height, quality, most_bytes, seeds)


def _pyramid(picture: Picture, scale: float) -> tuple[Shrunk, float]:
    """The picture shrunk until a pixel of the window covers at most about 1.4 of its pixels, and by how much."""
    factor, shrunk = 1.0, picture
    while scale / factor > 1.4 and factor < 16:
        shrunk, factor = np.asarray(cv2.pyrDown(shrunk), np.uint8), factor * 2
    return shrunk, factor


def _seconds(shot: Shot) -> Float64[np.ndarray, " frames"]:
    held = np.arange(shot.frames) // shot.look.hold * shot.look.hold
    return np.asarray(held / float(RATES[shot.rate]), np.float64)


def film(shot: Shot, picture: Picture) -> Frames:
    """The frames of the clip."""
    width, height, fps = shot.width, shot.height, float(RATES[shot.rate])
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([*shot.seeds, 1])))
    develop = appearance.Developer(shot.look, shot.frames, width, height, rng)
    seconds = _seconds(shot)
    # Open shutters are averages of several instants; without one, each frame is sampled twice as finely instead.
    instants = 4 if shot.look.shutter else 1
    fine = 1 if shot.look.shutter else 2
    moments = seconds[:, None] + np.arange(instants) / instants * shot.look.shutter / fps
    poses = shot.motion.at(moments.reshape(-1))
    zoom = float(np.median(poses.zoom))
    ratio = shot.camera.scale / (min(width, height) * fine * math.exp(zoom))
    source, factor = _pyramid(picture, ratio)
    into = np.diag([1 / factor, 1 / factor, 1.0])
    frames = np.empty((shot.frames, height, width, 3), np.uint8)
    for index in range(shot.frames):
        if index and seconds[index] == seconds[index - 1]:
            frames[index] = frames[index - 1]
            continue
        total = np.zeros((height, width, 3), np.uint16)
        for instant in range(index * instants, (index + 1) * instants):
            matrix = into @ shot.camera.homography(poses, instant, width * fine, height * fine)
            frame = cv2.warpPerspective(
                source,
                matrix,
                (width * fine, height * fine),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            if fine > 1:
                frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            for thing in shot.things:
                middle = int(np.argmin(np.abs(moments.reshape(-1) - thing.moment_seconds)))
                now = float(moments.reshape(-1)[instant])
                objects.draw(frame, thing, thing.matrix(now, poses, instant, middle, width, height))
            total += np.asarray(frame, np.uint8)
        frames[index] = develop((total // instants).astype(np.uint8), index)
        if shot.overlay is not None:
            cover = shot.overlay[..., 3:].astype(np.uint16)
            frames[index] = (frames[index] * (255 - cover) + shot.overlay[..., :3] * cover + 127) // 255
        develop.frame_up(frames[index])
    return frames


def encode(frames: Frames, rate: Fraction, quality: int, most_bytes: int, path: Path) -> None:
    """Writes H.264 in mp4; the quality is lowered step by step until the file holds at most `most_bytes`.

    At the lowest quality (crf 51) the file is kept as it is. The bytes depend on the arguments and the PyAV wheel only.
    """
    planes = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8) for frame in frames]
    crf = quality
    while True:
        _write(planes, frames.shape[2], frames.shape[1], rate, crf, path)
        size = path.stat().st_size
        if size <= most_bytes or crf >= 51:
            return
        crf = min(51, crf + max(1, math.ceil(4.5 * math.log2(size / most_bytes))))


def _write(
    planes: list[UInt8[np.ndarray, "rows width"]], width: int, height: int, rate: Fraction, crf: int, path: Path
) -> None:
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.time_base = 1 / rate
        # x264's macroblock tree is not deterministic on frames as small as these.
        options = {"preset": "fast", "threads": "1", "flags": "+bitexact", "g": "250", "x264-params": "mbtree=0"}
        stream.options = {"crf": str(crf), **options}
        for index, plane in enumerate(planes):
            frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
