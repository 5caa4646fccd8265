"""Every package of modules has a table of contents in its docstring."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import stzoo

PACKAGES = {module.name for module in pkgutil.walk_packages(stzoo.__path__, "stzoo.") if module.ispkg}


@pytest.mark.parametrize("name", sorted(PACKAGES - {"stzoo.recipes", "stzoo.cards", "stzoo.strategies.published"}))
def test_every_module_is_in_the_table_of_contents_once(name: str) -> None:
    package = importlib.import_module(name)
    listed = re.findall(r"^ *([a-z0-9_]+)/?  ", package.__doc__ or "", re.MULTILINE)
    assert sorted(listed) == sorted(module.name for module in pkgutil.iter_modules(package.__path__))
