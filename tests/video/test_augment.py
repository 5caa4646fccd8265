from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.video.augment import DRAWS, Cut, is_mirrored, mirrored_classes, random_clip, read_random_clip
from stzoo.video.reader import read_strip
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo

LAST = np.nextafter(1.0, 0.0)


def strip(frames: int, size: int) -> np.ndarray:
    """Pixel (frame, row, column) holds (frame, row, column)."""
    return np.stack(np.meshgrid(*(np.arange(n, dtype=np.uint8) for n in (frames, size, size)), indexing="ij"), axis=-1)


@given(
    st.tuples(st.integers(1, 6), st.integers(0, 4)),
    st.tuples(st.integers(1, 6), st.integers(0, 4)),
    st.lists(st.floats(0.0, LAST), min_size=DRAWS, max_size=DRAWS),
    st.booleans(),
)
def test_a_clip_is_a_box_cut_out_of_its_strip(
    lengths: tuple[int, int], sides: tuple[int, int], draws: list[float], flip: bool
) -> None:
    (frames, more_frames), (crop, more_size) = lengths, sides
    clip = random_clip(
        strip(frames + more_frames, crop + more_size), np.array(draws), frames=frames, crop=crop, flip=flip
    )
    assert clip.shape == (frames, crop, crop, 3)
    first, top = clip[0, 0, 0, :2]
    left = clip[0, 0, :, 2].min()
    columns = np.arange(left, left + crop)
    if flip and draws[3] < 0.5:
        columns = columns[::-1]
    expected = np.stack(
        np.meshgrid(np.arange(first, first + frames), np.arange(top, top + crop), columns, indexing="ij"), axis=-1
    )
    assert np.array_equal(clip, expected)


def test_every_position_is_taken_equally_often() -> None:
    source = strip(5, 6)
    rng = np.random.default_rng(0)
    corners = np.array(
        [random_clip(source, rng.random(DRAWS), frames=3, crop=4, flip=False)[0, 0, 0] for _ in range(3000)]
    )
    for axis in range(3):
        values, counts = np.unique(corners[:, axis], return_counts=True)
        assert values.tolist() == [0, 1, 2]
        assert counts.min() > 900
    assert np.abs(np.corrcoef(corners.T) - np.eye(3)).max() < 0.08


@pytest.mark.parametrize(("draw", "corner"), [(0.0, [0, 0, 0]), (LAST, [2, 2, 2])])
def test_the_first_and_the_last_position_are_reached(draw: float, corner: list[int]) -> None:
    clip = random_clip(strip(5, 6), np.full(DRAWS, draw), frames=3, crop=4, flip=False)
    assert clip[0, 0, 0].tolist() == corner


def test_mirroring_is_asked_for_and_happens_to_half() -> None:
    source = strip(1, 4)
    rng = np.random.default_rng(0)
    mirrored = [
        random_clip(source, rng.random(DRAWS), frames=1, crop=4, flip=True)[0, 0, 0, 2] == 3 for _ in range(1000)
    ]
    assert 450 < sum(mirrored) < 550


def test_a_short_side_is_drawn_for_the_whole_clip() -> None:
    source = np.repeat(strip(4, 32)[:, :, :, 2:], 3, axis=3)
    widths = set()
    for choice in (0.1, 0.5, 0.9):
        draws = np.array([0.0, 0.3, 0.0, 0.9, choice])
        clip = random_clip(source, draws, frames=4, crop=16, flip=False, short_sides=(16, 24, 32))
        assert clip.shape == (4, 16, 16, 3)
        assert (clip == clip[0]).all(), "every frame is cut alike"
        widths.add(int(clip[0, 0, -1, 0]) - int(clip[0, 0, 0, 0]) + 1)
    assert len(widths) == 3
    assert max(widths) >= 31
    assert min(widths) == 16


def test_a_clip_is_cut_out_of_the_video_itself(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20, width=64, height=32)
    contract = InputContract(frames=4, stride_frames=3, resize=24, crop=16)
    for draw, start in ((0.0, 0), (LAST, 10)):
        clip = read_random_clip(Video(path), Cut(contract), np.array([draw, 0.5, 0.5, 0.9]))
        assert clip.shape == (4, 16, 16, 3)
        np.testing.assert_allclose(clip.mean(axis=(1, 2, 3)) / LEVELS, start + 3 * np.arange(4), atol=0.5)


def test_the_window_may_lie_anywhere_in_a_wide_frame(make_video: MakeVideo) -> None:
    """The left half of the picture is black, the right half white; a short side of 32 leaves it as it is."""
    pixels = np.zeros((3, 32, 64, 3), np.uint8)
    pixels[:, :, 32:] = 255
    path = make_video("a.mp4", 3, pixels=pixels, width=64, height=32)
    cut = Cut(InputContract(frames=2, stride_frames=1, resize=32, crop=16), flip=True)
    means = [read_random_clip(Video(path), cut, np.array([0.0, 0.0, left, 0.9])).mean() for left in (0.0, 0.5, LAST)]
    assert means[0] < 20
    assert 60 < means[1] < 200
    assert means[2] > 235
    middle = read_random_clip(Video(path), cut, np.array([0.0, 0.0, 0.5, 0.9]))
    mirrored = read_random_clip(Video(path), cut, np.array([0.0, 0.0, 0.5, 0.1]))
    np.testing.assert_array_equal(mirrored, middle[:, :, ::-1])


def test_a_window_of_the_whole_frame_is_what_a_strip_holds(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 6, width=40, height=40)
    contract = InputContract(frames=6, stride_frames=1, resize=16, crop=16)
    clip = read_random_clip(Video(path), Cut(contract), np.full(DRAWS, 0.7))
    np.testing.assert_array_equal(clip, read_strip(Video(path), contract, 6, 16))


@pytest.mark.parametrize(
    ("options", "contract", "draws"),
    [
        ({}, {"stride_frames": 2}, 4),
        ({"short_sides": (16, 20)}, {"fps": 8.0}, 5),
        ({"random_stride": True}, {"stride_frames": 2}, 9),
        ({"short_sides": (16, 20)}, {"sampling": "segments"}, 10),
    ],
)
def test_a_cut_says_how_many_draws_it_takes(
    make_video: MakeVideo, options: dict[str, object], contract: dict[str, object], draws: int
) -> None:
    cut = Cut(InputContract(frames=6, resize=16, crop=16, **contract), **options)
    assert cut.draws == draws
    path = make_video("a.mp4", 20)
    numbers = np.concatenate([[0.0], np.full(draws - 2, 0.4)])
    clips = [read_random_clip(Video(path), cut, np.append(numbers, last)) for last in (0.0, LAST)]
    assert clips[0].shape == (6, 16, 16, 3)
    assert (clips[0][-1] != clips[1][-1]).any() == (draws > 5), "the last draw is the last frame's, where each has one"


def test_classes_of_left_and_right_change_places() -> None:
    classes = (
        "Pulling something from left to right",
        "Turning the camera left while filming something",
        "Pulling something from right to left",
        "Holding something",
        "Turning the camera right while filming something",
        "Lifting the left hand",
        "Leftovers being eaten",
    )
    mirrored = mirrored_classes(classes)
    assert mirrored == (2, 4, 0, 3, 1, None, 6)
    for label, other in enumerate(mirrored):
        assert other is None or mirrored[other] == label


@pytest.mark.parametrize(("copies", "starts"), [(0, {0, 1, 2, 3}), (2, {0, 1}), (3, {0}), (5, {0})])
def test_copies_of_the_last_frame_that_fill_a_strip_are_no_place_for_a_clip(copies: int, starts: set[int]) -> None:
    source = strip(6, 8)
    source[6 - copies :] = source[5 - copies]
    clips = [random_clip(source, np.full(DRAWS, u), frames=3, crop=8, flip=False) for u in np.linspace(0, LAST, 50)]
    assert {int(clip[0, 0, 0, 0]) for clip in clips} == starts


def test_turning_is_mirrored_like_left_and_right() -> None:
    classes = ("roll-clockwise", "roll-counterclockwise", "shake", "anticlockwise turn", "clockwise turn")
    assert mirrored_classes(classes) == (1, 0, 2, 4, 3)
    assert mirrored_classes(("Clockwise", "Counter-clockwise", "anti clockwise roll")) == (1, 0, None)


@pytest.mark.parametrize("between", ["_", "-", " ", ".", "2_"])
def test_words_may_be_joined_as_names_of_folders_are(between: str) -> None:
    classes = (f"swipe{between}left", f"swipe{between}right", f"bright{between}lefty")
    assert mirrored_classes(classes) == (1, 0, 2)
    assert mirrored_classes(("SwipeLeft", "SwipeRight", "BrightLeftover", "LeftHand")) == (1, 0, 2, None)


def test_mirroring_is_a_matter_of_one_draw() -> None:
    assert is_mirrored(np.array([0.9, 0.9, 0.9, 0.49]))
    assert not is_mirrored(np.array([0.1, 0.1, 0.1, 0.5]))
