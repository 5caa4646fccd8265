from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.bundle import golden
from stzoo.bundle.golden import Golden, GoldenClip, GoldenVideo
from stzoo.errors import BundleError


def noise(seed: int, frames: int = 2, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)


def example(**changes: object) -> Golden:
    clips = tuple(
        GoldenClip(times_seconds=(0.0, 0.5), pixels=golden.packed(noise(seed)), probabilities=(0.25, 0.75))
        for seed in range(2)
    )
    video = GoldenVideo(name="a.mp4", sha256="0" * 64, probabilities=(0.5, 0.5))
    values = {
        "model": "m",
        "model_digest": "1" * 64,
        "frames": 2,
        "size": 8,
        "block": 1,
        "clips": clips,
        "video": video,
    }
    return Golden.model_validate(values | changes)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 24))
def test_pixels_come_back_as_they_were(seed: int, frames: int, size: int) -> None:
    clip = noise(seed, frames, size)
    made = example(
        frames=frames,
        size=size,
        clips=(GoldenClip(times_seconds=(0.0,) * frames, pixels=golden.packed(clip), probabilities=(1.0,)),),
        video=None,
    )
    assert (made.pixels() == clip[None]).all()


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    example().write(tmp_path / "golden.json")
    assert golden.read(tmp_path / "golden.json") == example()


def test_a_mosaic_has_the_mean_colour_of_every_block() -> None:
    clips = np.stack([noise(0), noise(1)])
    blocks = golden.mosaic(clips, 4)
    assert blocks.shape == clips.shape
    assert np.unique(blocks[0, 0, 4:, :4].reshape(-1, 3), axis=0).tolist() == [
        np.rint(clips[0, 0, 4:, :4].reshape(-1, 3).mean(axis=0)).astype(int).tolist()
    ]
    assert (golden.mosaic(clips, 1) == clips).all()
    assert (golden.mosaic(blocks, 4) == blocks).all()


def picture(width: int, height: int) -> str:
    """A PNG whose header claims a size, and that holds nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return "data:image/png;base64," + base64.b64encode(png).decode()


@pytest.mark.parametrize(
    "pixels",
    [
        golden.packed(noise(0, frames=3)),
        golden.packed(noise(0, size=16)),
        golden.packed(noise(0))[:-400],
        golden.packed(noise(0)).removeprefix("data:"),
        "data:image/png;base64,%%%%",
        picture(2**31 - 1, 2**31 - 1),
        picture(8, 16),
    ],
)
def test_a_picture_that_is_none_of_the_clips_is_refused(pixels: str) -> None:
    clip = GoldenClip(times_seconds=(0.0, 0.5), pixels=pixels, probabilities=(0.25, 0.75))
    with pytest.raises(BundleError, match="no PNG of 8x16 pixels; make them again"):
        example(clips=(clip,)).pixels()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"block": 3}, "blocks of 3 pixels do not fill 8"),
        ({"frames": 3}, "has not the times of its 3 frames"),
        ({"frames": 1024, "size": 4096, "block": 4096}, "too large"),
        ({"clips": ()}, "clips"),
        ({"format": 2}, "format"),
        ({"video": {"name": "a.mp4", "sha256": "0" * 64, "probabilities": [1.0]}}, "different numbers of classes"),
        ({"video": {"name": "a.mp4", "sha256": "0" * 64, "probabilities": [0.5, 1.5]}}, "probabilities.1 is 1.5"),
        ({"video": {"name": "a\n.mp4", "sha256": "0" * 64, "probabilities": [0.5, 0.5]}}, "control"),
        ({"more": 1}, "more is unknown"),
    ],
)
def test_a_file_that_contradicts_itself_is_named(tmp_path: Path, changes: dict[str, object], what: str) -> None:
    value = json.loads(example().to_json()) | changes
    (tmp_path / "golden.json").write_text(json.dumps(value))
    with pytest.raises(BundleError, match=r"golden\.json holds no golden clips") as caught:
        golden.read(tmp_path / "golden.json")
    assert what in str(caught.value)


def test_the_clips_of_a_file_come_before_those_of_its_folder(tmp_path: Path) -> None:
    model = tmp_path / "model.int8.onnx"
    assert golden.beside(model) is None
    example().write(tmp_path / "golden.json")
    assert golden.beside(model) == golden.beside(tmp_path) == tmp_path / "golden.json"
    example().write(tmp_path / "model.int8.golden.json")
    assert golden.beside(model) == golden.golden_of(model) == tmp_path / "model.int8.golden.json"
    assert golden.beside(tmp_path / "other.onnx") == tmp_path / "golden.json"
