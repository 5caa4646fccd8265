"""The values of the large recipes: those of the paper, and of the authors' scripts where it gives none."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stzoo.files import packaged
from stzoo.recipe import Optimisation, Recipe, read

RECIPES = {file.stem: read(file) for file in sorted(packaged("recipes").glob("*.toml"))}
DATASETS = ("sthv1", "sthv2", "ucf101", "k400")
OF_DATASET = {name: name.partition("-")[0] for name in RECIPES if name.startswith(DATASETS)}
TEMPLATES = [name for name in OF_DATASET if RECIPES[name].fixed is None]
BASELINES = [name for name in OF_DATASET if RECIPES[name].fixed is not None]


@dataclass(frozen=True)
class Published:
    """Of one dataset. Reference: section 4.1, Zhou et al. 2020; momentum and warm-up are the scripts'."""

    k: float
    epochs: int = 90
    milestones: tuple[int, ...] = (40, 60, 80)
    batch_size: int = 32
    learning_rate: float = 0.005


PUBLISHED = {
    "sthv1": Published(k=250.0),
    "sthv2": Published(k=50.0),
    "ucf101": Published(k=50.0),
    "k400": Published(k=10.0, epochs=110, milestones=(40, 80), batch_size=64, learning_rate=0.01),
}


def test_every_large_recipe_is_looked_at() -> None:
    assert (len(TEMPLATES), len(BASELINES)) == (31, 15)


def steps(stage: Optimisation) -> tuple[object, ...]:
    """How the rate falls, and what else decides a stage's steps."""
    assert (stage.schedule, stage.gamma, stage.momentum, stage.ramp_epochs, stage.ema) == ("step", 0.1, 0.9, 0, 0.0)
    return stage.epochs, stage.milestones, stage.batch_size, stage.learning_rate


def with_published(name: str) -> tuple[Recipe, Published]:
    return RECIPES[name], PUBLISHED[OF_DATASET[name]]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_trained_as_published(name: str) -> None:
    recipe, published = with_published(name)
    warmup, variational, objective, selection = recipe.warmup, recipe.variational, recipe.objective, recipe.selection
    assert warmup
    assert variational
    assert objective
    assert selection
    batch = (published.batch_size, published.learning_rate)
    assert steps(warmup) == (50, (30, 40), *batch)
    assert (warmup.weight_decay, warmup.dropout) == (5e-4, 0.5)
    assert steps(variational) == (published.epochs, published.milestones, *batch)
    assert (variational.weight_decay, variational.dropout) == (0.0, 0.0)
    assert (variational.gate_learning_rate, variational.gate_weight_decay) == (published.learning_rate, 0.0)
    assert (variational.initial_drop, variational.temperature, variational.tail_gates) == (0.1, 0.2, False)
    assert (objective.k, objective.form) == (published.k, "coded")
    assert (selection.strategies, selection.batch_norm) == (100, "re-estimated")
    assert recipe.finetune is None


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_trained_like_a_warm_up_of_the_templates_length(name: str) -> None:
    recipe, published = with_published(name)
    assert recipe.fixed
    epochs = 50 + published.epochs
    stretched = (round(epochs * 30 / 50), round(epochs * 40 / 50))
    assert steps(recipe.fixed) == (epochs, stretched, published.batch_size, published.learning_rate)
    assert (recipe.fixed.weight_decay, recipe.fixed.dropout) == (5e-4, 0.5)


@pytest.mark.parametrize("name", OF_DATASET)
def test_clips_are_cut_as_published(name: str) -> None:
    """Frames and short sides of training are the authors' code's."""
    recipe, dataset = RECIPES[name], OF_DATASET[name]
    contract, training = recipe.input, recipe.training_input
    kinetics = dataset == "k400"
    frames = (128, 32) if kinetics else (32, 32)
    assert (contract.frames, training.frames) == frames
    assert (contract.stride_frames, training.stride_frames) == ((1, 2) if kinetics else (1, 1))
    assert recipe.augment.stride == ("random" if kinetics else "fixed")
    assert (contract.resize, contract.crop, contract.clips, contract.crops) == (256, 256, 2, 1)
    assert (contract.sampling, contract.short_video) == ("dense", "repeat-last")
    assert (contract.mean, contract.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    drawn = dataset in ("ucf101", "k400")
    assert training.crop == 224
    assert recipe.augment.short_sides == ((256, 288, 320) if drawn else ())
    assert recipe.augment.flip is drawn


@pytest.mark.parametrize("name", OF_DATASET)
def test_nets_shorten_time_and_start_as_published(name: str) -> None:
    """Inception has no 2D weights, and the paper's code no Inception: it shortens time as the ResNets do."""
    recipe, dataset = RECIPES[name], OF_DATASET[name]
    net, source = recipe.net, recipe.init and recipe.init.source
    if "lowtemporal" in name:
        stride = "low"
    elif net.backbone == "mobilenet_v4":
        stride = "none"
    elif net.backbone == "densenet121":
        stride = "x8" if "k400" in name else "none"
    else:
        stride = "x2" if net.backbone == "mobilenet_v2" or dataset in ("ucf101", "k400") else "none"
    assert (net.temporal_stride, net.branches, net.shared_norm) == (stride, ("S", "ST"), False)
    if name.endswith("-from-k400"):
        assert source == f"runs/{name.removesuffix('-from-k400').replace('ucf101', 'k400')}"
    else:
        assert source == ("none" if dataset == "k400" or net.backbone == "inception" else "imagenet")
