from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from stzoo.contract import InputContract
from stzoo.video.decode import probe, read_frames
from stzoo.video.reader import read_clips
from stzoo.video.video import Video
from tests.conftest import LEVELS, MakeVideo
from tests.video.photos import photo, write_photos

CONTRACT = InputContract(frames=4, fps=5.0, clips=2, resize=24, crop=16)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_preview_that_comes_first_is_not_the_film(make_video: MakeVideo, tmp_path: Path, suffix: str) -> None:
    sources = [make_video(f"preview{suffix}", 20, width=32), make_video(f"film{suffix}", 20, width=64)]
    both = tmp_path / f"both{suffix}"
    with av.open(str(both), "w") as output:
        copies = []
        for number, source in enumerate(sources):
            container = av.open(str(source))
            stream = container.streams.video[0]
            copy = output.add_stream_from_template(stream)
            copy.disposition = av.stream.Disposition.default if number else av.stream.Disposition(0)
            copies.append((container, stream, copy))
        for container, stream, copy in copies:
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)
            container.close()
    read = read_clips(Video(both), CONTRACT)
    assert read.info.width == 64
    assert read.warnings == (f"{both} has 2 video tracks; number 2 was read, which ffmpeg takes as well.",)


def test_a_frame_with_notes_of_a_camera_is_decoded(tmp_path: Path) -> None:
    """PyAV refuses to list what belongs to a frame where it does not know all of it, as EXIF."""
    path = tmp_path / "timelapse.mov"
    write_photos(path, [photo(np.full((32, 48, 3), LEVELS * index, np.uint8), 1) for index in range(10)])
    with av.open(str(path)) as container, pytest.raises(ValueError, match="not a valid Type"):
        _ = next(container.decode(video=0)).side_data
    info = probe(path)
    pictures = read_frames(info, np.arange(10), np.mean)
    np.testing.assert_allclose([pictures[index] for index in range(10)], LEVELS * np.arange(10), atol=2)
