"""The light on its way into the file."""

from __future__ import annotations

import numpy as np

from stzoo.data.synth.appearance import Developer, Look

GREY = np.full((40, 60, 3), 120, np.uint8)


def develop(look: Look, index: int = 0, frames: int = 5) -> np.ndarray:
    developer = Developer(look, frames, 60, 40, np.random.default_rng(0))
    image = developer(GREY.copy(), index)
    developer.frame_up(image)
    return image


def test_nothing_asked_for_changes_nothing() -> None:
    assert (np.abs(develop(Look()).astype(int) - GREY) <= 1).all()


def test_each_nuisance_does_what_its_name_says() -> None:
    assert develop(Look(gain=1.3)).mean() > 140
    assert develop(Look(gain_drift=-0.3), index=4).mean() < develop(Look(gain_drift=-0.3)).mean() - 20
    red, green, blue = develop(Look(balance=(1.2, 1.0, 0.8))).mean(axis=(0, 1))
    assert red > green > blue
    assert 3 < develop(Look(noise=5.0)).std() < 9
    vignette = develop(Look(vignette=0.5))
    assert vignette[0, 0, 0] < vignette[20, 30, 0] - 30
    bars = develop(Look(bars=(0.1, 0.0)))
    assert not bars[:4].any()
    assert not bars[-4:].any()
    assert bars[4:-4].all()
    pillars = develop(Look(bars=(0.0, 0.1)))
    assert not pillars[:, :6].any()
    assert pillars[:, 6:-6].all()


def test_noise_differs_from_frame_to_frame() -> None:
    developer = Developer(Look(noise=5.0), 2, 60, 40, np.random.default_rng(0))
    assert (developer(GREY.copy(), 0) != developer(GREY.copy(), 1)).any()
