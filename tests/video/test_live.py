from __future__ import annotations

import io
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from stzoo.errors import VideoError
from stzoo.video.decode import probe, read_frames
from stzoo.video.live import LiveFrame, is_live, live_frames
from tests.conftest import LEVELS, MakeVideo
from tests.video.test_decode import corners

Serve = Callable[..., str]


class OnlyReads:
    """A pipe: it cannot go back."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)


@contextmanager
def serving(*answers: bytes | Iterator[bytes] | None, sized: bool = False) -> Iterator[str]:
    """An address that answers one connection after the other with these bytes and cuts it; with None it refuses."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = left.pop(0) if left else None
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Type", "video/mp2t")
            if sized and isinstance(answer, bytes):
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever listens may have heard enough
                self.wfile.writelines([answer] if isinstance(answer, bytes) else answer or [])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/camera.ts"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def stream(make_video: MakeVideo) -> Path:
    return make_video("a.ts", 20, codec="mpeg2video", encoder={"g": "5"})


def levels(frames: list[LiveFrame]) -> list[int]:
    return [round(frame.pixels.mean() / LEVELS) for frame in frames]


def never(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.mark.parametrize("word", ["rtsp://camera/1", "HTTPS://a/b.m3u8", "udp://@:1234", "/dev/video12"])
def test_addresses_and_cameras_are_live(word: str) -> None:
    assert is_live(word)


@pytest.mark.parametrize("word", ["a.mp4", "-", "dev/video0", "/dev/video", "file:///etc/passwd", "s3://a/b"])
def test_nothing_else_is(word: str) -> None:
    assert not is_live(word)


def test_a_pipe_gives_the_frames_and_times_of_its_file(stream: Path) -> None:
    info = probe(stream)
    expected = read_frames(info, np.arange(info.frames), np.array)
    frames = list(live_frames(OnlyReads(stream.read_bytes()), never))
    times = info.timestamps_seconds - info.timestamps_seconds[0]
    np.testing.assert_allclose([frame.seconds for frame in frames], times, atol=1e-9)
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.pixels, expected[index])
    assert [frame.is_first for frame in frames] == [True] + [False] * (len(frames) - 1)


@pytest.mark.parametrize(("degrees", "mirror"), [(90, False), (180, True), (270, False)])
def test_frames_stand_upright_as_those_of_the_file(make_video: MakeVideo, degrees: int, mirror: bool) -> None:
    at_the_front = {"movflags": "faststart"}  # so that it can be read as it comes
    path = make_video("a.mp4", 2, rotate=degrees, mirror=mirror, pixels=corners(), container=at_the_front)
    info = probe(path)
    expected = read_frames(info, np.arange(2), np.array)
    with serving(path.read_bytes(), sized=True) as address:
        frames = list(live_frames(address, never))
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.pixels, expected[index])
        assert frame.pixel_aspect == pytest.approx(info.pixel_aspect)
    assert len(frames) == 2


def test_an_address_of_known_length_has_an_end(stream: Path) -> None:
    with serving(stream.read_bytes(), sized=True) as address:
        assert levels(list(live_frames(address, never))) == list(range(20))


def test_what_breaks_off_is_said_and_opened_again_until_it_is_given_up(stream: Path) -> None:
    content = stream.read_bytes()
    said: list[str] = []
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    frames = []
    with serving(content, None, content) as address:
        following = live_frames(address, said.append, sleep=sleep, clock=lambda: now[0])
        for frame in itertools.islice(following, 38):
            now[0] = frame.seconds
            frames.append(frame)
        with pytest.raises(VideoError, match=re.escape(f"{address} cannot be opened") + ".*it was tried 10 times"):
            next(following)
    # What is cut off in the middle of a packet is lost: the last frame of each connection.
    assert levels(frames) == [*range(19), *range(19)]
    assert [index for index, frame in enumerate(frames) if frame.is_first] == [0, 19]
    assert frames[19].seconds == pytest.approx(1.8 + 1 + 2), "times go on as the clock says"
    assert slept == [1, 2, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert said[0] == f"{address} broke off; it is opened again in 1 s."


def test_what_was_never_there_is_an_error_at_once() -> None:
    with serving(None) as address, pytest.raises(VideoError, match=r"cannot be opened as a video .*; check the addr"):
        list(live_frames(address, never))


@pytest.mark.parametrize("content", [b"", b"no video " * 200])
def test_a_pipe_without_a_video_is_an_error(content: bytes) -> None:
    with pytest.raises(VideoError, match="standard input"):
        list(live_frames(OnlyReads(content), never))


def test_a_server_cannot_make_a_file_be_read(stream: Path) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{stream}\n#EXT-X-ENDLIST\n"
    with serving(*[playlist.encode()] * 3, sized=True) as address, pytest.raises(VideoError):
        list(live_frames(address, never))
