"""How long decoding and resizing take beside PyAV with swscale: the table of docs/results/decoding.md.

    taskset -c 0 python benchmarks/decode.py

makes a seeded video, reads ten clips of it in every way, interleaved in rounds whose order alternates, and prints the
median over the rounds of each way's processor time and of its ratio to the first way. `--video FILE` takes a file of
yours.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from stzoo.contract import InputContract
from stzoo.video.clips import plan
from stzoo.video.decode import probe
from stzoo.video.reader import read_clips
from stzoo.video.video import Video


def make_video(path: Path, *, seconds: int, width: int, height: int, gop: int) -> None:
    """A textured picture that the camera pans over, with noise, at 30 frames a second."""
    rng = np.random.default_rng(0)
    frames = 30 * seconds
    small = rng.integers(0, 256, (height // 8, (width + 2 * frames) // 8, 3), dtype=np.uint8)
    wide = cv2.resize(small, (width + 2 * frames, height), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"g": str(gop), "keyint_min": str(gop), "preset": "veryfast", "bf": "2"}
        for start in range(frames):
            noise = rng.integers(-6, 7, (height, width, 1))
            pixels = np.clip(wide[:, 2 * start : 2 * start + width] + noise, 0, 255).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))


def swscale(path: Path, contract: InputContract, threads: int | None) -> np.ndarray:
    """One pass of PyAV over the file; every wanted frame is resized and converted by swscale, bilinear."""
    info = probe(path)
    wanted = plan(info.timestamps_seconds, contract, contract.clips)
    assert isinstance(contract.resize, int)
    scale = contract.resize / min(info.width, info.height)
    width, height = round(info.width * scale), round(info.height * scale)
    top, left = (height - contract.crop) // 2, (width - contract.crop) // 2
    needed, found = set(wanted.ravel().tolist()), {}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in needed:
                small = frame.reformat(width, height, format="rgb24", interpolation="BILINEAR", threads=threads)
                pixels = small.to_ndarray()[top : top + contract.crop, left : left + contract.crop]
                found[index] = np.ascontiguousarray(pixels)
                if len(found) == len(needed):
                    break
    return np.stack([found[index] for index in wanted.ravel().tolist()])


def compare(ways: dict[str, Callable[[], object]], rounds: int) -> None:
    names = list(ways)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for way in ways.values():
        way()
    for round_ in range(rounds):
        for name in names if round_ % 2 == 0 else names[::-1]:
            start = time.process_time()
            ways[name]()
            spent[name].append(time.process_time() - start)
    print(f"| {'way':36} | ms | ratio | quartiles |\n|{'-' * 38}|---:|---:|---:|")
    for name in names:
        ratios = sorted(mine / first for mine, first in zip(spent[name], spent[names[0]], strict=True))
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        milliseconds = 1000 * statistics.median(spent[name])
        print(f"| {name:36} | {milliseconds:.0f} | {middle:.2f} | {low:.2f} to {high:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="a file to read instead of the made one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--gop", type=int, default=250, help="frames from keyframe to keyframe")
    parser.add_argument("--clips", type=int, default=10)
    arguments = parser.parse_args()
    contract = InputContract(frames=16, stride_frames=2, clips=arguments.clips, resize=256, crop=256)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.video or Path(folder) / "made.mp4"
        if arguments.video is None:
            size = {"width": arguments.width, "height": arguments.height}
            make_video(path, seconds=arguments.seconds, gop=arguments.gop, **size)
        print(f"PyAV {av.__version__}, OpenCV {cv2.__version__}; {contract.text}; {arguments.rounds} rounds\n")
        ways = {
            "PyAV in order, swscale, one thread": lambda: swscale(path, contract, 1),
            "PyAV in order, swscale, its threads": lambda: swscale(path, contract, None),
            "stzoo read_clips": lambda: read_clips(Video(path), contract),
        }
        compare(ways, arguments.rounds)


if __name__ == "__main__":
    main()
