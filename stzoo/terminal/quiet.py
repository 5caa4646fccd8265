"""Libraries that say what nobody asked for, kept off the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quietly(*packages: str) -> Iterator[None]:
    """Within it there are no warnings, and what is logged by these packages, as far as imported, is critical."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(packages)]
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def without_standard_error() -> Iterator[None]:
    """Within it what a library written in C prints there is lost."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
