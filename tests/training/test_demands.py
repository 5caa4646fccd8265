from __future__ import annotations

from typing import get_args

import pytest

from stzoo.errors import RecipeError, UsageError
from stzoo.files import packaged
from stzoo.nets.backbones import BACKBONES
from stzoo.recipe import read
from stzoo.recipe.tables import TemporalStride
from stzoo.space.costs import Costs
from stzoo.strategies.budget import Budget
from stzoo.training.demands import check_budgets, check_net, refuse_beyond


def problems(recipe: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        check_net(read(recipe, overrides), "own.toml")
    return str(caught.value).splitlines()


def test_every_demand_that_is_not_met_is_said_at_once() -> None:
    heading, *lines = problems(
        "k400-resnet50", "net.temporal_stride=x8", "input.crop=16", "augment.crop=24", "variational.tail_gates=true"
    )
    assert heading == "own.toml has 4 problems:"
    assert lines == [
        '  net.temporal_stride = "x8": resnet50 has no temporal stride "x8"; choose none or x2',
        "  variational.tail_gates = true: resnet50 has no option tail_sites; it has temporal_stride, dropout, "
        "branches, stem_frames, pooling",
        "  input.crop = 16: resnet50 takes at least 32 pixels",
        "  augment.crop = 24: resnet50 takes at least 32 pixels",
    ]


def test_a_recipe_may_name_every_stride_that_a_backbone_has() -> None:
    strides = {stride for backbone in BACKBONES.values() for stride in backbone.temporal_strides}
    assert strides == {*get_args(TemporalStride)}


def test_the_fewest_frames_follow_from_the_stride() -> None:
    short = ("net.backbone=densenet121", "input.frames=4", "augment.frames=4")
    assert problems("smoke", *short, "net.temporal_stride=x8")[1:] == [
        "  input.frames = 4: densenet121 takes at least 5 frames",
        "  augment.frames = 4: densenet121 takes at least 5 frames",
    ]
    check_net(read("smoke", (*short, "net.temporal_stride=low")), "own.toml")


def test_of_an_unknown_backbone_the_strategy_is_looked_at_too() -> None:
    heading, backbone, strategy = problems("camera-motion-sst", "net.backbone=densnet_tiny", "fixed.strategy=sstt")
    assert heading == "own.toml has 2 problems:"
    assert backbone.startswith(
        '  net.backbone = "densnet_tiny": no backbone is called "densnet_tiny". Did you mean "den'
    )
    assert strategy.startswith('  fixed.strategy = "sstt": no strategy is called "sstt" and no file has that path. Did')
    assert 'Did you mean "sst"?' in strategy
    (line,) = problems("camera-motion-sst", "fixed.strategy=mc9")
    assert line.startswith('own.toml: fixed.strategy = "mc9": ')


def test_nets_of_torchvision_learn_no_strategy_and_some_take_one_size() -> None:
    (line,) = problems("smoke", "net.backbone=r3d_18")
    assert 'net.backbone = "r3d_18": has no sites, so there is nothing to learn for a template; see stzoo fin' in line
    alone = ("net.backbone=mvit_v2_s", "compute.checkpoint_activations=true", "fixed.strategy=sst")
    lines = problems("camera-motion-sst", *alone)
    assert any("mvit_v2_s is torchvision's, which has no parts to compute again" in line for line in lines)
    assert any("mvit_v2_s has no sites, the places where" in line for line in lines)
    assert "  input.frames = 8: mvit_v2_s takes at least 16 frames" in lines
    strips = ("augment.strip_frames=40", "augment.strip_size=256")
    large = problems("camera-motion-sst", alone[0], *strips, "input.frames=32", "input.resize=256", "input.crop=256")
    assert "  input.frames = 32: mvit_v2_s takes 16 frames and no other number" in large
    assert "  input.crop = 256: mvit_v2_s takes 224 pixels and no other number" in large


@pytest.mark.parametrize("recipe", sorted(path.stem for path in packaged("recipes").glob("*.toml"))[::7])
def test_shipped_recipes_meet_their_nets_demands(recipe: str) -> None:
    check_net(read(recipe), recipe)


def test_budgets_of_a_recipe_are_between_its_cheapest_and_its_dearest_strategy() -> None:
    check_budgets(read("camera-motion"), 3)
    check_budgets(read("camera-motion", ["selection.budgets=['44M', '50M']"]), 3)
    for text, words in (("10M", "below the cheapest"), ("10G", "above the dearest")):
        with pytest.raises(UsageError, match=f"the budget {text} is {words} strategy of camera-motion; give between"):
            check_budgets(read("camera-motion", [f"selection.budgets=['44M', '{text}']"]), 3)
    with pytest.raises(UsageError, match="below the cheapest"):
        check_budgets(read("camera-motion", ["selection.budgets=['40M']"]), 3)
    check_budgets(read("camera-motion", ["selection.budgets=['40M']", "selection.closed=true"]), 3)


def test_the_bounds_that_a_refused_budget_is_told_are_not_refused() -> None:
    costs = Costs("net", 42_937_316, {"L1": {"S": 0, "ST": 17_718_001}})
    with pytest.raises(UsageError, match=r"give between 42\.94M and 60\.65M multiply-adds a clip"):
        refuse_beyond([Budget(1)], costs, "net")
    refuse_beyond([Budget.parse("42.94M"), Budget.parse("60.65M")], costs, "net")
    times = Costs("net", 1_234_567, {"L1": {"S": 0, "ST": 10**6}})
    with pytest.raises(UsageError, match=r"give between 1\.24ms and 2\.23ms a clip"):
        refuse_beyond([Budget.parse("1ms")], times, "net")
    near = Costs("net", 42_937_316, {"L1": {"S": 0, "ST": 2}})
    with pytest.raises(UsageError, match=r"give between 42\.937316M and 42\.937318M"):
        refuse_beyond([Budget(1)], near, "net")
