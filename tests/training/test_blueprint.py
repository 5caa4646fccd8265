from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stzoo.errors import StrategyError, TrainingError, UsageError
from stzoo.nets import architecture
from stzoo.recipe import Net, Recipe, read
from stzoo.strategies.strategy import ALL_BRANCHES
from stzoo.training.blueprint import Blueprint, architecture_of, template_tables
from stzoo.training.run import Run


@pytest.mark.parametrize(
    ("net", "options"),
    [
        ({}, {}),
        ({"branches": ALL_BRANCHES}, {"branches": ALL_BRANCHES}),
        ({"shared_norm": True}, {"shared_norm": True}),
        ({"stem_frames": 1}, {"stem_frames": 1}),
        ({"pooling": ("mean", "trend")}, {"pooling": ("mean", "trend")}),
    ],
)
def test_a_recipes_net_asks_for_options_that_are_not_the_default(net: dict[str, Any], options: dict[str, Any]) -> None:
    recipe = Recipe.model_construct(net=Net(backbone="densenet_tiny", **net), variational=None)
    assert architecture_of(recipe, 3).options == {"temporal_stride": "none", **options}


def test_a_gate_before_the_tail_is_a_site_of_its_own(smoke: Recipe) -> None:
    variational = smoke.template.variational.model_copy(update={"tail_gates": True})
    recipe = smoke.model_copy(update={"variational": variational})
    assert len(architecture_of(recipe, 3).sites) > len(architecture_of(smoke, 3).sites)


def test_the_first_net_of_a_template_is_all_open_and_that_of_a_fixed_recipe_has_its_strategy(smoke: Recipe) -> None:
    for recipe, unit in ((smoke, "S+ST"), (read("camera-motion-st"), "ST")):
        blueprint = Blueprint.of(recipe, 3)
        assert {*blueprint.strategy.units.values()} == {unit}
        assert architecture(blueprint.first) == blueprint.architecture == architecture_of(recipe, 3)


def test_first_weights_follow_from_the_seed_and_leave_torchs_generator_alone(smoke: Recipe) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    other = smoke.model_copy(update={"seed": smoke.seed + 1})
    one, same, another = (Blueprint.of(recipe, 3).first.head.weight for recipe in (smoke, smoke, other))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, same)
    assert not torch.equal(one, another)


def test_a_net_that_cannot_be_built_is_refused(smoke: Recipe) -> None:
    stride = smoke.model_copy(update={"net": smoke.net.model_copy(update={"temporal_stride": "x8"})})
    with pytest.raises(UsageError, match='no temporal stride "x8"'):
        Blueprint.of(stride, 3)
    with pytest.raises(StrategyError, match="is for densenet121"):
        Blueprint.of(read("camera-motion-st", ["fixed.strategy=published:k400"]), 3)


def test_a_run_of_one_fixed_net_has_no_template(smoke: Recipe, tmp_path: Path) -> None:
    assert template_tables(Run(tmp_path / "template", smoke)) == smoke.template
    with pytest.raises(TrainingError, match="trains one fixed net and has no strategies to select from"):
        template_tables(Run(tmp_path / "fixed", read("camera-motion-st")))
