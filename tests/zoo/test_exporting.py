from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stzoo
from stzoo import bundle as bundles
from stzoo.bundle import golden
from stzoo.errors import BundleError, ExportError, UsageError
from stzoo.export import to_onnx
from stzoo.export.to_onnx import Agreement
from stzoo.zoo import publishing, verifying
from stzoo.zoo.hub import Repository
from stzoo.zoo.verifying import Way
from tests.conftest import MakeVideo


def test_a_file_is_written_and_what_was_found_out_is_returned(
    tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "model.onnx"
    found = stzoo.export_onnx(str(tiny_bundle), str(output), video=make_video("clip.mp4"))
    assert found == json.loads((tmp_path / "export.json").read_text())["model.onnx"]
    assert found["passed"]
    assert found["largest_difference"] <= 1e-4
    assert stzoo.load(output).labels == ("left", "right", "still")
    with pytest.raises(UsageError, match="exists; choose another name"):
        stzoo.export_onnx(tiny_bundle, output)
    with pytest.raises(UsageError, match="is an exported file already"):
        stzoo.export_onnx(output, tmp_path / "other.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_differs_from_torch_is_an_error(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perfect = Agreement(0.0, 1.0, (1, 3), 1.0, "test", "test", 1)
    monkeypatch.setattr(to_onnx, "compare", lambda *given: replace(perfect, largest_difference=1.0))
    with pytest.raises(ExportError, match=r"a number differs by 1.0e\+00"):
        stzoo.export_onnx(tiny_bundle, tmp_path / "model.onnx")
    assert json.loads((tmp_path / "export.json").read_text())["model.onnx"]["passed"] is False


def test_a_file_in_int8_has_golden_clips_of_its_own(tiny_bundle: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    verifying.make(folder)
    (tmp_path / "list.txt").write_text(f"{make_video('a.mp4')} 0\n")
    file = folder / bundles.ONNX_INT8
    stzoo.export_onnx(folder, file, precision="int8", calibrate=tmp_path / "list.txt")
    net, own = (golden.read(folder / name) for name in (golden.GOLDEN, golden.GOLDEN_INT8))
    assert golden.beside(file) == folder / golden.GOLDEN_INT8
    assert (own.model_digest, own.clips[0].pixels) == (net.model_digest, net.clips[0].pixels)
    assert np.abs(own.probabilities - net.probabilities).max() > 1e-4
    for ref in (folder, file):
        answers = verifying.verify(ref, "onnxruntime").answers
        assert answers[Way("onnxruntime", "int8")].clips < 1e-4
        assert answers[Way("onnxruntime", "int8")].video is not None
    sent = publishing.prepare(folder, tmp_path / "sent", Repository("lab/toy"))
    assert (sent / golden.GOLDEN_INT8).read_bytes() == (folder / golden.GOLDEN_INT8).read_bytes()
    wrong = own.clips[0].model_copy(update={"probabilities": (1.0, 0.0, 0.0)})
    own.model_copy(update={"clips": (wrong, *own.clips[1:])}).write(folder / golden.GOLDEN_INT8)
    with pytest.raises(BundleError, match=r"model\.int8\.golden\.json has other answers than the net gives"):
        publishing.prepare(folder, tmp_path / "again", Repository("lab/toy"))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"precision": "bf16"}, "precision is one of fp32, fp16, int8, and not 'bf16'"),
        ({"form": "cubes"}, "form is one of images, volumes, portable"),
        ({"storage": "int4"}, "storage is one of float32, float16"),
        ({"form": "portable", "clips": "2"}, "clips is how many"),
        ({"form": "portable", "clips": 0}, "clips is how many"),
    ],
)
def test_values_of_other_kinds_are_a_sentence(
    tmp_path: Path, wrong: dict[str, object], sentence: str, any_kind: None
) -> None:
    with pytest.raises(UsageError, match=sentence):
        stzoo.export_onnx("camera-motion-opt", tmp_path / "model.onnx", **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
