"""A model as a static page: a browser runs it on videos and on the camera, and nothing is uploaded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from stzoo.errors import UsageError
from stzoo.files import packaged, write_json, write_text
from stzoo.runtimes.onnx_file import OnnxFile, read
from stzoo.strategies.strategy import open_branches
from stzoo.zoo import npm
from stzoo.zoo.exporting import MAKE_WAY, refuse_disagreement
from stzoo.zoo.exporting import write as export

EXAMPLE = "onnx_predict.js"
"""The example in JavaScript: the page runs it as it is."""

_MODEL, _ABOUT, _INDEX = "model.onnx", "model.json", "index.html"
_SAMPLE, _SAMPLE_LICENCE = "basketball.mp4", "basketball.LICENSE.txt"

_README = """---
{front_matter}---

# {name} in a browser

A page that `stzoo page` has written: it runs {name} on videos and on the camera of whoever opens it. Nothing is
uploaded.

Any server of files serves it, `python -m http.server` among them. Browsers decode video and open the camera for pages
on https and on localhost alone. As a Space of the Hugging Face Hub this folder is complete.
"""


def write(
    model: Path | str,
    output: Path,
    *,
    precision: Literal["fp32", "fp16"] = "fp32",
    packages: Path | None = None,
    replace: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> OnnxFile:
    """Writes the page into a folder, which is there as a whole or not at all.

    Args:
        model: a reference as `stzoo.load` takes it, but an ONNX file.
        output: the folder; it must not be there, or be empty.
        precision: of the portable file that the page runs.
        packages: a folder of archives that `npm pack` has written; by default npm is asked for them.
        replace: whether a page that stands there makes way.
        say: is told what takes long.

    Returns:
        The file that the page runs.

    Raises:
        UsageError: something stands there that is no page, or is not to be replaced.
        ExportError: npm's packages cannot be had, or the model cannot be written.
    """
    _refuse_existing(output, replace)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        folder = Path(temporary) / "page"
        folder.mkdir()
        npm.unpack(folder / "vendor", packages, say)
        _copy(folder)
        job, outcome = export(
            model, folder / _MODEL, form="portable", precision=precision, video=folder / _SAMPLE, say=say
        )
        refuse_disagreement(job, outcome)
        file = read(job.output)
        write_json(folder / _ABOUT, _about(file))
        write_text(folder / "README.md", _readme(file.name))
        if output.exists():
            output.rename(Path(temporary) / "old")
        folder.rename(output)
    return file


def _refuse_existing(output: Path, replace: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / _INDEX).is_file() or not (output / _ABOUT).is_file():
        raise UsageError(f"{output} exists and is no page; choose another folder")
    if not replace:
        raise UsageError(f"{output} holds a page; choose another folder, or {MAKE_WAY}")


def _copy(folder: Path) -> None:
    """The page's own files, the sample, and the licences of what is in it."""
    import onnxruntime

    for file in (resources.files(__package__) / "web").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    shutil.copy(packaged("examples") / EXAMPLE, folder)
    for name in (_SAMPLE, _SAMPLE_LICENCE):
        shutil.copy(packaged("bundled") / name, folder)
    # npm's package names its licence and does not hold it; that of the same project for Python does.
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        shutil.copy(Path(onnxruntime.__file__).parent / name, folder / "vendor" / "onnxruntime-web")


def _about(file: OnnxFile) -> dict[str, Any]:
    """What the page says of its model."""
    units = {} if file.strategy is None else file.strategy.units
    return {
        "name": file.name,
        "labels": len(file.labels),
        "input": file.contract.text,
        "sample": _SAMPLE,
        "sites": [
            {"site": site, "unit": unit, "time": any("T" in branch for branch in open_branches(unit))}
            for site, unit in units.items()
        ],
    }


def _readme(name: str) -> str:
    front_matter = {"title": name, "sdk": "static", "app_file": _INDEX, "pinned": False, "tags": ["stzoo"]}
    return _README.format(front_matter=yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True), name=name)
