"""Draws a body into frames: rounded limbs, shaded by one light, with depth and a shadow on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from stzoo.data.synth.mocap import POINTS, Points
from stzoo.data.synth.textures import palette

# A limb: where it begins and ends, its radius in metres at both, and what covers it.
_LIMBS = (
    ("root", "chest", 0.115, 0.13, "shirt"),
    ("chest", "neck", 0.135, 0.095, "shirt"),
    ("right shoulder", "left shoulder", 0.07, 0.07, "shirt"),
    ("right hip", "left hip", 0.1, 0.1, "trousers"),
    ("neck", "head", 0.055, 0.06, "skin"),
    ("head", "head", 0.115, 0.115, "head"),
    *(
        (f"{side} {begin}", f"{side} {end}", wide, narrow, cover)
        for side in ("right", "left")
        for begin, end, wide, narrow, cover in (
            ("hip", "knee", 0.09, 0.065, "trousers"),
            ("knee", "ankle", 0.06, 0.042, "shins"),
            ("ankle", "toe", 0.045, 0.035, "shoes"),
            ("shoulder", "elbow", 0.055, 0.042, "sleeves"),
            ("elbow", "wrist", 0.04, 0.032, "skin"),
            ("wrist", "wrist", 0.045, 0.045, "skin"),
        )
    ),
)
_COVERS = ("shirt", "trousers", "skin", "head", "shins", "shoes", "sleeves")
_ENDS = np.array([[POINTS.index(begin), POINTS.index(end)] for begin, end, *_ in _LIMBS])
_RADII = np.array([limb[2:4] for limb in _LIMBS])

Canvas = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, eq=False)
class Body:
    """How one person looks. Radii are in metres, colours from 0 to 255."""

    stature: float
    """Of the captured person's height."""
    radii: Float64[np.ndarray, "limbs 2"]
    colours: Float64[np.ndarray, "limbs 3"]
    light: Float64[np.ndarray, "3"]
    """Towards the light, in the camera's view: right, down, away from it."""
    ambient: float
    """Brightness where no light falls."""
    shadow: float
    """How much of the ground's light the body takes."""


def sample(rng: np.random.Generator) -> Body:
    """Draws a person and the light on them."""
    clothes = palette(rng, len(_COVERS)).astype(np.float64)
    covers = dict(zip(_COVERS, clothes, strict=True))
    covers["skin"] = np.array([233.0, 190.0, 160.0]) * rng.uniform(0.25, 1.08) * rng.uniform(0.94, 1.06, 3)
    if rng.random() < 0.6:
        covers["head"] = covers["skin"]
    covers["shins"] = covers["skin"] if rng.random() < 0.3 else covers["trousers"]
    covers["sleeves"] = covers["skin"] if rng.random() < 0.4 else covers["shirt"]
    light = np.array([rng.normal(0, 0.6), -abs(rng.normal(0.8, 0.3)), -abs(rng.normal(0.7, 0.3))])
    return Body(
        stature=float(rng.uniform(0.88, 1.1)),
        radii=_RADII * rng.uniform(0.8, 1.35) * rng.uniform(0.92, 1.08, (len(_LIMBS), 1)),
        colours=np.clip(np.stack([covers[limb[4]] for limb in _LIMBS]), 40, 255),
        light=np.asarray(light / np.linalg.norm(light), np.float64),
        ambient=float(rng.uniform(0.45, 0.75)),
        shadow=float(rng.uniform(0.15, 0.55)) if rng.random() < 0.8 else 0.0,
    )


@dataclass(frozen=True, eq=False)
class View:
    """A camera that looks at a target, which may move: what it sees of points in metres."""

    axes: Float64[np.ndarray, "3 3"]
    """Its right, down and forward, each a row."""
    distance: float
    """To the target, in metres."""
    focal: float
    """In widths of a pixel."""
    middle: Float64[np.ndarray, "2"]
    """Where the target is in the picture, in pixels."""

    def seen(
        self, points: Points, targets: Float64[np.ndarray, "times 3"]
    ) -> tuple[Float64[np.ndarray, "times points 2"], Float64[np.ndarray, "times points"]]:
        """Pixels (right, down), and the distance from the camera in metres."""
        turned = (points - targets[:, None]) @ self.axes.T
        depth = np.maximum(turned[..., 2] + self.distance, 0.3)
        return self.middle + self.focal * turned[..., :2] / depth[..., None], depth


def draw(
    canvas: Canvas,
    body: Body,
    places: Float64[np.ndarray, "points 2"],
    depth: Float64[np.ndarray, " points"],
    focal: float,
) -> None:
    """Draws the body into the canvas, in place, from its points as `View.seen` gives them."""
    height, width = canvas.shape[:2]
    nearest = np.full((height, width), np.inf, np.float32)
    for (begin, end), radii, colour in zip(_ENDS, body.radii, body.colours, strict=True):
        ends, far = places[[begin, end]], depth[[begin, end]]
        wide = focal * radii / far
        low = np.maximum(np.floor((ends - wide[:, None]).min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil((ends + wide[:, None]).max(axis=0)).astype(int) + 1, [width, height])
        if (high <= low).any():
            continue
        window = np.s_[low[1] : high[1], low[0] : high[0]]
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        along = ends[1] - ends[0]
        share = (x - ends[0, 0]) * along[0] + (y - ends[0, 1]) * along[1]
        share = np.clip(share / max(float(along @ along), 1e-9), 0, 1)
        radius = wide[0] + share * (wide[1] - wide[0])
        across, down = x - ends[0, 0] - share * along[0], y - ends[0, 1] - share * along[1]
        rise = radius**2 - across**2 - down**2
        lift = np.sqrt(np.maximum(rise, 0))
        away = far[0] + share * (far[1] - far[0]) - lift * far[0] / focal
        shown = (rise > 0) & (away < nearest[window])
        lit = np.maximum((across * body.light[0] + down * body.light[1] - lift * body.light[2]) / radius, 0)
        shade = np.minimum(body.ambient + (1 - body.ambient) * lit, 1)[..., None] * colour
        canvas[window][shown] = shade[shown].astype(np.uint8)
        nearest[window][shown] = away[shown]


def draw_shadow(
    canvas: Canvas,
    body: Body,
    places: Float64[np.ndarray, "points 2"],
    depth: Float64[np.ndarray, " points"],
    focal: float,
) -> None:
    """Darkens the canvas, in place, below a body whose points have been put on the ground."""
    cover: Float32[np.ndarray, "height width"] = np.zeros(canvas.shape[:2], np.float32)
    for (begin, end), radii in zip(_ENDS, body.radii, strict=True):
        thick = max(1, round(2 * focal * float(radii.mean()) / float(depth[begin])))
        ends = [(round(float(x)), round(float(y))) for x, y in places[[begin, end]]]
        cv2.line(cover, ends[0], ends[1], 1.0, thick)
    soft = cv2.GaussianBlur(cover, (0, 0), max(1.0, 0.02 * focal / float(depth.mean())))
    canvas[:] = (canvas * (1 - body.shadow * np.asarray(soft)[..., None])).astype(np.uint8)
