"""Runs that are killed at random moments and begun again: the record docs/results/kill-runs.md.

Every command of training is run once without being disturbed, and then again and again with SIGKILL at a random moment,
until it has been killed often enough and is left to finish. Every file of the finished folder must be what it is of the
undisturbed one, but for how long training took. Anything else ends the program.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

FIXED = """extends = "smoke.toml"
name = "alone"

[fixed]
strategy = "sst"
epochs = 3
batch_size = 8
learning_rate = 0.05
weight_decay = 0.0005
"""
TIMED = re.compile(rb'(training time": "|training time: )[^"\n]+')
OTHER_EACH_TIME = {"seconds.json", "lock"}


def commands(root: Path, out: Path) -> dict[str, list[str]]:
    """What is killed, by its name; every one in a folder of its own, `select` in that of the template."""
    train = ["--quiet", "--cache", str(out / "cache")]
    data = ["--data-root", str(root)]
    finetune = ["--data", str(root / "motion/train.txt"), "--root", str(root)]
    return {
        "template": ["train", "smoke", *data, *train, "--out", str(out / "template")],
        "select": ["select", str(out / "template"), "--strategies", "8", *train],
        "fixed": ["train", str(root / "alone.toml"), *data, *train, "--out", str(out / "fixed")],
        "finetune": [
            *("finetune", "camera-motion-opt", *finetune, "--classes", str(root / "motion/classes.txt"), *train),
            *("--epochs", "3", "--set", "compute.threads=1", "--out", str(out / "finetune")),
        ],
    }


def started(words: list[str]) -> subprocess.Popen[bytes]:
    """A command of stzoo in a process of its own, with one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "stzoo", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finished(words: list[str]) -> float:
    """Runs a command to its end; the seconds that it took."""
    start = time.monotonic()
    process = started(words)
    _, complaint = process.communicate()
    if process.returncode:
        raise AssertionError(f"stzoo {' '.join(words)} ends with {process.returncode}: {complaint.decode()}")
    return time.monotonic() - start


def contents(folder: Path, out: Path) -> dict[str, str]:
    """Digest of every file of a finished run, without how long it took and where it stands."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in OTHER_EACH_TIME:
            text = TIMED.sub(b"", path.read_bytes()).replace(str(out).encode(), b"")
            digests[str(path.relative_to(folder))] = hashlib.sha256(text).hexdigest()
    return digests


def where(folder: Path) -> str:
    """How far a run had come when it was killed."""
    names = {path.name for path in folder.glob("*")}
    if (folder / "bundles").is_dir() and any((folder / "bundles").iterdir()):
        return "with its bundle"
    if "metrics.json" in names:
        return "while it was bundled"
    if running := [name for name in names if name.startswith("checkpoint-")]:
        return f"in an epoch of {running[0].removeprefix('checkpoint-').partition('.')[0].partition('-')[0]}"
    done = [name for name in ("fixed", "finetuned", "template", "warmup") if any(n.startswith(name) for n in names)]
    if "scores.csv" in names and "finetuned" not in done:
        return "in selection or after it"
    return f"after {done[0]}" if done else "before its first epoch was done"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--clips", type=int, default=120, help="of the data set that is made")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    places: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        root, straight, disturbed = (Path(temporary) / name for name in ("set", "a", "b"))
        finished(["data", "make", "camera", "--out", str(root), "--clips", str(options.clips)])
        (root / "alone.toml").write_text(FIXED)
        for name, words in commands(root, straight).items():
            seconds = finished(words)
            wanted = contents(straight / run_of(name), straight)
            again = commands(root, disturbed)[name]
            folder = disturbed / run_of(name)
            left, rounds = options.kills // 4 + (name == "template") * (options.kills % 4), 0
            while left:
                process = started(again)
                try:
                    process.wait(timeout=rng.uniform(0.5, seconds))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, 9)
                    process.communicate()
                    places[f"{name}, {where(folder)}"] += 1
                    left -= 1
                else:
                    complaint = process.communicate()[1].decode()
                    if process.returncode:
                        raise AssertionError(f"{name} cannot go on: {complaint}")
                    rounds += 1
                    if contents(folder, disturbed) != wanted:
                        raise AssertionError(f"{name} ends otherwise")
                    if name != "select":
                        shutil.rmtree(folder)
            finished(again)
            got = contents(folder, disturbed)
            if different := [file for file in {*wanted, *got} if wanted.get(file) != got.get(file)]:
                raise AssertionError(f"{name} ends otherwise: {sorted(different)}")
            print(f"{name}: {seconds:.0f} s undisturbed, {rounds + 1} runs ended the same", flush=True)
    for place, count in sorted(places.items()):
        print(f"  {place}: {count}")


def run_of(name: str) -> str:
    """The folder of the run that a command is about."""
    return "template" if name == "select" else name


if __name__ == "__main__":
    main()
