"""What an installation brings along, and the package's folders from wherever Python is started."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import stzoo

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("recipes", "cards", "bundled", "examples")
WHERE = (
    "import json; from stzoo.files import packaged; "
    f"print(json.dumps({{name: str(packaged(name)) for name in {FOLDERS}}}))"
)


def files_below(folder: Path, pattern: str = "*") -> set[str]:
    """The files of a folder as a checkout holds them, without what Python left there."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def folders_seen_from(directory: Path, pythonpath: Path | None = None) -> dict[str, Path]:
    """`packaged` of every folder, in a fresh Python started in `directory`."""
    environment = os.environ | ({"PYTHONPATH": str(pythonpath)} if pythonpath else {})
    done = subprocess.run(
        [sys.executable, "-c", WHERE], cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return {name: Path(path) for name, path in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, as a package index would serve it."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("stzoo", "recipes", "cards", "examples"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages that holds nothing but the wheel."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_the_wheel_holds_every_module(unpacked: Path) -> None:
    modules = files_below(CHECKOUT / "stzoo", "*.py")
    assert len(modules) > 20
    assert modules <= files_below(unpacked / "stzoo", "*.py")


@pytest.mark.parametrize(
    ("installed", "source"),
    [
        ("stzoo/recipes", "recipes"),
        ("stzoo/cards", "cards"),
        ("stzoo/examples", "examples"),
        ("stzoo/bundle", "stzoo/bundle"),
        ("stzoo/bundled", "stzoo/bundled"),
        ("stzoo/strategies/published", "stzoo/strategies/published"),
        ("stzoo/zoo/web", "stzoo/zoo/web"),
    ],
)
def test_the_wheel_holds_the_packages_folders(unpacked: Path, installed: str, source: str) -> None:
    expected = files_below(CHECKOUT / source)
    assert expected
    assert files_below(unpacked / installed) == expected


def test_the_wheel_holds_nothing_else(unpacked: Path) -> None:
    info = f"stzoo-{stzoo.__version__}.dist-info"
    assert {path.name for path in unpacked.iterdir()} == {"stzoo", info}
    expected = {f"stzoo/{name}" for name in files_below(CHECKOUT / "stzoo")}
    beside = ("recipes", "cards", "examples")
    expected |= {f"stzoo/{folder}/{name}" for folder in beside for name in files_below(CHECKOUT / folder)}
    assert {f"stzoo/{name}" for name in files_below(unpacked / "stzoo")} == expected
    assert files_below(unpacked / info) >= {"METADATA", "entry_points.txt", "licenses/LICENSE"}


def test_an_ordinary_install_finds_its_folders_from_elsewhere(unpacked: Path, tmp_path: Path) -> None:
    found = folders_seen_from(tmp_path, unpacked)
    assert found == {name: unpacked / "stzoo" / name for name in FOLDERS}


def test_an_ordinary_install_finds_the_checkouts_folders_from_the_checkout(unpacked: Path) -> None:
    found = folders_seen_from(CHECKOUT, unpacked)
    assert found == {
        "recipes": CHECKOUT / "recipes",
        "cards": CHECKOUT / "cards",
        "bundled": CHECKOUT / "stzoo" / "bundled",
        "examples": CHECKOUT / "examples",
    }


@pytest.mark.parametrize("inside", [True, False], ids=["from the checkout", "from elsewhere"])
def test_the_environment_of_this_suite_finds_all_folders(inside: bool, tmp_path: Path) -> None:
    found = folders_seen_from(CHECKOUT if inside else tmp_path)
    assert set(found) == set(FOLDERS)
    for name, folder in found.items():
        assert folder.is_dir(), f"{name} is not at {folder}"
        assert any(folder.iterdir()), f"{folder} is empty"


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = ("data", "executorch", "openvino", "parquet", "serve", "timm")
    optional = (text for name in names for text in extras[name])
    texts = [*project["dependencies"], *optional]
    declared = {re.match(r"[\w-]+", text)[0] for text in texts}  # type: ignore[index]
    distributions = importlib.metadata.packages_distributions()
    parts_of = {"onnx_ir": "onnxscript", "pydantic_core": "pydantic"}
    for path in (CHECKOUT / "stzoo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {name.partition(".")[0] for name in names} - {"stzoo", "", *sys.stdlib_module_names}:
                homes = distributions.get(parts_of.get(top, top), [top])  # an extra may not be installed
                assert declared & {home.lower().replace("_", "-") for home in homes}, f"{path} imports {top}"


def test_every_package_of_modules_is_listed_for_the_wheel() -> None:
    listed = set(tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    present = {
        ".".join(path.parent.relative_to(CHECKOUT).parts) for path in (CHECKOUT / "stzoo").rglob("__init__.py")
    } | {"stzoo.recipes", "stzoo.cards", "stzoo.examples"}
    assert listed == present
