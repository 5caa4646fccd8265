"""`stzoo export` and `stzoo publish`, killed at random moments and begun again: a part of docs/results/kill-runs.md.

After every kill a file is absent or whole, and a repository of the Hub (loopback, from `tests/`) has the
commit or has it not. What the attempt that is left to finish makes is what it is undisturbed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hub_server import WRITER, HubServer
from stzoo.files import packaged

MODEL = "camera-motion-opt"
BUNDLE = packaged("bundled") / MODEL


def started(words: list[str], **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "stzoo", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finished(words: list[str], **environment: str) -> float:
    """Runs a command to its end; the seconds that it took."""
    begin = time.monotonic()
    process = started(words, **environment)
    complaint = process.communicate()[1].decode()
    if process.returncode:
        raise AssertionError(f"stzoo {' '.join(words)} ends with {process.returncode}: {complaint}")
    return time.monotonic() - begin


def killed(words: list[str], latest: float, rng: random.Random, **environment: str) -> bool:
    """Whether it was killed before it ended."""
    process = started(words, **environment)
    try:
        process.wait(timeout=rng.uniform(0.5, latest))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
    process.communicate()
    return process.returncode == -9


def export(folder: Path, kills: int, rng: random.Random) -> str:
    good, file = folder / "good.onnx", folder / "model.onnx"
    seconds = finished(["export", MODEL, "-o", str(good)])
    counts: Counter[str] = Counter()
    while counts.total() < kills:
        file.unlink(missing_ok=True)
        if not killed(["export", MODEL, "-o", str(file)], seconds, rng):
            continue
        counts["the file was whole" if file.exists() else "there was no file"] += 1
        if file.exists() and file.read_bytes() != good.read_bytes():
            raise AssertionError("half a file")
    file.unlink(missing_ok=True)
    finished(["export", MODEL, "-o", str(file)])
    onnx.checker.check_model(str(file))
    if file.read_bytes() != good.read_bytes():
        raise AssertionError("another file")
    return f"| export | {kills} | {said(counts)} |"


def publish(folder: Path, kills: int, rng: random.Random) -> str:
    hub = HubServer(folder / "hub")
    hub.start()
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": WRITER,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1",  # this Hub has none
    }
    try:
        seconds = finished(["publish", str(BUNDLE), "--repo", "lab/good"], **environment)
        counts: Counter[str] = Counter()
        number = 0
        while counts.total() < kills:
            number += 1
            words = ["publish", str(BUNDLE), "--repo", f"lab/killed{number}"]
            if not killed(words, seconds, rng, **environment):
                continue
            repo = hub.repos.get(f"lab/killed{number}")
            counts["no repository" if repo is None else f"{len(repo.commits)} commits"] += 1
            finished(words, **environment)
            if hub.files(f"lab/killed{number}") != hub.files("lab/good"):
                raise AssertionError("another commit")
    finally:
        hub.stop()
    return f"| publish | {kills} | {said(counts)} |"


TRIALS = {"export": export, "publish": publish}


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {number}" for what, number in sorted(counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=15, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=TRIALS, action="append", help="this command and no other")
    options = parser.parse_args()
    for name in options.only or TRIALS:
        with tempfile.TemporaryDirectory() as folder:
            print(TRIALS[name](Path(folder), options.kills, random.Random(options.seed)), flush=True)


if __name__ == "__main__":
    main()
