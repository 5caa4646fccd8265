"""`stzoo serve`: a model as an HTTP service."""

from __future__ import annotations

import signal
from typing import Any

import rich_click as click

from stzoo.cli.options import loaded, protocol_options, runtime_options, trust_options
from stzoo.errors import UsageError

_CONNECTIONS = 1024
"""Clients beyond these are answered with 503."""
_SECONDS_TO_STOP = 30


@click.command()
@click.argument("model", metavar="NAME|PATH|FILE.onnx")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any that is free.")
@click.option(
    "--max-megabytes", type=click.FloatRange(0, min_open=True), default=200.0, show_default=True, help="Of one video."
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="For a video to arrive, and again for it to be decoded.",
)
@click.option(
    "--inside",
    metavar="N",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    help="Videos that are received, read or run at once; others wait.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 256),
    help="Processes that read videos.  [default: one a processor]",
)
@click.option("--topk", metavar="K", type=click.IntRange(min=1), default=5, show_default=True, help="Labels a video.")
@click.option(
    "--min-precision",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="As for `stzoo predict`.",
)
@protocol_options
@trust_options
@runtime_options
def serve(
    model: str,
    host: str,
    port: int,
    max_megabytes: float,
    max_seconds: float,
    inside: int,
    workers: int | None,
    topk: int,
    min_precision: float | None,
    calibrated: bool,
    **wishes: Any,
) -> None:
    """Serve a model over HTTP: POST a video to /predict, and its JSON comes back.

    GET /health says that it serves, GET /metrics what it did, for Prometheus; what is no video is answered with 4xx and
    a sentence. There is neither encryption nor a password: put it behind a server that has them. Ctrl-C or SIGTERM let
    it answer what has arrived, and end it.
    """
    try:
        import uvicorn

        from stzoo.serving.service import Limits, Service
    except ImportError as error:
        raise UsageError(f"serving needs {error.name}; install it with pip install 'stzoo[serve]'") from error
    from stzoo.pool import processors

    predictor = loaded(model, **wishes, calibrated=calibrated or min_precision is not None)
    least_score = None
    if min_precision is not None and predictor.confidence is not None:
        least_score = predictor.confidence.least_score(min_precision)
    limits = Limits(max_megabytes, max_seconds, max_seconds, inside, workers or processors())
    service = Service(predictor, limits, topk=topk, least_score=least_score)
    config = uvicorn.Config(
        service.app,
        host=host,
        port=port,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_STOP,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    listening.listen(_CONNECTIONS)  # who comes while it starts waits
    address, bound = listening.getsockname()[:2]
    address = f"[{address}]" if ":" in address else address
    click.echo(f"{predictor.name} on http://{address}:{bound}: POST a video to /predict; Ctrl-C ends it.")
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # uvicorn sends it again once it has stopped
    server.run(sockets=[listening])
