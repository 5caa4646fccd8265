"""What a command says that is interrupted and can be continued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
