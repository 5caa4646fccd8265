"""A dataset of three motions in the layout of the made camera set, small enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stzoo.recipe import Recipe, read
from tests.conftest import write_video

MOTIONS = ("still", "turn-left", "turn-right")
SIZES = {"train": 32, "val": 9}


@pytest.fixture(scope="session")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Textures that stand still or move by four pixels a frame, as videos and lists."""
    root = tmp_path_factory.mktemp("motions")
    rng = np.random.default_rng(0)
    (root / "motion").mkdir()
    (root / "motion" / "classes.txt").write_text("\n".join(MOTIONS) + "\n")
    table = ["path,picture"]
    for split, count in SIZES.items():
        lines = []
        for index in range(count):
            label = index % len(MOTIONS)
            texture = np.kron(rng.integers(0, 256, (10, 30, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
            starts = [36 + (0, -4, 4)[label] * time for time in range(9)]
            write_video(
                root / "videos" / f"{split}{index}.mp4",
                9,
                fps=6,
                width=48,
                height=40,
                pixels=np.stack([texture[:, start : start + 48] for start in starts]),
            )
            lines.append(f"videos/{split}{index}.mp4 {label}")
            table.append(f"videos/{split}{index}.mp4,{split}{index}")
        (root / "motion" / f"{split}.txt").write_text("\n".join(lines) + "\n")
    (root / "clips.csv").write_text("\n".join(table) + "\n")
    return root


@pytest.fixture
def smoke(motions: Path) -> Recipe:
    """`recipes/smoke.toml` on those videos."""
    return read("recipes/smoke.toml", [f"data.root='{motions}'"])


@pytest.fixture(scope="session")
def clip_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of decoded clips for all tests."""
    return tmp_path_factory.mktemp("cache")
