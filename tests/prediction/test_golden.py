from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import stzoo
from stzoo.bundle.golden import MOST_PIXEL_BYTES, Golden
from stzoo.contract import InputContract
from stzoo.errors import BundleError, UsageError
from stzoo.prediction import golden
from stzoo.prediction.predictor import Predictor
from stzoo.runtimes.session import Runner
from tests.conftest import MakeVideo


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return stzoo.load("camera-motion-opt", device="cpu")


@pytest.fixture(scope="module")
def made(predictor: Predictor) -> Golden:
    return golden.make(predictor, golden.sample())


def test_the_clips_are_those_of_the_video_and_the_answers_those_of_the_net(predictor: Predictor, made: Golden) -> None:
    assert len(made.clips) == 3
    assert sum(len(clip.pixels) for clip in made.clips) <= MOST_PIXEL_BYTES
    assert np.diff(made.times_seconds[0]) == pytest.approx(0.25, abs=0.041)
    np.testing.assert_allclose(made.probabilities[1], predictor.scores_of(made.pixels()[1:2]), atol=1e-6)
    assert made.video is not None
    np.testing.assert_allclose(made.video.probabilities, predictor.scores(golden.sample()), atol=1e-6)


def test_who_made_them_passes(predictor: Predictor, made: Golden) -> None:
    outcome = golden.differences(made, predictor, golden.sample())
    assert outcome.passed
    assert outcome.clips < 1e-6
    assert outcome.video is not None
    assert outcome.video < 1e-6
    assert outcome.mistake is None
    reading = golden.read_anew(made, golden.sample(), predictor.contract)
    assert reading.passed
    assert reading.largest_seconds == 0


class Altered(Runner):
    """A runner that is shown something else than it is given."""

    def __init__(self, runner: object, how: object) -> None:
        self.runner, self.how, self.device = runner, how, "cpu"

    def clip_scores(self, clips: np.ndarray, contract: InputContract) -> np.ndarray:
        return self.runner.clip_scores(np.ascontiguousarray(clips[self.how]), contract)

    def clip_vectors(self, clips: np.ndarray, contract: InputContract) -> np.ndarray:
        return self.runner.clip_vectors(np.ascontiguousarray(clips[self.how]), contract)


@pytest.mark.parametrize(
    ("how", "mistake"),
    [
        ((..., slice(None, None, -1)), "as if its colours were in the order BGR"),
        ((slice(None), slice(None, None, -1)), "as if its frames ran backwards"),
        ((slice(None), slice(None), slice(None, None, -1)), None),
    ],
    ids=["BGR", "backwards", "upside down"],
)
def test_a_mistake_is_found_and_named_where_it_is_known(
    predictor: Predictor, made: Golden, how: object, mistake: str | None
) -> None:
    wrong = dataclasses.replace(predictor)
    object.__setattr__(wrong, "_runner", Altered(predictor._runner, how))
    outcome = golden.differences(made, wrong, None)
    assert not outcome.passed
    assert outcome.mistake == mistake


@pytest.mark.parametrize(
    "changes", [{"fps": 8.0}, {"resize": 64}, {"fps": None, "stride_frames": 5}], ids=["rate", "no crop", "stride"]
)
def test_a_video_that_is_read_otherwise_is_noticed(
    predictor: Predictor, made: Golden, changes: dict[str, object]
) -> None:
    contract = InputContract.model_validate(predictor.contract.model_dump() | changes)
    assert not golden.read_anew(made, golden.sample(), contract).passed


def test_clips_of_another_model_are_refused(made: Golden) -> None:
    with pytest.raises(BundleError, match=r"of another model than camera-motion-s, which has weights with the digest"):
        golden.refuse_another_model(made, stzoo.load("camera-motion-s", device="cpu"))


def test_the_video_is_known_by_its_bytes(made: Golden, make_video: MakeVideo, tmp_path: Path) -> None:
    assert golden.find_video(made, tmp_path) == golden.sample()
    other = make_video("sample.mp4")
    assert golden.find_video(made, tmp_path) == golden.sample()
    with pytest.raises(UsageError, match=r"is not the video that the golden clips are of, sample\.mp4"):
        golden.refuse_another_video(made, other)
    assert golden.refuse_another_video(made, golden.sample()) == golden.sample()


def test_a_video_whose_name_steers_a_terminal_gets_another(predictor: Predictor, make_video: MakeVideo) -> None:
    made = golden.make(predictor, make_video("a\x1b[2J.mp4"))
    assert made.video is not None
    assert made.video.name == "video.mp4"


def test_large_clips_are_kept_in_blocks(predictor: Predictor, make_video: MakeVideo) -> None:
    rng = np.random.default_rng(0)
    video = make_video(
        "a.mp4", 24, width=192, height=128, pixels=rng.integers(0, 256, (24, 128, 192, 3), dtype=np.uint8)
    )
    large = dataclasses.replace(predictor, contract=predictor.contract.changed(crops=3).model_copy(update={"crop": 72}))
    made = golden.make(large, video)
    assert (made.size, made.frames) == (72, 8)
    assert made.block > 1
    assert sum(len(clip.pixels) for clip in made.clips) <= MOST_PIXEL_BYTES
    assert golden.differences(made, large, video).passed
    assert golden.read_anew(made, video, large.contract).passed
