from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import stzoo
from stzoo import bundle as bundles
from stzoo.bundle import rebuild
from stzoo.bundle.confidence import read
from stzoo.data.datasets import Item
from stzoo.errors import DataError, UsageError
from stzoo.files import packaged
from stzoo.prediction import scoring
from stzoo.prediction.predictor import Predictor
from stzoo.zoo import calibrating
from stzoo.zoo.variants import BatchNormWarning, drawn_strategies
from tests.conftest import MakeVideo


@pytest.fixture
def folder(template_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template_bundle, tmp_path / "model"))


@pytest.fixture
def items(make_video: MakeVideo) -> list[Item]:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8) for _ in range(4)]
    return [Item(make_video(f"{index}.mp4", 4, pixels=each), index % 3) for index, each in enumerate(noise)]


def test_scores_are_calibrated_where_they_are_asked_to_be(folder: Path, items: list[Item]) -> None:
    with pytest.raises(
        UsageError, match=r"tiny-opt was not calibrated; run `stzoo calibrate .* --data LIST` on videos"
    ):
        stzoo.load(folder, calibrated=True)
    steps: list[tuple[int, int]] = []
    done = calibrating.calibrate(folder, items, "val", workers=0, advance=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert done.after.value <= done.before.value
    assert read(folder, bundles.weights_digest(folder)) == {1: done.confidence}
    plain, calibrated = (stzoo.load(folder, calibrated=wanted) for wanted in (False, True))
    assert (plain.confidence, calibrated.confidence) == (None, done.confidence)
    video = items[0].path
    before, after = plain.scores(video), calibrated.scores(video)
    assert after.sum() == pytest.approx(1, abs=1e-5)
    assert (after.max() > before.max()) == (done.confidence.temperature < 1)
    assert stzoo.load(folder, runtime="onnxruntime", calibrated=True).scores(video) == pytest.approx(after, abs=1e-4)
    with pytest.raises(UsageError, match="is of its own net"):
        stzoo.load(folder, calibrated=True, strategy="st")


def test_an_average_is_that_of_the_drawn_strategies(folder: Path, items: list[Item]) -> None:
    with pytest.warns(BatchNormWarning, match="for all strategies that are drawn"):
        stzoo.load(folder, average=2)
    with pytest.raises(UsageError, match=r"was not calibrated.* --average 2"):
        stzoo.load(folder, average=2, calibrated=True)
    done = calibrating.calibrate(folder, items, "val", average=2, workers=0)
    assert done.confidence.nets == 2
    average = stzoo.load(folder, average=2)
    assert (average.nets, average.strategy, average.digest) == (2, None, "")
    bundle = bundles.read(folder)
    strategies = drawn_strategies(bundle, 2)
    assert strategies[0] != strategies[1]
    video = items[0].path
    nets = [rebuild.from_template(folder, bundle, strategy) for strategy in strategies]
    assert all(is_normalised for _, is_normalised in nets)
    each = [Predictor(net, bundle.contract, bundle.labels).scores(video) for net, _ in nets]
    np.testing.assert_allclose(average.scores(video), np.mean(each, axis=0), atol=1e-5)
    assert np.abs(each[0] - each[1]).max() > 1e-4
    with pytest.raises(UsageError, match="leave strategy, weights, calibrate, classes and average out"):
        stzoo.load(folder, average=2, runtime="onnxruntime")


def test_an_average_passes_over_what_cannot_be_read(folder: Path, items: list[Item], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    done = calibrating.calibrate(folder, [items[0]._replace(path=broken), *items], "val", average=2, workers=0)
    assert (done.confidence.videos, len(done.failed)) == (len(items), 1)


def test_nothing_is_written_where_scoring_breaks_off(
    folder: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "clip_score_files", stopped)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        calibrating.calibrate(folder, items, "val", average=3, workers=0)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("average", [1, 0, "8", 2.5, True])
def test_an_average_is_of_two_nets_or_more(average: object, any_kind: None) -> None:
    with pytest.raises(UsageError, match="drawn, 2 or more, and is"):
        stzoo.load("camera-motion-opt", average=average)  # type: ignore[arg-type]


def test_what_has_no_template_is_not_averaged(items: list[Item]) -> None:
    with pytest.raises(UsageError, match="camera-motion-s was not cut out of a template"):
        stzoo.load("camera-motion-s", average=8)


def test_what_cannot_be_written_or_read_is_not_calibrated(folder: Path, items: list[Item]) -> None:
    file = packaged("bundled") / "camera-motion-s" / "model.onnx"
    with pytest.raises(UsageError, match="calibrate that, and export it again"):
        calibrating.calibrate(file, items, "val")
    with pytest.raises(UsageError, match="is of a bundle that was not calibrated"):
        stzoo.load(file, calibrated=True)
    gone = [Item(Path("gone.mp4"), 0)]
    with pytest.raises(DataError, match="none of the 1 videos can be read"):
        calibrating.calibrate(folder, gone, "val", workers=0)
    assert not (folder / "confidence.json").exists()
