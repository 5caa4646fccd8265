"""What a camera does over time: ten classes of motion, each with small unintended motion on top.

Distances are in short sides of the frame, angles in radians, time in seconds; x points right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float64

CLASSES = (
    "still",
    "turn-left",
    "turn-right",
    "turn-up",
    "turn-down",
    "approach",
    "move-away",
    "roll-clockwise",
    "roll-counterclockwise",
    "shake",
)

# The axis that a class moves along and the sign of the camera's motion (of the picture's growth and of its
# turning on screen for zoom and roll).
_AXES: dict[str, tuple[Literal["x", "y", "zoom", "roll"], int]] = {
    "turn-left": ("x", -1),
    "turn-right": ("x", 1),
    "turn-up": ("y", -1),
    "turn-down": ("y", 1),
    "approach": ("zoom", 1),
    "move-away": ("zoom", -1),
    "roll-clockwise": ("roll", 1),
    "roll-counterclockwise": ("roll", -1),
}
# Slowest and fastest mean speed: short sides a second, e-folds a second, radians a second.
_SPEEDS = {"x": (0.06, 1.3), "y": (0.06, 1.2), "zoom": (0.05, 0.75), "roll": (np.deg2rad(4), np.deg2rad(100))}
_LONGEST_ZOOM = 1.25  # e-folds over a clip
# Mean displacement on screen, in short sides, of one unit along the axis.
_DISPLACEMENT = {"x": 1.0, "y": 1.0, "zoom": 0.4, "roll": 0.4}

Times = Float64[np.ndarray, "frames"]
Easing = Literal["constant", "in", "out", "in-out"]


@dataclass(frozen=True)
class Poses:
    """Where the camera is in every frame.

    x, y: the camera's displacement seen on screen (truck and turn together); zoom: log of the picture's growth;
    roll: how far the picture is turned clockwise on screen.
    """

    x: Times
    y: Times
    zoom: Times
    roll: Times


@dataclass(frozen=True)
class Wobble:
    """A sum of sines with an uneven envelope: amplitudes (about the largest displacement), hertz, phases."""

    amplitudes: Float64[np.ndarray, " sines"]
    hertz: Float64[np.ndarray, " sines"]
    phases: Float64[np.ndarray, " sines"]
    envelope_depth: float = 0.0
    envelope_hertz: float = 0.5
    envelope_phase: float = 0.0

    def at(self, seconds: Times) -> Times:
        """The displacement at each time."""
        waves = np.sin(2 * np.pi * self.hertz * seconds[:, None] + self.phases) @ self.amplitudes
        swell = np.sin(2 * np.pi * self.envelope_hertz * seconds + self.envelope_phase)
        return np.asarray(waves * (1 + self.envelope_depth * swell), np.float64)


@dataclass(frozen=True)
class Motion:
    """One camera path, continuous in time."""

    name: str
    duration_seconds: float
    speed: float  # along the class's own axis, signed; 0 for still and shake
    easing: Easing = "constant"
    easing_power: float = 1.0
    pause_start: float = 0.0  # fraction of the duration
    pause_end: float = 0.0
    drift: dict[str, float] = field(default_factory=dict)  # axis -> speed
    wobble: dict[str, Wobble] = field(default_factory=dict)  # axis -> unintended or, for shake, intended

    @property
    def axis(self) -> str:
        """The axis of the class's own motion, '' for still and shake."""
        return _AXES[self.name][0] if self.name in _AXES else ""

    def progress(self, seconds: Times) -> Times:
        """How much of the way is done at each time, from 0 to 1, never backwards."""
        moving = 1 - self.pause_start - self.pause_end
        part = np.clip((seconds / self.duration_seconds - self.pause_start) / moving, 0, 1)
        if self.easing == "in":
            return np.asarray(part**self.easing_power)
        if self.easing == "out":
            return np.asarray(1 - (1 - part) ** self.easing_power)
        if self.easing == "in-out":
            up, down = part**self.easing_power, (1 - part) ** self.easing_power
            return np.asarray(up / (up + down))
        return part

    def at(self, seconds: Times) -> Poses:
        """The poses at each time; the middle of the clip is the origin."""
        axes: dict[str, Times] = {}
        for axis in ("x", "y", "zoom", "roll"):
            value = self.drift.get(axis, 0.0) * (seconds - self.duration_seconds / 2)
            if axis in self.wobble:
                value = value + self.wobble[axis].at(seconds)
            if axis == self.axis:
                value = value + self.speed * self.duration_seconds * (self.progress(seconds) - 0.5)
            axes[axis] = value
        return Poses(**axes)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _hand(rng: np.random.Generator, amplitude: float, slowest: float, fastest: float, sines: int) -> Wobble:
    weights = rng.uniform(0.3, 1.0, sines)
    return Wobble(
        amplitudes=amplitude * weights / np.sqrt((weights**2).sum()),
        hertz=np.exp(rng.uniform(np.log(slowest), np.log(fastest), sines)),
        phases=rng.uniform(0, 2 * np.pi, sines),
        envelope_depth=float(rng.uniform(0, 0.5)),
        envelope_hertz=float(rng.uniform(0.2, 1.2)),
        envelope_phase=float(rng.uniform(0, 2 * np.pi)),
    )


def _shake(rng: np.random.Generator, fps: float) -> dict[str, Wobble]:
    strength = _log_uniform(rng, 0.023, 0.09)
    fastest = min(float(rng.uniform(5.5, 10.0)), 0.42 * fps)
    slowest = min(_log_uniform(rng, 1.8, 4.5), 0.6 * fastest)
    main, other = rng.permutation([1.0, rng.uniform(0.2, 1.0)])
    wobble = {
        "x": _hand(rng, strength * float(main), slowest, fastest, 5),
        "y": _hand(rng, strength * float(other), slowest, fastest, 5),
    }
    if rng.random() < 0.6:
        wobble["roll"] = _hand(rng, float(np.deg2rad(rng.uniform(0.3, 2.5))), slowest, fastest, 4)
    if rng.random() < 0.2:
        wobble["zoom"] = _hand(rng, float(rng.uniform(0.003, 0.015)), slowest, fastest, 3)
    return wobble


def _unintended(
    rng: np.random.Generator, intended: str, displacement: float
) -> tuple[dict[str, float], dict[str, Wobble]]:
    """Drift and wobble well below the class's own motion, which displaces the picture by `displacement` a second."""
    drift: dict[str, float] = {}
    wobble: dict[str, Wobble] = {}
    if rng.random() < 0.65:
        most = float(np.clip(0.2 * displacement, 0.007, 0.12))
        for axis, size in _DISPLACEMENT.items():
            if axis != intended and rng.random() < 0.75:
                drift[axis] = float(rng.uniform(-1, 1)) * most * (1.0 if size == 1.0 else 0.5 / size)
    if rng.random() < 0.55:
        most = float(np.clip(0.08 * displacement, 0.005, 0.018))
        strength = _log_uniform(rng, 0.0008, most)
        for axis, size in _DISPLACEMENT.items():
            share = rng.uniform(0.3, 1.0) * (1.0 if size == 1.0 else 0.6)
            wobble[axis] = _hand(rng, strength * float(share), 0.3, 2.6, 3)
    return drift, wobble


def sample(name: str, fps: float, duration_seconds: float, rng: np.random.Generator) -> Motion:
    """Draws a camera path of the class `name`, from slow to fast, with easing, pauses, drift and wobble."""
    if name == "shake":
        drift, _ = _unintended(rng, "", 0.06)
        return Motion(name, duration_seconds, 0.0, drift=drift, wobble=_shake(rng, fps))
    if name == "still":
        if rng.random() < 0.5:
            return Motion(name, duration_seconds, 0.0)
        drift, wobble = _unintended(rng, "", 0.0)
        return Motion(name, duration_seconds, 0.0, drift=drift, wobble=wobble)
    axis, sign = _AXES[name]
    slowest, fastest = _SPEEDS[axis]
    if axis == "zoom":
        fastest = min(fastest, _LONGEST_ZOOM / duration_seconds)
    speed = _log_uniform(rng, slowest, fastest)
    easing: Easing = "constant"
    power, pauses = 1.0, [0.0, 0.0]
    if speed > 1.5 * slowest:
        kinds: tuple[Easing, ...] = ("constant", "constant", "in", "out", "in-out")
        easing = kinds[int(rng.integers(0, len(kinds)))]
        power = 1.0 if easing == "constant" else float(rng.uniform(1.2, 2.0))
        if rng.random() < 0.2:
            pauses[int(rng.integers(0, 2))] = float(rng.uniform(0.05, 0.2))
    drift, wobble = _unintended(rng, axis, speed * _DISPLACEMENT[axis])
    return Motion(name, duration_seconds, sign * speed, easing, power, pauses[0], pauses[1], drift, wobble)
