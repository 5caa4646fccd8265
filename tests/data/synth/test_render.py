"""What the frames really show, measured with optical flow, and the files they end in."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stzoo.data.synth import motions, pictures, render

SEED = 5


def measured(frames: np.ndarray) -> np.ndarray | None:
    """The picture's motion between neighbouring frames: right, down (short sides), log growth, clockwise turn.

    None where too few corners can be followed.
    """
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    centre = np.array([frames.shape[2], frames.shape[1]]) / 2
    steps = []
    for before, after in itertools.pairwise(grey):
        corners = cv2.goodFeaturesToTrack(before, 120, 0.01, 4)
        if corners is None or len(corners) < 12:
            return None
        found, followed, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
        good = followed[:, 0] == 1
        if good.sum() < 10:
            return None
        affine, _ = cv2.estimateAffinePartial2D(corners[good], found[good], ransacReprojThreshold=1.0)
        if affine is None:
            return None
        shift = (affine[:, :2] @ centre + affine[:, 2] - centre) / min(frames.shape[1:3])
        steps.append([*shift, np.log(np.hypot(affine[0, 0], affine[1, 0])), np.arctan2(affine[1, 0], affine[0, 0])])
    return np.array(steps)


SIGNS = {
    "turn-left": (0, 1),
    "turn-right": (0, -1),
    "turn-up": (1, 1),
    "turn-down": (1, -1),
    "approach": (2, 1),
    "move-away": (2, -1),
    "roll-clockwise": (3, 1),
    "roll-counterclockwise": (3, -1),
}


@pytest.mark.parametrize("name", SIGNS)
def test_the_picture_moves_on_screen_as_the_class_says(name: str) -> None:
    known, _ = pictures.catalogue()
    axis, sign = SIGNS[name]
    results = []
    for take in range(4):
        picture = pictures.draw(known[8 * take], 0)  # photographs: corners to follow everywhere
        shot = render.plan(name, (SEED, 2, take))
        moved = measured(render.film(shot, picture))
        if moved is not None:
            results.append(sign * moved[:, axis].sum())
    assert len(results) >= 2
    assert min(results) > 0.02


@pytest.mark.parametrize("take", [0, 1, 2])
def test_shaking_goes_to_and_fro_and_standing_still_does_not(take: int) -> None:
    picture = pictures.photograph("astronaut")
    ways = {}
    for name in ("shake", "still"):
        shot = dataclasses.replace(render.plan(name, (SEED, 2, take)), things=(), overlay=None)
        steps = measured(render.film(shot, picture))
        assert steps is not None
        path = steps[:, :2].cumsum(axis=0)
        assert np.abs(path[-1]).max() < 0.2
        ways[name] = float(np.abs(steps[:, :2]).sum(axis=0).max() / shot.motion.duration_seconds)
    assert ways["shake"] > 0.1
    assert ways["still"] < 0.5 * ways["shake"]


def test_the_same_seeds_give_the_same_bytes_and_others_do_not(tmp_path: Path) -> None:
    picture = pictures.draw(pictures.catalogue()[0][1], 0)
    contents: dict[tuple[int, ...], set[bytes]] = {(1, 2, 1): set(), (1, 2, 2): set()}
    for seeds, different in contents.items():
        shot = render.plan("turn-left", seeds)
        frames = render.film(shot, picture)
        assert (frames == render.film(shot, picture)).all()
        for take in range(4):
            path = tmp_path / f"{seeds[2]}-{take}.mp4"
            render.encode(frames, render.RATES[shot.rate], shot.quality, shot.most_bytes, path)
            different.add(path.read_bytes())
    assert [len(different) for different in contents.values()] == [1, 1]
    assert contents[1, 2, 1] != contents[1, 2, 2]


def test_a_file_holds_the_frames_at_their_rate_within_its_bytes(tmp_path: Path) -> None:
    picture = pictures.photograph("grass")
    shot = render.plan("roll-clockwise", (SEED, 2, 9))
    frames = render.film(shot, picture)
    render.encode(frames, render.RATES[shot.rate], 10, 9_000, tmp_path / "x.mp4")
    assert (tmp_path / "x.mp4").stat().st_size <= 9_000
    with av.open(str(tmp_path / "x.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == render.RATES[shot.rate]
        assert stream.codec_context.name == "h264"
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == shot.frames
    assert np.abs(decoded[0].astype(float) - frames[0]).mean() < 30


def test_the_plans_are_varied() -> None:
    shots = [render.plan(motions.CLASSES[i % 10], (SEED, 2, i)) for i in range(250)]
    assert {shot.rate for shot in shots} == set(render.RATES)
    assert {np.sign(shot.width - shot.height) for shot in shots} == {-1, 0, 1}
    assert all(shot.width % 2 == 0 and shot.height % 2 == 0 for shot in shots)
    assert 1.6 <= min(s.motion.duration_seconds for s in shots) < max(s.motion.duration_seconds for s in shots) <= 3.25
    for nuisance in ("noise", "blur", "shutter", "vignette", "grey", "gain_drift", "flicker"):
        share = np.mean([getattr(shot.look, nuisance) != 0 for shot in shots])
        assert 0.02 < share < 0.8
    assert 0.3 < np.mean([bool(shot.things) for shot in shots]) < 0.8
    assert any(shot.overlay is not None for shot in shots)
    assert any(max(shot.look.bars) > 0 for shot in shots)
