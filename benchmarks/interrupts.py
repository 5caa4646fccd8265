"""Sends an interrupt to commands at random moments, and records what they say: no traceback, no interrupt lost.

    python benchmarks/interrupts.py --times 100 --seed 0 -o docs/results/interrupts.md

Every command runs in a folder of its own, as the leader of its own group, and the interrupt goes to the whole group, as
a terminal's does. Each is first run undisturbed, to see how long it takes here; its moments are drawn from that time,
or its first seconds. A command that ends before its moment counts as such.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from stzoo.files import packaged

LATEST_SECONDS = 8.0
"""No moment is later after a command's start."""
WAIT_SECONDS = 60.0
"""A command that has not ended by then has lost its interrupt."""

_IN_PYTHON = "Fatal Python error: init_import_site"
"""What the interpreter says of an interrupt while it starts, before any code of stzoo's."""

COMMANDS = {
    "predict": ["predict", "videos", "--workers", "2", "-o", "out.jsonl"],
    "predict --timeline": ["predict", "videos", "--timeline", "--hop", "0.1", "--format", "json"],
    "predict --runtime torch": ["predict", "videos", "--runtime", "torch", "--workers", "0"],
    "evaluate": ["evaluate", "camera-motion-opt", "--data", "classes", "-o", "evaluation"],
    "show": ["show", "camera-motion-opt", "--figure", "figure.png"],
    "list": ["list"],
    "diff": ["diff", "published:sthv1", "published:k400"],
    "measure": ["measure", "densenet121", "--strategy", "sst"],
    "export": ["export", "camera-motion-opt", "-o", "model.onnx"],
    "embed": ["embed", "videos", "--workers", "2", "-o", "vectors.npz"],
    "verify": ["verify", "camera-motion-opt"],
    "benchmark": ["benchmark", "camera-motion-opt", "--threads", "1"],
    "publish": ["publish", "run", "--repo", "lab/smoke", "--dry-run"],
    "train": ["train", "--data", "classes", "--out", "own"],
    "finetune": ["finetune", "camera-motion-opt", "--data", "classes", "--out", "tuned"],
    "select": ["select", "run", "--strategies", "200", "--exhaustive", "--cache", "cache"],
    "select --frontier": ["select", "run", "--frontier", "--cache", "cache"],
    "effects": ["effects", "run", "--cache", "cache"],
    "data make": ["data", "make", "camera", "--out", "made"],
    "data check": ["data", "check", "smoke", "--data-root", "set", "--workers", "2"],
}


def prepare(folder: Path) -> None:
    """Twenty videos, two classes of them, and a finished run of the smoke recipe on a made set."""
    sample = packaged("bundled") / "sample.mp4"
    for name in ("videos", "classes/turn-left", "classes/turn-right"):
        (folder / name).mkdir(parents=True)
        for number in range(20 if name == "videos" else 5):
            shutil.copyfile(sample, folder / name / f"{number}.mp4")
    for words in (
        ["data", "make", "camera", "--out", "set", "--clips", "60"],
        ["train", "smoke", "--data-root", "set", "--out", "run", "--cache", "cache", "--quiet"],
    ):
        subprocess.run([sys.executable, "-m", "stzoo", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _interruptible() -> None:
    """Whoever runs this in the background, as a shell's & does, may have had interrupts ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def started(command: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stzoo", *command],
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=_interruptible,
    )


def seconds_of(command: list[str], prepared: Path) -> float:
    """How long a command takes, or `LATEST_SECONDS` where it takes longer."""
    with tempfile.TemporaryDirectory() as name:
        began = time.monotonic()
        running = started(command, shutil.copytree(prepared, Path(name) / "it"))
        try:
            text, _ = running.communicate(timeout=LATEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
        else:
            if running.returncode:
                raise RuntimeError(f"stzoo {' '.join(command)} fails undisturbed: {text}")
        return min(LATEST_SECONDS, time.monotonic() - began)


def interrupted(command: list[str], seconds: float, prepared: Path) -> str:
    """What an interrupt after so many seconds led to, in a word or two."""
    with tempfile.TemporaryDirectory() as name:
        running = started(command, shutil.copytree(prepared, Path(name) / "it"))
        try:
            running.wait(seconds)
            running.communicate()
            return "had ended"
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGINT)
        began = time.monotonic()
        try:
            text, _ = running.communicate(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            return "interrupt lost"
        if _IN_PYTHON in text:
            return "ended before or after stzoo ran"
        if "Traceback" in text:
            print(text, file=sys.stderr)
            return "traceback"
        took = time.monotonic() - began
        if running.returncode == -signal.SIGINT:
            return "ended before or after stzoo ran"
        return {130: f"ended within {1 if took < 1 else 5 if took < 5 else 60} s"}.get(
            running.returncode, "ended by itself" if running.returncode == 0 else f"exit code {running.returncode}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=100, help="interrupts over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        latest = {name: seconds_of(command, Path(folder)) for name, command in COMMANDS.items()}
        for number in range(arguments.times):
            name = list(COMMANDS)[number % len(COMMANDS)]
            outcome = interrupted(COMMANDS[name], generator.uniform(0, latest[name]), Path(folder))
            counts[name][outcome] += 1
            print(name, outcome, flush=True)
    rows = [f"| `stzoo {' '.join(COMMANDS[name])}` | {_text(count)} |" for name, count in counts.items() if count]
    together = sum(counts.values(), Counter())
    lines = [
        "# Interrupts at random moments",
        "",
        f"`python benchmarks/interrupts.py --times {arguments.times} --seed {arguments.seed}`: Ctrl-C at a moment "
        f"drawn from the time that a command takes here, or its first {LATEST_SECONDS:g} seconds. "
        f"{os.cpu_count()} processors ({platform.machine()}).",
        "",
        "| command | what came of it |",
        "|---|---|",
        *rows,
        f"| together | {_text(together)} |",
    ]
    text = "\n".join(lines) + "\n"
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")
    print(text)


def _text(count: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(count.items()))


if __name__ == "__main__":
    main()
