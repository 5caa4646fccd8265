"""The benchmarks are run once in a long while: what pages tell to run is still there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((CHECKOUT / "docs").rglob("*.md")), CHECKOUT / "Makefile"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_pages_are_those_of_the_benchmarks(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for script, arguments in re.findall(r"python (benchmarks/\w+\.py)([^`\n#]*)", text):
        path = CHECKOUT / script
        assert path.exists(), f"{page.name} names {script}"
        for option in re.findall(r"(?<= )--[a-z][a-z-]*", arguments):
            assert f'"{option}"' in path.read_text(encoding="utf-8"), f"{page.name} gives {script} {option}"
