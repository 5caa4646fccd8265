"""How an interrupted command ends: without a traceback, and with a sentence where it can be continued."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import rich_click as click


@contextmanager
def saying_how_to_go_on(aloud: bool = True) -> Iterator[None]:
    """Answers an interrupt with the sentence that nothing finished is lost."""
    try:
        yield
    except KeyboardInterrupt:
        if aloud:
            click.echo("Stopped. The same command goes on from what is finished.", err=True)
        raise click.Abort from None


@contextmanager
def remembering_interrupts() -> Iterator[threading.Event]:
    """Sets the event when an interrupt comes.

    Libraries may swallow it, as torch does while it loads numpy, and fail in another way a moment later.
    """
    came = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        came.set()
        signal.default_int_handler(number, frame)

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield came
        return
    complain = sys.unraisablehook
    # Where nothing can be raised, as in a callback while a module is imported, Python would print a traceback.
    sys.unraisablehook = lambda lost: None if lost.exc_type is KeyboardInterrupt else complain(lost)
    signal.signal(signal.SIGINT, remember)
    try:
        yield came
    finally:
        sys.unraisablehook = complain
        with suppress(KeyboardInterrupt):  # too late to stop anything
            signal.signal(signal.SIGINT, signal.default_int_handler)
