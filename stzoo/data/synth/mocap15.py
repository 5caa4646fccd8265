"""The made dataset `mocap15`: fifteen human actions, from captured motion, by drawn bodies over pictures.

Every clip is a function of (seed, clip number) alone, whatever the number of workers. Validation and test show pictures
that training never shows.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2

from stzoo.data.synth import pictures, render
from stzoo.data.synth.making import Progress, is_finished, make
from stzoo.data.synth.mocap import CLASSES, Motion, read_motions
from stzoo.data.synth.performance import film, generator, plan
from stzoo.errors import DataError
from stzoo.files import replacing, write_text

LEAST_CLIPS, MOST_CLIPS = 3 * len(CLASSES), 6_000
TAKES = {"train": 90, "val": 20, "test": 20}
VERSION = 1


@dataclass(frozen=True)
class Clip:
    """One clip of the set; `number` and the set's seed decide its pixels."""

    number: int
    split: str
    action: str
    picture: pictures.PictureId

    @property
    def path(self) -> str:
        """The file, relative to the set's folder."""
        return f"videos/{self.number:05d}.mp4"


def takes_within(clips: int | None) -> dict[str, int]:
    """How many clips of every class each split has, at most `clips` in all. Raises `DataError` out of range."""
    if clips is None:
        return TAKES
    if not LEAST_CLIPS <= clips <= MOST_CLIPS:
        raise DataError(
            f"{clips} clips cannot make the mocap15 set; ask for {LEAST_CLIPS} to {MOST_CLIPS}, "
            f"or leave the number out for {sum(TAKES.values()) * len(CLASSES)}."
        )
    each = clips // len(CLASSES)
    held_out = max(1, each * TAKES["val"] // sum(TAKES.values()))
    return {"train": each - 2 * held_out, "val": held_out, "test": held_out}


def clips_of(takes: Mapping[str, int], seed: int) -> list[Clip]:
    """All clips in order: train on known pictures, val and test on others, each picture drawn on its own."""
    known, unseen = pictures.catalogue()
    clips: list[Clip] = []
    for split, count in takes.items():
        shown = known if split == "train" else unseen
        for action in CLASSES * count:
            number = len(clips)
            drawn = int(generator((seed, 3, number)).integers(len(shown)))
            clips.append(Clip(number, split, action, shown[drawn]))
    return clips


def make_mocap15(
    out: Path | str,
    seed: int = 0,
    clips: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    motions: Path | None = None,
) -> bool:
    """Makes the set in the folder `out`; False when it was already finished there and nothing was done.

    Clips that an interrupted call finished are kept. `clips`: at most so many (default: 1950); `motions` as
    `stzoo.data.synth.mocap.read_motions` takes it.

    Raises: DataError when `out` holds something else or a set of another seed or size, or pybullet's motions or
    scikit-image's photographs are missing.
    """
    out, takes = Path(out), takes_within(clips)
    about = {"dataset": "mocap15", "version": VERSION, "seed": seed, **takes}
    if not is_finished(out, about):
        read_motions(motions)  # these two say at once what is missing
        pictures.photograph("camera")
    rows = clips_of(takes, max(seed, 0))
    groups: dict[str, list[Clip]] = {}
    for clip in rows:
        groups.setdefault(clip.picture.name, []).append(clip)
    shoot = functools.partial(_film_picture, out, seed, motions)
    describe = functools.partial(_describe, out, seed, takes, rows)
    return make(out, about, list(groups.values()), shoot, describe, workers=workers, progress=progress)


def _film_picture(out: Path, seed: int, motions: Path | None, clips: list[Clip]) -> int:
    """Films every clip over one picture that is not there yet; how many clips are there now."""
    missing = [clip for clip in clips if not (out / clip.path).exists()]
    if missing:
        cv2.setNumThreads(1)
        picture = pictures.draw(clips[0].picture, seed)
        captured = _motions(motions)
        for clip in missing:
            shot = plan((seed, 2, clip.number))
            frames = film(shot, captured[clip.action], picture)
            with replacing(out / clip.path) as temporary:
                render.encode(frames, render.RATES[shot.rate], shot.quality, shot.most_bytes, temporary)
    return len(clips)


@functools.cache
def _motions(source: Path | None) -> dict[str, Motion]:
    return read_motions(source)


def _describe(out: Path, seed: int, takes: Mapping[str, int], clips: list[Clip]) -> None:
    """Writes the lists, clips.csv and README.md."""
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in CLASSES))
    for split in takes:
        lines = [f"{clip.path} {CLASSES.index(clip.action)}\n" for clip in clips if clip.split == split]
        write_text(out / f"{split}.txt", "".join(lines))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = ("rate", "frames", "width", "height", "start", "speed", "mirrored", "azimuth", "elevation", "distance")
    table.writerow(("path", "split", "action", "picture", *columns, "follow", "stature"))
    for clip in clips:
        shot = plan((seed, 2, clip.number))
        values = [getattr(shot, name) for name in (*columns, "follow")] + [shot.body.stature]
        shown = [round(value, 4) if isinstance(value, float) else value for value in values]
        table.writerow((clip.path, clip.split, clip.action, clip.picture.name, *shown))
    write_text(out / "clips.csv", text.getvalue())
    write_text(out / "README.md", _readme(out, seed, takes, clips))


def _readme(out: Path, seed: int, takes: Mapping[str, int], clips: list[Clip]) -> str:
    megabytes = sum((out / clip.path).stat().st_size for clip in clips) / 1e6
    counts = ", ".join(f"{split} {count * len(CLASSES)}" for split, count in takes.items())
    used = {clip.picture.family for clip in clips if clip.picture.family in pictures.PHOTOGRAPHS}
    photographs = "\n".join(f"- `{name}`: {pictures.PHOTOGRAPHS[name]}" for name in sorted(used))
    return f"""# mocap15: fifteen human actions

Made by `stzoo data make mocap15 --seed {seed} --clips {len(clips)}`; {len(clips)} videos, {megabytes:.1f} MB.
Each video shows a drawn body over a picture. What it does was captured from a person, once for every class: all clips
of a class are the same performance, seen by another camera, on another body, at another speed and from another moment.
A net that tells them apart knows these fifteen performances; it has not learnt what people do.

`classes.txt` names the labels, one a line, and the lists hold `path label-index`, paths relative to this folder.
`clips.csv` has the truth about every clip. Clips: {counts}.
The pictures of val and test are not in train.

## Where motions and pictures come from

The motions are those of DeepMimic (Peng and others 2018, MIT licence), as the package pybullet (zlib licence) carries
them in `pybullet_data/data/motions/humanoid3d_*.txt`. Procedural pictures, bodies and cameras are made by stzoo from
the seed. The photographs come with scikit-image's wheel (BSD-3-Clause); each has the source and terms that it gives:

{photographs}
"""
