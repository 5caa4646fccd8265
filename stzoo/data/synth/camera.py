"""The made dataset `camera`: one set of videos, three questions.

    motion   what the camera does (ten classes; needs time)
    scene    which of the known pictures is filmed (one frame is enough)
    both     the two together

Every clip is a function of (seed, clip number) alone, whatever the number of workers.
"""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stzoo.data.synth import pictures
from stzoo.data.synth.making import Progress, is_finished, make
from stzoo.data.synth.motions import CLASSES
from stzoo.errors import DataError
from stzoo.files import replacing, write_text

MOST_CLIPS = 6_000
MOST_BYTES = 60_000_000
VERSION = 2


@dataclass(frozen=True)
class Layout:
    """How many pictures, and how many clips of each.

    takes: training clips of each known picture and motion; checks: clips of each known picture in each of val and
    test (its motions in turn); every unseen picture has one clip of each motion.
    """

    known: int = pictures.KNOWN
    unseen: int = pictures.UNSEEN
    takes: int = 3
    checks: int = 2

    @property
    def clips(self) -> int:
        """The number of clips in all."""
        return self.known * (len(CLASSES) * self.takes + 2 * self.checks) + self.unseen * len(CLASSES)

    @classmethod
    def within(cls, clips: int) -> Layout:
        """The full layout, or the same shape with fewer pictures, of at most `clips` clips.

        Raises: DataError when `clips` is too few for two known pictures and an unseen one, or too many.
        """
        smallest = cls(known=2, unseen=1, takes=1, checks=2)
        if not smallest.clips <= clips <= MOST_CLIPS:
            raise DataError(
                f"{clips} clips cannot make the camera set; ask for {smallest.clips} to {MOST_CLIPS}, "
                f"or leave the number out for {cls().clips}."
            )
        for takes in (3, 2, 1):
            for known in range(pictures.KNOWN, 1, -1):
                layout = cls(known=known, unseen=max(1, known // 4), takes=takes)
                if layout.clips <= clips:
                    return layout
        return smallest


@dataclass(frozen=True)
class Clip:
    """One clip of the set; `number` and the set's seed decide its pixels."""

    number: int
    split: str
    picture: pictures.PictureId
    motion: str

    @property
    def path(self) -> str:
        """The file, relative to the set's folder."""
        return f"videos/{self.number:05d}.mp4"

    def seeds(self, seed: int) -> tuple[int, ...]:
        """What the clip's random numbers come from."""
        return (seed, 2, self.number)


def clips_of(layout: Layout) -> list[Clip]:
    """All clips in order: train, val and test on the known pictures, then test-unseen."""
    known, unseen = pictures.catalogue(layout.known, layout.unseen)
    rows = [("train", p, motion) for p in known for _ in range(layout.takes) for motion in CLASSES]
    for shift, split in enumerate(("val", "test")):
        rows += [
            (split, p, CLASSES[(layout.checks * i + j + 5 * shift) % len(CLASSES)])
            for i, p in enumerate(known)
            for j in range(layout.checks)
        ]
    rows += [("test-unseen", p, motion) for p in unseen for motion in CLASSES]
    return [Clip(number, split, picture, motion) for number, (split, picture, motion) in enumerate(rows)]


def make_camera(
    out: Path | str, seed: int = 0, clips: int | None = None, workers: int = 1, progress: Progress | None = None
) -> bool:
    """Makes the set in the folder `out`; False when it was already finished there and nothing was done.

    Clips that an interrupted call finished are kept. `clips`: at most so many (default: the full layout).
    Raises: DataError when `out` holds something else or a set of another seed or size, or scikit-image is missing.
    """
    out = Path(out)
    layout = Layout() if clips is None else Layout.within(clips)
    about = {"dataset": "camera", "version": VERSION, "seed": seed, "clips": layout.clips}
    if not is_finished(out, about):
        pictures.photograph("camera")  # says so at once where there are none
    plan = clips_of(layout)
    groups: dict[str, list[Clip]] = {}
    for clip in plan:
        groups.setdefault(clip.picture.name, []).append(clip)

    def describe() -> None:
        _write_lists(out, plan)
        _write_table(out, seed, plan)
        write_text(out / "README.md", _readme(out, seed, layout, plan))

    film = functools.partial(_film_picture, out, seed)
    return make(out, about, list(groups.values()), film, describe, workers=workers, progress=progress)


def _film_picture(out: Path, seed: int, clips: list[Clip]) -> int:
    """Films every clip of one picture that is not there yet; how many clips are there now."""
    import cv2

    from stzoo.data.synth import render

    missing = [clip for clip in clips if not (out / clip.path).exists()]
    if missing:
        cv2.setNumThreads(1)
        picture = pictures.draw(clips[0].picture, seed)
        for clip in missing:
            shot = render.plan(clip.motion, clip.seeds(seed))
            frames = render.film(shot, picture)
            with replacing(out / clip.path) as temporary:
                render.encode(frames, render.RATES[shot.rate], shot.quality, shot.most_bytes, temporary)
    return len(clips)


def _write_lists(out: Path, plan: list[Clip]) -> None:
    scenes = list(dict.fromkeys(clip.picture.name for clip in plan if clip.split != "test-unseen"))
    both = [f"{motion} {scene}" for scene in scenes for motion in CLASSES]
    classes = {"motion": list(CLASSES), "scene": scenes, "both": both}
    for question, names in classes.items():
        write_text(out / question / "classes.txt", "".join(f"{name}\n" for name in names))
        index = {name: number for number, name in enumerate(names)}
        lines: dict[str, list[str]] = {}
        for clip in plan:
            if clip.split == "test-unseen" and question != "motion":
                continue
            label = {"motion": clip.motion, "scene": clip.picture.name, "both": f"{clip.motion} {clip.picture.name}"}
            lines.setdefault(clip.split, []).append(f"{clip.path} {index[label[question]]}\n")
        for split, entries in lines.items():
            write_text(out / question / f"{split}.txt", "".join(entries))


def _write_table(out: Path, seed: int, plan: list[Clip]) -> None:
    """clips.csv: what is true of each clip. Speeds in short sides, e-folds or radians a second."""
    from stzoo.data.synth import render

    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for clip in plan:
        shot = render.plan(clip.motion, clip.seeds(seed))
        look, camera, motion = shot.look, shot.camera, shot.motion
        row = {
            "path": clip.path,
            "split": clip.split,
            "motion": clip.motion,
            "picture": clip.picture.name,
            "seed": f"{seed}/2/{clip.number}",
            "fps": shot.rate,
            "frames": shot.frames,
            "width": shot.width,
            "height": shot.height,
            "bytes": (out / clip.path).stat().st_size,
            "speed": round(motion.speed, 5),
            "easing": motion.easing,
            "pause_start": round(motion.pause_start, 3),
            "pause_end": round(motion.pause_end, 3),
            **{f"drift_{axis}": round(motion.drift.get(axis, 0.0), 5) for axis in ("x", "y", "zoom", "roll")},
            "wobble": round(max((float(w.amplitudes.max()) for w in motion.wobble.values()), default=0.0), 5),
            "rotation_share": round(camera.rotation_share, 3),
            "dolly_share": round(camera.dolly_share, 3),
            "objects": len(shot.things),
            "overlay": int(shot.overlay is not None),
            **{name: _number(getattr(look, name)) for name in look.__dataclass_fields__},
        }
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    write_text(out / "clips.csv", text.getvalue())


def _number(value: int | float | tuple[float, ...]) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return "/".join(f"{v:.3f}".rstrip("0").rstrip(".") for v in values)


def _readme(out: Path, seed: int, layout: Layout, plan: list[Clip]) -> str:
    splits = Counter(clip.split for clip in plan)
    used = {clip.picture.family: clip.picture.group for clip in plan if clip.picture.family in pictures.PHOTOGRAPHS}
    names = {clip.picture.name for clip in plan}
    megabytes = sum((out / clip.path).stat().st_size for clip in plan) / 1e6
    photographs = "\n".join(f"- `{name}` ({group}): {pictures.PHOTOGRAPHS[name]}" for name, group in used.items())
    return f"""# camera: one set of videos, three questions

Made by `stzoo data make camera --seed {seed} --clips {layout.clips}`; {len(plan)} videos, {megabytes:.1f} MB.
Each video films a picture with a moving camera. `motion` asks what the camera does, `scene` which picture is filmed,
`both` asks for the two together; the videos are the same. In each folder `classes.txt` names the labels, one a line,
and the lists hold `path label-index`, paths relative to this folder. `clips.csv` has the truth about every clip.

Clips: {", ".join(f"{split} {count}" for split, count in splits.items())}. {layout.known} known pictures are filmed in
train, val and test, each time along new camera paths; {layout.unseen} unseen pictures only in test-unseen, which only
`motion` has. Of the {len(names)} pictures {len(used)} are photographs, each counted once, and {len(names) - len(used)}
are procedural.

## Where the pictures come from

Procedural pictures and all camera paths are made by stzoo from the seed, and free to use as stzoo itself is.
The photographs come with scikit-image's wheel (BSD-3-Clause); each has the source and terms that scikit-image gives:

{photographs}
"""
