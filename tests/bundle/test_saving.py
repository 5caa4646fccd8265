from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stzoo import bundle as bundles
from stzoo.bundle import Bundle
from stzoo.errors import BundleError
from stzoo.strategies.posterior import Posterior

Weights = dict[str, np.ndarray]


def test_every_file_can_be_read_by_whoever_reads_new_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert modes == {(tmp_path / "plain").stat().st_mode}
    (tmp_path / "folder").mkdir()
    assert folder.stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_marginals_are_written_in_both_conventions(folder: Path, bundle: Bundle) -> None:
    value = json.loads((folder / "marginals.json").read_text())
    assert bundle.posterior is not None
    assert value["marginals"]["paper"] == bundle.posterior.marginals("paper")
    assert value["marginals"]["linear"] == bundle.posterior.marginals("linear")
    assert value["drop"]["T1"] == {"S": 0.01, "ST": 0.5}


def test_extra_files_are_stored_under_their_names(tmp_path: Path, bundle: Bundle, weights: Weights) -> None:
    (tmp_path / "x.onnx").write_bytes(b"onnx")
    extra = {"model.onnx": tmp_path / "x.onnx", "figures/marginals.svg": b"<svg/>"}
    folder = bundles.save(tmp_path / "b", bundle, weights, extra_files=extra)
    assert (folder / "model.onnx").read_bytes() == b"onnx"
    assert (folder / "figures" / "marginals.svg").read_bytes() == b"<svg/>"


@pytest.mark.parametrize("name", ["../x", "/x", "", "config.json", "a/../../x"])
def test_extra_files_stay_inside(tmp_path: Path, bundle: Bundle, weights: Weights, name: str) -> None:
    with pytest.raises(BundleError, match="extra file"):
        bundles.save(tmp_path / "b", bundle, weights, extra_files={name: b""})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_replaced_only_when_asked(folder: Path, bundle: Bundle, weights: Weights) -> None:
    with pytest.raises(BundleError, match="ask to replace"):
        bundles.save(folder, bundle, weights)
    bundles.save(folder, replace(bundle, metrics=()), weights, replace=True)
    assert bundles.read(folder).metrics == ()
    assert [path.name for path in folder.parent.iterdir()] == ["toy-opt"]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path, bundle: Bundle, weights: Weights) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="is not a bundle"):
        bundles.save(tmp_path, bundle, weights, replace=True)


def test_a_save_that_fails_leaves_nothing(tmp_path: Path, bundle: Bundle, weights: Weights) -> None:
    foreign = replace(bundle, posterior=Posterior("toy", {"B9": {"S": 0.5, "ST": 0.5}}))
    with pytest.raises(BundleError, match="different sites"):
        bundles.save(tmp_path / "b", foreign, weights)
    with pytest.raises(BundleError, match="holds nan"):
        bundles.save(tmp_path / "b", bundle, {"a": np.array([np.nan], np.float32)})
    assert list(tmp_path.iterdir()) == []
