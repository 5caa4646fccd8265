"""What a crowd does to `stzoo serve`: many clients at once, some slow, some that break off, and 5 GB.

    python benchmarks/serve.py [--clients 200] [--requests 1000]

A server is started as a user starts it, on a free port of this machine. The largest memory of it and of its readers is
what /proc says; every tenth client breaks off, every twentieth is slow, and one sends five gigabytes in pieces.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stzoo.prediction.golden import sample
from stzoo.zoo.benchmarking import machine

_EVERY_BROKEN, _EVERY_SLOW = 10, 20
_HUGE = 5_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="camera-motion-opt")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    command = [sys.executable, "-m", "stzoo", "serve", options.model, "--port", "0", "--max-seconds", "20"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    print(line.strip())
    port = int(re.findall(r":(\d+):", line)[0])
    peaks: dict[str, float] = {}
    watching = threading.Event()
    threading.Thread(target=_watch, args=(server.pid, peaks, watching), daemon=True).start()
    body = sample().read_bytes()
    expected = _row(_answer(port, body)[1])
    began = time.monotonic()
    with ThreadPoolExecutor(options.clients) as clients:
        huge = clients.submit(_answer, port, _pieces())
        answers = list(clients.map(lambda number: _client(port, body, number), range(options.requests)))
    seconds = time.monotonic() - began
    kinds = Counter(kind for kind, _, _ in answers)
    wrong = [row for kind, row, _ in answers if kind == "200" and row != expected]
    took = sorted(one for kind, _, one in answers if kind == "200")
    print(f"{options.clients} clients, {options.requests} requests in {seconds:.1f} s: {dict(kinds)}")
    print(f"answers other than that to one client alone: {len(wrong)}; a body of 5 GB: {huge.result()[0]}")
    print(f"seconds to an answer: median {statistics.median(took):.1f}, largest {took[-1]:.1f}")
    watching.set()
    print(f"largest memory, MB: {json.dumps({name: round(peak) for name, peak in peaks.items()})}")
    server.send_signal(signal.SIGTERM)
    print(f"after SIGTERM it ended with {server.wait(60)}; {machine()}")


def _client(port: int, body: bytes, number: int) -> tuple[str, str, float]:
    began = time.monotonic()
    if number % _EVERY_BROKEN == 0 or number % _EVERY_SLOW == 1:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % len(body))
            client.sendall(body[: len(body) // 2])
            if number % _EVERY_BROKEN == 0:
                return "broke off", "", 0.0
            client.settimeout(600)
            return f"slow: {client.recv(100).decode().split()[1]}", "", 0.0
    status, content = _answer(port, body)
    return str(status), _row(content), time.monotonic() - began


def _answer(port: int, body: bytes | Iterator[bytes]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused while it is sent
        connection.request("POST", "/predict", body)
    response = connection.getresponse()
    return response.status, response.read()


def _row(content: bytes) -> str:
    (row,) = json.loads(content)
    return json.dumps([(entry["label"], round(entry["score"], 5)) for entry in row["predictions"]])


def _pieces() -> Iterator[bytes]:
    yield from itertools.repeat(b"\0" * 1_000_000, _HUGE // 1_000_000)


def _watch(pid: int, peaks: dict[str, float], done: threading.Event) -> None:
    """The largest resident memory of the server and of what it started, in MB."""
    while not done.wait(0.1):
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        children = [child for thread in threads for child in thread.read_text().split()]
        for name, process in [("server", str(pid)), *((f"process {place}", one) for place, one in enumerate(children))]:
            try:
                text = Path(f"/proc/{process}/status").read_text()
            except OSError:
                continue
            if found := re.search(r"VmHWM:\s+(\d+)", text):
                peaks[name] = max(peaks.get(name, 0.0), int(found[1]) / 1024)


if __name__ == "__main__":
    main()
