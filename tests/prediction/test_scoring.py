from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import stzoo
from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.prediction import scoring
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.scoring import Failed, Scored, score_files, worker_count
from stzoo.video.reader import VideoClips, read_clips
from stzoo.video.video import Video
from tests.conftest import MakeVideo
from tests.data.layouts import write_frames

CONTRACT = InputContract(frames=2, fps=5.0, clips=2, crops=3, resize=24, crop=16)


class Brightness(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        mean = clips.mean(dim=(1, 2, 3, 4))
        return torch.stack([-mean, mean], dim=1)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(Brightness(), CONTRACT, ("dark", "bright"), "brightness", "cpu")


def test_every_file_has_the_scores_of_the_predictor_or_a_reason(
    predictor: Predictor, make_video: MakeVideo, tmp_path: Path
) -> None:
    paths = [str(make_video("a.mp4", 4)), str(tmp_path / "missing.mp4"), str(make_video("b.mp4", 12))]
    first, missing, last = score_files(predictor, [Video(path) for path in paths])
    assert missing == Failed(paths[1], f"{paths[1]} does not exist; check the path.")
    for path, found in ((paths[0], first), (paths[2], last)):
        assert isinstance(found, Scored)
        assert found.path == path
        np.testing.assert_array_equal(found.scores, predictor.scores(path))
        assert found.times_seconds.shape == (2, 2)
        assert min(found.decode_seconds, found.compute_seconds) > 0


def test_one_call_predicts_as_the_loaded_model_does(tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    video = make_video("clip.mp4")
    expected = stzoo.load(tiny_bundle, device="cpu").predict(video, 2, clips=1)
    assert stzoo.predict(video, tiny_bundle, 2, clips=1, device="cpu") == expected
    write_frames(tmp_path / "walk")
    assert stzoo.predict(tmp_path / "walk", tiny_bundle, fps=10.0, device="cpu")
    assert inspect.signature(stzoo.predict).parameters["model"].default in stzoo.list_models()


def test_one_file_starts_no_process_and_more_do(
    predictor: Predictor, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def read_many(
        videos: list[Video], contract: InputContract, *, workers: int, seconds_a_file: float
    ) -> Iterator[tuple[Video, VideoClips | VideoError]]:
        started.append(workers)
        return ((video, read_clips(video, contract)) for video in videos)

    monkeypatch.setattr(scoring, "read_many", read_many)
    monkeypatch.setattr(scoring, "processors", lambda: 4)
    video = Video(make_video("a.mp4", 2))
    assert len(list(score_files(predictor, [video]))) == 1
    assert len(list(score_files(predictor, [video] * 2, workers=0))) == 2
    assert started == []
    assert len(list(score_files(predictor, [video] * 2))) == 2
    assert len(list(score_files(predictor, [video] * 17))) == 17
    assert len(list(score_files(predictor, [video], workers=3))) == 1
    assert started == [1, 2, 3]
    assert worker_count(10_000) == 4


def test_a_negative_number_of_workers_is_refused(predictor: Predictor) -> None:
    with pytest.raises(UsageError, match="-1 workers"):
        score_files(predictor, [], workers=-1)


def test_folders_of_frames_need_a_rate(predictor: Predictor, tmp_path: Path) -> None:
    write_frames(tmp_path / "frames")
    path = str(tmp_path / "frames")
    (found,) = score_files(predictor, [Video(path, 12.0)])
    assert isinstance(found, Scored)
    np.testing.assert_array_equal(found.scores, predictor.scores(path, fps=12.0))
    (failed,) = score_files(predictor, [Video(path)])
    assert isinstance(failed, Failed)
    assert "say how many a second it holds" in failed.reason


def test_an_error_that_nobody_foresaw_is_the_files_own(
    predictor: Predictor, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch, odd: None
) -> None:
    videos = [Video(make_video(name, 4)) for name in ("odd.mp4", "a.mp4")]
    failed, scored = score_files(predictor, videos, workers=0)
    assert isinstance(failed, Failed)
    assert "an unexpected ZeroDivisionError" in failed.reason
    assert isinstance(scored, Scored)
    monkeypatch.setenv("STZOO_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        list(score_files(predictor, videos, workers=0))
