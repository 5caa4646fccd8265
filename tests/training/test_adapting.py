from __future__ import annotations

from pathlib import Path

import pytest

from stzoo import bundle as bundles
from stzoo.bundle import Bundle
from stzoo.contract import InputContract
from stzoo.data.datasets import Item
from stzoo.data.own import OwnVideos
from stzoo.errors import RecipeError, TrainingError
from stzoo.recipe import Recipe
from stzoo.training.adapting import finetuning_recipe
from stzoo.training.blueprint import architecture_of


@pytest.fixture
def tiny(tiny_bundle: Path) -> Bundle:
    return bundles.read(tiny_bundle)


def recipe_for(bundle: Bundle, clips: int = 100, **options: object) -> Recipe:
    train = tuple(Item(Path(f"/data/{row}.mp4"), row % 2) for row in range(clips))
    videos = OwnVideos(Path("/data"), ("a", "b"), train, train[:1])
    return finetuning_recipe("tiny", bundle, videos, Path("/run/given"), name="own", **options)  # type: ignore[arg-type]


def changed(bundle: Bundle, *, recipe: str | None = None, **config: object) -> Bundle:
    return Bundle(bundle.config.model_copy(update=config), recipe=recipe)


def test_net_and_input_are_the_bundles(tiny: Bundle) -> None:
    options = bundles.Backbone(name="densenet_tiny", options={"shared_norm": True, "branches": ("S", "T", "ST")})
    recipe = recipe_for(changed(tiny, backbone=options))
    assert recipe.input == tiny.contract
    assert dict(architecture_of(recipe, 2).options) == {"temporal_stride": "none", **options.options}
    assert recipe.init is not None
    assert (recipe.init.source, recipe.init.head) == ("tiny", "auto")


@pytest.mark.parametrize(
    ("clips", "batch_size", "epochs"), [(2, 2, 40), (40, 10, 40), (240, 16, 34), (2000, 32, 8), (10_000, 32, 5)]
)
def test_few_videos_are_seen_more_often(tiny: Bundle, clips: int, batch_size: int, epochs: int) -> None:
    fixed = recipe_for(tiny, clips).fixed
    assert fixed is not None
    assert (fixed.batch_size, fixed.epochs) == (batch_size, epochs)
    assert fixed.learning_rate == pytest.approx(0.00125 * batch_size)


def test_strips_are_kept_where_they_are_small_and_can_be(tiny: Bundle) -> None:
    assert recipe_for(tiny).data.cache
    large = tiny.contract.model_copy(update={"frames": 64, "resize": 256})
    assert not recipe_for(changed(tiny, input=large), 5000).data.cache
    segments = InputContract(frames=4, sampling="segments", resize=32, crop=32)
    assert not recipe_for(changed(tiny, input=segments)).data.cache


@pytest.mark.parametrize(
    ("text", "flip"),
    [
        (None, False),
        ("[augment]\nflip = true", True),
        ('[augment]\nflip = "label-aware"', "label-aware"),
        ("[augment]\nflip = 1", False),
        ("augment = 3", False),
        ("not TOML", False),
    ],
)
def test_clips_are_mirrored_if_they_were(tiny: Bundle, text: str | None, flip: bool | str) -> None:
    assert recipe_for(changed(tiny, recipe=text)).augment.flip == flip


@pytest.mark.parametrize(
    ("text", "gently"),
    [
        ("[variational]\ntrunk_learning_rate = 1e-4", True),
        ("[fixed]\ntrunk_learning_rate = 1e-4", True),
        ("[variational]\nlearning_rate = 1e-4", False),
        ("variational = 3", False),
        ("not TOML", False),
        (None, False),
    ],
)
def test_what_was_trained_gently_is_finetuned_gently(tiny: Bundle, text: str | None, gently: bool) -> None:
    fixed = recipe_for(changed(tiny, recipe=text), 240).fixed
    assert fixed is not None
    learnt = (fixed.optimiser, fixed.learning_rate, fixed.trunk_learning_rate, fixed.head_epochs)
    assert learnt == (("adamw", pytest.approx(4e-4), pytest.approx(1e-4), 2) if gently else ("sgd", 0.02, None, 0))


@pytest.mark.parametrize(("epochs", "of_the_head"), [(1, 0), (2, 1), (3, 2), (20, 2)])
def test_some_epoch_is_left_for_the_trunk(tiny: Bundle, epochs: int, of_the_head: int) -> None:
    gentle = changed(tiny, recipe="[variational]\ntrunk_learning_rate = 1e-4")
    fixed = recipe_for(gentle, epochs=epochs).fixed
    assert fixed is not None
    assert (fixed.epochs, fixed.head_epochs) == (epochs, of_the_head)


def test_whatever_a_recipe_says_can_be_said(tiny: Bundle) -> None:
    recipe = recipe_for(tiny, epochs=3, overrides=["fixed.learning_rate=0.5", "augment.flip=true"])
    assert recipe.fixed is not None
    assert (recipe.fixed.epochs, recipe.fixed.learning_rate, recipe.augment.flip) == (3, 0.5, True)
    with pytest.raises(RecipeError, match=r"the recipe that finetunes tiny: fixed\.epoch is unknown"):
        recipe_for(tiny, overrides=["fixed.epoch=3"])


def test_a_net_that_no_recipe_describes_is_refused(tiny: Bundle) -> None:
    odd = bundles.Backbone(name="densenet_tiny", options={"tail_sites": True})
    with pytest.raises(TrainingError, match="tiny has the option tail_sites"):
        recipe_for(changed(tiny, backbone=odd))
