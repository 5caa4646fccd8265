"""The zoo's own cards: the nets that they describe, and what they quote."""

from __future__ import annotations

import pytest

from stzoo import card as cards
from stzoo.card import Card
from stzoo.nets import Architecture, fixed_net
from stzoo.nets.blank import without_memory
from stzoo.nets.measure import measure
from stzoo.strategies.names import named
from stzoo.strategies.published import PUBLISHED

UNTRAINED = [name for name in cards.names() if cards.named(name).net is not None]
DENSENET121 = {
    "sthv1": {"opt": 19_616_750, "s": 7_169_838, "st": 16_615_214, "sst": 21_404_526},
    "sthv2": {"opt": 19_773_806, "s": 7_169_838, "st": 16_615_214, "sst": 21_404_526},
    "k400": {"opt": 18_309_584, "s": 7_401_488, "st": 16_846_864, "sst": 21_636_176},
    "ucf101": {"opt": 21_329_701, "s": 7_095_013, "st": 16_540_389, "sst": 21_329_701},
}


def architecture(card: Card) -> Architecture:
    assert card.net is not None
    return Architecture(card.backbone, card.net.classes, card.net.options)


@pytest.mark.parametrize("name", UNTRAINED)
def test_a_net_that_nobody_has_trained_can_be_built_and_has_the_parameters_that_its_card_says(name: str) -> None:
    card = cards.named(name)
    described = architecture(card)
    assert card.net is not None
    with without_memory():
        net = fixed_net(described, named(card.net.strategy, described.backbone, described.sites))
    assert sum(parameter.numel() for parameter in net.parameters()) == card.net.parameters


@pytest.mark.parametrize("name", ["ucf101-inception-opt", "sthv2-mobilenet_v2-opt", "sthv1-lowtemporal-opt"])
def test_a_card_counts_the_multiply_adds_of_a_clip_of_its_input(name: str) -> None:
    card = cards.named(name)
    described = architecture(card)
    assert card.net is not None
    clip = {"frames": card.net.input.frames, "height": card.net.input.crop, "width": card.net.input.crop}
    strategy = named(card.net.strategy, described.backbone, described.sites)
    assert measure(described, strategy, **clip).multiply_adds == card.net.multiply_adds


def test_the_papers_own_networks_have_the_papers_sizes() -> None:
    for data, counts in DENSENET121.items():
        for strategy, parameters in counts.items():
            card = cards.named(f"{data}-{strategy}")
            assert card.backbone == "densenet121"
            assert card.net is not None
            assert card.net.parameters == parameters


def test_names_say_data_backbone_and_strategy() -> None:
    labels = {"opt": "Opt", "s": "S", "st": "ST", "sst": "S+ST"}
    for name in UNTRAINED:
        card = cards.named(name)
        data = max((known for known in PUBLISHED if name.startswith(f"{known}-")), key=len)
        *backbone, strategy = name.removeprefix(f"{data}-").split("-")
        assert card.backbone == (backbone[0] if backbone else "densenet121")
        assert card.strategy == labels[strategy]
        assert card.net is not None
        home = "rule" if backbone else "published"
        assert card.net.strategy == (f"{home}:{data}" if strategy == "opt" else strategy)


def test_what_the_paper_publishes_is_quoted_with_its_place() -> None:
    (quoted,) = cards.named("ucf101-inception-opt").paper
    assert quoted.text == "96.5 % top-1 (Table 5; clips not stated, pre-trained on Kinetics-400)"
    assert [(quoted.source, quoted.top1, quoted.top5) for quoted in cards.named("sthv2-opt").paper] == [
        ("Table 2", 62.4, None),
        ("Table 3", 62.9, 88.0),
    ]
    assert cards.named("sthv1-mobilenet_v2-opt").paper == ()
    for name in UNTRAINED:
        assert cards.named(name).weights == "none"
