"""Captured human motion: the clips that the package pybullet carries, as the places of a body's joints over time.

Reference: Peng et al. 2018, "DeepMimic", whose humanoid and motion files these are; y is up, x where the body looks.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from stzoo.errors import DataError

CLASSES = (
    "backflip",
    "cartwheel",
    "crawl",
    "dance-a",
    "dance-b",
    "getup-facedown",
    "getup-faceup",
    "jump",
    "kick",
    "punch",
    "roll",
    "run",
    "spin",
    "spinkick",
    "walk",
)

# Every point of the body: the one that it hangs on, its place seen from there in metres, and which of a frame's numbers
# turn what hangs on it: four of a quaternion (w, x, y, z), one of an angle about z, or none. From pybullet's
# humanoid.urdf, whose lengths are four times the captured body's; toes and head end its boxes and spheres.
_BODY: dict[str, tuple[str, tuple[float, float, float], slice]] = {
    "root": ("", (0.0, 0.0, 0.0), slice(3, 7)),
    "chest": ("root", (0.0, 0.236151, 0.0), slice(7, 11)),
    "neck": ("chest", (0.0, 0.223894, 0.0), slice(11, 15)),
    "head": ("neck", (0.0, 0.175, 0.0), slice(0)),
    "right hip": ("root", (0.0, 0.0, 0.084887), slice(15, 19)),
    "right knee": ("right hip", (0.0, -0.421546, 0.0), slice(19, 20)),
    "right ankle": ("right knee", (0.0, -0.40987, 0.0), slice(20, 24)),
    "right toe": ("right ankle", (0.13, -0.03, 0.0), slice(0)),
    "right shoulder": ("chest", (-0.02405, 0.2435, 0.18311), slice(24, 28)),
    "right elbow": ("right shoulder", (0.0, -0.274788, 0.0), slice(28, 29)),
    "right wrist": ("right elbow", (0.0, -0.258947, 0.0), slice(0)),
    "left hip": ("root", (0.0, 0.0, -0.084887), slice(29, 33)),
    "left knee": ("left hip", (0.0, -0.421546, 0.0), slice(33, 34)),
    "left ankle": ("left knee", (0.0, -0.40987, 0.0), slice(34, 38)),
    "left toe": ("left ankle", (0.13, -0.03, 0.0), slice(0)),
    "left shoulder": ("chest", (-0.02405, 0.2435, -0.18311), slice(38, 42)),
    "left elbow": ("left shoulder", (0.0, -0.274788, 0.0), slice(42, 43)),
    "left wrist": ("left elbow", (0.0, -0.258947, 0.0), slice(0)),
}
POINTS = tuple(_BODY)

_VALUES = 43
_MOST_BYTES = 4_000_000  # of one motion's file
_MOST_FRAMES = 10_000

Quaternions = Float64[np.ndarray, "frames 4"]
Points = Float64[np.ndarray, "times points 3"]


@dataclass(frozen=True, eq=False)
class Motion:
    """One captured motion: when each frame is, and where every one of `POINTS` is then, in metres."""

    seconds: Float64[np.ndarray, " frames"]
    points: Float64[np.ndarray, "frames points 3"]
    loops: bool
    turn: float
    """Of a motion that loops: how far the body has turned about the vertical at its end, in radians."""

    @property
    def duration_seconds(self) -> float:
        return float(self.seconds[-1])

    def at(self, seconds: Float64[np.ndarray, " times"]) -> Points:
        """The points at these times: beyond its end a motion goes on from where it led to, or stands still."""
        end = self.duration_seconds
        rounds = np.floor_divide(seconds, end).astype(int) if self.loops else np.zeros(len(seconds), int)
        inside = np.clip(seconds - rounds * end, 0.0, end)
        after = np.clip(np.searchsorted(self.seconds, inside, side="right"), 1, len(self.seconds) - 1)
        before = after - 1
        share = (inside - self.seconds[before]) / (self.seconds[after] - self.seconds[before])
        points = self.points[before] + share[:, None, None] * (self.points[after] - self.points[before])
        first, last = self.points[0, 0], self.points[-1, 0]
        about = np.array(
            [[np.cos(self.turn), 0, -np.sin(self.turn)], [0, 1, 0], [np.sin(self.turn), 0, np.cos(self.turn)]]
        )
        for _ in range(int(rounds.max(initial=0))):
            moved = (points - first) @ about + last
            moved[..., 1] = points[..., 1]
            points = np.where((rounds > 0)[:, None, None], moved, points)
            rounds = rounds - 1
        return points


def read_motions(source: Path | None = None) -> dict[str, Motion]:
    """The motion of every class.

    Args:
        source: a folder, wheel or zip file with the files `humanoid3d_*.txt`; by default those of pybullet.

    Raises:
        DataError: pybullet is not installed, or a file is missing or not of DeepMimic's format.
    """
    folder = source or _installed()
    return {name: _parsed(text, place) for name in CLASSES for text, place in [_text(folder, name)]}


def _installed() -> Path:
    package = importlib.util.find_spec("pybullet_data")
    if package is None or package.origin is None:
        raise DataError(
            "mocap15 is made of the motions in the package pybullet, which is not installed; install it with pip "
            "install 'stzoo[mocap]', or, where no wheel is made for this Python, download one for another with pip "
            "download and give it as --motions"
        )
    return Path(package.origin).parent / "data" / "motions"


def _text(source: Path, name: str) -> tuple[bytes, str]:
    file = f"humanoid3d_{name.replace('-', '_')}.txt"
    try:
        if source.is_dir():
            with (source / file).open("rb") as opened:
                return opened.read(_MOST_BYTES), str(source / file)
        with zipfile.ZipFile(source) as archive:
            inside = next((entry for entry in archive.namelist() if entry.rpartition("/")[2] == file), None)
            if inside is None:
                raise DataError(f"{source} holds no {file}; give a folder or wheel with pybullet's motions")
            with archive.open(inside) as opened:
                return opened.read(_MOST_BYTES), f"{source}/{inside}"
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"{file} cannot be read from {source} ({error}); give a folder or wheel with it") from error


def _parsed(text: bytes, place: str) -> Motion:
    try:
        tree = json.loads(text)
        frames = np.array(tree["Frames"], dtype=np.float64)
        loops = tree.get("Loop") == "wrap"
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f"{place} is not a motion file: {error}") from error
    good = frames.ndim == 2 and frames.shape[1] == 1 + _VALUES and 2 <= len(frames) <= _MOST_FRAMES
    if not good or not np.isfinite(frames).all() or not (frames[:-1, 0] > 0).all():
        raise DataError(f"{place} is not a motion file: its frames are not a duration and {_VALUES} numbers each")
    seconds = np.concatenate([[0.0], np.cumsum(frames[:-1, 0])])
    return Motion(seconds, _places(frames[:, 1:]), loops, _turn(frames[0, 4:8], frames[-1, 4:8]))


def _places(values: Float64[np.ndarray, "frames values"]) -> Float64[np.ndarray, "frames points 3"]:
    places: dict[str, Float64[np.ndarray, "frames 3"]] = {}
    turns: dict[str, Quaternions] = {}
    for name, (parent, offset, columns) in _BODY.items():
        turn = _quaternions(values[:, columns])
        if not parent:
            places[name], turns[name] = values[:, :3], turn
            continue
        places[name] = places[parent] + _rotated(turns[parent], np.tile(offset, (len(values), 1)))
        turns[name] = _product(turns[parent], turn)
    return np.stack([places[name] for name in POINTS], axis=1)


def _quaternions(values: Float64[np.ndarray, "frames numbers"]) -> Quaternions:
    """Unit quaternions of four numbers, of an angle about z, or of nothing."""
    count, numbers = values.shape
    unit = np.zeros((count, 4))
    if numbers == 4:
        return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9), np.float64)
    angle = values[:, 0] / 2 if numbers else np.zeros(count)
    unit[:, 0], unit[:, 3] = np.cos(angle), np.sin(angle)
    return unit


def _product(first: Quaternions, second: Quaternions) -> Quaternions:
    scalar = first[:, :1] * second[:, :1] - (first[:, 1:] * second[:, 1:]).sum(axis=1, keepdims=True)
    vector = first[:, :1] * second[:, 1:] + second[:, :1] * first[:, 1:] + np.cross(first[:, 1:], second[:, 1:])
    return np.concatenate([scalar, vector], axis=1)


def _rotated(turn: Quaternions, vectors: Float64[np.ndarray, "frames 3"]) -> Float64[np.ndarray, "frames 3"]:
    twice = 2 * np.cross(turn[:, 1:], vectors)
    return np.asarray(vectors + turn[:, :1] * twice + np.cross(turn[:, 1:], twice), np.float64)


def _turn(first: Float64[np.ndarray, "4"], last: Float64[np.ndarray, "4"]) -> float:
    """The part of the rotation from the first to the last orientation that is about the vertical, in radians."""
    back = _quaternions(first[None]) * np.array([1, -1, -1, -1])
    difference = _product(_quaternions(last[None]), back)[0]
    return float(2 * np.arctan2(difference[2], difference[0]))
