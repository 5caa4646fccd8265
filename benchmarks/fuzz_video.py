"""Damaged files of every container, read by worker processes: the tables of docs/results/fuzz-video.md (`make fuzz`).

Each file is cut off, has bytes overwritten, or both; or, with `--structure`, has one to three of the fields changed
that say how it is built: sizes, sample tables, edit lists, dimensions, rates, times (`structure.py`). Printed for each
container: how many gave clips without a word, clips with a warning, an error of ours, a crash or a timeout; the slowest
file; and the memory of the largest worker.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
from structure import fields_of, mutated

from stzoo.contract import InputContract
from stzoo.errors import VideoError
from stzoo.video.reader import VideoClips
from stzoo.video.video import Video
from stzoo.video.workers import read_many

KINDS = {
    "mp4": ("libx264", "yuv420p"),
    "mov": ("mpeg4", "yuv420p"),
    "mkv": ("libx265", "yuv420p"),
    "webm": ("libvpx-vp9", "yuv420p"),
    "avi": ("mpeg4", "yuv420p"),
    "ts": ("libx264", "yuv420p"),
    "gif": ("gif", "rgb8"),
    "3gp": ("libx264", "yuv420p"),
    "flv": ("flv1", "yuv420p"),
    "ogv": ("libvpx", "yuv420p"),
    "wmv": ("wmv2", "yuv420p"),
    "mpg": ("mpeg2video", "yuv420p"),
}
COLUMNS = ("clips", "warning", "error", "crash", "timeout")
CONTRACT = InputContract(frames=8, fps=10.0, clips=3, resize=72, crop=64)


def whole(path: Path, codec: str, pix_fmt: str) -> bytes:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
        stream.options = {"g": "12", **({"x265-params": "log-level=none"} if codec == "libx265" else {})}
        wide = rng.integers(0, 256, (96, 128 + 100, 3), dtype=np.uint8)
        for start in range(50):
            pixels = np.ascontiguousarray(wide[:, 2 * start : 2 * start + 128])
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The file cut off, overwritten in places, or both."""
    data, how = np.frombuffer(content, dtype=np.uint8).copy(), rng.integers(3)
    if how != 1:
        beginning = rng.random() < 0.5  # headers and indices are small and decide most
        where = rng.integers(0, min(len(data), 2000) if beginning else len(data), rng.integers(1, 30))
        data[where] = rng.integers(0, 256, len(where))
    if how != 0:
        data = data[: rng.integers(1, len(data))]
    return data.tobytes()


def written(folder: Path, kind: str, files: int, damage: Callable[[], bytes]) -> Iterator[Path]:
    """Writes one damaged file after another, and removes those that have been read long ago."""
    for number in range(files):
        path = folder / f"{number}.{kind}"
        path.write_bytes(damage())
        (folder / f"{number - 10}.{kind}").unlink(missing_ok=True)
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300, help="damaged files a container")
    parser.add_argument("--structure", action="store_true", help="change fields, not bytes")
    parser.add_argument("--seconds", type=float, default=20.0, help="time limit for a file")
    arguments = parser.parse_args()
    print_head(f"{arguments.files} files a container", arguments.seconds)
    with tempfile.TemporaryDirectory() as name:
        for kind, (codec, pix_fmt) in KINDS.items():
            folder, rng = Path(name), np.random.default_rng(1)
            content = whole(folder / f"whole.{kind}", codec, pix_fmt)
            damage: Callable[[], bytes] = partial(damaged, content, rng)
            if arguments.structure:
                damage = partial(mutated, content, fields_of(kind, content), rng)
            paths = written(folder, kind, arguments.files, damage)
            print_row(kind, folder / f"whole.{kind}", paths, arguments.seconds)


def print_head(what: str, seconds: float) -> None:
    print(f"PyAV {av.__version__}, {what}, at most {seconds:g} s a file\n")
    print(f"| kind | {' | '.join(COLUMNS)} | slowest s | largest worker MB |")
    print(f"|---|{'---:|' * (len(COLUMNS) + 2)}")


def print_row(kind: str, good: Path, paths: Iterable[Path], seconds: float) -> None:
    """Reads a good file, which starts the worker, and then all others, and prints what came of them."""
    videos = (Video(path, frame_rate=25.0) for path in itertools.chain([good], paths))
    results = read_many(videos, CONTRACT, workers=1, seconds_a_file=seconds)
    _, first = next(results)
    if isinstance(first, Exception):
        raise first
    counts, slowest, before = Counter(dict.fromkeys(COLUMNS, 0)), 0.0, time.monotonic()
    for _, result in results:
        slowest, before = max(slowest, time.monotonic() - before), time.monotonic()
        counts[outcome(result)] += 1
    # Its children's memory is counted when they have ended; Linux counts kilobytes.
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    row = " | ".join(str(counts[column]) for column in COLUMNS)
    print(f"| {kind} | {row} | {slowest:.1f} | {largest:.0f} |", flush=True)


def outcome(result: VideoClips | VideoError) -> str:
    if not isinstance(result, Exception):
        return "warning" if result.warnings else "clips"
    if " the process that read it" in str(result):
        return "crash"
    return "timeout" if "was not read within" in str(result) else "error"


if __name__ == "__main__":
    main()
