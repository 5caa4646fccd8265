from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.contract import InputContract
from stzoo.errors import UsageError, VideoError
from stzoo.video import images
from stzoo.video.images import FrameFolder, find_frames, list_folder
from stzoo.video.reader import read_clips, read_strip
from stzoo.video.video import Video
from tests.conftest import LEVELS
from tests.data.layouts import picture, write_frames, zip_frames

CONTRACT = InputContract(frames=4, fps=6.0, clips=2, resize=24, crop=16)


def levels(clips: np.ndarray) -> np.ndarray:
    return clips.mean(axis=(-3, -2, -1)) / LEVELS


@pytest.mark.parametrize("name", ["{:05d}.jpg", "img_{:05d}.jpg", "image_{:05d}.jpg", "{:06d}.jpg", "{}.JPG"])
def test_frames_are_read_in_the_order_of_their_numbers(tmp_path: Path, name: str) -> None:
    write_frames(tmp_path / "clip", 12, name)
    read = read_clips(Video(tmp_path / "clip", 12.0), CONTRACT)
    np.testing.assert_allclose(levels(read.clips), [[0, 2, 4, 6], [5, 7, 9, 11]], atol=0.5)
    assert (read.info.frames, read.info.width, read.info.height, read.warnings) == (12, 40, 32, ())


@pytest.mark.parametrize("inside", ["", "1/", "top/1/"])
def test_frames_in_a_zip_file_are_read_alike(tmp_path: Path, inside: str) -> None:
    write_frames(tmp_path / "clip", 12)
    zip_frames(tmp_path / "x.zip", [inside], 12)
    expected = read_clips(Video(tmp_path / "clip", 12.0), CONTRACT).clips
    for path in {tmp_path / "x.zip", tmp_path / "x.zip" / inside}:
        np.testing.assert_array_equal(read_clips(Video(path, 12.0), CONTRACT).clips, expected)


def test_a_zip_file_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    for frames in (5, 7):
        zip_frames(tmp_path / "x.zip", [""], frames)
        assert read_strip(Video(tmp_path / "x.zip", 6.0), CONTRACT, 40, 16)[-1].mean() == pytest.approx(
            LEVELS * (frames - 1), abs=3
        )


def test_folders_are_listed_alike_in_and_out_of_a_zip_file(tmp_path: Path) -> None:
    for video in (1, 2):
        write_frames(tmp_path / "all" / f"{video}", 1)
    zip_frames(tmp_path / "all.zip", ["all/1/", "all/2/"], 1)
    assert list_folder(tmp_path / "all") == list_folder(tmp_path / "all.zip" / "all") == {"1", "2"}
    assert list_folder(tmp_path / "all.zip") == {"all"}
    assert list_folder(tmp_path / "nowhere") == list_folder(tmp_path / "all.zip" / "al") == set()


@pytest.mark.parametrize("damage", ["gone", "empty", "cut off", "text"])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_frames_that_can_be_decoded_keep_their_times(tmp_path: Path, damage: str, zipped: bool) -> None:
    whole = picture(3)
    bad = {"gone": None, "empty": b"", "cut off": whole[: len(whole) * 3 // 4], "text": b"no picture"}[damage]
    frames = {f"{i + 1:05d}.jpg": picture(i) if i != 3 else bad for i in range(8)}
    path = tmp_path / ("clip.zip" if zipped else "clip")
    if zipped:
        with zipfile.ZipFile(path, "w") as file:
            for name, content in frames.items():
                if content is not None:
                    file.writestr(name, content)
    else:
        path.mkdir()
        for name, content in frames.items():
            if content is not None:
                (path / name).write_bytes(content)
    read = read_clips(Video(path, 6.0), CONTRACT.model_copy(update={"frames": 8}), 1)
    np.testing.assert_allclose(levels(read.clips), [[0, 1, 2, 2, 4, 5, 6, 7]], atol=0.5)
    assert read.warnings == (f"{path} is cut off or damaged: only its 7 decodable frames (1.2 s) were used.",)


def test_a_video_without_a_frame_that_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"x")
    (tmp_path / "2.jpg").write_bytes(b"y")
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        read_strip(Video(tmp_path, 6.0), CONTRACT, 3, 16)


def test_a_video_of_which_all_that_is_looked_at_is_damaged_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_MOST_DAMAGED", 8)
    (tmp_path / "clip").mkdir()
    for index in range(40):
        (tmp_path / "clip" / f"{index}.jpg").touch()
    with pytest.raises(VideoError, match=r"clip holds (8|9|10|11) or more pictures that are damaged; copy it again"):
        read_clips(Video(tmp_path / "clip", 6.0), CONTRACT)


def test_frames_a_second_need_a_rate_and_counted_frames_do_not(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", 6)
    with pytest.raises(UsageError, match="in Python fps"):
        read_clips(Video(tmp_path / "clip"), CONTRACT)
    counted = CONTRACT.model_copy(update={"fps": None, "stride_frames": 2})
    np.testing.assert_allclose(levels(read_clips(Video(tmp_path / "clip"), counted, 1).clips), [[0, 2, 4, 5]], atol=0.5)


def test_flow_beside_the_frames_is_passed_over_and_other_kinds_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path, 3, "img_{:05d}.jpg")
    write_frames(tmp_path, 3, "flow_x_{:05d}.jpg")
    found = find_frames(Video(tmp_path))
    assert found is not None
    assert found.names == ("img_00001.jpg", "img_00002.jpg", "img_00003.jpg")
    (tmp_path / "img_1.jpg").write_bytes(picture(0))
    with pytest.raises(VideoError, match="two pictures of frame 1"):
        find_frames(Video(tmp_path))
    write_frames(tmp_path, 1, "thumb{}.jpg")
    with pytest.raises(VideoError, match=r"img_\*\.jpg and thumb\*\.jpg"):
        find_frames(Video(tmp_path))


def folder_of(names: Iterable[str]) -> FrameFolder:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.zip"
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, b"")
        frames = find_frames(Video(path))
    assert frames is not None
    return frames


@given(st.integers(2, 60), st.integers(0, 1), st.sets(st.integers(2, 59)))
def test_a_folder_is_whole_if_its_numbers_run_from_0_or_1(count: int, start: int, missing: set[int]) -> None:
    places = [place for place in range(count) if place not in missing or 2 * len(missing) >= count]
    frames = folder_of(f"f{start + place}.png" for place in places)
    assert frames.places.tolist() == places
    assert frames.truncated == (places != [*range(len(places))])
    assert frames.remarks == ()


@given(st.integers(2, 40), st.integers(2, 10**6), st.integers(0, 10**15))
def test_numbers_that_count_something_else_are_steps(count: int, step: int, start: int) -> None:
    frames = folder_of(f"{start + place * step}.png" for place in range(count))
    assert frames.places.tolist() == [*range(count)]
    assert (frames.truncated, frames.remarks) == (False, ())


def test_names_that_look_like_times_are_said_to() -> None:
    frames = folder_of(f"{1_403_636_579_763 + time}.png" for time in (0, 33, 67, 100, 167, 200))
    assert frames.places.tolist() == [0, 1, 2, 3, 5, 6]
    assert frames.truncated
    (remark,) = frames.remarks
    assert "differ by 33 to 67, as times do; they are taken to follow each other evenly" in remark


def test_pictures_with_words_behind_their_numbers_and_of_more_kinds(tmp_path: Path) -> None:
    assert folder_of(["cam2_0001_rgb.png", "cam2_0002_rgb.png"]).names == ("cam2_0001_rgb.png", "cam2_0002_rgb.png")
    beside = folder_of(["0001.png", "0001_mask.png", "0002.png", "0002_mask.png"])
    assert beside.names == ("0001.png", "0002.png")
    for suffix in (".tif", ".ppm", ".bmp", ".webp"):
        (tmp_path / suffix).mkdir()
        for index in range(4):
            grey = np.full((32, 48, 3), LEVELS * index, np.uint8)
            (tmp_path / suffix / f"{index}{suffix}").write_bytes(cv2.imencode(suffix, grey)[1].tobytes())
        clips = read_clips(Video(tmp_path / suffix, 6.0), CONTRACT, 1).clips
        np.testing.assert_allclose(levels(clips), [[0, 1, 2, 3]], atol=0.5)


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path / "clip", 4)
    content = bytearray(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    (tmp_path / "clip" / "00005.png").write_bytes(content)
    (tmp_path / "bomb").mkdir()
    (tmp_path / "bomb" / "1.png").write_bytes(content)
    monkeypatch.setattr(images.cv2, "imdecode", None)
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        read_clips(Video(tmp_path / "bomb", 6.0), CONTRACT)


@pytest.mark.parametrize("place", ["IDAT", "IEND"])
def test_a_png_whose_chunks_claim_more_than_follows_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    content = bytearray(cv2.imencode(".png", np.zeros((32, 48, 3), np.uint8))[1].tobytes())
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "1.png").write_bytes(content)
    assert images.read_picture(folder_in(tmp_path / "whole"), 0) is not None
    start = content.index(place.encode()) - 4
    content[start] = 0x70  # of the length: 1.9 GB, and OpenCV would take as much memory
    (tmp_path / "bomb").mkdir()
    (tmp_path / "bomb" / "1.png").write_bytes(content)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    assert images.read_picture(folder_in(tmp_path / "bomb"), 0) is None


def folder_in(path: Path) -> FrameFolder:
    folder = find_frames(Video(path, 6.0))
    assert folder is not None
    return folder


@pytest.mark.parametrize("rate", [0.0, -25.0, float("nan"), float("inf"), 1000.5])
def test_a_frame_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match=r"a frame rate of .* was given; give frames a second, above 0"):
        Video("x", rate)


def test_what_is_no_zip_file_or_holds_no_such_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK nonsense")
    with pytest.raises(VideoError, match="not a zip file that can be read"):
        find_frames(Video(tmp_path / "x.zip" / "1"))
    zip_frames(tmp_path / "y.zip", ["1/", "2/"], 1)
    for path in (tmp_path / "y.zip" / "3", tmp_path / "y.zip", tmp_path / "y.zip" / ".." / "y.zip" / "3"):
        with pytest.raises(VideoError, match="holds no frames in"):
            find_frames(Video(path))
    assert find_frames(Video(tmp_path)) is None
