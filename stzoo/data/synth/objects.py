"""Things in front of the camera: moving on their own, standing in the scene, or fixed on screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from stzoo.data.synth.lettering import FONTS, word
from stzoo.data.synth.motions import Poses
from stzoo.data.synth.textures import palette

SIDE = 96  # pixels of a sprite

Sprite = UInt8[np.ndarray, "side side 4"]
Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Thing:
    """One object.

    place: "world" moves with the picture (times `nearness`, which gives parallax), "screen" ignores the camera;
    start, velocity: short sides from the window's centre, at `moment_seconds`; size: short sides; growth: e-folds
    a second; spin: radians a second.
    """

    sprite: Sprite
    place: Literal["world", "screen"]
    moment_seconds: float
    start: tuple[float, float]
    velocity: tuple[float, float]
    size: float
    stretch: float
    growth: float
    angle: float
    spin: float
    nearness: float
    bounce: tuple[float, float]  # short sides, hertz

    def matrix(
        self, seconds: float, poses: Poses, frame: int, moment: int, width: int, height: int
    ) -> Float64[np.ndarray, "2 3"]:
        """The affine map from sprite pixels to window pixels; `moment` is the frame nearest to `moment_seconds`."""
        since = seconds - self.moment_seconds
        x = self.start[0] + self.velocity[0] * since
        y = self.start[1] + self.velocity[1] * since
        y += self.bounce[0] * abs(np.sin(np.pi * self.bounce[1] * since))
        size, angle = self.size * np.exp(self.growth * since), self.angle + self.spin * since
        if self.place == "world":
            x -= self.nearness * (poses.x[frame] - poses.x[moment])
            y -= self.nearness * (poses.y[frame] - poses.y[moment])
            grown = np.exp(self.nearness * (poses.zoom[frame] - poses.zoom[moment]))
            turned = poses.roll[frame] - poses.roll[moment]
            c, s = np.cos(turned), np.sin(turned)
            x, y = grown * (c * x - s * y), grown * (s * x + c * y)
            size, angle = size * grown, angle + turned
        short = min(width, height)
        along, across = size * short / SIDE * self.stretch, size * short / SIDE / self.stretch
        c, s = np.cos(angle), np.sin(angle)
        linear = np.array([[c * along, -s * across], [s * along, c * across]])
        centre = np.array([width / 2 + x * short, height / 2 + y * short])
        return np.concatenate([linear, (centre - linear @ [SIDE / 2, SIDE / 2])[:, None]], axis=1)


def sprite(rng: np.random.Generator) -> Sprite:
    """A flat, shaded, striped or mottled shape: blob, box, ellipse, person, car or cluster."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    colours = palette(rng, 4)
    kind = int(rng.integers(0, 4))
    surface = np.broadcast_to(colours[0], (SIDE, SIDE, 3)).astype(np.float32)
    if kind == 1:
        field = (x * np.cos(rng.uniform(0, 6)) + y) / rng.uniform(4, 16)
        surface = np.where((np.sin(field) > 0)[..., None], colours[0], colours[1])
    elif kind == 2:
        small = rng.random((int(rng.integers(4, 24)),) * 2).astype(np.float32)
        mottle = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
        surface = colours[0] + (colours[1] - colours[0]) * mottle
    elif kind == 3:
        surface = colours[0] * (0.5 + 0.6 * (y / SIDE)[..., None])
    image = np.ascontiguousarray(np.clip(surface, 0, 255).astype(np.uint8))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    dark, light = [[float(c) for c in colours[i]] for i in (2, 3)]
    form = str(rng.choice(["blob", "box", "ellipse", "person", "car", "cluster"]))
    if form == "blob":
        corners = int(rng.integers(5, 12))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radii = rng.uniform(22, 46, corners)
        points = np.stack([48 + radii * np.cos(angles), 48 + radii * np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    elif form == "box":
        cv2.rectangle(mask, (6, 6), (89, 89), 255, -1)
        cv2.rectangle(image, (20, 20), (60, 44), dark, -1)
    elif form == "ellipse":
        cv2.ellipse(mask, (48, 48), (44, 44), 0, 0, 360, 255, -1, cv2.LINE_AA)
        cv2.circle(image, (34, 36), int(rng.integers(4, 14)), light, -1, cv2.LINE_AA)
    elif form == "person":
        cv2.circle(mask, (48, 16), 13, 255, -1, cv2.LINE_AA)
        cv2.ellipse(mask, (48, 50), (20, 26), 0, 0, 360, 255, -1, cv2.LINE_AA)
        spread = int(rng.integers(2, 16))
        cv2.line(mask, (44, 68), (44 - spread, 94), 255, 12, cv2.LINE_AA)
        cv2.line(mask, (52, 68), (52 + spread, 94), 255, 12, cv2.LINE_AA)
        cv2.circle(image, (48, 16), 13, light, -1, cv2.LINE_AA)
        cv2.rectangle(image, (20, 66), (80, 95), dark, -1)
    elif form == "car":
        cv2.rectangle(mask, (3, 42), (92, 74), 255, -1)
        roof = np.array([[20, 44], [34, 24], [70, 24], [82, 44]], np.int32)
        cv2.fillPoly(mask, [roof], 255, cv2.LINE_AA)
        cv2.fillPoly(image, [roof], light, cv2.LINE_AA)
        for wheel in (22, 72):
            cv2.circle(mask, (wheel, 74), 13, 255, -1, cv2.LINE_AA)
            cv2.circle(image, (wheel, 74), 13, dark, -1, cv2.LINE_AA)
    else:
        for _ in range(int(rng.integers(5, 16))):
            spot, radius = (int(rng.integers(16, 80)), int(rng.integers(16, 80))), int(rng.integers(5, 16))
            cv2.circle(mask, spot, radius, 255, -1, cv2.LINE_AA)
            cv2.circle(image, spot, radius, [float(c) for c in colours[int(rng.integers(0, 4))]], -1, cv2.LINE_AA)
    return np.dstack([image, mask])


def sample(rng: np.random.Generator, duration_seconds: float, aspect: float, still: bool) -> tuple[Thing, ...]:
    """Draws the objects of a clip: often none, else one to four that cover at most about 0.3 of the frame together.

    Now and then they are close to the camera and cover up to about 0.6 of the frame.
    aspect: width / height of the window; still: whether the class is `still`, where objects are more frequent and
    closer, for what passes close to a standing camera must not be taken for the camera's own motion.
    """
    if rng.random() > (0.75 if still else 0.5):
        return ()
    count = int(rng.choice([1, 1, 1, 2, 2, 3, 4]))
    close = rng.random() < (0.4 if still else 0.08)
    smallest, largest = (0.25, 0.6) if close else (0.012, 0.3)
    area = float(np.exp(rng.uniform(np.log(smallest), np.log(largest)))) * max(aspect, 1 / aspect)
    wide, high = max(aspect, 1.0) / 2, max(1 / aspect, 1.0) / 2
    common = rng.uniform(0, 2 * np.pi)
    things = []
    for share in rng.dirichlet(np.full(count, 2.0)):
        standing = bool(rng.random() < (0.1 if still else 0.4))
        speed = 0.0 if standing else float(np.exp(rng.uniform(np.log(0.05), np.log(1.4))))
        heading = float(rng.choice([0, np.pi, common, rng.uniform(0, 2 * np.pi)]))
        grows = not standing and rng.random() < 0.25
        upright = rng.random() < 0.6
        things.append(
            Thing(
                sprite=sprite(rng),
                place="world" if standing or rng.random() < 0.7 else "screen",
                moment_seconds=float(rng.uniform(0.15, 0.85) * duration_seconds),
                start=(float(rng.uniform(-wide, wide) * 0.8), float(rng.uniform(-high, high) * 0.8)),
                velocity=(speed * float(np.cos(heading)), speed * float(np.sin(heading)) * 0.7),
                size=float(np.sqrt(area * share * 1.4)),
                stretch=float(np.exp(rng.uniform(-0.35, 0.35))),
                growth=float(rng.uniform(-0.4, 0.4)) if grows else 0.0,
                angle=0.0 if upright else float(rng.uniform(0, 2 * np.pi)),
                spin=0.0 if standing or upright else float(rng.uniform(-1.5, 1.5)),
                nearness=float(rng.uniform(1.0, 1.6)) if standing else 1.0,
                bounce=_bounce(rng),
            )
        )
    return tuple(things)


def _bounce(rng: np.random.Generator) -> tuple[float, float]:
    if rng.random() < 0.6:
        return 0.0, 1.0
    return float(rng.uniform(0.01, 0.12)), float(rng.uniform(0.5, 3))


def draw(frame: Frame, thing: Thing, matrix: Float64[np.ndarray, "2 3"]) -> None:
    """Draws the object into the frame, in place, within its bounding box."""
    height, width = frame.shape[:2]
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]]) @ matrix.T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, [width, height])
    if right - left < 2 or bottom - top < 2:
        return
    shifted = matrix - np.array([[0, 0, left], [0, 0, top]])
    warped = cv2.warpAffine(thing.sprite, shifted, (int(right - left), int(bottom - top)), flags=cv2.INTER_AREA)
    cover = warped[..., 3:].astype(np.uint16)
    region = frame[top:bottom, left:right]
    region[:] = (region * (255 - cover) + warped[..., :3] * cover + 127) // 255


def overlay(rng: np.random.Generator, width: int, height: int) -> UInt8[np.ndarray, "height width 4"]:
    """A picture fixed on screen: caption, logo, time stamp or a dashboard along one edge; RGB and cover."""
    layer = np.zeros((height, width, 4), np.uint8)
    colour = [float(c) for c in palette(rng, 1)[0]] + [float(rng.uniform(130, 255))]
    kind = str(rng.choice(["caption", "logo", "edge"]))
    short = min(width, height)
    if kind == "caption":
        line = int(rng.choice([0.15, 0.9]) * height)
        white = [255.0, 255.0, 255.0, 255.0]
        place = (int(rng.integers(2, max(3, width // 3))), line + 4)
        if rng.random() < 0.5:
            cv2.rectangle(layer, (0, line - 7), (width, line + 8), colour, -1)
        cv2.putText(layer, word(rng, 6, 16), place, int(rng.choice(FONTS[:2])), short / 260, white, 1, cv2.LINE_AA)
    elif kind == "logo":
        spot = (int(width * rng.choice([0.12, 0.88])), int(height * rng.choice([0.12, 0.88])))
        cv2.circle(layer, spot, int(short * rng.uniform(0.04, 0.1)), colour, -1, cv2.LINE_AA)
        cv2.putText(layer, word(rng, 1, 2), (spot[0] - 6, spot[1] + 4), FONTS[0], 0.35, (255, 255, 255, 255), 1)
    else:
        depth = float(rng.uniform(0.06, 0.22))
        edge = str(rng.choice(["low", "left", "right"]))
        along = np.linspace(-0.1, 1.1, 8)
        reach = depth * rng.uniform(0.5, 1.3, 8)
        points = np.stack([along * width, height * (1 - reach)], axis=1)
        outside = np.array([[1.1 * width, 1.1 * height], [-0.1 * width, 1.1 * height]])
        if edge != "low":
            inward = reach * width if edge == "left" else width * (1 - reach)
            points = np.stack([inward, along * height], axis=1)
            far = -0.1 * width if edge == "left" else 1.1 * width
            outside = np.array([[far, 1.1 * height], [far, -0.1 * height]])
        colour[3] = 255.0
        cv2.fillPoly(layer, [np.concatenate([points, outside]).astype(np.int32)], colour, cv2.LINE_AA)
    return layer
