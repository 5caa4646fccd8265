"""A net of timm, from a recipe to a bundle that is rebuilt equal or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from stzoo.bundle import Backbone
from stzoo.bundle import read as read_bundle
from stzoo.bundle.rebuild import build, from_template, template_of
from stzoo.errors import BundleError
from stzoo.recipe import read
from stzoo.training.pipeline import train
from stzoo.training.run import Run
from stzoo.training.voice import SILENT
from stzoo.zoo.verifying import verify


def trained(name: str, folder: Path, motions: Path, cache: Path, **changes: None) -> Run:
    """A run of every stage that is not changed to None, from timm's own weights in a file."""
    torch.manual_seed(0)
    torch.save(timm.create_model(name).state_dict(), folder / "flat.pth")
    recipe = read(
        "recipes/smoke.toml",
        [
            f"data.root='{motions}'",
            f"net.backbone='timm:{name}'",
            f"init.from='{folder / 'flat.pth'}'",
            "warmup.epochs=1",
            "variational.epochs=1",
        ],
    )
    run = Run(folder / "smoke", recipe.model_copy(update=changes))
    train(run, cache, SILENT)
    return run


@pytest.fixture(scope="module")
def finished(motions: Path, clip_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained("test_byobnet", tmp_path_factory.mktemp("timm"), motions, clip_cache)


def test_a_recipe_leads_to_a_bundle_with_the_same_net(finished: Run) -> None:
    bundle = read_bundle(finished.bundle)
    assert bundle.config.backbone.name == bundle.strategy.backbone == "timm:test_byobnet"
    assert bundle.config.backbone.options["timm"] == timm.__version__
    assert bundle.posterior is not None
    assert set(bundle.posterior.drop) == set(bundle.strategy.units)
    assert verify(finished.bundle, "torch").passed
    assert template_of(finished.bundle, bundle).architecture == build(finished.bundle, bundle).architecture


def test_a_net_without_batch_norms_has_a_bundle_with_any_strategy_of_its_template(
    motions: Path, clip_cache: Path, tmp_path: Path
) -> None:
    run = trained("convnext_zepto_rms", tmp_path, motions, clip_cache, finetune=None)
    bundle = read_bundle(run.bundle)
    net = build(run.bundle, bundle)
    assert not list(net.buffers())
    assert verify(run.bundle, "torch").passed
    other, is_normalised = from_template(run.bundle, bundle, net.architecture.uniform("S"))
    assert is_normalised, "there is nothing to estimate"
    assert other.architecture == net.architecture


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("timm:test_byobnet", {"graph": "0" * 64, "timm": "0.9"}, "made with timm 0.9"),
        ("timm:no_such_net", {}, "no net called"),
    ],
)
def test_a_bundle_of_another_net_is_refused(finished: Run, name: str, options: dict[str, str], reason: str) -> None:
    bundle = read_bundle(finished.bundle)
    described = Backbone(name=name, options=dict(bundle.config.backbone.options) | options)
    other = replace(bundle, config=bundle.config.model_copy(update={"backbone": described}))
    with pytest.raises(BundleError, match=reason):
        build(finished.bundle, other)
