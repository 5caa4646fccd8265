from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest

import stzoo
from stzoo import bundle as bundles
from stzoo.errors import BundleError, ExportError, UsageError
from stzoo.export import cached, to_onnx
from stzoo.files import cache_folder, packaged
from stzoo.runtimes import OnnxFile, choosing, is_there
from stzoo.runtimes.onnx_file import Form
from tests.conftest import MakeVideo

MODEL = "camera-motion-opt"
BEST = "openvino" if is_there("openvino") else "onnxruntime"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cached.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a bundle with an ONNX file."""
    return Path(shutil.copytree(packaged("bundled") / MODEL, tmp_path / "copy"))


def test_the_fastest_runtime_that_can_begin_at_once_is_taken(folder: Path, tiny_bundle: Path) -> None:
    assert stzoo.load(folder, device="cpu", runtime="auto").runtime == BEST
    assert stzoo.load(folder, device="cpu").runtime == "torch"
    assert stzoo.load(tiny_bundle, device="cpu", runtime="auto").runtime == "torch"  # it has no ONNX file
    assert stzoo.load(folder, device="cpu", runtime="auto", strategy="s").runtime == "torch"
    assert stzoo.load(folder, device="cpu", runtime="auto", weights=None).runtime == "torch"


def test_an_input_that_the_file_does_not_take_is_for_torch(folder: Path) -> None:
    said: list[str] = []
    other = stzoo.load(folder, device="cpu", runtime="auto", protocol={"frames": 4}, say=said.append)
    assert (other.runtime, other.contract.frames) == ("torch", 4)
    assert said == [f"Input: {other.contract.text}; the model was made for {stzoo.load(folder).contract.text}"]
    more = stzoo.load(folder, device="cpu", runtime="auto", protocol={"clips": 7, "crops": 3})
    assert (more.runtime, more.contract.clips) == (BEST, 7)


def test_a_bundle_without_a_file_is_exported_once(
    folder: Path, make_video: MakeVideo, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = (folder / "model.onnx").rename(folder.parent / "ready.onnx")
    calls = []

    def export(net: object, path: Path, *_: object, digest: str, **__: object) -> None:
        calls.append(digest)
        shutil.copy(ready, path)

    monkeypatch.setattr(to_onnx, "export", export)
    said: list[str] = []
    first = stzoo.load(folder, device="cpu", runtime="onnxruntime", say=said.append)
    (path,) = cache.iterdir()
    assert [str(path) in sentence for sentence in said] == [True]
    assert calls == [bundles.weights_digest(folder)]
    video = make_video("a.mp4", 20)
    np.testing.assert_allclose(first.scores(video), stzoo.load(folder, device="cpu").scores(video), atol=1e-4)
    assert stzoo.load(folder, device="cpu", runtime="onnxruntime").runtime == "onnxruntime"
    assert stzoo.load(folder, device="cpu", runtime="auto").runtime == BEST
    assert len(calls) == 1
    path.write_bytes(path.read_bytes()[:1000])
    assert stzoo.load(folder, device="cpu", runtime="auto").runtime == "torch"  # and not an error
    stzoo.load(folder, device="cpu", runtime="onnxruntime")
    assert len(calls) == 2


def say_form(path: Path, form: str) -> None:
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {entry.key: entry.value for entry in model.metadata_props} | {"form": form})
    onnx.save(model, str(path))


def test_a_file_of_the_first_form_possible_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export(net: object, path: Path, *_: object, form: str, **__: object) -> None:
        shutil.copy(folder / "model.onnx", path)
        say_form(path, form)

    monkeypatch.setattr(to_onnx, "export", export)
    bundle = bundles.read(folder)

    def file_in(*forms: Form) -> OnnxFile | None:
        return cached.find(folder, bundle, bundle.contract, "fp32", forms)

    bundled = file_in("images")
    assert bundled is not None
    assert bundled.path == folder / "model.onnx"
    assert file_in("volumes") is None
    assert file_in("volumes", "images") == bundled
    file = cached.export_into_cache(folder, bundle, bundle.contract, "volumes", lambda _: None)
    assert file.form == "volumes"
    assert file_in("volumes", "images") == file_in("volumes") == file
    assert file_in("images", "volumes") == bundled
    say_form(file.path, "images")
    assert file_in("volumes") is None  # the file is not what its name says


def test_openvino_runs_the_form_that_is_fastest_there(folder: Path, cache: Path, make_video: MakeVideo) -> None:
    pytest.importorskip("openvino")
    said: list[str] = []
    before = stzoo.load(folder, device="cpu", runtime="auto", say=said.append)
    assert (before.runtime, said) == ("openvino", [])  # on the bundle's file, at once
    asked = stzoo.load(folder, device="cpu", runtime="openvino", say=said.append)
    assert ["of volumes" in sentence for sentence in said] == [True]
    (path,) = cache.iterdir()
    after = stzoo.load(folder, device="cpu", runtime="auto", say=said.append)
    assert len(said) == 1
    assert [model.net.file.path for model in (before, asked, after)] == [folder / "model.onnx", path, path]
    video = make_video("a.mp4", 20)
    np.testing.assert_allclose(asked.scores(video), before.scores(video), atol=1e-5)


def test_nothing_is_exported_for_a_runtime_that_cannot_run_it(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.onnx").unlink()
    monkeypatch.setattr(choosing, "is_there", lambda name: name != "openvino")
    said: list[str] = []
    with pytest.raises(UsageError, match="openvino is not installed"):
        stzoo.load(folder, device="cpu", runtime="openvino", say=said.append)
    with pytest.raises(UsageError, match="openvino is not installed"):
        stzoo.load(folder, device="cpu", runtime="auto", precision="bf16", say=said.append)
    with pytest.raises(UsageError, match="does not compute in bf16"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime", precision="bf16", say=said.append)
    assert not said
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.onnx").unlink()
    (tmp_path / "text").write_text("no folder")
    monkeypatch.setenv(cached.CACHE, str(tmp_path / "text" / "cache"))
    said: list[str] = []
    with pytest.raises(UsageError, match=r"onnx cannot be written .* with STZOO_CACHE"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime", say=said.append)
    assert not said


def test_a_file_that_disagrees_with_torch_does_not_stay_in_the_cache(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.onnx").unlink()
    other = packaged("bundled") / "camera-motion-s" / "model.onnx"
    monkeypatch.setattr(to_onnx, "export", lambda net, path, *_, **__: shutil.copy(other, path))
    with pytest.raises(ExportError, match="choose the runtime torch"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime")
    assert list(cache.iterdir()) == []


def change_metadata(folder: Path, **changes: str) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    old = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, old | changes)
    onnx.save(model, str(folder / "model.onnx"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": json.dumps(["left", "right"])}, "with other labels than camera-motion-opt"),
        ({"model_digest": "0" * 64}, "with other weights than camera-motion-opt"),
        ({"name": "me"}, "is about another model.onnx than the one beside it"),
    ],
)
def test_a_file_of_another_model_is_refused(folder: Path, changes: dict[str, str], sentence: str) -> None:
    change_metadata(folder, **changes)
    for runtime in ("auto", "onnxruntime"):
        with pytest.raises(BundleError, match=sentence):
            stzoo.load(folder, device="cpu", runtime=runtime)
    assert stzoo.load(folder, device="cpu").runtime == "torch"


def test_a_report_that_does_not_vouch_for_the_file_is_believed(folder: Path) -> None:
    reports = json.loads((folder / "export.json").read_text())
    reports["model.onnx"]["passed"] = False
    (folder / "export.json").write_text(json.dumps(reports))
    with pytest.raises(BundleError, match="does not agree with torch"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime")
    (folder / "export.json").write_text("[]")
    with pytest.raises(BundleError, match="does not hold what stzoo writes"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime")
    (folder / "export.json").write_text("{}")
    assert stzoo.load(folder, device="cpu", runtime="onnxruntime").runtime == "onnxruntime"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_file_outside_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx").rename(tmp_path / "model.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "model.onnx")
    with pytest.raises(BundleError, match="leads out of its folder"):
        stzoo.load(folder, device="cpu", runtime="onnxruntime")


def test_what_needs_torch_says_so(folder: Path) -> None:
    with pytest.raises(UsageError, match="as its bundle stores it"):
        stzoo.load(folder, runtime="onnxruntime", strategy="s")
    with pytest.raises(UsageError, match="torch computes in fp32"):
        stzoo.load(folder, runtime="torch", precision="int8")
    with pytest.raises(UsageError, match=f"a bundle is not run in fp16; write a file with `stzoo export {folder}"):
        stzoo.load(folder, runtime="openvino", precision="fp16")
    with pytest.raises(UsageError, match=f"stzoo export {folder} --precision int8 --calibrate LIST"):
        stzoo.load(folder, runtime="onnxruntime", precision="int8")
    with pytest.raises(UsageError, match="its own 8 frames, not of 4; leave the other number out"):
        stzoo.load(folder, runtime="onnxruntime", precision="int8", protocol={"frames": 4})
    session = stzoo.load(folder, device="cpu", runtime="onnxruntime").net
    with pytest.raises(UsageError, match="takes clips of 8 frames of 64x64 pixels"):
        type(stzoo.load(folder))(session, stzoo.load(folder).contract.changed(frames=2), ("a",))


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_no_torch_is_imported_where_onnxruntime_runs_the_net(command: str, tmp_path: Path) -> None:
    sample = packaged("bundled") / "sample.mp4"
    (tmp_path / "list.txt").write_text(f"{sample} still\n")
    arguments = {
        "predict": ["predict", str(sample), "--model", MODEL],
        "evaluate": ["evaluate", MODEL, "--data", "list.txt", "--out", "out"],
    }[command]
    program = (
        "import sys; from stzoo.cli import main\n"
        f"try: main({[*arguments, '--runtime', 'onnxruntime', '--device', 'cpu']!r})\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'onnxruntime' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "still" in done.stdout


def test_the_cache_holds_a_file_for_every_input_and_form(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    bundle = bundles.read(folder)
    places = {
        cached._place(folder, bundle, contract, form)
        for contract in (bundle.contract, bundle.contract.changed(clips=5), bundle.contract.changed(frames=4))
        for form in get_args(Form)
    }
    assert len(places) == 2 * len(get_args(Form))
    assert {place.parent for place in places} == {cache}
    monkeypatch.delenv(cached.CACHE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder("onnx") == Path("/somewhere/stzoo/onnx")
