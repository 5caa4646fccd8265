"""Writes docs/results/results.csv: a line for every trained model of the zoo, and how fast it is on this machine.

    python benchmarks/results.py

Everything but the milliseconds is what `stzoo list --format csv` says: parameters and multiply-adds of a clip, and the
accuracy on the split farthest from the training data, with its interval and protocol. A clip is timed on onnxruntime
with one thread, as `stzoo benchmark` does: what the processor works for it, which another program does not change.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

from stzoo.files import write_text
from stzoo.prediction.golden import sample
from stzoo.zoo.benchmarking import Failed, benchmark, machine

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "results.csv"
TIMED = ("processor_milliseconds_a_clip", "runtime", "precision", "threads")


def main() -> None:
    command = [sys.executable, "-m", "stzoo", "list", "--format", "csv"]
    listed = csv.DictReader(io.StringIO(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    rows = [row for row in listed if row["value"]]
    for row in rows:
        (speed, *_) = benchmark(row["name"], sample(), [1], "onnxruntime", say=print)
        if isinstance(speed, Failed):
            sys.exit(f"{row['name']}: {speed.error}")
        row |= {name: getattr(speed, name) for name in TIMED} | {"processor": machine()["processor"]}
        print(f"{row['name']}: {row['value']}, {speed.processor_milliseconds_a_clip} ms a clip", flush=True)
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(RESULTS, stream.getvalue())


if __name__ == "__main__":
    main()
