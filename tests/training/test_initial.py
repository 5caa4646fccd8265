"""Runs that start from weights that are there already."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from hub_server import HubServer
from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle import Backbone, Bundle, Classes, Config, Versions
from stzoo.errors import ModelNotFoundError, StzooError, TrainingError, WeightsError
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.nets.imagenet import TIMM_IMAGENET
from stzoo.nets.reestimation import without_sums
from stzoo.recipe import Recipe, read
from stzoo.strategies.strategy import Strategy
from stzoo.training.blueprint import Blueprint
from stzoo.training.initial import Origin, fit_batch_norm, initialise, look_for, record_origin, recorded_origin
from stzoo.training.pipeline import train
from stzoo.training.run import Run
from stzoo.training.stages import prepare
from stzoo.training.voice import SILENT, Voice

LABELS = ("still", "turn-left", "turn-right")
OTHERS = ("a", "b", "c", "d")
TABLE = '[fixed]\nstrategy = "st"\nepochs = 2\nbatch_size = 16\nlearning_rate = 0.1\nweight_decay = 0.0\n'


def flat_net(classes: int = 10) -> nn.Module:
    """The 2D sibling of densenet_tiny."""
    torch.manual_seed(0)
    net = torchvision.models.DenseNet(12, (2, 3, 4, 3), 16, bn_size=3, num_classes=classes)
    net.features.conv0 = nn.Conv2d(3, 16, 5, bias=False)
    return net


@pytest.fixture
def flat_file(tmp_path: Path) -> Path:
    file = tmp_path / "flat.pth"
    torch.save(flat_net().state_dict(), file)
    return file


def saved(
    folder: Path,
    strategy: Strategy,
    labels: tuple[str, ...],
    *,
    template: bool = False,
    pooling: tuple[str, ...] | None = None,
) -> Path:
    """A bundle of that strategy, pruned from a random template; with the template's weights if asked for."""
    torch.manual_seed(1)
    options = {} if pooling is None else {"pooling": pooling}
    whole = nets.template("densenet_tiny", len(labels), **options)
    config = Config(
        name=folder.name,
        backbone=Backbone(name="densenet_tiny", options=options),
        classes=Classes.of(labels),
        strategy=strategy,
        input=read("recipes/smoke.toml").input,
        versions=Versions(stzoo="0.1.0"),
    )
    both = [{k: v.numpy() for k, v in net.state_dict().items()} for net in (nets.prune(whole, strategy), whole)]
    return bundles.save(folder, Bundle(config), both[0], both[1] if template else None)


def uniform(unit: str) -> Strategy:
    return Architecture("densenet_tiny", 3, {}).uniform(unit)


def recipe_of(folder: Path, root: Path, *overrides: str, fixed: bool = True) -> Recipe:
    """The smoke recipe, of ST trained alone unless told otherwise."""
    file = folder / "recipe.toml"
    smoke = Path("recipes/smoke.toml").absolute()
    file.write_text(f'extends = "{smoke}"\nname = "toy"\n{TABLE if fixed else ""}')
    return read(file, [f"data.root='{root}'", *overrides])


def look(recipe: Recipe, labels: tuple[str, ...] | None) -> str | None:
    """What a dry run says of a recipe's first weights."""
    assert recipe.init is not None
    with without_memory():
        return look_for(recipe.init, Blueprint.of(recipe, len(labels or OTHERS)).first, labels)


class Begin:
    """Initialises the first net of a recipe, without data or training."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.said: list[str] = []

    def __call__(
        self, *overrides: str, fixed: bool = True, labels: tuple[str, ...] = LABELS
    ) -> tuple[Origin | None, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """The origin, and the net's tensors after and before."""
        recipe = recipe_of(self.tmp_path, self.tmp_path, *overrides, fixed=fixed)
        run = Run(self.tmp_path / "run", recipe)
        net = Blueprint.of(recipe, len(labels)).first
        before = {name: value.clone() for name, value in net.state_dict().items()}
        origin = initialise(run, net, labels, Voice(self.said.append, progress=False))
        return origin, net.state_dict(), before


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    return Begin(tmp_path)


def kept(after: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in after.items() if torch.equal(value, before[name])}


@pytest.mark.parametrize("of_pictures", [True, False])
def test_absorbed_statistics_leave_what_the_first_weights_compute(
    flat_file: Path, tmp_path: Path, of_pictures: bool
) -> None:
    """Of 2D weights that is what one branch computes, which both have; of a bundle it is what its net does."""
    source = flat_file if of_pictures else saved(tmp_path / "all-open", uniform("S+ST"), LABELS)
    sets = (f"init.from='{source}'", "init.batch_norm='absorbed'", "init.temporal='centre'")
    recipe = recipe_of(tmp_path, tmp_path, *sets, fixed=False)
    blueprint = Blueprint.of(recipe, len(LABELS))
    net = blueprint.first.eval()
    initialise(Run(tmp_path / "run", recipe), net, LABELS, SILENT)
    reference = without_sums(net, blueprint.strategy) if of_pictures else copy.deepcopy(net)
    clips = torch.randn(12, 3, 4, 64, 64)
    assert recipe.init is not None
    with torch.no_grad():
        expected, summed = reference(clips), net(clips)
        fit_batch_norm(recipe.init, net, blueprint.strategy, lambda: [clips])
        found = net.eval()(clips)
    size = float(expected.std())
    assert not of_pictures or (summed - expected).abs().max() > size
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.1 * size)


@pytest.mark.parametrize("overrides", [(), ("init.from=none",)])
def test_without_weights_the_net_is_random(begin: Begin, overrides: tuple[str, ...]) -> None:
    origin, after, before = begin(*overrides)
    assert origin is None
    assert kept(after, before) == set(before)
    assert begin.said == []


@pytest.mark.parametrize("fixed", [True, False])
def test_2d_weights_come_with_a_new_head(begin: Begin, flat_file: Path, fixed: bool) -> None:
    origin, after, before = begin(f"init.from='{flat_file}'", fixed=fixed)
    assert origin is not None
    assert (origin.source, origin.head) == (str(flat_file), "replaced")
    same = {name for name in kept(after, before) if not name.endswith(("norm.weight", "norm.bias", "tracked"))}
    assert {"head.weight", "head.bias"} <= same
    assert torch.equal(after["norm.weight"], torch.ones(len(after["norm.weight"])))
    stem = torch.load(flat_file, weights_only=True)["features.conv0.weight"]
    assert torch.equal(after["stem.0.weight"][:, :, 0], stem)
    assert begin.said == [f"The first stage starts from {flat_file} (SHA-256 {origin.sha256[:12]}, head replaced)."]


def test_centred_kernels_and_a_kept_head_are_asked_for(begin: Begin, flat_file: Path) -> None:
    torch.save(flat_net(classes=3).state_dict(), flat_file)
    origin, after, _ = begin(f"init.from='{flat_file}'", "init.temporal=centre", "init.head=keep")
    assert origin is not None
    assert origin.head == "kept"
    assert torch.equal(after["head.weight"], torch.load(flat_file, weights_only=True)["classifier.weight"])
    assert not after["T1.unit.branches.ST.conv.weight"][:, :, ::2].any()


@pytest.mark.parametrize(
    ("strategy", "template", "fixed", "which"),
    [
        ("ST", False, True, "model"),
        ("S+ST", False, True, "model"),
        ("S+ST", False, False, "model"),
        ("S", True, True, "template"),
        ("S", True, False, "template"),
        ("ST", True, True, "model"),
    ],
)
def test_a_bundle_gives_its_model_if_that_can_be_else_its_template(
    begin: Begin, tmp_path: Path, strategy: str, template: bool, fixed: bool, which: str
) -> None:
    folder = saved(tmp_path / "source", uniform(strategy), LABELS, template=template)
    origin, after, _ = begin(f"init.from='{folder}'", fixed=fixed)
    assert origin == Origin(str(folder), bundles.weights_digest(folder, which), "kept")
    source = bundles.read_weights(folder, which)
    assert all(torch.equal(value, torch.from_numpy(source[name])) for name, value in after.items())


@pytest.mark.parametrize(
    ("labels", "head", "expected"), [(LABELS, "replace", "replaced"), (OTHERS, "auto", "replaced")]
)
def test_the_head_is_kept_for_the_same_classes_alone(
    begin: Begin, tmp_path: Path, labels: tuple[str, ...], head: str, expected: str
) -> None:
    folder = saved(tmp_path / "source", uniform("ST"), LABELS)
    origin, after, before = begin(f"init.from='{folder}'", f"init.head={head}", labels=labels)
    assert origin is not None
    assert origin.head == expected
    assert {"head.weight", "head.bias"} <= kept(after, before)
    assert "stem.0.weight" not in kept(after, before)


@pytest.mark.parametrize("of_bundle", [None, ("trend", "mean"), ("mean", "deviation")])
def test_of_a_head_that_sees_other_statistics_neither_it_nor_they_are_taken(
    begin: Begin, tmp_path: Path, of_bundle: tuple[str, ...] | None
) -> None:
    folder = saved(tmp_path / "source", uniform("ST"), LABELS, pooling=of_bundle)
    sets = (f"init.from='{folder}'", 'net.pooling=["mean", "trend"]')
    origin, after, before = begin(*sets)
    assert origin is not None
    assert origin.head == "replaced"
    untouched = {name for name in after if name.startswith(("head.", "pooling.norm."))}
    assert len(untouched) == 5
    assert untouched <= kept(after, before)
    assert "stem.0.weight" not in kept(after, before)
    with pytest.raises(TrainingError, match=r"net\.pooling is not that of "):
        begin(*sets, "init.head=keep")
    with pytest.raises(TrainingError, match=r"net\.pooling is not that of "):
        look(recipe_of(tmp_path, tmp_path, *sets, "init.head=keep"), LABELS)


def test_of_a_head_that_sees_the_same_statistics_both_are_taken(begin: Begin, tmp_path: Path) -> None:
    folder = saved(tmp_path / "source", uniform("ST"), LABELS, pooling=("mean", "trend"))
    origin, after, before = begin(f"init.from='{folder}'", 'net.pooling=["mean", "trend"]')
    assert origin is not None
    assert origin.head == "kept"
    assert "head.weight" not in kept(after, before)


def test_what_cannot_start_a_net_is_refused_in_a_sentence(begin: Begin, tmp_path: Path, flat_file: Path) -> None:
    folder = saved(tmp_path / "source", uniform("S"), LABELS)
    other = tmp_path / "other.pth"
    torch.save(torchvision.models.DenseNet(12, (2, 3, 4, 3), 16, bn_size=3).state_dict(), other)
    refusals: tuple[tuple[tuple[str, ...], type[StzooError], str], ...] = (
        ((f"init.from='{folder}'",), TrainingError, r"lacks B1\.L1\.unit\.branches\.ST.* so cannot start this net"),
        ((f"init.from='{folder}'", "net.backbone=resnet_tiny"), TrainingError, "is a densenet_tiny, the recipe trains"),
        (("init.from=nowhere",), ModelNotFoundError, 'init.from: no model and no folder is called "nowhere"'),
        (("init.from=~nobody-at-home/k400",), ModelNotFoundError, 'no model and no folder is called "~nobody-at-home'),
        (("init.from=ImageNet",), ModelNotFoundError, 'Did you mean "imagenet"'),
        (("init.from=nowhere.pth",), WeightsError, "nowhere.pth cannot be read: No such file"),
        (("init.from=imagenet",), WeightsError, "no ImageNet weights for densenet_tiny"),
        ((f"init.from='{other}'",), WeightsError, r"'features\.conv0\.weight' of shape \(16, 3, 7, 7\)"),
        ((f"init.from='{flat_file}'", "init.head=keep"), WeightsError, r"of shape \(10, \d+\); densenet_tiny with 3"),
    )
    for overrides, kind, words in refusals:
        with pytest.raises(kind, match=words):
            begin(*overrides)
        with pytest.raises(kind, match=words):
            look(recipe_of(tmp_path, tmp_path, *overrides), LABELS)
    assert not (tmp_path / "run").exists()
    keep = (f"init.from='{saved(tmp_path / 'whole', uniform('S+ST'), LABELS)}'", "init.head=keep")
    with pytest.raises(TrainingError, match=r'"keep" needs the classes of .*, but it has 3 classes and .* 4 others'):
        begin(*keep, labels=OTHERS)
    with pytest.raises(TrainingError, match=r'"keep" needs the classes of'):
        look(recipe_of(tmp_path, tmp_path, *keep), OTHERS)


def test_weights_that_would_do_are_found_without_classes_too(tmp_path: Path, flat_file: Path) -> None:
    whole = saved(tmp_path / "whole", uniform("S+ST"), LABELS)
    for source in ("none", flat_file, whole, saved(tmp_path / "pruned", uniform("S"), LABELS, template=True)):
        recipe = recipe_of(tmp_path, tmp_path, f"init.from='{source}'", fixed=False)
        assert look(recipe, OTHERS) is look(recipe, None) is None
    assert look(recipe_of(tmp_path, tmp_path, f"init.from='{whole}'", "init.head=keep"), None) is None


def test_of_a_bundle_on_the_hub_the_template_is_fetched_where_the_model_lacks_branches(
    begin: Begin, server: HubServer, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "source", uniform("S"), LABELS, template=True)
    server.put("lab/toy", folder)
    remains = look(recipe_of(tmp_path, tmp_path, "init.from=lab/toy"), LABELS)
    assert remains == "lab/toy is on the Hub; whether its weights fit the net is seen when training starts."
    assert server.counted("safetensors") == 0
    begin("init.from=lab/toy", "fixed.strategy=s")
    assert server.counted("template.safetensors") == 0
    origin, _, _ = begin("init.from=lab/toy")
    assert origin == Origin("lab/toy", bundles.weights_digest(folder, "template"), "kept")


def test_a_run_that_has_begun_does_not_read_the_weights_again(begin: Begin, tmp_path: Path, flat_file: Path) -> None:
    override = f"init.from='{flat_file}'"
    origin, _, before = begin(override)
    assert origin is not None
    run = Run(tmp_path / "run", recipe_of(tmp_path, tmp_path, override))
    run.begin()
    record_origin(run, origin)
    assert recorded_origin(run) == origin

    again, _, _ = begin(override)
    assert again == origin
    changed = flat_net().state_dict()
    changed["features.norm5.bias"] += 1
    torch.save(changed, flat_file)
    with pytest.raises(TrainingError, match=f"run started from .*{origin.sha256[:12]}.* but its recipe leads to"):
        begin(override)
    other, _, _ = begin(f"init.from='{flat_file.rename(tmp_path / 'other.pth')}'")
    assert other is not None
    assert other.sha256 != origin.sha256

    run.path("checkpoint-fixed.safetensors").touch()
    again, after, _ = begin(override)
    assert again == origin
    assert kept(after, before) == set(before)
    assert begin.said[-1] == f"This run started from {origin}."


class StopError(Exception):
    """Raised in place of a crash."""


def test_a_run_from_2d_weights_ends_in_a_bundle_that_another_starts_from(
    motions: Path, clip_cache: Path, tmp_path: Path, flat_file: Path
) -> None:
    recipe = recipe_of(tmp_path, motions, f"init.from='{flat_file}'")
    straight = Run(tmp_path / "straight", recipe)
    train(straight, clip_cache, SILENT)
    record = json.loads(straight.path("init.json").read_text())
    assert record["source"] == str(flat_file)
    bundle = bundles.read(straight.bundle)
    assert bundle.config.provenance["initial weights"] == str(Origin(**record | {"source": flat_file.name}))
    assert bundle.recipe is not None
    assert f'[init]\nfrom = "{flat_file.name}"' in bundle.recipe

    def stop_after_two_epochs(sentence: str) -> None:
        if sentence.startswith("fixed 2"):
            raise StopError

    stopped = Run(tmp_path / "stopped", recipe)
    with pytest.raises(StopError):
        train(stopped, clip_cache, Voice(stop_after_two_epochs, progress=False))
    flat_file.unlink()
    said: list[str] = []
    train(Run(stopped.folder, recipe), clip_cache, Voice(said.append, progress=False))
    assert said[0] == f"This run started from {Origin(**record)}."
    weights = [run.bundle / "model.safetensors" for run in (straight, stopped)]
    assert weights[0].read_bytes() == weights[1].read_bytes()

    onward = recipe_of(tmp_path, motions, f"init.from='{straight.folder}'", "fixed.strategy=st")
    stages = prepare(Run(tmp_path / "onward", onward), clip_cache, SILENT)
    source = bundles.read_weights(straight.bundle)
    first = stages.blueprint.first.state_dict()
    assert all(torch.equal(value, torch.from_numpy(source[name])) for name, value in first.items())


@pytest.fixture
def on_hub(server: HubServer, tmp_path: Path) -> str:
    """A reference to the weights of the 2D sibling, as timm keeps those of its nets."""
    folder = tmp_path / "flat"
    folder.mkdir()
    save_file(flat_net().state_dict(), folder / "model.safetensors")
    server.put("timm/flat.in1k", folder)
    return "timm:flat.in1k"


@pytest.mark.parametrize("named", [True, False])
def test_weights_of_timm_come_from_the_hub_once(
    begin: Begin, on_hub: str, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """By their name, or as the ImageNet weights of a backbone that torchvision has not."""
    monkeypatch.setitem(TIMM_IMAGENET, "densenet_tiny", on_hub)
    source = f"init.from={on_hub if named else 'imagenet'}"
    recipe = recipe_of(tmp_path, tmp_path, source)
    assert look(recipe, LABELS) == f"The weights {on_hub} will be fetched from the Hub."
    assert not server.requests
    origin, after, _ = begin(source)
    assert origin is not None
    assert (origin.source, origin.head) == (source.removeprefix("init.from="), "replaced")
    assert torch.equal(after["stem.0.weight"][:, :, 0], flat_net().state_dict()["features.conv0.weight"])
    fetched = len(server.requests)
    assert look(recipe, LABELS) is None
    assert len(server.requests) == fetched
