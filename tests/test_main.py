import sys
from types import ModuleType

import pytest

from stzoo import __main__


class Interrupted(ModuleType):
    """A module whose import is interrupted."""

    def __getattr__(self, name: str) -> object:
        if name == "main":
            raise KeyboardInterrupt
        raise AttributeError(name)


def test_an_interrupt_while_the_command_is_imported_ends_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stzoo.cli", Interrupted("stzoo.cli"))
    with pytest.raises(SystemExit) as exit_:
        __main__.main()
    assert exit_.value.code == 130
