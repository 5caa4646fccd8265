"""Accidents that are not the input's fault: the record docs/results/accidents.md.

    python benchmarks/accidents.py -o docs/results/accidents.md

Signals, two runs in one folder, many processes and threads at once, workers killed, a long list, a full disk and a
read-only one. Every trial ends the program where something else comes of it than what its line says. The disks are
mounted, which only root may do; elsewhere they are left out, and the record says so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import stzoo
from stzoo.files import packaged

MODEL = "camera-motion-opt"
SAMPLE = packaged("bundled") / "sample.mp4"


def started(words: list[str], folder: Path, **environment: str) -> subprocess.Popen[str]:
    """A command of stzoo in a folder, as the leader of a group."""
    return subprocess.Popen(
        [sys.executable, "-m", "stzoo", *words],
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], seconds: float = 600) -> tuple[int, str]:
    """Its exit code and what it said; never a traceback."""
    text, _ = process.communicate(timeout=seconds)
    expect("Traceback" not in text, text)
    return process.returncode, text


def expect(condition: bool, otherwise: object) -> None:
    if not condition:
        raise AssertionError(otherwise)


def videos(folder: Path, count: int) -> None:
    """As many names for the sample, in two classes."""
    for number in range(count):
        path = folder / ("turn-left", "turn-right")[number % 2] / f"{number:04d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(SAMPLE)


def written(file: Path) -> int:
    """How many lines of a file are written."""
    return file.read_bytes().count(b"\n") if file.exists() else 0


class Process(NamedTuple):
    """One line of `ps`."""

    number: int
    parent: int
    group: int
    state: str
    kilobytes: int
    command: str


def running() -> list[Process]:
    """All processes of this machine but those that have ended and that nobody has asked for."""
    lines = subprocess.check_output(["ps", "-eo", "pid=,ppid=,pgid=,stat=,rss=,args="], text=True).splitlines()
    rows = [line.split(None, 5) for line in lines]
    ones = [Process(int(row[0]), int(row[1]), int(row[2]), row[3], int(row[4]), row[5]) for row in rows]
    return [process for process in ones if not process.state.startswith("Z")]


def signals(folder: Path, rng: random.Random, times: int) -> str:
    """SIGTERM or SIGHUP to a command alone, not to its workers: all of them end, and a run can be gone on with."""
    videos(folder / "videos", 200)
    commands = {
        "predict": ["predict", "videos", "--workers", "2", "-o"],
        "train": ["train", "smoke", "--data-root", "set", "--out", "run", "--quiet", "--cache", "cache"],
        "export": ["export", MODEL, "-o"],
    }
    expect(ended(started(["data", "make", "camera", "--out", "set", "--clips", "60"], folder))[0] == 0, "data make")
    for number in range(times):
        name = rng.choice(sorted(commands))
        command = commands[name] + ([f"{number}.{'jsonl' if name == 'predict' else 'onnx'}"] if name != "train" else [])
        process = started(command, folder)
        time.sleep(rng.uniform(1, 8))
        process.send_signal(rng.choice([signal.SIGTERM, signal.SIGHUP]))
        ended(process, 20)
        deadline = time.monotonic() + 20
        while (alive := [one for one in running() if one.group == process.pid]) and time.monotonic() < deadline:
            time.sleep(0.2)
        expect(not alive, f"{alive} outlive stzoo {' '.join(command)}")
    expect(ended(started(commands["train"], folder))[0] == 0, "the run cannot be gone on with")
    return f"{times} commands ended with all of their workers, and the run that was ended was gone on with"


def two_runs(folder: Path, rng: random.Random, times: int) -> str:
    """Two processes train one run: one does, the other says so."""
    expect(ended(started(["data", "make", "camera", "--out", "set", "--clips", "60"], folder))[0] == 0, "data make")
    for number in range(times):
        words = ["train", "smoke", "--data-root", "set", "--out", f"run{number}", "--quiet", "--cache", "cache"]
        results = [ended(process) for process in [started(words, folder), started(words, folder)]]
        codes = sorted(code for code, _ in results)
        expect(codes in ([0, 1], [0, 0]), results)  # both, where the second came when the first was done
        expect(all(len(text.strip().splitlines()) == 1 for code, text in results if code), results)
    return f"{times} times one process trained and the other ended with one sentence"


def cold_cache(folder: Path, rng: random.Random, times: int) -> str:
    """Processes that load one model whose ONNX file nobody has exported."""
    for number in range(times):
        words = ["predict", str(SAMPLE), "--model", MODEL, "--format", "json"]
        processes = [started(words, folder, STZOO_CACHE=str(folder / f"cache{number}")) for _ in range(8)]
        results = [ended(process) for process in processes]
        expect({code for code, _ in results} == {0}, results)
        answers = {json.dumps(json.loads(text)[0]["predictions"]) for _, text in results}
        expect(len(answers) == 1, answers)
    return f"{times} times 8 processes gave one answer"


def threads(folder: Path, rng: random.Random, times: int) -> str:
    """Sixteen threads ask one predictor on every runtime."""
    said = []
    for runtime in ("torch", "onnxruntime", "openvino"):
        try:
            predictor = stzoo.load(MODEL, runtime=runtime)
        except stzoo.errors.StzooError:
            continue
        alone = predictor.scores(SAMPLE)
        wrong = Counter[str]()

        def ask(predictor=predictor, alone=alone, wrong=wrong) -> None:  # type: ignore[no-untyped-def]
            for _ in range(times):
                wrong["different" if abs(predictor.scores(SAMPLE) - alone).max() > 1e-5 else "same"] += 1

        crowd = [threading.Thread(target=ask) for _ in range(16)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        expect(wrong == {"same": 16 * times}, (runtime, wrong))
        said.append(runtime)
    return f"{16 * times} answers were those of one thread ({', '.join(said)})"


def killed_workers(folder: Path, rng: random.Random, files: int) -> str:
    """Workers of one prediction are killed at random, the next one when a row was written since the last."""
    videos(folder / "videos", files)
    process = started(["predict", "videos", "--clips", "1", "--workers", "2", "-o", "out.jsonl"], folder)
    kills = done = 0
    while process.poll() is None:
        time.sleep(rng.uniform(0, 5))
        if written(folder / "out.jsonl") == done:
            continue
        done = written(folder / "out.jsonl")
        children = [one for one in running() if one.parent == process.pid and "spawn_main" in one.command]
        if children:
            os.kill(rng.choice(children).number, signal.SIGKILL)
            kills += 1
    code, text = ended(process)
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    errors = [row for row in rows if "error" in row]
    expect(len({row["path"] for row in rows}) == len(rows) == files, f"{len(rows)} rows of {files}: {text[-2000:]}")
    expect(code == (1 if errors else 0), text)
    expect(len({json.dumps(row["predictions"]) for row in rows if "error" not in row}) == 1, "answers differ")
    return f"{kills} kills over {files:,} files: {files:,} rows, {len(errors)} of them the sentence that a worker died"


def flat_memory(folder: Path, rng: random.Random, files: int) -> str:
    """A long list, read by two workers."""
    videos(folder / "videos", files)
    process = started(["predict", "videos", "--clips", "1", "--workers", "2", "-o", "out.jsonl"], folder)
    sizes: list[tuple[int, int]] = []
    while process.poll() is None:
        time.sleep(1)
        done = written(folder / "out.jsonl")
        family = [one.kilobytes for one in running() if process.pid in (one.number, one.parent)]
        sizes.append((done, sum(family) // 1024))
    expect(ended(process)[0] == 0, "predict")
    early = max(size for done, size in sizes if files // 10 <= done <= files // 3)
    late = max(size for done, size in sizes if done >= files * 2 // 3)
    expect(late < 1.1 * early, sizes)
    return f"at most {early} MB of all processes in the first third of {files:,} videos, {late} MB in the last"


@contextmanager
def disk(folder: Path, size: str, read_only: bool) -> Iterator[Path]:
    """A disk of its own."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def disks(folder: Path, rng: random.Random, *, read_only: bool) -> str:
    """Commands that write where nothing can be written: one sentence each, and no half file but results."""
    if os.geteuid() != 0:
        return "left out: a disk can only be mounted by root"
    videos(folder / "videos", 60)
    expect(ended(started(["data", "make", "camera", "--out", "set", "--clips", "60"], folder))[0] == 0, "data make")
    with disk(folder, "40k", read_only) as place:
        commands = [
            ["predict", "videos", "--format", "jsonl", "-o", f"{place}/out.jsonl"],
            ["export", MODEL, "-o", f"{place}/model.onnx"],
            ["train", "smoke", "--data-root", "set", "--quiet", "--cache", "cache", "--out", f"{place}/run"],
            ["train", "smoke", "--data-root", "set", "--quiet", "--cache", f"{place}/cache", "--out", "run"],
            ["data", "make", "camera", "--out", f"{place}/set", "--clips", "60"],
            ["show", MODEL, "--figure", f"{place}/figure.png"],
            ["evaluate", MODEL, "--data", "videos", "-o", f"{place}/evaluation"],
        ]
        for command in commands:
            code, text = ended(started(command, folder))
            lines = [line for line in text.strip().splitlines() if line.startswith(("Error", "Stopped"))]
            expect(code == 1 and len(lines) == 1, f"stzoo {' '.join(command)}: {code}\n{text}")
            print("   ", lines[0], flush=True)
            halves = [
                path for path in place.rglob("*") if path.name.startswith(".") or path.suffix in (".tmp", ".onnx")
            ]
            expect(not halves, f"stzoo {' '.join(command)} leaves {halves}")
            for path in place.iterdir() if not read_only else ():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"{len(commands)} commands ended with one sentence, and left no half file"


TRIALS: dict[str, Callable[[Path, random.Random], str]] = {
    "SIGTERM and SIGHUP": lambda folder, rng: signals(folder, rng, 20),
    "two runs in one folder": lambda folder, rng: two_runs(folder, rng, 3),
    "a cold cache": lambda folder, rng: cold_cache(folder, rng, 3),
    "threads": lambda folder, rng: threads(folder, rng, 10),
    "workers killed": lambda folder, rng: killed_workers(folder, rng, 2_000),
    "a long list": lambda folder, rng: flat_memory(folder, rng, 3_000),
    "a full disk": lambda folder, rng: disks(folder, rng, read_only=False),
    "a read-only disk": lambda folder, rng: disks(folder, rng, read_only=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TRIALS, action="append", help="this trial and no other")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name, trial in TRIALS.items():
        if arguments.only and name not in arguments.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append(f"| {name} | {trial(Path(folder), random.Random(arguments.seed))} |")
        print(rows[-1], flush=True)
    head = (
        "# Accidents\n\n"
        f"`python benchmarks/accidents.py --seed {arguments.seed}` on {os.cpu_count()} cores that other programs used "
        "too. What came of each:\n\n| what happened | what came of it |\n|---|---|\n"
    )
    if arguments.output is not None:
        arguments.output.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
