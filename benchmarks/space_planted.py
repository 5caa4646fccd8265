"""A planted need: do effects find it? Where only fine detail moves, time should matter early; of coarse shapes, later.

    python benchmarks/space_planted.py --runs runs/space --seeds 0 1 2

makes two sets of clips, `fine` and `coarse`, with the same five classes (left, right, up, down, still) over the same
still pictures. In an ellipse that stays where it is a pattern moves over the picture: noise with periods of 3.5 to 5
pixels of the net's input, or of 20 to 32, in both by a fifth to a third of a period between two frames that the net
sees. No single frame tells the class. On each a template is trained, and the effects of its branches are measured.
The reading, fixed before the first of them was trained: the mean place of a site, weighted by what its ST branch is
worth, lies earlier in the net for `fine` than for `coarse`, by more than its interval over the seeds' pictures.
What stands in the results is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float64, UInt8
from side_by_side import machine
from space_templates import begun, by_branch, effects_of

from stzoo import nets
from stzoo.data.synth.pictures import PictureId, catalogue, draw
from stzoo.data.synth.render import encode
from stzoo.files import replacing, write_json, write_text
from stzoo.space.effects import Effects
from stzoo.space.judge import Judge

CLASSES = ("left", "right", "up", "down", "still")
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
PERIODS = {"fine": (3.5, 5.0), "coarse": (20.0, 32.0)}
SPLITS = ("train", "val")
SIDE, RATE, FRAMES, NET_RATE = 72, 12, 26, 4
RECIPE = ["warmup.epochs=18", "variational.epochs=6", "data.tests={}", "data.source_column='picture'"]
RECIPE.append(
    "objective.k=1.25"
)  # the price of a weight, k / N, that the camera recipes have with four times the clips


def pattern(rng: np.random.Generator, low: float, high: float) -> Float64[np.ndarray, "rows columns"]:
    """Periodic noise of these periods in pixels, with a standard deviation of 1."""
    size = 4 * SIDE
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    kept = (frequency >= 1 / high) & (frequency <= 1 / low)
    noise = np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * kept))
    return np.asarray(noise / noise.std(), np.float64)


def film(
    background: UInt8[np.ndarray, "rows columns 3"], label: str, kind: str, rng: np.random.Generator
) -> UInt8[np.ndarray, "frames rows columns 3"]:
    low, high = PERIODS[kind]
    noise = pattern(rng, low, high).astype(np.float32)
    step = rng.uniform(1 / 5, 1 / 3) * (low + high) / 2 * NET_RATE / RATE
    ys, xs = np.mgrid[:SIDE, :SIDE]
    middle, half = rng.uniform(0.4, 0.6, 2) * SIDE, rng.uniform(0.3, 0.42, 2) * SIDE
    inside = 1 / (1 + np.exp(4 * (np.hypot((xs - middle[0]) / half[0], (ys - middle[1]) / half[1]) - 1) * 3))
    strength = rng.uniform(22, 34)
    dx, dy = DIRECTIONS[label]
    frames = []
    for number in range(FRAMES):
        shift = step * (number - FRAMES / 2)
        moved = cv2.warpAffine(
            noise, np.array([[1, 0, shift * dx], [0, 1, shift * dy]]), noise.shape[::-1], borderMode=cv2.BORDER_WRAP
        )[-2 * SIDE : -SIDE, -2 * SIDE : -SIDE]
        frames.append(np.clip(0.7 * background + 38 + (strength * inside * moved)[..., None], 0, 255).astype(np.uint8))
    return np.stack(frames)


def make(out: Path, kind: str, seed: int) -> None:
    """The set of a kind with its lists and the picture of every clip; what is there is kept."""
    known, unseen = catalogue(80, 20)
    rows = [("train", picture, label) for picture in known for label in CLASSES for _ in range(3)]
    rows += [("val", picture, label) for picture in unseen for label in CLASSES for _ in range(3)]
    lists: dict[str, list[str]] = {split: [] for split in SPLITS}
    table = [("path", "picture")]
    pictures: dict[PictureId, UInt8[np.ndarray, "rows columns 3"]] = {}
    for number, (split, picture, label) in enumerate(rows):
        path = out / f"videos/{number:05d}.mp4"
        if not path.exists():
            if picture not in pictures:
                pictures[picture] = draw(picture, seed)
            drawn = pictures[picture]
            rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 7, number])))
            y, x = (int(rng.integers(0, side - 4 * SIDE + 1)) for side in drawn.shape[:2])
            background = cv2.resize(
                drawn[y : y + 4 * SIDE, x : x + 4 * SIDE], (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )
            with replacing(path) as temporary:
                encode(film(np.asarray(background, np.uint8), label, kind, rng), Fraction(RATE), 12, 200_000, temporary)
        lists[split].append(f"{path.relative_to(out)} {CLASSES.index(label)}\n")
        table.append((str(path.relative_to(out)), picture.name))
    for split, lines in lists.items():
        write_text(out / f"{split}.txt", "".join(lines))
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in CLASSES))
    with replacing(out / "clips.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)


def place(effects: Effects, random: np.random.Generator | None = None) -> float:
    """The mean place of a site from 0, the first, to 1, the last, weighted by the effect of its ST branch.

    With `random` effects are drawn around their values, with their standard errors.
    """
    worth = []
    for site in effects.architecture.sites:
        mean = by_branch(effects)[site.name, "ST"]
        value = mean.value if random is None else random.normal(mean.value, mean.error)
        worth.append(max(0.0, value))
    places = np.linspace(0, 1, len(worth))
    return float(np.average(places, weights=np.array(worth) + 1e-12))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/space"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=Path("data/planted"))
    parser.add_argument("--cache", type=Path, default=Path("data/cache"))
    parser.add_argument("--results", type=Path, default=Path("docs/results/space-planted.json"))
    options = parser.parse_args()
    known = json.loads(options.results.read_text(encoding="utf-8")) if options.results.exists() else {}
    rows: dict[str, Any] = known.get("runs", {})
    for seed in options.seeds:
        for kind in PERIODS:
            if f"{kind}-{seed}" in rows:
                continue
            make(options.data / kind, kind, 0)
            own = [f"data.root='{(options.data / kind).resolve()}'", f"seed={seed}", *RECIPE]
            own += [f"data.{name}='{name}.txt'" for name in ("classes", "train", "val")]
            stages = begun(options.runs / f"planted-{kind}-{seed}", "camera-motion", own, options.cache)
            template = stages.variational()
            effects = effects_of(Judge(template, stages.selection), stages)
            random = np.random.default_rng(0)
            low, high = np.percentile([place(effects, random) for _ in range(2000)], [2.5, 97.5])
            rows[f"{kind}-{seed}"] = {
                "machine": machine(),
                "place": {"value": place(effects), "low": float(low), "high": float(high)},
                "all_open": {"accuracy": effects.accuracy, "cross_entropy": effects.cross_entropy},
                "evidence": stages.evidence(template).to_json(),
                "drop": {site: dict(drops) for site, drops in nets.posterior(template).drop.items()},
                "effects": {f"{site} {branch}": mean._asdict() for (site, branch), mean in by_branch(effects).items()},
            }
            print(json.dumps({name: row["place"] for name, row in rows.items()}, indent=1), flush=True)
            places = {kind: [row["place"]["value"] for name, row in rows.items() if kind in name] for kind in PERIODS}
            write_json(options.results, {"places": places, "runs": rows})


if __name__ == "__main__":
    main()
