from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional

from stzoo.contract import InputContract
from stzoo.errors import UsageError
from stzoo.video.frames import _square, crop_at, crops_along, normalise, resize_and_crop, resized


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.data())
def test_any_frame_becomes_a_square_of_the_asked_size(height: int, width: int, short: int, data: st.DataObject) -> None:
    crop = data.draw(st.integers(1, short))
    frame = np.full((height, width, 3), 77, dtype=np.uint8)
    square = resize_and_crop(frame, short, crop)
    assert square.shape == (crop, crop, 3)
    assert square.dtype == np.uint8
    assert square.flags.c_contiguous
    assert (square == 77).all()


def test_at_the_same_size_pixels_are_untouched() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_and_crop(frame, 32, 32), frame[:, 8:40])
    np.testing.assert_array_equal(resize_and_crop(frame, 32, 20), frame[6:26, 14:34])


def test_shrinking_by_a_whole_factor_is_the_mean_of_blocks() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    means = frame[:, 10:50].reshape(20, 2, 20, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize_and_crop(frame, 20, 20) - means).max() <= 0.5


def test_enlarging_is_bilinear() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (10, 10, 3), dtype=np.uint8)
    expected = cv2.resize(frame, (25, 25), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resize_and_crop(frame, 25, 25), expected)


def test_views_that_are_not_contiguous_are_fine() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        resize_and_crop(np.rot90(frame), 16, 12), resize_and_crop(np.rot90(frame).copy(), 16, 12)
    )


def test_an_extreme_aspect_ratio_costs_no_memory() -> None:
    assert resize_and_crop(np.zeros((1, 60_000, 3), np.uint8), 256, 224).shape == (224, 224, 3)


@pytest.mark.parametrize("crop", [0, 17])
def test_a_crop_that_does_not_fit_is_refused(crop: int) -> None:
    with pytest.raises(UsageError, match=f"crop {crop} pixels"):
        resize_and_crop(np.zeros((20, 20, 3), np.uint8), 16, crop)


def test_normalise_is_the_formula_in_the_order_of_the_nets() -> None:
    contract = InputContract(frames=2, fps=1.0, resize=8, crop=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    clips = np.random.default_rng(4).integers(0, 256, (3, 2, 8, 9, 3), dtype=np.uint8)
    normal = normalise(clips, contract)
    assert normal.shape == (3, 3, 2, 8, 9)
    assert normal.dtype == np.float32
    assert normal.flags.c_contiguous
    expected = (clips / 255 - np.array(contract.mean)) / np.array(contract.std)
    np.testing.assert_allclose(normal, expected.transpose(0, 4, 1, 2, 3), atol=2e-6)


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([0.125, 0.5, 10 / 11, 1.0, 16 / 11, 2.0, 8.0]))
def test_pixels_that_are_not_square_are_shown_as_squares(height: int, width: int, aspect: float) -> None:
    """The frame holds its own coordinates as shown; a square of it must look square and lie in the centre."""
    rows, columns = _square(height, width, aspect, 0.5)
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    assert 0 <= rows.start < rows.stop <= height
    assert 0 <= columns.start < columns.stop <= width
    assert abs(tall - wide * aspect) <= 0.5 + aspect / 2 or tall == 1 or wide == 1
    assert tall == height or wide == width
    assert abs((height - rows.stop) - rows.start) <= 1
    assert abs((width - columns.stop) - columns.start) <= 1


def test_wide_pixels_and_their_square_copy_give_the_same_picture() -> None:
    ramp = np.linspace(0, 255, 192)[None, :] * np.linspace(0.2, 1, 96)[:, None]
    shown = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    stored = shown.reshape(96, 96, 2, 3).mean(axis=2).astype(np.uint8)
    square, wide = resize_and_crop(shown, 48, 32), resize_and_crop(stored, 48, 32, pixel_aspect=2.0)
    assert np.abs(square.astype(int) - wide).max() <= 2


def seeing(resize: int | tuple[int, int], crop: int, crops: int = 1, interpolation: str = "area") -> InputContract:
    return InputContract(frames=1, stride_frames=1, resize=resize, crop=crop, crops=crops, interpolation=interpolation)


@given(st.integers(8, 60), st.integers(8, 60), st.integers(8, 16), st.sampled_from([0.5, 1.0, 2.0]))
def test_three_crops_are_the_centre_and_both_ends_of_the_long_side(
    height: int, width: int, crop: int, aspect: float
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    first, centre, last = crops_along(frame, seeing(16, crop, 3), aspect)
    np.testing.assert_array_equal(centre, resize_and_crop(frame, 16, crop, aspect))
    np.testing.assert_array_equal(crops_along(frame, seeing(16, crop), aspect), centre[None])
    mirrored = crops_along(np.ascontiguousarray(np.rot90(frame, 2)), seeing(16, crop, 3), aspect)
    if (16 - crop) % 2 == 0:  # a margin that cannot be halved is a pixel wider on one side
        np.testing.assert_allclose(np.rot90(mirrored[0], 2), last.astype(int), atol=2)
        np.testing.assert_allclose(np.rot90(mirrored[2], 2), first.astype(int), atol=2)


@pytest.mark.parametrize("turned", [False, True])
def test_crops_reach_the_ends(turned: bool) -> None:
    ramp = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    crops = crops_along(ramp.transpose(1, 0, 2) if turned else ramp, seeing(20, 16, 3))
    positions = crops.transpose(0, 2, 1, 3) if turned else crops
    assert positions[:, 0, 0, 0].tolist() == [0, 22, 44]
    assert positions[:, 0, -1, 0].tolist() == [15, 37, 59]


@pytest.fixture(scope="module")
def two_threads() -> Iterator[None]:
    """torch's kernel for resizing rounds in another order with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
@settings(max_examples=40)
@given(
    st.integers(20, 200),
    st.integers(20, 200),
    st.sampled_from([80, (80, 80), (64, 107), (128, 171)]),
    st.integers(8, 64),
)
def test_bilinear_is_torchvisions_transform_to_the_bit(
    height: int, width: int, resize: int | tuple[int, int], crop: int
) -> None:
    """Reference: torchvision's `VideoClassification`, which resizes, rounds to uint8, and crops the centre."""
    frame = np.random.default_rng(height * 71 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    sides = [resize] if isinstance(resize, int) else list(resize)
    theirs = functional.center_crop(
        functional.resize(torch.from_numpy(frame).permute(2, 0, 1)[None], sides, antialias=False), [crop, crop]
    )
    ours = crop_at(frame, seeing(resize, crop, interpolation="bilinear"))
    difference = np.abs(ours.astype(int) - theirs[0].permute(1, 2, 0).numpy())
    rounded_once = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    assert difference.max() <= (0 if rounded_once else 1)


def test_bilinear_crops_reach_both_ends_of_the_long_side() -> None:
    ramp = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    for frame in (ramp, ramp.transpose(1, 0, 2)):
        crops = crops_along(frame, seeing(20, 16, 3, "bilinear"))
        positions = crops.transpose(0, 2, 1, 3) if frame is not ramp else crops
        assert positions[:, 8, 0, 0].tolist() == [0, 22, 44]
        assert positions[:, 8, -1, 0].tolist() == [15, 37, 59]


def test_a_pair_of_sides_squeezes_the_picture() -> None:
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    crop = crop_at(ramp, seeing((16, 32), 16, interpolation="bilinear"))
    assert np.diff(crop[0, :, 0].astype(int)).tolist() == [2] * 15
    assert resized(ramp, seeing((16, 32), 16, interpolation="bilinear")) == (16, 32)


def test_wide_pixels_make_a_wider_picture() -> None:
    frame = np.zeros((20, 20, 3), dtype=np.uint8)
    assert resized(frame, seeing(16, 16, interpolation="bilinear"), pixel_aspect=2.0) == (16, 32)
    assert resized(frame, seeing(16, 16, interpolation="bilinear"), pixel_aspect=0.5) == (32, 16)
