"""From a camera's pose to the homography that takes window pixels to picture pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from stzoo.data.synth.motions import Motion, Poses
from stzoo.data.synth.textures import HEIGHT, WIDTH

Matrix = Float64[np.ndarray, "3 3"]

_MOST_ROTATION = np.deg2rad(32.0)  # over a whole clip; beyond it the plane that is filmed would be seen edge-on


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in front of a picture on a plane.

    focal: in short sides of the window; rotation_share: how much of a turn is rotation, the rest is sideways motion;
    dolly_share: how much of an approach is motion, the rest is focal length; focus: where on screen the approach
    heads for; tilt: how the plane leans (radians about y and about x); scale: picture pixels a short side;
    centre: picture pixel under the camera in the middle of the clip.
    """

    focal: float
    rotation_share: float
    dolly_share: float
    focus: tuple[float, float]
    tilt: tuple[float, float]
    scale: float
    centre: tuple[float, float]

    def homography(self, poses: Poses, frame: int, width: int, height: int) -> Matrix:
        """Maps pixel centres of a window of `width` x `height` to pixels of the picture."""
        short = min(width, height)
        zoom, roll = float(poses.zoom[frame]), float(poses.roll[frame])
        yaw = self.rotation_share * float(poses.x[frame]) / self.focal
        pitch = self.rotation_share * float(poses.y[frame]) / self.focal
        near = np.exp(zoom * self.dolly_share)
        lens = self.focal * np.exp(zoom * (1 - self.dolly_share))
        position = np.array(
            [
                (1 - self.rotation_share) * poses.x[frame] - self.focus[0] * (1 / near - 1),
                (1 - self.rotation_share) * poses.y[frame] - self.focus[1] * (1 / near - 1),
                self.focal * (1 - 1 / near),
            ]
        )
        rays = np.array(
            [[1 / short, 0, (0.5 - width / 2) / short], [0, 1 / short, (0.5 - height / 2) / short], [0, 0, lens]]
        )
        toward = _turn_y(yaw) @ _turn_x(pitch) @ _turn_z(-roll) @ rays
        lean = _turn_y(self.tilt[0]) @ _turn_x(self.tilt[1])
        right, down, normal = lean[:, 0], lean[:, 1], lean[:, 2]
        offset = position - np.array([0, 0, self.focal])
        reach = -normal @ offset
        plane = np.stack(
            [
                (right @ offset) * normal + reach * right,
                (down @ offset) * normal + reach * down,
                normal,
            ]
        )
        into = np.array([[self.scale, 0, self.centre[0]], [0, self.scale, self.centre[1]], [0, 0, 1]])
        return np.asarray(into @ plane @ toward, np.float64)


def _turn_y(angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _turn_x(angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]])


def _turn_z(angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def sample(motion: Motion, aspect: float, rng: np.random.Generator) -> Camera:
    """Draws a camera for a path: lens, perspective, and which part of the picture it films.

    aspect: width / height of the window. The path stays inside the picture where it can; where it cannot, the
    picture is continued by its mirror image.
    """
    ends = motion.at(np.linspace(0, motion.duration_seconds, 33))
    focal = float(0.5 / np.tan(np.deg2rad(rng.uniform(25, 62)) / 2))
    share = float(rng.uniform(0.3, 1.0)) if rng.random() < 0.55 else 0.0
    way = max(np.ptp(ends.x), np.ptp(ends.y), 1e-6)
    share = min(share, float(_MOST_ROTATION * focal / way))
    tilt = (0.0, 0.0)
    if rng.random() < 0.4:
        tilt = (float(np.deg2rad(rng.uniform(-10, 10))), float(np.deg2rad(rng.uniform(-10, 10))))
    dolly = float(rng.choice([0.0, 1.0, rng.uniform(0, 1)]))
    focus = (0.0, 0.0)
    if rng.random() < 0.5:
        focus = (float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-0.2, 0.2)))
    shrink, grow = float(np.exp(-ends.zoom.min())), float(np.exp(-ends.zoom.max()))
    widest = rng.uniform(0.7, 1.1) if motion.axis == "zoom" else rng.uniform(0.38, 0.8)
    scale = HEIGHT * widest / shrink
    scale = max(scale, 0.22 * HEIGHT / grow)
    spare = []
    for size, side, path in ((WIDTH, max(aspect, 1.0), ends.x), (HEIGHT, max(1 / aspect, 1.0), ends.y)):
        room = max((size - scale * (shrink * side + np.ptp(path))) / 2, 0.08 * size)
        spare.append(size / 2 - scale * (path.max() + path.min()) / 2 + rng.uniform(-room, room))
    return Camera(focal, share, dolly, focus, tilt, float(scale), (float(spare[0]), float(spare[1])))
