from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stzoo import bundle as bundles
from stzoo.bundle import Bundle
from stzoo.errors import BundleError

Weights = dict[str, np.ndarray]


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_everything_comes_back(folder: Path, bundle: Bundle, weights: Weights) -> None:
    assert bundles.read(folder) == bundle
    for which in ("model", "template"):
        loaded = bundles.read_weights(folder, which)
        assert loaded.keys() == weights.keys()
        for name, array in weights.items():
            np.testing.assert_array_equal(loaded[name], array)


def test_a_bundle_without_the_optional_parts_comes_back(tmp_path: Path, bundle: Bundle, weights: Weights) -> None:
    bare = Bundle(bundle.config)
    folder = bundles.save(tmp_path / "bare", bare, weights)
    assert bundles.read(folder) == bare
    assert not (folder / "marginals.json").exists()
    with pytest.raises(BundleError, match=r"lacks template\.safetensors"):
        bundles.read_weights(folder, "template")


def test_the_digest_is_that_of_the_weights(folder: Path, tmp_path: Path, bundle: Bundle, weights: Weights) -> None:
    before = bundles.weights_digest(folder)
    bundles.save(folder, replace(bundle, metrics=()), weights, replace=True)
    assert bundles.weights_digest(folder) == before
    weights["head.bias"] = weights["head.bias"] + 1
    bundles.save(folder, bundle, weights, replace=True)
    assert bundles.weights_digest(folder) != before


def _set(*keys: Any, value: Any) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        for key in keys[:-1]:
            root = root[key]
        root[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("config.json", lambda value: value.pop("format"), "no format number"),
        ("config.json", _set("format", value=2), "the format number 2, this stzoo reads 1"),
        ("config.json", _set("format", value=True), "the format number true"),
        ("config.json", lambda value: value.pop("classes"), "classes is missing"),
        ("config.json", _set("surprise", value=1), "surprise is unknown"),
        ("config.json", _set("name", value="../etc"), r"name is '\.\./etc'"),
        ("config.json", _set("classes", "sha256", value="0" * 64), "digest"),
        ("config.json", _set("classes", "labels", 0, value="west"), "digest"),
        ("config.json", _set("classes", "labels", 0, value="\ud800"), "not JSON|invalid JSON"),
        ("config.json", _set("input", "crop", value=500), "larger than the resized short side"),
        ("config.json", _set("input", "frames", value=10**9), "input.frames is 1000000000"),
        ("config.json", _set("input", "mean", value=[0.1, 0.2]), "input.mean"),
        ("config.json", _set("strategy", "units", "T1", value="XYZ;"), "site T1 has the unit"),
        ("config.json", _set("strategy", "backbone", value="densenet121"), "the net is toy"),
        ("config.json", _set("strategy", value=[]), "strategy"),
        ("config.json", _set("backbone", "options", "x", value={"deep": 1}), "backbone.options.x"),
        ("strategy.json", _set("units", "T1", value="ST"), "they must agree"),
        ("strategy.json", _set("units", value=3), r"strategy\.json"),
        ("marginals.json", _set("drop", "T1", "S", value=1.5), "drop probability"),
        ("marginals.json", _set("drop", "T1", "S", value=10**400), r"marginals\.json"),
        ("marginals.json", lambda value: value["drop"].pop("T1"), "different sites"),
        ("branch-effects.json", _set("branches", 0, "site", value="B9"), '"B9" is no site of toy'),
        ("branch-effects.json", _set("branches", value=[]), r"effects\.json: branches"),
        ("metrics.json", _set(0, "value", value=97.0), "not a fraction"),
        ("metrics.json", _set(0, "n", value="many"), r"0\.n is 'many'"),
    ],
)
def test_a_changed_value_is_refused_by_file_and_value(
    folder: Path, file: str, change: Callable[[Any], None], sentence: str
) -> None:
    edit(folder / file, change)
    with pytest.raises(BundleError, match=sentence) as caught:
        bundles.read(folder)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "strategy.json"])
def test_a_required_file_that_is_gone_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(BundleError, match=file):
        bundles.read(folder)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a folder"):
        bundles.read(tmp_path / "nowhere")


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(BundleError, match="leads out of its folder"):
        bundles.read_weights(folder)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:180e6c\nsize 538000\n"
FILES = ["config.json", "strategy.json", "marginals.json", "metrics.json", "model.safetensors"]


def read_all(folder: Path) -> None:
    bundles.read(folder)
    bundles.read_weights(folder)


@pytest.mark.parametrize("name", [*FILES, "recipe.toml"])
def test_a_pointer_of_git_lfs_is_called_one(name: str, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    (folder / name).write_bytes(POINTER)
    with pytest.raises(BundleError, match=rf"{name} .*pointer of Git LFS .* with `git lfs pull`"):
        read_all(folder)


@pytest.mark.parametrize("name", FILES)
def test_an_empty_file_is_called_one(name: str, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    (folder / name).write_bytes(b"")
    with pytest.raises(BundleError, match=rf"{name} .*is empty.* fetch"):
        read_all(folder)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.99])
def test_weights_that_are_cut_off_say_so(share: float, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BundleError, match=r"model\.safetensors .*is cut off.* fetch it again"):
        bundles.read_weights(folder)
