from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from pathlib import Path

import pytest

from hub_server import Fault, HubServer
from hub_server.plugin import NOWHERE
from stzoo.zoo import checking


def requiring(monkeypatch: pytest.MonkeyPatch, *texts: str) -> checking.Part:
    monkeypatch.setattr(checking, "_required", lambda: list(texts))
    return checking._packages()


def owned(monkeypatch: pytest.MonkeyPatch, module: str, *distributions: str) -> None:
    of_module = checking._owners
    monkeypatch.setattr(
        checking, "_owners", lambda asked: sorted(distributions) if asked == module else of_module(asked)
    )


def test_this_environment_has_what_it_needs_and_predicts_on_every_runtime() -> None:
    findings = checking.check(offline=True)
    facts = json.loads(json.dumps(findings.to_json()))
    assert findings.problems == []
    assert {name: runtime["works"] for name, runtime in facts["runtimes"].items()} == dict.fromkeys(
        ("torch", "onnxruntime", "openvino"), True
    )
    assert "CPUExecutionProvider" in facts["runtimes"]["onnxruntime"]["providers"]
    assert facts["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert facts["decoder"]["gpl"] == ["libx264", "libx265"]
    assert any("GPL" in remark for remark in facts["remarks"])
    assert facts["hub"]["answers"] is None


def test_what_is_too_old_or_missing_is_a_problem_unless_stzoo_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    part = requiring(monkeypatch, "numpy>=99", "no-such-package>=2", "torch>=99; extra == 'no'", "click>=1")
    version = importlib.metadata.version("numpy")
    assert part.problems == (
        f"numpy is {version}, and stzoo needs >=99; install it with `pip install 'numpy>=99'`",
        "no-such-package is not installed; install it with `pip install 'no-such-package>=2'`",
    )
    assert part.facts == {"numpy": version, "no-such-package": None, "click": importlib.metadata.version("click")}
    monkeypatch.setattr(checking, "_version", lambda name: None)
    part = requiring(monkeypatch, "torch>=2.11")
    assert part.problems == ()
    assert part.remarks == ("torch is not installed; install it with `pip install 'torch>=2.11'`",)


def test_another_distribution_of_the_same_module_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    owned(monkeypatch, "onnxruntime", "onnxruntime")
    monkeypatch.setattr(checking, "_version", {"onnxruntime": "1.19"}.get)
    part = requiring(monkeypatch, "onnxruntime-gpu>=1.18")
    assert part == checking.Part({"onnxruntime": "1.19"}, (), ("onnxruntime is installed in place of onnxruntime-gpu",))
    (problem,) = requiring(monkeypatch, "onnxruntime-gpu>=1.20").problems
    assert problem.endswith("`pip install 'onnxruntime>=1.20'`")


@pytest.mark.parametrize(
    ("module", "both"),
    [("cv2", ("opencv-python", "opencv-python-headless")), ("onnxruntime", ("onnxruntime", "onnxruntime-gpu"))],
)
def test_two_that_overwrite_each_other_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, module: str, both: tuple[str, str]
) -> None:
    owned(monkeypatch, module, *reversed(both))
    (problem,) = checking._packages().problems
    assert problem.startswith(
        f"{both[0]} and {both[1]} are installed both, and overwrite each other's files of {module}"
    )
    assert f"`pip uninstall {both[0]} {both[1]}`" in problem


def test_owners_are_those_that_have_files_in_a_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, file in (
        ("opencv-python", "cv2/cv2.so"),
        ("opencv-contrib-python", "cv2/cv2.so"),
        ("opencv-tools", "tools/cv2.py"),
        ("other", "cv2/cv2.so"),
    ):
        folder = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (folder / "RECORD").write_text(f"{file},,\n")
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert checking._owners("cv2") == ["opencv-contrib-python", "opencv-python"]


def test_a_runtime_that_breaks_is_said_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(runtime: str) -> None:
        if runtime == "openvino":
            raise OSError("libtbb.so.12:\n cannot open")

    monkeypatch.setattr(checking, "_try", fail)
    part = checking._runtimes()
    assert part.problems == ("openvino does not predict here: OSError, libtbb.so.12: cannot open; install it anew",)
    assert {name: facts["works"] for name, facts in part.facts.items()} == {
        "torch": True,
        "onnxruntime": True,
        "openvino": False,
    }


def test_no_runtime_at_all_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "is_there", lambda runtime: False)
    assert checking._runtimes().problems == ("no runtime is installed; install one with `pip install onnxruntime`",)


def test_a_decoder_that_cannot_be_imported_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    part = checking._decoder()
    assert part.facts is None
    assert part.problems[0].startswith("PyAV cannot be imported, and no video be read: ModuleNotFoundError")


def test_caches_are_measured_and_must_be_writable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub_cache: Path
) -> None:
    monkeypatch.setenv("STZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "onnx").mkdir(parents=True)
    (tmp_path / "cache" / "onnx" / "a.onnx").write_bytes(b"12345")
    (tmp_path / "cache" / "onnx" / "b.onnx").symlink_to("a.onnx")
    part = checking._caches()
    assert part.facts["onnx"] == {"folder": str(tmp_path / "cache" / "onnx"), "bytes": 5}
    assert part.facts["hub"] == {"folder": str(hub_cache), "bytes": 0}
    assert part.problems == ()
    monkeypatch.setattr(os, "access", lambda place, mode: "onnx" not in str(place))
    assert checking._caches().problems == (
        f"the cache {tmp_path / 'cache' / 'onnx'} cannot be written; name another folder with STZOO_CACHE",
    )


def test_the_hub_is_asked_once_and_never_offline(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checking._hub(None) == checking.Part({"endpoint": server.url, "answers": True})
    assert server.requests == ["GET /api/models"]
    assert checking._hub(True) == checking.Part({"endpoint": server.url, "answers": None})
    assert server.requests == ["GET /api/models"]
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    part = checking._hub(None)
    assert part.facts["answers"] is False
    assert part.problems[0].startswith(f"the Hub at {NOWHERE} does not answer (")
    assert part.problems[0].endswith("HF_HUB_OFFLINE=1 lets models come from the cache")


def test_a_hub_in_trouble_is_a_problem(server: HubServer) -> None:
    server.faults.append(Fault("/api/models", status=503))
    (problem,) = checking._hub(None).problems
    assert problem.startswith(f"the Hub at {server.url} answers with status 503")
