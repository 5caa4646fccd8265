"""What happens to the light on its way into the file: exposure, colour, blur, noise, vignette, bars."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Look:
    """The nuisances of one clip; the numbers are those of the field's unit, 0 or 1 where a nuisance is absent.

    gain, gamma: exposure at the start; gain_drift: relative change over the clip; gain_swing: amplitude of a slow
    sine; balance: gains of red, green, blue; grey: 1 for a black-and-white clip; flicker: relative, per frame;
    noise: standard deviation in pixel values; blur: sigma in pixels; sharpen: weight of an unsharp mask;
    shutter: part of a frame's time that the shutter is open; vignette: darkening of the corners;
    bars: part of the height (first) and of the width (second) that is covered on each side; hold: frames shown n times.
    """

    gain: float = 1.0
    gamma: float = 1.0
    gain_drift: float = 0.0
    gain_swing: float = 0.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    grey: float = 0.0
    flicker: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    sharpen: float = 0.0
    shutter: float = 0.0
    vignette: float = 0.0
    bars: tuple[float, float] = (0.0, 0.0)
    hold: int = 1


def sample(rng: np.random.Generator) -> Look:
    """Draws the nuisances of a clip, each absent in a good part of the clips."""

    def sometimes(chance: float, low: float, high: float, absent: float = 0.0) -> float:
        value = float(rng.uniform(low, high))
        return value if rng.random() < chance else absent

    balance = np.exp(rng.normal(0, 0.09, 3)) if rng.random() < 0.5 else np.ones(3)
    bars = [0.0, 0.0]
    if rng.random() < 0.14:
        bars[int(rng.integers(0, 2))] = float(rng.uniform(0.05, 0.17))
    return Look(
        gain=sometimes(0.7, 0.6, 1.35, 1.0),
        gamma=sometimes(0.5, 0.7, 1.45, 1.0),
        gain_drift=sometimes(0.25, -0.35, 0.35),
        gain_swing=sometimes(0.12, 0.03, 0.2),
        balance=(float(balance[0]), float(balance[1]), float(balance[2])),
        grey=1.0 if rng.random() < 0.07 else 0.0,
        flicker=sometimes(0.08, 0.01, 0.06),
        noise=sometimes(0.5, 1.0, 9.0),
        blur=sometimes(0.3, 0.4, 1.4),
        sharpen=sometimes(0.1, 0.2, 0.8),
        shutter=sometimes(0.35, 0.3, 1.0),
        vignette=sometimes(0.2, 0.1, 0.6),
        bars=(bars[0], bars[1]),
        hold=2 if rng.random() < 0.05 else 1,
    )


class Developer:
    """Applies a look to the frames of one clip, one after the other."""

    def __init__(self, look: Look, frames: int, width: int, height: int, rng: np.random.Generator) -> None:
        self.look = look
        time = np.linspace(0, 1, frames)
        swing = look.gain_swing * np.sin(2 * np.pi * (rng.uniform(0.5, 2.0) * time + rng.random()))
        self._gains = (
            look.gain * (1 + look.gain_drift * time + swing) * (1 + look.flicker * rng.standard_normal(frames))
        )
        self._rng = rng
        self._grain: Float32[np.ndarray, "twice_height twice_width 3"] | None = None
        if look.noise:
            plain = rng.standard_normal((2 * height, 2 * width, 1), dtype=np.float32)
            colour = rng.standard_normal((2 * height, 2 * width, 3), dtype=np.float32)
            self._grain = look.noise * (0.85 * plain + 0.5 * colour)
        self._vignette: Float32[np.ndarray, "height width 1"] | None = None
        if look.vignette:
            y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
            self._vignette = (1 - look.vignette * (x**2 + y**2) / 2)[..., None]

    def __call__(self, frame: Frame, index: int) -> Frame:
        """The frame as the camera stores it."""
        look = self.look
        if look.grey:
            frame = np.repeat(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        if look.blur:
            frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), look.blur), np.uint8)
        if look.sharpen:
            soft = cv2.GaussianBlur(frame, (0, 0), 1.2)
            frame = np.asarray(cv2.addWeighted(frame, 1 + look.sharpen, soft, -look.sharpen, 0), np.uint8)
        levels = (np.arange(256) / 255) ** look.gamma
        table = np.outer(levels, np.array(look.balance)) * self._gains[index] * 255
        frame = np.asarray(cv2.LUT(frame, np.clip(table, 0, 255).astype(np.uint8)[None]), np.uint8)
        if self._vignette is not None:
            frame = (frame * self._vignette).astype(np.uint8)
        if self._grain is not None:
            height, width = frame.shape[:2]
            top, left = int(self._rng.integers(0, height)), int(self._rng.integers(0, width))
            grain = self._grain[top : top + height, left : left + width]
            frame = np.clip(frame + grain, 0, 255).astype(np.uint8)
        return frame

    def frame_up(self, frame: Frame) -> None:
        """Draws the bars, in place."""
        height, width = frame.shape[:2]
        high, wide = round(self.look.bars[0] * height), round(self.look.bars[1] * width)
        if high:
            frame[:high], frame[height - high :] = 0, 0
        if wide:
            frame[:, :wide], frame[:, width - wide :] = 0, 0
