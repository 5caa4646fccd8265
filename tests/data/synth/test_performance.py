from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stzoo.data.synth.appearance import Look
from stzoo.data.synth.mocap import read_motions
from stzoo.data.synth.performance import film, plan

PICTURE = np.full((480, 640, 3), 128, np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_the_whole_body_is_in_the_central_square(motion_files: Path, seed: int) -> None:
    drawn = plan((0, 2, seed))
    shot = replace(drawn, frames=12, look=Look(), shake=0.0, body=replace(drawn.body, shadow=0.0))
    frames = film(shot, read_motions(motion_files)["run"], PICTURE)
    assert frames.shape == (12, shot.height, shot.width, 3)
    rows, columns = np.nonzero((frames != 128).any(axis=(0, 3)))
    side = min(shot.width, shot.height)
    left, top = (shot.width - side) // 2, (shot.height - side) // 2
    assert top <= rows.min() < rows.max() < top + side
    assert left <= columns.min() < columns.max() < left + side
    extent = max(np.ptp(rows), np.ptp(columns)) / side
    assert 0.3 < extent <= shot.fill
    assert len(np.unique(frames, axis=0)) > 1


def test_a_clip_follows_from_its_seeds_and_the_action_is_no_part_of_them(motion_files: Path) -> None:
    motions = read_motions(motion_files)
    shot = replace(plan((7, 2, 1)), frames=3)
    assert np.array_equal(film(shot, motions["run"], PICTURE), film(shot, motions["run"], PICTURE))
    assert not np.array_equal(film(shot, motions["run"], PICTURE), film(shot, motions["backflip"], PICTURE))
    assert shot.azimuth == plan((7, 2, 1)).azimuth != plan((7, 2, 2)).azimuth


def test_a_motion_that_ends_begins_early_enough_to_be_seen(motion_files: Path) -> None:
    motions = read_motions(motion_files)
    late = replace(plan((0, 2, 3)), frames=6, start=1.0, look=Look(), shake=0.0)
    frames = film(late, motions["getup-faceup"], PICTURE).astype(int)
    assert np.abs(np.diff(frames, axis=0)).max() > 0
