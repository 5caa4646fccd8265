"""Memory of `stzoo predict --timeline` while it follows a stream, and what it does where that breaks off.

    python benchmarks/live.py VIDEO --minutes 10

An address on this machine sends VIDEO over and over at its own rate, encoded anew as H.264 in a transport stream with
one clock. After half of the time it cuts the connection once. Prints, as Markdown, how much memory the command holds at
the end of every minute (`VmRSS` of Linux), and how many lines it had written by then.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np

from stzoo.video.source import open_source
from stzoo.video.video import Video


class Address(ThreadingHTTPServer):
    """Sends pictures at a rate, and cuts the first connection after so many seconds."""

    daemon_threads = True

    def __init__(self, video: Path, cut_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), Sender)
        source = open_source(Video(video))
        self.pictures = [picture for _, picture in source.frames(np.arange(source.info.frames))]
        self.rate = Fraction(round(source.info.frames / source.info.duration_seconds * 1000), 1000)
        self.cuts = iter([cut_seconds])
        self.connections = 0


class Sender(BaseHTTPRequestHandler):
    """A connection."""

    server: Address

    def do_GET(self) -> None:
        self.server.connections += 1
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        cut, began = next(self.server.cuts, float("inf")), time.monotonic()
        height, width = self.server.pictures[0].shape[:2]
        fast = {"preset": "ultrafast", "tune": "zerolatency", "g": "30", "threads": "1"}
        gone = contextlib.suppress(ConnectionError, av.FFmpegError)
        with gone, av.open(self.wfile, "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=self.server.rate, options=fast)
            stream.width, stream.height, stream.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
            for number, picture in enumerate(itertools.cycle(self.server.pictures)):
                seconds = number / float(self.server.rate)
                if seconds > cut:
                    return
                time.sleep(max(0.0, began + seconds - time.monotonic()))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

    def log_message(self, *_: object) -> None:
        pass


def megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--model", default="camera-motion-opt")
    arguments = parser.parse_args()
    address = Address(arguments.video, 30.0 * arguments.minutes)
    threading.Thread(target=address.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{address.server_address[1]}/live.ts"
    command = [sys.executable, "-m", "stzoo", "predict", place, "--timeline", "--model", arguments.model]
    with tempfile.TemporaryDirectory() as folder:
        lines, said = Path(folder) / "lines.jsonl", Path(folder) / "said.txt"
        with said.open("w", encoding="utf-8") as errors:
            following = subprocess.Popen([*command, "--format", "jsonl", "-o", str(lines)], stderr=errors)
        print("| minute | memory, MB | lines | connections |\n|---|---|---|---|", flush=True)
        for minute in range(1, arguments.minutes + 1):
            time.sleep(60)
            written = len(lines.read_text(encoding="utf-8").splitlines())
            print(f"| {minute} | {megabytes(following.pid):.1f} | {written} | {address.connections} |", flush=True)
        following.terminate()
        following.wait()
        print(f"\nSaid meanwhile:\n\n{said.read_text(encoding='utf-8')}")


if __name__ == "__main__":
    main()
