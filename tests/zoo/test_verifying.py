from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stzoo import bundle as bundles
from stzoo.bundle import golden as files
from stzoo.errors import BundleError, UsageError
from stzoo.files import packaged
from stzoo.zoo import verifying
from stzoo.zoo.verifying import Way


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of a model of the package."""
    return Path(shutil.copytree(packaged("bundled") / "camera-motion-s", tmp_path / "camera-motion-s"))


def test_a_bundle_is_asked_on_every_runtime(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STZOO_CACHE", str(tmp_path / "cache"))
    verification = verifying.verify(bundle)
    assert verification.passed
    assert verification.answers.keys() == {Way(name, "fp32") for name in ("torch", "onnxruntime", "openvino")}
    assert all(not isinstance(answer, str) and answer.video is not None for answer in verification.answers.values())
    assert verification.reading is not None


def test_a_file_is_asked_on_every_runtime_but_torch(bundle: Path) -> None:
    verification = verifying.verify(bundle / "model.onnx")
    assert verification.passed
    assert verification.answers.keys() == {Way("onnxruntime", "fp32"), Way("openvino", "fp32")}


def test_a_file_of_another_model_is_refused(bundle: Path) -> None:
    shutil.copy(packaged("bundled") / "camera-motion-st" / "model.onnx", bundle / "model.onnx")
    with pytest.raises(BundleError, match="golden clips are of another model than camera-motion-st"):
        verifying.verify(bundle / "model.onnx")


def test_wrong_answers_do_not_pass(bundle: Path) -> None:
    golden = files.read(bundle / files.GOLDEN)
    clip = golden.clips[0]
    swapped = clip.model_copy(update={"probabilities": clip.probabilities[::-1]})
    golden.model_copy(update={"clips": (swapped, *golden.clips[1:])}).write(bundle / files.GOLDEN)
    verification = verifying.verify(bundle, "torch")
    assert not verification.passed


def test_what_a_runtime_cannot_run_is_said_and_the_others_go_on(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"damaged")
    verification = verifying.verify(bundle)
    assert not verification.passed
    assert verification.answers[Way("torch", "fp32")].passed
    assert "is not an ONNX model" in verification.answers[Way("onnxruntime", "fp32")]
    with pytest.raises(BundleError, match="is not an ONNX model"):
        verifying.verify(bundle, "onnxruntime")


def test_clips_are_made_for_a_bundle_that_has_none(bundle: Path, tmp_path: Path) -> None:
    (bundle / files.GOLDEN).unlink()
    with pytest.raises(BundleError, match=r"has no golden clips; make them with `stzoo verify .* --make`"):
        verifying.verify(bundle)
    assert verifying.make(bundle) == bundle / files.GOLDEN
    assert verifying.verify(bundle, "torch").passed
    with pytest.raises(UsageError, match="make them for the bundle"):
        verifying.make(bundle / bundles.ONNX)
