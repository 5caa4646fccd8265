"""Sends an interrupt to commands at random moments, and records what they say: no traceback, no interrupt lost.

    python benchmarks/interrupts.py --times 100 --seed 0 -o docs/results/interrupts.md

Every command runs in a folder of its own, as the leader of its own group, and the interrupt goes to the whole group, as
a terminal's does. A command that ends before its moment counts as such.
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

LATEST_SECONDS = 3.0
"""Moments are drawn from the first seconds of a command."""
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
    "train": ["train", "--data", "classes", "--out", "run"],
    "data make": ["data", "make", "camera", "made"],
}


def prepare(folder: Path) -> None:
    """Twenty videos, and two classes of them."""
    sample = packaged("bundled") / "sample.mp4"
    for name in ("videos", "classes/turn-left", "classes/turn-right"):
        (folder / name).mkdir(parents=True)
        for number in range(20 if name == "videos" else 5):
            shutil.copyfile(sample, folder / name / f"{number}.mp4")


def _interruptible() -> None:
    """Whoever runs this in the background, as a shell's & does, may have had interrupts ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupted(command: list[str], seconds: float) -> str:
    """What an interrupt after so many seconds led to, in a word or two."""
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        running = subprocess.Popen(
            [sys.executable, "-m", "stzoo", *command],
            cwd=name,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_interruptible,
        )
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
    for number in range(arguments.times):
        name = list(COMMANDS)[number % len(COMMANDS)]
        counts[name][interrupted(COMMANDS[name], generator.uniform(0, LATEST_SECONDS))] += 1
    rows = [f"| `stzoo {' '.join(COMMANDS[name])}` | {_text(count)} |" for name, count in counts.items() if count]
    together = sum(counts.values(), Counter())
    lines = [
        "# Interrupts at random moments",
        "",
        f"`python benchmarks/interrupts.py --times {arguments.times} --seed {arguments.seed}`: Ctrl-C at a moment "
        f"drawn from the first {LATEST_SECONDS:g} seconds of a command. "
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
