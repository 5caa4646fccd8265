"""What reaches a terminal: text out of files, labels and names that nobody vouches for must not steer it."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Stream = Any
"""A text stream. A terminal's, a file's, and those that stand in for them have no type in common."""

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]  # escape sequences begin with one of these
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]  # they reorder a line, or end it
_HARMLESS = frozenset(map(ord, "\t\n"))
_HOSTILE = {code: "\ufffd" for code in (*_CONTROLS, *_DIRECTIONS) if code not in _HARMLESS}
_LINE = _HOSTILE | dict.fromkeys(map(ord, "\t\n"), " ")


def clean(text: str) -> str:
    """A text without escape sequences, control characters and marks that reorder a line; each becomes a `\ufffd`."""
    return text.translate(_HOSTILE)


def clean_line(text: str) -> str:
    """The same of a name that stands in a line of its own: it cannot begin another one."""
    return text.translate(_LINE)


class CleanStream(io.TextIOBase):
    """A text stream that writes what `clean` leaves to another one."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return int(self.stream.write(clean(text)))

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return bool(self.stream.isatty())

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream below; click goes round one that says it is ASCII."""
        encoding: str = self.stream.encoding or "utf-8"
        return "utf-8" if codecs.lookup(encoding).name == "ascii" else encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return str(self.stream.errors)

    @property
    def buffer(self) -> Any:
        return self.stream.buffer

    def close(self) -> None:
        """Leaves the stream below open: it is the process's own."""


def trusted(stream: Stream) -> Stream:
    """The stream below a `CleanStream`, for text that is clean and has colours of its own, or that must stay exact."""
    return stream.stream if isinstance(stream, CleanStream) else stream


def exact_output() -> None:
    """From here on standard output takes UTF-8 as it is: it is for programs, whatever the terminal's encoding."""
    sys.stdout = trusted(sys.stdout)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


@contextmanager
def cleaned() -> Iterator[None]:
    """Standard output and error are `CleanStream`s until the block ends."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (CleanStream(stream) if stream is not None else stream for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def clean_console(stream: Stream) -> Console:
    """A console of rich that writes to a stream in colours of its own, and cleans whatever it is given to print."""
    from rich.console import Console, ConsoleOptions, RenderHook, RenderResult
    from rich.measure import Measurement
    from rich.segment import Segment

    class Cleaned:
        def __init__(self, renderable: Any) -> None:
            self.renderable = renderable

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for segment in console.render(self.renderable, options):
                yield segment if segment.control else Segment(clean(segment.text), segment.style)

        def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
            return Measurement.get(console, options, self.renderable)

    class Hook(RenderHook):
        def process_renderables(self, renderables: list[Any]) -> list[Any]:
            return [Cleaned(renderable) for renderable in renderables]

    console = Console(file=trusted(stream), highlight=False, markup=False, emoji=False)
    console.push_render_hook(Hook())
    return console
