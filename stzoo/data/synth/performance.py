"""One clip of `mocap15`: a drawn body that moves as somebody was captured, filmed over a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from stzoo.data.synth import appearance, figure, render
from stzoo.data.synth.mocap import Motion
from stzoo.data.synth.textures import Picture

_RATES = ("15", "24", "25", "30")
_ASPECTS = (4 / 3, 16 / 9, 1.0, 3 / 4)
_LONG_WAY = 1.5  # metres


@dataclass(frozen=True, eq=False)
class Shot:
    """All that decides a clip's pixels but the motion and the picture. Angles are in radians, lengths in metres."""

    rate: str
    frames: int
    width: int
    height: int
    start: float
    """Where in the motion the clip begins, from 0 to 1."""
    speed: float
    """Of the captured motion's own."""
    mirrored: bool
    body: figure.Body
    azimuth: float
    elevation: float
    roll: float
    distance: float
    follow: float
    """How much of the body's way over the ground the camera goes along, at least; most of a long way."""
    fill: float
    """The part of the frame's central square that the body takes over the whole clip."""
    place: tuple[float, float]
    """Where in the rest of that square it is: -1 to 1, right and down."""
    shake: float
    """Amplitude of the camera's trembling, in parts of the frame's height."""
    zoom: float
    """The part of the picture's height that the frame shows."""
    corner: tuple[float, float]
    """Where in the rest of the picture that part is, from 0 to 1."""
    look: appearance.Look
    quality: int
    most_bytes: int
    seeds: tuple[int, ...]


def plan(seeds: tuple[int, ...]) -> Shot:
    """Draws everything about a clip from its seeds alone; the action has no part in it."""
    rng = generator(seeds)
    rate = str(rng.choice(_RATES))
    fps = float(render.RATES[rate])
    aspect = float(rng.choice(_ASPECTS, p=[0.4, 0.3, 0.15, 0.15]))
    short = int(rng.choice([80, 88, 96, 104]))
    return Shot(
        rate=rate,
        frames=round(float(rng.uniform(1.8, 2.8)) * fps),
        width=2 * round(short * max(aspect, 1.0) / 2),
        height=2 * round(short * max(1 / aspect, 1.0) / 2),
        start=float(rng.random()),
        speed=float(rng.uniform(0.8, 1.25)),
        mirrored=bool(rng.random() < 0.5),
        body=figure.sample(rng),
        azimuth=float(rng.uniform(0, 2 * math.pi)),
        elevation=float(rng.uniform(-0.05, 0.55)),
        roll=float(rng.normal(0, 0.03)),
        distance=float(rng.uniform(2.8, 7.0)),
        follow=float(rng.choice([0.0, 0.8, 1.0], p=[0.4, 0.2, 0.4])),
        fill=float(rng.uniform(0.72, 0.98)),
        place=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        shake=float(rng.uniform(0, 0.012)) if rng.random() < 0.5 else 0.0,
        zoom=float(rng.uniform(0.4, 0.9)),
        corner=(float(rng.random()), float(rng.random())),
        look=appearance.sample(rng),
        quality=int(rng.integers(20, 34)),
        most_bytes=int(np.clip(rng.lognormal(np.log(14_000), 0.3), 8_000, 24_000)),
        seeds=seeds,
    )


def film(shot: Shot, motion: Motion, picture: Picture) -> render.Frames:
    """The frames of the clip."""
    rng = generator((*shot.seeds, 1))
    width, height = 2 * shot.width, 2 * shot.height  # drawn twice as finely
    held = np.arange(shot.frames) // shot.look.hold * shot.look.hold / float(render.RATES[shot.rate])
    points = motion.at(_begin(shot, motion) + held * shot.speed) * shot.body.stature
    if shot.mirrored:
        points = points * np.array([1, 1, -1])
    roots = points[:, 0]
    middle = roots.mean(axis=0)
    way = (roots - middle) * np.array([1, 0, 1])
    follow = max(shot.follow, 0.8) if np.ptp(way, axis=0).max() > _LONG_WAY else shot.follow
    targets = middle + follow * way
    axes = _axes(shot)
    ground = points * np.array([1, 0, 1])
    focal, spot = _fitted(shot, axes, points, targets, width, height)
    trembling = shot.shake * height * np.stack([_wave(rng, shot.frames) for _ in range(2)], axis=1)
    view = figure.View(axes, shot.distance, focal, spot)
    places, depth = view.seen(points, targets)
    below, below_depth = view.seen(ground, targets)
    along = focal * ((targets - middle) @ axes[:2].T) / (2.5 * shot.distance)
    scale = shot.zoom * min(picture.shape[0] / height, picture.shape[1] / width)
    rest = np.array([picture.shape[1], picture.shape[0]]) - scale * np.array([width, height])
    develop = appearance.Developer(shot.look, shot.frames, shot.width, shot.height, rng)
    frames = np.empty((shot.frames, shot.height, shot.width, 3), np.uint8)
    for index in range(shot.frames):
        start = rest * shot.corner + scale * (along[index] - trembling[index])
        into = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
        canvas = np.asarray(
            cv2.warpAffine(
                picture,
                into,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        )
        if shot.body.shadow:
            figure.draw_shadow(canvas, shot.body, below[index] + trembling[index], below_depth[index], focal)
        figure.draw(canvas, shot.body, places[index] + trembling[index], depth[index], focal)
        small = np.asarray(cv2.resize(canvas, (shot.width, shot.height), interpolation=cv2.INTER_AREA), np.uint8)
        frames[index] = develop(small, index)
        develop.frame_up(frames[index])
    return frames


def generator(seeds: tuple[int, ...]) -> np.random.Generator:
    """Random numbers that follow from the seeds alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))


def _begin(shot: Shot, motion: Motion) -> float:
    """When in the motion the clip begins, in its seconds: of one that does not loop so early that it is still seen."""
    if motion.loops:
        return shot.start * motion.duration_seconds
    length = shot.frames / float(render.RATES[shot.rate]) * shot.speed
    return shot.start * max(0.15 * motion.duration_seconds, motion.duration_seconds - length)


def _axes(shot: Shot) -> Float64[np.ndarray, "3 3"]:
    """The camera's right, down and forward."""
    flat = math.cos(shot.elevation)
    forward = np.array([flat * math.cos(shot.azimuth), -math.sin(shot.elevation), flat * math.sin(shot.azimuth)])
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cosine, sine = math.cos(shot.roll), math.sin(shot.roll)
    return np.stack([cosine * right + sine * down, cosine * down - sine * right, forward])


def _fitted(
    shot: Shot,
    axes: Float64[np.ndarray, "3 3"],
    points: Float64[np.ndarray, "times points 3"],
    targets: Float64[np.ndarray, "times 3"],
    width: int,
    height: int,
) -> tuple[float, Float64[np.ndarray, "2"]]:
    """Focal length and place of the target, in pixels, with which the body never leaves the central square."""
    plain = figure.View(axes, shot.distance, 1.0, np.zeros(2))
    places, depth = plain.seen(points, targets)
    thick = 0.16 / float(depth.min())
    low, high = places.min(axis=(0, 1)) - thick, places.max(axis=(0, 1)) + thick
    side = min(width, height)
    focal = shot.fill * side / float((high - low).max())
    free = side - focal * (high - low)
    centre = np.array([width, height]) / 2 - focal * (low + high) / 2
    return focal, centre + 0.45 * free * np.array(shot.place)


def _wave(rng: np.random.Generator, frames: int) -> Float64[np.ndarray, " frames"]:
    time = np.arange(frames) / frames
    return np.asarray(
        sum(np.sin(2 * np.pi * (rng.uniform(1, 6) * time + rng.random())) for _ in range(3)) / 3, np.float64
    )
