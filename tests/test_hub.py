from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stzoo
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo import hub
from stzoo.card import Bundled, Card, OnHub
from stzoo.errors import BundleError, ModelNotFoundError
from stzoo.files import packaged


@pytest.fixture
def zoo(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of its own: one bundled name, one whose folder is missing, one untrained, one on the Hub."""
    common = {"title": "t", "dataset": "toy-videos", "task": "way", "backbone": "densenet_tiny", "strategy": "Opt"}
    homes: dict[str, Any] = {
        "toy-opt": Bundled(bundled="tiny-opt"),
        "toy-lost": Bundled(bundled="lost"),
        "toy-never": "none",
        "toy-far": OnHub(hub="org/toy", revision="v1"),
    }
    (tmp_path / "cards").mkdir()
    for name, weights in homes.items():
        card = Card.model_validate(common | {"name": name, "weights": weights, "body": "Prose."})
        (tmp_path / "cards" / f"{name}.md").write_text(cards.render(card))
    shutil.copytree(tiny_bundle, tmp_path / "bundled" / "tiny-opt")
    for module in (hub, cards):
        monkeypatch.setattr(module, "packaged", lambda folder: tmp_path / folder)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    weights = bundles.read_weights(folder)
    change(weights)
    bundles.save(folder, bundles.read(folder), weights, replace=True)


def test_a_folder_is_loaded_in_eval_mode_with_its_own_weights(folder: Path) -> None:
    model = stzoo.load(folder)
    assert model.labels == ("left", "right", "still")
    assert model.name == "tiny-opt"
    assert not any(module.training for module in model.net.modules())
    assert model.strategy == bundles.read(folder).strategy
    state = model.net.state_dict()
    for name, array in bundles.read_weights(folder).items():
        np.testing.assert_array_equal(state[name].numpy(), array)
    assert not any(tensor.is_meta for tensor in state.values())


def test_a_loaded_model_predicts(folder: Path, make_video: Callable[..., Path]) -> None:
    predictions = hub.load(str(folder)).predict(make_video("clip.mp4"))
    assert {prediction.label for prediction in predictions} == {"left", "right", "still"}
    assert sum(prediction.score for prediction in predictions) == pytest.approx(1.0, abs=1e-5)


def test_a_net_rebuilt_in_half_storage_answers_nearly_the_same(folder: Path) -> None:
    whole = hub.build(folder, bundles.read(folder))
    bundles.save(folder, bundles.read(folder), bundles.read_weights(folder), storage="float16", replace=True)
    half = hub.build(folder, bundles.read(folder))
    clip = torch.zeros(1, 3, 4, 32, 32)
    torch.testing.assert_close(half(clip), whole(clip), atol=0.02, rtol=0.02)


def test_names_are_listed_by_pattern(zoo: Path) -> None:
    assert hub.list_models() == ["toy-far", "toy-lost", "toy-never", "toy-opt"]
    assert hub.list_models("*-opt") == ["toy-opt"]
    assert hub.list_models("nothing*") == []


def test_a_name_leads_to_its_bundled_folder(zoo: Path) -> None:
    found = hub.find("toy-opt")
    assert found.folder == zoo / "bundled" / "tiny-opt"
    assert found.card is not None
    assert found.card.name == "toy-opt"
    assert hub.load("toy-opt").name == "tiny-opt"


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("toy-opd", r'called "toy-opd"\. Did you mean "toy-opt"\? `stzoo list`'),
        ("no/such/folder", "`stzoo list` shows every model"),
        ("", 'is called ""'),
        ("toy-never", "no weights yet, since nobody has trained it on toy-videos"),
        ("toy-lost", "missing from this installation"),
        ("toy-far", "org/toy@v1"),
    ],
)
def test_what_cannot_be_found_is_said(zoo: Path, ref: str, sentence: str) -> None:
    with pytest.raises(ModelNotFoundError, match=sentence):
        hub.load(ref)


def test_a_run_gives_its_one_bundle_or_the_opt(tmp_path: Path, tiny_bundle: Path) -> None:
    run = tmp_path / "run"
    made = run / "bundles"
    shutil.copytree(tiny_bundle, made / "toy-st")
    assert hub.find(run).folder == made / "toy-st"
    shutil.copytree(tiny_bundle, made / "toy-s")
    with pytest.raises(BundleError, match="several bundles"):
        hub.find(run)
    shutil.copytree(tiny_bundle, made / "toy-opt")
    (made / ".toy-opt.tmp").mkdir()
    assert hub.find(run).folder == made / "toy-opt"


def test_a_folder_without_a_bundle_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="neither"):
        hub.find(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="is a file"):
        hub.find(tmp_path / "file")


def test_arrays_that_do_not_fit_are_named(folder: Path) -> None:
    def spoil(weights: dict[str, np.ndarray]) -> None:
        del weights["head.bias"]
        weights["head.surprise"] = np.zeros(1, np.float32)
        weights["head.weight"] = np.zeros((4, 2), np.float32)

    rewrite(folder, spoil)
    with pytest.raises(
        BundleError, match=r"lacks 'head\.bias'; it has 'head\.surprise' besides; it has 'head\.weight'"
    ):
        hub.load(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda config: config["backbone"].update(name="densenet_huge"), "net is densenet_huge"),
        (lambda config: config["backbone"]["options"].update(temporal_stride="x9"), "x9"),
        (lambda config: config["backbone"]["options"].update(surprise=1), "surprise"),
    ],
)
def test_a_config_that_describes_no_net_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match=sentence) as caught:
        hub.load(folder)
    assert "config.json" in str(caught.value)


def test_listing_and_finding_do_not_import_torch(tiny_bundle: Path) -> None:
    code = (
        "import sys, stzoo\n"
        "from stzoo import hub, bundle\n"
        "stzoo.list_models()\n"
        f"bundle.read(hub.find({str(tiny_bundle)!r}).folder)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_bundled_folder_has_a_card_and_fits_its_net() -> None:
    for config in packaged("bundled").glob("*/config.json"):
        folder = config.parent
        assert cards.named(folder.name).weights == Bundled(bundled=folder.name)
        bundle = bundles.read(folder)
        assert bundle.name == folder.name
        hub.build(folder, bundle)
