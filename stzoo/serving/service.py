"""What a client asks for, and how it is answered.

    POST /predict?name=a.mp4   the bytes of a video -> JSON as `stzoo predict --format json` writes it
    GET /health                200 while it serves
    GET /metrics               what was counted, as Prometheus reads it

A video is received into a file, read by a process of its own whose time is limited, and run together with others that
wait. At most so many videos are inside at once; the bodies of further requests are not read until one has left, so
neither memory nor disk grows with the number of clients.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import queue
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stzoo.errors import BundleError, UsageError, VideoError
from stzoo.files import slug
from stzoo.prediction.predictor import Predictor
from stzoo.prediction.rows import row
from stzoo.prediction.scoring import Scored
from stzoo.serving.batching import Answered, Batcher
from stzoo.serving.gauges import Gauges
from stzoo.video.reader import VideoClips
from stzoo.video.video import Video
from stzoo.video.workers import Reader


class Limits(NamedTuple):
    """What a service takes on."""

    megabytes: float = 200.0
    """Of one video."""
    receive_seconds: float = 60.0
    """For the bytes of one video to arrive."""
    read_seconds: float = 60.0
    """For one video to be decoded."""
    inside: int = 16
    """Videos that are received, read or run at once."""
    readers: int = 2
    """Processes that read videos."""


class RefusedError(Exception):
    """Why a request is not answered, and the status that says so."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Service:
    """A predictor behind HTTP; `app` is what a server runs."""

    def __init__(
        self, predictor: Predictor, limits: Limits, *, topk: int = 5, least_score: float | None = None
    ) -> None:
        self._predictor = predictor
        self._limits = limits
        self._topk = topk
        self._least_score = least_score
        self._gauges = Gauges()
        routes = [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]
        self.app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={404: _no_such, 405: _no_such})

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        limits = self._limits
        self._slots = asyncio.Semaphore(limits.inside)
        self._batcher = Batcher(self._predictor, limits.inside, self._gauges.videos.observe)
        readers = [Reader(self._predictor.contract, limits.read_seconds) for _ in range(limits.readers)]
        self._readers: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        for reader in readers:
            self._readers.put(reader)
        self._threads = ThreadPoolExecutor(limits.readers)
        try:
            yield
        finally:
            self._threads.shutdown()
            self._batcher.close()
            for reader in readers:
                reader.close()

    async def health(self, request: Request) -> Response:
        """What is served."""
        about = self._predictor
        return JSONResponse({"status": "ok", "model": about.name, "digest": about.digest, "runtime": about.runtime})

    async def metrics(self, request: Request) -> Response:
        """What was counted."""
        return Response(self._gauges.text(), media_type="text/plain; version=0.0.4")

    async def predict(self, request: Request) -> Response:
        """The row of the posted video, or a sentence that says why there is none."""
        try:
            self._refuse_announced(request)
            async with self._slots:
                with self._gauges.inside.track_inprogress():
                    answer = JSONResponse([await self._row(request)])
        except RefusedError as refused:
            # What is left of a refused body is not read: the connection ends with the answer.
            answer = JSONResponse({"error": str(refused)}, refused.status, {"connection": "close"})
        except ClientDisconnect:
            answer = JSONResponse({"error": "the client has gone"}, 400)
        except Exception as error:
            logging.getLogger(__name__).exception("a request failed")
            is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
            said, status = ("there is no room for the video", 507) if is_full else ("the server failed", 500)
            answer = JSONResponse({"error": said}, status, {"connection": "close"})
        self._gauges.requests.labels(str(answer.status_code)).inc()
        return answer

    async def _row(self, request: Request) -> dict[str, Any]:
        name = _shown(request.query_params.get("name", ""))
        with tempfile.TemporaryDirectory(prefix="stzoo-") as folder:
            path = Path(folder) / f"video.{slug(Path(name).suffix[-16:], 'A-Za-z0-9', 'file')}"
            with self._gauges.seconds.labels("receive").time():
                await self._receive(request, path)
            with self._gauges.seconds.labels("read").time():
                read = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, Video(path))
        if isinstance(read, VideoError):
            raise RefusedError(422, str(read).replace(str(path), name))
        began = time.perf_counter()
        try:
            answered: Answered = await asyncio.wrap_future(self._batcher.ask(read.clips))
        except (BundleError, UsageError) as error:
            raise RefusedError(500, str(error)) from error
        each, seconds = answered
        self._gauges.seconds.labels("wait").observe(max(0.0, time.perf_counter() - began - seconds))
        self._gauges.seconds.labels("run").observe(seconds)
        spread = each.std(axis=0) if len(each) > 1 else None
        scored = Scored(
            name, each.mean(axis=0), read.times_seconds, read.info, read.warnings, read.decode_seconds, seconds, spread
        )
        return row(self._predictor, scored, self._topk, least_score=self._least_score)

    def _read(self, video: Video) -> VideoClips | VideoError:
        reader = self._readers.get()
        try:
            return reader.read(video)
        finally:
            self._readers.put(reader)

    async def _receive(self, request: Request, path: Path) -> None:
        """Writes the body into a file."""
        size = 0
        try:
            async with asyncio.timeout(self._limits.receive_seconds):
                with path.open("wb") as file:
                    async for chunk in request.stream():
                        size += len(chunk)
                        self._refuse_larger(size)
                        file.write(chunk)
        except TimeoutError as error:
            raise RefusedError(
                408, f"the video had not arrived after {self._limits.receive_seconds:g} seconds; send a smaller one"
            ) from error
        if size == 0:
            raise RefusedError(400, "the request has no body; post the bytes of a video")

    def _refuse_announced(self, request: Request) -> None:
        """Refuses a body that says itself how large it is before it is read."""
        length = request.headers.get("content-length", "")
        if length.isdecimal():
            self._refuse_larger(int(length))

    def _refuse_larger(self, size: int) -> None:
        if size > self._limits.megabytes * 1e6:
            raise RefusedError(413, f"a video has at most {self._limits.megabytes:g} MB here; send a smaller one")


def _shown(name: str) -> str:
    """A name that a client gives its video, as the answer has it: the end of it, without what moves a cursor."""
    return "".join(letter for letter in name if letter.isprintable())[-100:] or "video"


async def _no_such(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    sentence = "POST a video to /predict, or GET /health or /metrics"
    return JSONResponse({"error": sentence}, status, dict(getattr(error, "headers", None) or {}))
