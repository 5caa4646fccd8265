from __future__ import annotations

import pkgutil
import re

from stzoo import video


def test_every_module_is_in_the_table_of_contents_once() -> None:
    named = re.findall(r"^    (\w+) ", video.__doc__ or "", re.MULTILINE)
    assert sorted(named) == sorted(module.name for module in pkgutil.iter_modules(video.__path__))
