"""Predict many videos with Ray Data, on this machine or on a cluster; needs `pip install 'stzoo[ray]'`.

    python examples/ray_predict.py FOLDER -o rows.jsonl --workers 2

writes the rows that `stzoo predict FOLDER --format jsonl` writes, in the same order. With RAY_ADDRESS in the
environment the workers are those of that cluster: every machine needs stzoo, and the videos under the same paths.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import ray

from stzoo.cli.inputs import videos
from stzoo.files import replacing
from stzoo.ray_stage import PredictStage


def main() -> int:
    parser = argparse.ArgumentParser(description="Predict many videos with Ray Data.")
    parser.add_argument("inputs", nargs="+", metavar="FILE|FOLDER|PATTERN")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="JSON lines")
    parser.add_argument("--model", default="camera-motion-opt", metavar="NAME")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes, each with a model of its own")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="videos that a worker takes at a time")
    arguments = parser.parse_args()

    paths = [os.path.abspath(video.path) for video in videos(arguments.inputs)]
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    blocks = -(-len(paths) // arguments.batch)
    dataset = ray.data.from_items([{"path": path} for path in paths], override_num_blocks=blocks)
    rows = dataset.map_batches(
        PredictStage,
        fn_constructor_kwargs={"model": arguments.model},
        batch_size=arguments.batch,
        compute=ray.data.ActorPoolStrategy(size=arguments.workers),
        num_cpus=1,
    )
    failed = 0
    with replacing(arguments.output) as temporary, temporary.open("w", encoding="utf-8") as output:
        for row in rows.iter_rows():
            output.write(f"{row['json']}\n")
            if row["error"]:
                print(f"Error: {row['error']}", file=sys.stderr)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
