"""Whether the nearest video of another recording has the same label, on one fold of a table path,label,source,fold.

    python benchmarks/neighbours_sources.py GROUPS.csv --fold 3 --models NAME ...

Videos lie beside the table. Prints for each model the share with Wilson's interval and with that over sources, and
what a random video of another recording would have.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import stzoo
from stzoo.metrics import share
from stzoo.prediction.scoring import Embedded, embed_files
from stzoo.video.video import Video


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", type=Path)
    parser.add_argument("--fold", required=True)
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME")
    arguments = parser.parse_args()
    with arguments.groups.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == arguments.fold]
    labels, sources = (np.array([row[column] for row in rows]) for column in ("label", "source"))
    elsewhere = sources[:, None] != sources[None]
    chance = ((labels[:, None] == labels[None]) & elsewhere).sum(axis=1) / elsewhere.sum(axis=1)
    videos = [Video(arguments.groups.parent / row["path"]) for row in rows]
    for name in arguments.models:
        model = stzoo.load(name, runtime="onnxruntime")
        embedded = [one for one in embed_files(model, videos, workers=0) if isinstance(one, Embedded)]
        if len(embedded) < len(rows):
            raise SystemExit("not every video can be read")
        vectors = np.stack([one.vector for one in embedded])
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        right = labels[np.where(elsewhere, unit @ unit.T, -np.inf).argmax(axis=1)] == labels
        print(name, share(right), share(right, sources.tolist()), f"random: {chance.mean():.1%}", flush=True)


if __name__ == "__main__":
    main()
