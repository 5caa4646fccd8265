"""Tiny datasets in exactly the layouts that the real ones come in: what the official archives hold, in 32 pixels."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import LEVELS, write_video

KINETICS = ("abseiling", "air drumming", "passing American football (in game)")
SOMETHING = ("Holding something", "Moving something up", "Turning the camera left while filming something")
UCF = ("ApplyEyeMakeup", "HandstandPushups", "YoYo")
HMDB = ("brush_hair", "catch", "swing_baseball")
HMDB_SPLITS = {
    "brush_hair": {"April_09": (1, 1), "Brushing_my_hair__-_HairCare": (1, 2), "#122_Cleaning_Up!__(Chiba)": (2, 0)},
    "catch": {"96-_Torwarttraining_1": (1, 1), "A_BigTitle": (2, 2)},
    "swing_baseball": {"April_09": (2, 1), "BaseballSwing&Analysis": (1, 0)},
}
"""Class -> title -> what the split files say of its clips; one title is in two classes, and in train and test."""
FRAMES = 6


def picture(index: int, video: str = "") -> bytes:
    """Frame `index` of a test video: a grey level that says its number; the file's end says which video's it is."""
    grey = np.full((32, 40, 3), LEVELS * index, np.uint8)
    return cv2.imencode(".jpg", grey)[1].tobytes() + video.encode()


def write_frames(folder: Path, frames: int = FRAMES, name: str = "{:05d}.jpg", first: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        (folder / name.format(first + index)).write_bytes(picture(index, folder.name))


def zip_frames(path: Path, folders: Sequence[str], frames: int = FRAMES, name: str = "{:05d}.jpg") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for folder in folders:
            for index in range(frames):
                file.writestr(f"{folder}{name.format(index + 1)}", picture(index, folder))


def write_clip(path: Path) -> None:
    """A video whose size depends on its name, so that no two are copies."""
    digest = hashlib.sha256(path.stem.encode()).digest()
    write_video(path, FRAMES, width=32 + digest[0] // 8 * 2, height=32 + digest[1] // 8 * 2)


def kinetics(root: Path, layout: str = "{split}/{label}") -> dict[str, list[str]]:
    """`train.csv` and `validate.csv`, and clips in folders; returns the clips' names by split."""
    names: dict[str, list[str]] = {}
    for split, file, count in (("train", "train.csv", 5), ("val", "validate.csv", 3)):
        rows = ["label,youtube_id,time_start,time_end,split"]
        for index in range(count):
            label, video = KINETICS[index % 3], f"{split[:3]}-_{index:05d}"[:11].ljust(11, "x")
            name = f"{video}_{10 * index:06d}_{10 * index + 10:06d}"
            rows.append(f"{label},{video},{10 * index},{10 * index + 10},{split}")
            folder = layout.format(split=split, label=label, under=label.replace(" ", "_"))
            write_clip(root / folder / f"{name}.mp4")
            names.setdefault(split, []).append(name)
        (root / file).write_text("\n".join(rows) + "\n")
    return names


def something_v1(root: Path, zipped: str | None = None) -> None:
    """Frame folders named by id, or the same in a zip file."""
    (root / "something-something-v1-labels.csv").write_text("\n".join(SOMETHING) + "\n")
    for split, ids in (("train", range(1, 6)), ("validation", range(11, 14))):
        lines = [f"{video};{SOMETHING[video % 3]}" for video in ids]
        (root / f"something-something-v1-{split}.csv").write_text("\n".join(lines) + "\n")
    (root / "something-something-v1-test.csv").write_text("21\n22\n")
    ids = [*range(1, 6), *range(11, 14)]
    if zipped is not None:
        zip_frames(root / "20bn-something-something-v1.zip", [f"{zipped}{video}/" for video in ids])
    else:
        for video in ids:
            write_frames(root / "20bn-something-something-v1" / f"{video}")


def something_v2(root: Path, *, generation: str = "20bn", frames: bool = False) -> None:
    """webm files or frame folders, with the annotations of 20BN or of the later release."""
    stem = "something-something-v2-" if generation == "20bn" else "labels/"
    labels = root / f"{stem}labels.json"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text(json.dumps({name: f"{i}" for i, name in enumerate(SOMETHING)}))
    for split, ids in (("train", range(1, 6)), ("validation", range(11, 14))):
        entries = [
            {
                "id": f"{video}",
                "label": SOMETHING[video % 3].replace("something", "a red cup"),
                "template": SOMETHING[video % 3].replace("something", "[something]"),
                "placeholders": ["a red cup"],
            }
            for video in ids
        ]
        (root / f"{stem}{split}.json").write_text(json.dumps(entries))
        for video in ids:
            path = root / "20bn-something-something-v2" / f"{video}"
            if frames:
                write_frames(path, name="{:06d}.jpg")
            else:
                write_clip(path.with_suffix(".webm"))
    (root / f"{stem}test.json").write_text(json.dumps([{"id": "21"}]))
    answers = "test-answers.csv" if generation != "20bn" else "something-something-v2-test-answers.csv"
    (labels.parent / answers).write_text(f"21;{SOMETHING[0]}\n")
    write_clip(root / "20bn-something-something-v2" / "21.webm")


def ucf101(root: Path, folder: str = "HandstandPushups") -> None:
    """Three splits of three classes, four groups a class and two clips a group."""
    lists = root / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{i} {name}\r\n" for i, name in enumerate(UCF, 1)))
    videos = []
    for index, name in enumerate(UCF, 1):
        file = "HandStandPushups" if name == "HandstandPushups" else name
        for group in range(1, 5):
            for clip in range(1, 3):
                stem = f"v_{file}_g{group:02d}_c{clip:02d}.avi"
                videos.append((group, f"{name}/{stem}", index))
                write_clip(root / "UCF-101" / (folder if name == "HandstandPushups" else name) / stem)
    for split in range(1, 4):
        test = [path for group, path, _ in videos if group == split]
        train = [f"{path} {index}" for group, path, index in videos if group != split]
        (lists / f"trainlist0{split}.txt").write_text("\r\n".join(train) + "\r\n")
        (lists / f"testlist0{split}.txt").write_text("\r\n".join(test) + "\r\n")


def hmdb51(root: Path) -> None:
    """What the archives hold: a folder a class of avi, and beside it one file a class and split."""
    _hmdb(root, "hmdb51_org", "testTrainMulti_7030_splits", HMDB_SPLITS)


def jhmdb(root: Path) -> None:
    """The same clips in J-HMDB's folders, whose split files put every clip into train or test."""
    all_used = {
        name: {title: tuple(part or 1 for part in parts) for title, parts in titles.items()}
        for name, titles in HMDB_SPLITS.items()
    }
    _hmdb(root, "JHMDB_video/ReCompress_Videos", "splits", all_used)


def _hmdb(root: Path, videos: str, lists: str, splits: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
    (root / lists).mkdir(parents=True)
    for name, titles in splits.items():
        clips = [
            (f"{title}_{name}_{'fu'[number % 2]}_nm_np1_fr_med_{number}.avi", part)
            for title, parts in titles.items()
            for number, part in enumerate(parts)
        ]
        for file, _ in clips:
            write_clip(root / videos / name / file)
        for split in range(1, 4):
            parts = {1: (1, 2), 2: (2, 1), 3: (1, 1)}[split]
            lines = [f"{file} {parts[part - 1] if part else 0}" for file, part in clips]
            ending = " \n" if videos == "hmdb51_org" else "\n"
            (root / lists / f"{name}_test_split{split}.txt").write_text("".join(line + ending for line in lines))
