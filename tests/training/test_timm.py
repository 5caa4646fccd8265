"""A net of timm, from a recipe to a bundle that is rebuilt equal or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch

from stzoo.bundle import read as read_bundle
from stzoo.bundle.rebuild import build, template_of
from stzoo.errors import BundleError
from stzoo.recipe import read
from stzoo.training.pipeline import train
from stzoo.training.run import Run
from stzoo.training.voice import SILENT
from stzoo.zoo.verifying import verify


@pytest.fixture(scope="module")
def finished(motions: Path, clip_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of every stage, from timm's own weights in a file."""
    folder = tmp_path_factory.mktemp("timm")
    torch.manual_seed(0)
    torch.save(timm.create_model("test_byobnet").state_dict(), folder / "flat.pth")
    recipe = read(
        "recipes/smoke.toml",
        [
            f"data.root='{motions}'",
            "net.backbone='timm:test_byobnet'",
            f"init.from='{folder / 'flat.pth'}'",
            "warmup.epochs=1",
            "variational.epochs=1",
        ],
    )
    run = Run(folder / "smoke", recipe)
    train(run, clip_cache, SILENT)
    return run


def test_a_recipe_leads_to_a_bundle_with_the_same_net(finished: Run) -> None:
    bundle = read_bundle(finished.bundle)
    assert bundle.config.backbone.name == bundle.strategy.backbone == "timm:test_byobnet"
    assert bundle.config.backbone.options["timm"] == timm.__version__
    assert bundle.posterior is not None
    assert set(bundle.posterior.drop) == set(bundle.strategy.units)
    assert verify(finished.bundle, "torch").passed
    assert template_of(finished.bundle, bundle).architecture == build(finished.bundle, bundle).architecture


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("timm:test_byobnet", {"graph": "0" * 64, "timm": "0.9"}, "made with timm 0.9"),
        ("timm:no_such_net", {}, "no net called"),
    ],
)
def test_a_bundle_of_another_net_is_refused(
    finished: Run, name: str, options: dict[str, str], reason: str, tmp_path: Path
) -> None:
    for file in finished.bundle.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["backbone"] |= {"name": name}
    config["backbone"]["options"] |= options
    config["strategy"]["backbone"] = name
    (tmp_path / "config.json").write_text(json.dumps(config))
    if (tmp_path / "posterior.json").exists():
        stored = json.loads((tmp_path / "posterior.json").read_text())
        (tmp_path / "posterior.json").write_text(json.dumps(stored | {"backbone": name}))
    with pytest.raises(BundleError, match=reason):
        build(tmp_path, read_bundle(tmp_path))
