"""Nothing leaves the machine but what a Hub is asked for, whatever the command and the runtime."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub_server import WRITER, HubServer
from stzoo import telemetry
from stzoo.files import packaged

SAMPLE = str(packaged("bundled") / "sample.mp4")
MODEL = "camera-motion-s"
GUARD = """
import os, sys

def refuse(event, arguments):
    # Names are looked up and connections made to the loopback interface alone; a test's Hub listens there.
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host != "127.0.0.1":
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(f"{sys.argv[:3]} {event} {host}\\n")
        raise PermissionError(host)

sys.addaudithook(refuse)
"""
"""A `sitecustomize` for a process and those that it starts: an audit hook survives a fork, and PYTHONPATH an exec."""


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that may reach the loopback interface alone, with a home of its own."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in telemetry.VARIABLES}
    for name in ("CI", "XDG_CACHE_HOME", "STZOO_CACHE", "HF_HOME", "HF_TOKEN"):  # openvino reports nothing under CI
        kept.pop(name, None)
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), *sys.path]),
        "GUARD_LOG": str(tmp_path / "log.txt"),
        "HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }


def run(commands: list[list[str]], environment: dict[str, str], folder: Path) -> None:
    """Runs commands of stzoo one after another in one process, each of which must succeed."""
    program = (
        "from stzoo.cli import main\n"
        f"for command in {commands!r}:\n"
        "    try: main(command)\n"
        "    except SystemExit as end: assert end.code == 0, command\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


def refuse_traces(environment: dict[str, str]) -> None:
    log = Path(environment["GUARD_LOG"])
    assert not log.exists(), log.read_text()
    home = Path(environment["HOME"])
    kept = {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()}
    allowed = {(".cache", "stzoo"), (".cache", "huggingface"), (".cache", "matplotlib"), (".config", "matplotlib")}
    assert kept <= allowed  # reporters that are no Python leave their files: .cache/Microsoft, intel


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino"])
def test_a_runtime_reaches_nobody(runtime: str, guarded: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    (tmp_path / "list.txt").write_text(f"{SAMPLE} still\n")
    options = ["--runtime", runtime, "--device", "cpu"]
    evaluate = ["evaluate", MODEL, "--data", "list.txt", "--out", "out", *options]
    embed = ["embed", SAMPLE, "--model", MODEL, "-o", "vectors.npz", *options]
    verify = ["verify", MODEL, "--runtime", runtime]
    run([["predict", SAMPLE, SAMPLE, "--model", MODEL, *options], evaluate, embed, verify], guarded, tmp_path)
    refuse_traces(guarded)


def test_training_reaches_nobody(guarded: dict[str, str], tmp_path: Path) -> None:
    for name in ("still", "turn"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        for number in range(3):
            shutil.copy(SAMPLE, tmp_path / "videos" / name / f"{number}.mp4")
    finetune = ["finetune", MODEL, "--data", "videos", "--epochs", "1", "--out", "run", "--quiet"]
    run([[*finetune, "--set", "data.selection_fraction=0.5"], ["evaluate", "run"]], guarded, tmp_path)
    refuse_traces(guarded)


def test_commands_reach_the_hub_that_was_asked_and_nobody_else(
    server: HubServer, guarded: dict[str, str], tmp_path: Path
) -> None:
    commands = [
        ["list"],
        ["show", MODEL],
        ["diff", MODEL, "camera-motion-st"],
        ["measure", "resnet_tiny"],
        ["export", MODEL, "-o", "model.onnx"],
        ["publish", MODEL, "--repo", "lab/own"],
        ["predict", SAMPLE, "--model", "lab/own", "--runtime", "auto", "--device", "cpu"],
    ]
    run(commands, guarded | {"HF_ENDPOINT": server.url, "HF_TOKEN": WRITER}, tmp_path)
    assert "lab/own" in server.repos
    refuse_traces(guarded)


def test_the_guard_sees_what_it_is_for(guarded: dict[str, str], tmp_path: Path) -> None:
    program = (
        "import multiprocessing, socket\n"
        "multiprocessing.get_context('fork').Process(target=socket.getaddrinfo, args=('example.org', 80)).start()\n"
    )
    subprocess.run([sys.executable, "-c", program], env=guarded, cwd=tmp_path, capture_output=True, timeout=60)
    with pytest.raises(AssertionError, match=r"example\.org"):
        refuse_traces(guarded)


def test_the_variables_are_set_by_the_first_import_and_stay_what_a_user_made_them() -> None:
    program = f"import os, stzoo; print(*(os.environ[name] for name in {list(telemetry.VARIABLES)!r}))"

    def printed(**changes: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in telemetry.VARIABLES}
        done = subprocess.run([sys.executable, "-c", program], env=kept | changes, capture_output=True, text=True)
        return done.stdout.strip()

    assert printed() == "1 1 0"
    assert printed(ORT_DISABLE_TELEMETRY="0") == "0 1 0"


def test_openvinos_reporter_can_be_imported_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    with telemetry.without_openvinos():
        assert sys.modules["openvino_telemetry"] is None  # type: ignore[comparison-overlap]
    assert "openvino_telemetry" not in sys.modules
    mine: Any = type(sys)("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", mine)
    with telemetry.without_openvinos():
        assert sys.modules["openvino_telemetry"] is mine
