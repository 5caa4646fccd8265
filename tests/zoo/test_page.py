from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import stzoo.zoo
from stzoo.bundle import golden
from stzoo.cli.page import page
from stzoo.errors import ExportError, UsageError
from stzoo.files import packaged
from stzoo.zoo import npm
from stzoo.zoo.page import write

WEB = Path(str(resources.files(stzoo.zoo))) / "web"


@pytest.fixture(autouse=True)
def without_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are one empty file each."""

    def unpack(folder: Path, archives: Path | None, say: Callable[[str], None]) -> None:
        for package in npm.PACKAGES:
            (folder / package.name).mkdir(parents=True)
            (folder / package.name / "a.mjs").touch()

    monkeypatch.setattr(npm, "unpack", unpack)


def test_a_page_has_all_that_it_asks_for_and_is_small(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "page"
    done = CliRunner().invoke(page, [str(tiny_bundle), "-o", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"--directory {folder} 8000" in done.stdout
    about = json.loads((folder / "model.json").read_text())
    model = stzoo.load(tiny_bundle)
    assert (about["name"], about["labels"]) == (model.name, 3)
    assert model.strategy is not None
    assert {site["site"]: site["unit"] for site in about["sites"]} == dict(model.strategy.units)
    assert all(site["time"] == ("T" in site["unit"]) for site in about["sites"])
    kept = golden.read(folder / "model.golden.json").video
    assert kept is not None
    assert (kept.name, (folder / kept.name).is_file()) == (about["sample"], True)
    assert (folder / "onnx_predict.js").read_bytes() == (packaged("examples") / "onnx_predict.js").read_bytes()
    assert "MIT License" in (folder / "vendor/onnxruntime-web/LICENSE").read_text()
    front_matter = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert (front_matter["sdk"], front_matter["app_file"]) == ("static", "index.html")
    assert {path.name for path in folder.parent.iterdir()} == {"page"}
    ours = [
        path for path in folder.rglob("*") if path.is_file() and not {"vendor", "model.onnx"} & {*path.parts, path.name}
    ]
    mediabunny = 710_000  # bytes, as npm has it
    assert sum(path.stat().st_size for path in ours) + mediabunny < 1_000_000
    _refuse_and_replace(tiny_bundle, folder)


def _refuse_and_replace(bundle: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"holds a page; .* \(--replace; in Python replace=True\)"):
        write(bundle, folder)
    (folder / "model.json").write_text("{}")
    file = write(bundle, folder, precision="fp16", replace=True)
    assert (file.form, file.precision) == ("portable", "fp16")
    assert json.loads((folder / "model.json").read_text())["labels"] == 3


def test_what_is_no_page_is_never_replaced(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="exists and is no page; choose another folder"):
        write(tiny_bundle, tmp_path, replace=True)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.txt"}


def test_nothing_is_left_where_it_goes_wrong(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise ExportError("no network")

    monkeypatch.setattr(npm, "unpack", fail)
    with pytest.raises(ExportError, match="no network"):
        write(tiny_bundle, tmp_path / "page")
    assert list(tmp_path.iterdir()) == []


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_program_but_its_own() -> None:
    html = (WEB / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == rules["style-src"] == "'self'"
    assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", html)
    texts = [path.read_text() for path in [*WEB.iterdir(), packaged("examples") / "onnx_predict.js"]]
    assert {url for text in texts for url in re.findall(r"https?://[^\s\"'`]+", text)} <= {"http://www.w3.org/2000/svg"}


def test_every_element_that_the_program_asks_for_is_there() -> None:
    there = set(re.findall(r'\sid="([^"]+)"', (WEB / "index.html").read_text()))
    asked = {name for path in WEB.glob("*.js") for name in re.findall(r'element\("([^"]+)"\)', path.read_text())}
    assert len(asked) > 10
    assert asked <= there
