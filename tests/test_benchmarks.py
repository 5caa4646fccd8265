"""The benchmarks are run once in a long while: what they import is still there, and so is what pages tell to run."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((CHECKOUT / "benchmarks").glob("*.py"))
PAGES = [*sorted((CHECKOUT / "docs").rglob("*.md")), CHECKOUT / "Makefile"]


def names_imported(script: Path) -> Iterator[tuple[str, str]]:
    """Modules of stzoo and what is asked of them, and other benchmarks and what is asked of those."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                yield node.module, name.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_what_a_benchmark_imports_is_there(script: Path) -> None:
    for module, name in names_imported(script):
        if module.partition(".")[0] == "stzoo":
            found = importlib.import_module(module)
            modules = {inner.name for inner in pkgutil.iter_modules(getattr(found, "__path__", []))}
            assert hasattr(found, name) or name in modules, f"{module} has no {name}"
        elif (other := script.with_name(f"{module}.py")).exists():
            top = ast.parse(other.read_text(encoding="utf-8")).body
            assert name in {name for node in top for name in _defined(node)}, f"{other.name} has no {name}"


def _defined(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign(targets=targets):
            return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_pages_are_those_of_the_benchmarks(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for script, arguments in re.findall(r"python (benchmarks/\w+\.py)([^`\n#]*)", text):
        path = CHECKOUT / script
        assert path.exists(), f"{page.name} names {script}"
        for option in re.findall(r"(?<= )--[a-z][a-z-]*", arguments):
            assert f'"{option}"' in path.read_text(encoding="utf-8"), f"{page.name} gives {script} {option}"
