"""How an interrupted command ends: without a traceback, and with a sentence where it can be continued."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import rich_click as click

_SOON_SECONDS = 0.1  # until an interrupt that nobody could hear comes again


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
    """Sets the event when an interrupt comes; one that is lost in a callback comes again.

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

    def hear_of(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is KeyboardInterrupt:
            again = threading.Timer(_SOON_SECONDS, _interrupt_main)
            again.daemon = True
            again.start()
        else:
            complain(lost)

    # Where nothing can be raised, as in a callback at an import, Python would print a traceback and go on.
    sys.unraisablehook = hear_of
    signal.signal(signal.SIGINT, remember)
    try:
        yield came
    finally:
        sys.unraisablehook = complain
        with suppress(KeyboardInterrupt):  # too late to stop anything
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt_main() -> None:
    """Interrupts the main thread, also where it waits in a call of the system, which nothing but a signal ends."""
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
