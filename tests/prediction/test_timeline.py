from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.prediction.answers import VideoWarning
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.timeline import Caption, Timeline, follow, srt
from stzoo.video.decode import VideoInfo
from stzoo.video.video import Video
from stzoo.video.windows import spans
from tests.conftest import MakeVideo
from tests.prediction.test_predictor import Brightness

LABELS = ("dark", "middle", "bright", "never")
CONTRACT = InputContract(frames=2, fps=5.0, clips=2, resize=24, crop=16)
TIMES = re.compile(r"(\d\d):(\d\d):(\d\d),(\d\d\d) --> (\d\d):(\d\d):(\d\d),(\d\d\d)")


def timeline_of(scores: np.ndarray, hop: float = 1.0, labels: tuple[str, ...] = LABELS) -> Timeline:
    """A timeline of windows of two seconds."""
    duration = 2.0 + hop * (len(scores) - 1)
    info = VideoInfo(Path("a.mp4"), 8, 8, 0, False, np.arange(2) * duration / 2, False, False)
    return Timeline("a.mp4", labels, spans(duration, 2.0, hop), scores.astype(np.float32), info, (), 0.0, 0.0)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(Brightness(), CONTRACT, LABELS, "brightness", "cpu")


def test_a_window_as_long_as_the_video_is_a_prediction(predictor: Predictor, make_video: MakeVideo) -> None:
    path = make_video("a.mp4", 20)
    found = predictor.timeline(path, window_seconds=2.0)
    np.testing.assert_array_equal(found.scores[0], predictor.scores(path))
    assert found.scores.shape == (1, 4)


def test_scores_follow_what_is_shown(predictor: Predictor, make_video: MakeVideo) -> None:
    pixels = np.repeat(np.array([0, 255, 0], np.uint8), 20)[:, None, None, None] * np.ones((32, 48, 3), np.uint8)
    told: list[tuple[int, int]] = []
    found = follow(
        Video(make_video("a.mp4", 60, pixels=pixels)),
        CONTRACT,
        LABELS,
        predictor.scores_of,
        hop_seconds=0.5,
        advance=lambda done, windows: told.append((done, windows)),
    )
    assert [caption.label for caption in found.captions()] == ["dark", "bright", "dark"]
    assert told == [(done, 9) for done in range(1, 10)]
    assert min(found.decode_seconds, found.compute_seconds) > 0
    assert found.captions()[-1].end_seconds == pytest.approx(6.0)


def test_a_damaged_video_warns(predictor: Predictor, cut_off_video: Path) -> None:
    with pytest.warns(VideoWarning, match="cut off or damaged"):
        found = predictor.timeline(cut_off_video)
    assert found.spans_seconds[-1, 1] < 4.0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.sampled_from([0.3, 1.0, 5.0]))
def test_captions_cover_the_video_and_neighbours_differ(best: list[int], hop: float) -> None:
    found = timeline_of(np.eye(4)[best] * 0.7, hop)
    captions = found.captions()
    assert captions[0].start_seconds == 0
    assert captions[-1].end_seconds == pytest.approx(found.spans_seconds[-1, 1])
    for before, after in itertools.pairwise(captions):
        assert before.start_seconds < before.end_seconds == after.start_seconds
        assert before.label != after.label
    for caption in captions:
        assert caption.score == pytest.approx(0.7)
        middle = (caption.start_seconds + caption.end_seconds) / 2
        assert LABELS[best[found.window_at(middle)]] == caption.label
    for row, (start, end) in enumerate(found.spans_seconds.tolist()):
        assert found.window_at((start + end) / 2) == row


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.sampled_from([0.3, 1.0, 1.9]))
def test_events_are_the_mean_of_the_windows_that_show_an_instant(best: list[int], hop: float) -> None:
    found = timeline_of(np.eye(4)[best] + np.linspace(0, 0.1, 4 * len(best)).reshape(-1, 4), hop)
    events = found.events()
    assert (events[0].start_seconds, events[-1].end_seconds) == (0, pytest.approx(found.spans_seconds[-1, 1]))
    for before, after in itertools.pairwise(events):
        assert before.end_seconds == after.start_seconds
        assert before.label != after.label
    middles = found.spans_seconds.mean(axis=1)
    borders = [0.0, *(middles[:-1] + middles[1:]) / 2, found.spans_seconds[-1, 1]]
    for start, end in itertools.pairwise(borders):
        instant = (start + end) / 2
        shown = [row for row, (first, last) in enumerate(found.spans_seconds) if first <= instant <= last]
        answer = LABELS[found.scores[shown].mean(axis=0).argmax()]
        assert next(event.label for event in events if event.end_seconds > instant) == answer


def test_a_window_astride_of_two_events_is_none_of_its_own() -> None:
    found = timeline_of(np.eye(4)[[0] * 6 + [3] + [1] * 6], hop=0.25)
    assert [caption.label for caption in found.captions()] == ["dark", "never", "middle"]
    dark, middle = found.events()
    assert (dark.label, middle.label) == ("dark", "middle")
    assert 0.5 < dark.score < 1.0
    apart = timeline_of(found.scores, hop=2.5)
    assert apart.events() == apart.captions()


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), min_size=1, max_size=5))
def test_times_of_subtitles_are_valid(times: list[tuple[float, float]]) -> None:
    captions = [Caption(min(pair), max(pair), "1\n\n2 --> 3", 0.5) for pair in times]
    blocks = srt(captions).split("\n\n")
    assert len(blocks) == len(captions)
    for number, (block, caption) in enumerate(zip(blocks, captions, strict=True), 1):
        first, clock, text = block.rstrip("\n").split("\n")
        match = TIMES.fullmatch(clock)
        assert match is not None
        values = [int(group) for group in match.groups()]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (values[:4], values[4:]))
        assert int(first) == number
        assert start == round(1000 * caption.start_seconds)
        assert end == max(start + 1, round(1000 * caption.end_seconds))
        assert max(values[1], values[2], values[5], values[6]) < 60
        assert text == "1 2 → 3 (50 %)"
