"""Every recipe that ships: it resolves, its net can be built, its cost is that of its first lines, its data is read."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stzoo import nets
from stzoo.data.lists import read_lists
from stzoo.files import packaged
from stzoo.nets import Architecture, fixed_net
from stzoo.nets.blank import without_memory
from stzoo.nets.measure import TrainingMeasurement, measure_training
from stzoo.recipe import Recipe, read
from stzoo.strategies.strategy import Strategy
from stzoo.training import forecast as forecasts
from stzoo.training.batches import DecodedClips
from stzoo.training.blueprint import architecture_of, strategy_of
from stzoo.training.data import RunData
from stzoo.training.draws import Draws
from stzoo.training.forecast import OFFICIAL, forecast
from stzoo.training.run import Run
from stzoo.training.stages import prepare
from stzoo.training.voice import SILENT
from tests.conftest import write_video
from tests.data import layouts

FILES = sorted(packaged("recipes").glob("*.toml"))
RECIPES = {file.stem: read(file) for file in FILES}
LARGE = {name: recipe for name, recipe in RECIPES.items() if recipe.data.format in OFFICIAL}
SMALL = [
    *("input.frames=4", "augment.frames=4", "input.clips=1", "input.resize=36", "input.crop=32", "augment.crop=32"),
    *("augment.short_sides=[36, 40]", "data.selection_fraction=0.3", "compute.workers=1", "compute.device=cpu"),
    "init.from=none",
]
OF_A_TEMPLATE = ["selection.strategies=1", "selection.batch_norm_clips=2", "objective.k=0.02"]  # k of few videos
SHORT = ("epochs=1", "schedule=cosine", "milestones=[]")
DATASETS = ("sthv1", "sthv2", "ucf101", "k400", "hmdb51")
JHMDB = ("jhmdb21", "jhmdb21-resnet50", "jhmdb21-mobilenet_v2", "jhmdb21-densenet_tiny")
SMALL_MACHINES = tuple(f"{dataset}-mobilenet_v4" for dataset in ("sthv1", "sthv2", "ucf101", "k400"))
WITH_BASELINES = (*DATASETS, "sthv1-lowtemporal", "jhmdb21")
BACKBONES = ("densenet121", "resnet50", "resnext50", "resnext101", "mobilenet_v2", "inception")
MADE = sorted(set(RECIPES) - set(LARGE) - {"smoke"})


@functools.cache
def _measured(
    backbone: str, options: tuple[tuple[str, object], ...], strategy: Strategy | None, frames: int, side: int
) -> TrainingMeasurement:
    return measure_training(
        Architecture(backbone, 400, dict(options)), strategy, frames=frames, height=side, width=side
    )


def measured_once(
    architecture: Architecture,
    strategy: Strategy | None,
    *,
    frames: int,
    height: int,
    width: int,
    checkpoint_activations: bool,
) -> TrainingMeasurement:
    """Measured with 400 classes, and then the parameters of as many as there are."""
    assert not checkpoint_activations
    found = _measured(architecture.backbone, tuple(architecture.options.items()), strategy, frames, height)
    fewer = (400 - architecture.classes) * (_features(architecture.backbone) + 1)
    return replace(found, parameters=found.parameters - fewer)


@functools.cache
def _features(backbone: str) -> int:
    with without_memory():
        shape = Architecture(backbone, 400, {})
        return int(fixed_net(shape, shape.uniform("S")).head.in_features)


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny dataset in each official layout."""
    made = {name: tmp_path_factory.mktemp(name) for name in OFFICIAL}
    layouts.kinetics(made["kinetics400"])
    layouts.something_v1(made["something-v1"])
    layouts.something_v2(made["something-v2"])
    layouts.ucf101(made["ucf101"])
    layouts.hmdb51(made["hmdb51"])
    layouts.jhmdb(made["jhmdb"])
    return made


def test_there_is_a_recipe_for_every_dataset_and_backbone() -> None:
    wanted = {
        dataset if backbone == "densenet121" else f"{dataset}-{backbone}"
        for dataset in DATASETS
        for backbone in BACKBONES
    }
    alone = {f"{template}-{strategy}" for template in WITH_BASELINES for strategy in ("s", "st", "sst")}
    further = {"sthv1-lowtemporal", "ucf101-from-k400", "ucf101-inception-from-k400", *JHMDB, *SMALL_MACHINES}
    assert set(LARGE) == wanted | alone | further
    assert len(wanted) == 30
    assert len(FILES) == len(LARGE) + len(MADE) + 1 == 76


@pytest.mark.parametrize("name", RECIPES)
def test_the_nets_that_a_recipe_asks_for_can_be_built(name: str) -> None:
    recipe = RECIPES[name]
    architecture = architecture_of(recipe, 400)
    strategy = strategy_of(recipe, architecture)
    assert (strategy is None) == (recipe.fixed is None)
    _build(architecture.backbone, tuple(architecture.options.items()), strategy)


@functools.cache
def _build(backbone: str, options: tuple[tuple[str, object], ...], strategy: Strategy | None) -> None:
    """The first net of a run, and what grows from it, on meta."""
    architecture = Architecture(backbone, 400, dict(options))
    with without_memory():
        keys = fixed_net(architecture, strategy or architecture.all_open).state_dict().keys()
        if strategy is None:
            assert keys < nets.template(backbone, 400, **dict(options)).state_dict().keys()


@pytest.mark.parametrize("name", [*WITH_BASELINES, "camera-motion", "camera-scene", "mocap15"])
def test_a_net_trained_alone_gets_the_whole_budget_of_the_template(name: str) -> None:
    template = RECIPES[name]
    assert template.warmup is not None
    assert template.variational is not None
    for strategy in ("s", "st", "sst"):
        recipe = RECIPES[f"{name}-{strategy}"]
        assert recipe.fixed is not None
        assert recipe.fixed.strategy == strategy
        assert recipe.fixed.epochs == template.warmup.epochs + template.variational.epochs
        assert recipe.fixed.batch_size == template.warmup.batch_size == template.variational.batch_size
        assert recipe.model_copy(update={"fixed": None}).input == template.input
        assert (recipe.net, recipe.data, recipe.augment) == (template.net, template.data, template.augment)


@pytest.mark.parametrize("name", LARGE)
def test_what_a_recipe_says_it_costs_is_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "measure_training", measured_once)
    recipe = LARGE[name]
    second = (packaged("recipes") / f"{name}.toml").read_text(encoding="utf-8").split("\n")[1]
    costs = forecast(recipe, OFFICIAL[recipe.data.format])
    assert second == f"# {costs.sentence}"
    assert costs.memory_bytes < 0.9 * 80e9, "fits no GPU of 80 GB"
    largest = max(stage.batch_size for stage in costs.stages)
    assert costs.at_once >= largest / 8, "takes more than one pass even on eight GPUs"


def on(recipe: Recipe, root: Path) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": str(root)})})


@pytest.mark.parametrize("name", LARGE)
def test_a_recipe_finds_its_data_in_the_official_layout(name: str, roots: dict[str, Path]) -> None:
    recipe = on(LARGE[name], roots[LARGE[name].data.format])
    lists = read_lists(recipe.data)
    assert len(lists.classes) == (400 if recipe.data.format == "kinetics400" else 3)
    assert set(lists.tests) == {"val"}
    assert all(item.path.exists() for items in (lists.train, lists.tests["val"]) for item in items)
    assert len(lists.train) >= 5


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_recipe_cuts_training_clips_out_of_its_videos(dataset: str, roots: dict[str, Path], tmp_path: Path) -> None:
    root = roots[RECIPES[dataset].data.format]
    small = [
        "input.frames=4",
        "augment.frames=4",
        "input.resize=40",
        "input.crop=36",
        "augment.crop=32",
        "data.selection_fraction=0.3",
    ]
    sides = ["augment.short_sides=[36, 40]"] if RECIPES[dataset].augment.short_sides else []
    recipe = read(dataset, [*small, *sides, "compute.workers=1", f"data.root='{root}'"])
    training = RunData(recipe, tmp_path).training()
    assert isinstance(training, DecodedClips)
    assert training.cut.flip == (dataset in ("ucf101", "hmdb51", "k400"))
    assert training.cut.random_stride == (dataset == "k400")
    batch = training.batch(np.arange(2), Draws(recipe.seed, "warmup", 0))
    assert batch.clips.shape == (2, 1, 4, 32, 32, 3)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the lists of every made set, two classes each; their videos are the same ten."""
    root = tmp_path_factory.mktemp("made")
    for index in range(10):
        write_video(root / "videos" / f"{index}.mp4", 24, width=40 + 2 * index, height=32)
    rows = [f"videos/{index}.mp4,picture {index}" for index in range(10)]
    (root / "clips.csv").write_text("\n".join(["path,picture", *rows]) + "\n")
    for recipe in (RECIPES[name] for name in MADE):
        data = recipe.data
        assert data.classes is not None
        (root / data.classes).parent.mkdir(exist_ok=True)
        (root / data.classes).write_text("one\nother\n")
        for number, file in enumerate((data.val, *data.tests.values(), data.train)):
            rows = range(number, number + 1) if file != data.train else range(4, 10)
            (root / str(file)).write_text("".join(f"videos/{index}.mp4 {index % 2}\n" for index in rows))
    return root


@pytest.mark.parametrize("name", MADE)
def test_a_recipe_of_a_made_set_reads_its_lists_and_cuts_its_clips(
    name: str, made: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    recipe = on(RECIPES[name], made)
    cache = tmp_path_factory.getbasetemp() / "made-cache"
    data = RunData(recipe, cache)
    assert {split: len(items) for split, items in data.tests.items()} == dict.fromkeys(("val", *recipe.data.tests), 1)
    assert "test" in data.tests
    training = data.training()
    selection = data.selection(torch.device("cpu"), training)
    assert (len(training), len(selection.labels)) == (5, 1)
    clip = (1, recipe.input.frames, recipe.input.crop, recipe.input.crop, 3)
    assert training.batch(np.arange(5), Draws(recipe.seed, "warmup", 0)).clips.shape == (5, *clip)


@pytest.fixture(scope="session")
def few(roots: dict[str, Path]) -> str:
    """A list of six videos of UCF101 in two groups, of which four train; its name."""
    lists = roots["ucf101"] / "ucfTrainTestlist"
    lines = (lists / "trainlist01.txt").read_text().split()
    chosen = [" ".join(pair) for pair in zip(lines[::2], lines[1::2], strict=True) if "_g04" not in pair[0]]
    (lists / "few.txt").write_text("\n".join(line for line in chosen if "_c01" in line))
    return "few.txt"


def small_recipe(name: str, root: Path, few: str, batch_size: int) -> Recipe:
    template = RECIPES[name].fixed is None
    own = ("warmup", "variational") if template else ("fixed",)
    stages = [f"{stage}.{change}" for stage in own for change in (*SHORT, f"batch_size={batch_size}")]
    stages += OF_A_TEMPLATE if template else []
    return read(name, [*SMALL, *stages, f"data.root='{root}'", f"data.train={few}"])


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_recipe_trains_two_steps_of_every_stage_on_small_clips(
    backbone: str, roots: dict[str, Path], few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without checkpoints, whose gigabytes are most of the time that ResNeXt101 takes."""
    monkeypatch.setattr("stzoo.training.loop.save_checkpoint", lambda *args: None)
    name = "ucf101" if backbone == "densenet121" else f"ucf101-{backbone}"
    run = Run(tmp_path / "run", small_recipe(name, roots["ucf101"], few, 2))
    stages = prepare(run, tmp_path / "cache", SILENT)
    assert stages.blueprint.architecture.backbone == backbone
    assert stages.training.batches_an_epoch(2) == 2
    assert len(stages.select(stages.variational(), 1).sampled) == 1
    assert run.recipe.finetune is None
    assert [stage for stage in ("warmup", "variational") if run.recorded(stage)] == ["warmup", "variational"]


def test_a_fixed_recipe_trains_two_steps_on_small_clips(roots: dict[str, Path], few: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", small_recipe("ucf101-st", roots["ucf101"], few, 2))
    stages = prepare(run, tmp_path / "cache", SILENT)
    assert stages.training.batches_an_epoch(2) == 2
    stages.fixed()
    assert [entry["epoch"] for entry in run.recorded("fixed")] == [1]
