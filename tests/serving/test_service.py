from __future__ import annotations

import errno
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
import uvicorn
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.prediction.predictor import Predictor
from stzoo.serving.service import Limits, Service
from tests.conftest import write_video

LABELS = ("dark", "bright")
CONTRACT = InputContract(frames=2, fps=5.0, clips=2, resize=16, crop=16)
LIMITS = Limits(megabytes=0.1, receive_seconds=1.0, read_seconds=20.0, inside=4, readers=1)


class Brightness(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        mean = clips.mean(dim=(1, 2, 3, 4))
        return torch.stack([-mean, mean], dim=1)


class Served:
    """A service on a free port, in a thread of its own."""

    def __init__(self) -> None:
        self.predictor = Predictor(Brightness(), CONTRACT, LABELS, "brightness", "cpu")
        config = uvicorn.Config(Service(self.predictor, LIMITS, topk=1).app, port=0, log_level="error")
        self.listening = config.bind_socket()
        self.port = self.listening.getsockname()[1]
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)  # type: ignore[arg-type]
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, content

    def refusal(self, *request: object, **headers: str) -> tuple[int, str]:
        status, content = self.ask(*request, **headers)  # type: ignore[arg-type]
        return status, json.loads(content)["error"]

    def raw(self, head: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: here\r\n" + head)
        return client

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        self.listening.close()
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    service = Served()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    for index, grey in enumerate((10, 90, 170, 250)):
        write_video(folder / f"{index}.mp4", 4, fps=5, pixels=np.full((4, 32, 32, 3), grey, np.uint8))
    return sorted(folder.iterdir())


def test_a_video_is_posted_and_its_row_comes_back(served: Served, videos: list[Path]) -> None:
    status, content = served.ask("POST", "/predict?name=a.mp4", videos[0].read_bytes())
    assert status == 200
    (row,) = json.loads(content)
    assert row["path"] == "a.mp4"
    scores = served.predictor.scores(videos[0])
    assert row["predictions"] == [{"label": "dark", "score": pytest.approx(float(scores[0]))}]
    assert row["model"]["name"] == "brightness"
    assert row["video"]["frames"] == 4
    status, content = served.ask("GET", "/health")
    assert (status, json.loads(content)["status"]) == (200, "ok")
    text = served.ask("GET", "/metrics")[1].decode()
    assert 'stzoo_requests_total{status="200"}' in text
    assert "stzoo_inside 0.0" in text


def test_each_of_many_clients_gets_the_answer_to_its_own_video(served: Served, videos: list[Path]) -> None:
    expected = [float(served.predictor.scores(path).max()) for path in videos]
    bodies = [path.read_bytes() for path in videos]
    with ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda number: served.ask("POST", "/predict", bodies[number % 4]), range(80)))
    for number, (status, content) in enumerate(answers):
        assert status == 200
        assert json.loads(content)[0]["predictions"][0]["score"] == pytest.approx(expected[number % 4], abs=1e-6)


def test_what_is_no_video_is_refused_in_a_sentence(served: Served) -> None:
    status, sentence = served.refusal("POST", "/predict?name=../../etc/notes.txt", b"only words, and no video at all")
    assert status == 422
    assert "/tmp" not in sentence
    assert "notes.txt" in sentence
    assert served.refusal("POST", "/predict") == (400, "the request has no body; post the bytes of a video")
    wrong = "POST a video to /predict, or GET /health or /metrics"
    assert served.refusal("GET", "/predict") == (405, wrong)
    assert served.refusal("GET", "/other") == (404, wrong)


def test_a_body_that_is_too_large_is_refused_before_it_has_come(served: Served) -> None:
    client = served.raw(b"Content-Length: 5000000000\r\n\r\nbegin")
    answer = client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"a video has at most 0.1 MB here; send a smaller one" in answer + client.recv(4096)
    client.close()
    status, sentence = served.refusal("POST", "/predict", iter([b"x" * 60_000] * 3))
    assert (status, sentence) == (413, "a video has at most 0.1 MB here; send a smaller one")


def test_a_slow_client_is_given_up_and_one_that_breaks_off_is_forgotten(served: Served, videos: list[Path]) -> None:
    slow = served.raw(b"Content-Length: 1000\r\n\r\nbegin")
    gone = [served.raw(b"Content-Length: 1000\r\n\r\nbegin") for _ in range(8)]
    for client in gone:
        client.close()
    assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
    slow.close()
    assert served.ask("POST", "/predict", videos[0].read_bytes())[0] == 200
    assert "stzoo_inside 0.0" in served.ask("GET", "/metrics")[1].decode()


def test_a_name_comes_back_as_it_was_given(served: Served, videos: list[Path]) -> None:
    name = "Fußball im Prater — 足球 %.mp4"
    status, content = served.ask("POST", f"/predict?name={quote(name + chr(27))}", videos[0].read_bytes())
    assert (status, json.loads(content)[0]["path"]) == (200, name)
    status, sentence = served.refusal("POST", f"/predict?name={quote(name)}", b"no video")
    assert status == 422
    assert name in sentence


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("a fault that nobody foresaw"), 500, "the server failed"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "there is no room for the video"),
        (OSError(errno.EIO, "Input/output error"), 500, "the server failed"),
    ],
)
def test_what_nobody_foresaw_is_json_and_the_next_is_served(
    served: Served,
    videos: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    said: str,
) -> None:
    async def fail(*given: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Service, "_receive", fail)
        assert served.refusal("POST", "/predict", videos[0].read_bytes()) == (status, said)
    assert "a request failed" in caplog.text
    assert f'stzoo_requests_total{{status="{status}"}}' in served.ask("GET", "/metrics")[1].decode()
    assert served.ask("POST", "/predict", videos[0].read_bytes())[0] == 200


def test_what_was_begun_is_answered_before_it_stops(videos: list[Path]) -> None:
    service = Served()
    body = videos[0].read_bytes()
    client = service.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])
    time.sleep(0.2)
    service.server.should_exit = True
    client.sendall(body[10:])
    assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    client.close()
    service.stop()
    with pytest.raises(ConnectionRefusedError):
        service.raw(b"")
