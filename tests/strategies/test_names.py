from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo import nets
from stzoo.errors import StrategyError
from stzoo.nets import Architecture
from stzoo.nets.blank import without_memory
from stzoo.strategies.names import FORMS, UNIFORM, named
from stzoo.strategies.published import PUBLISHED, published
from stzoo.strategies.strategy import ALL_BRANCHES, Site, Strategy
from stzoo.strategies.transfer import rules

SITES = Architecture("densenet121", 10, {}).sites


@pytest.mark.parametrize(("name", "unit"), [("s", "S"), ("st", "ST"), ("sst", "S+ST")])
def test_uniform_strategies_have_short_names(name: str, unit: str) -> None:
    assert named(name, "densenet121", SITES) == Strategy.uniform("densenet121", SITES, unit)


@pytest.mark.parametrize("name", UNIFORM)
def test_every_unit_has_a_name_where_sites_have_all_branches(name: str) -> None:
    sites = Architecture("resnet_tiny", 10, {"branches": ALL_BRANCHES}).sites
    assert named(name, "resnet_tiny", sites) == Strategy.uniform("resnet_tiny", sites, UNIFORM[name])
    assert set(UNIFORM.values()) == set(sites[0].units)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_strategies_have_names(name: str) -> None:
    assert named(f"published:{name}", "densenet121", SITES) == published(name).strategy


def test_the_published_strategies_are_carried_to_other_backbones() -> None:
    tiny = Architecture("densenet_tiny", 10, {}).sites
    assert named("carried:k400", "densenet121", SITES) == published("k400").strategy
    assert named("carried:k400", "densenet_tiny", tiny).counts() == {"S+ST": 7, "ST": 5, "S": 3}


def test_a_published_strategy_leaves_tails_open() -> None:
    sites = Architecture("densenet121", 10, {"tail_sites": True}).sites
    strategy = named("published:k400", "densenet121", sites)
    assert {site: unit for site, unit in strategy.units.items() if unit != "tail"} == published("k400").strategy.units


@pytest.mark.parametrize(
    ("backbone", "name", "millions", "counts"),
    [
        ("resnet50", "rule:sthv1", "35.449", {"S+ST": 10, "ST": 6}),
        ("resnext50", "rule:sthv1", "46.467", {"S+ST": 10, "ST": 6}),
        ("resnext101", "rule:sthv1", "178.41", {"S+ST": 19, "ST": 14}),
        ("mobilenet_v2", "rule:sthv2", "4.499", {"S+ST": 9, "ST": 7}),
    ],
)
def test_the_rules_give_nets_of_the_reference_sizes(
    backbone: str, name: str, millions: str, counts: dict[str, int]
) -> None:
    shape = Architecture(backbone, 174, {})
    strategy = named(name, backbone, shape.sites)
    assert strategy.counts() == counts
    with without_memory():
        net = nets.fixed_net(shape, strategy)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert f"{count / 1e6:.{len(millions.partition('.')[2])}f}" == millions


@pytest.mark.parametrize("backbone", nets.BACKBONES)
def test_every_rule_fits_its_backbone(backbone: str) -> None:
    sites = Architecture(backbone, 10, {}).sites
    for data in rules(backbone):
        named(f"rule:{data}", backbone, sites).check(backbone, sites)


@st.composite
def site_lists(draw: st.DrawFn) -> tuple[Site, ...]:
    """One to six stages of one to six sites, at least one of them with S and ST."""
    branches = st.sampled_from([("S", "ST"), ("S", "T", "ST"), ("tail",), ("S",), ("ST",)])
    stages = draw(
        st.lists(st.lists(st.tuples(branches, st.booleans()), min_size=1, max_size=6), min_size=1, max_size=6)
    )
    stages[draw(st.integers(0, len(stages) - 1))].append((("S", "ST"), True))
    return tuple(
        Site(f"stage{stage}.block{number}", chosen, closable, stage)
        for stage, blocks in enumerate(stages, start=1)
        for number, (chosen, closable) in enumerate(blocks, start=1)
    )


@given(site_lists(), st.data())
def test_every_name_gives_a_strategy_that_fits(sites: tuple[Site, ...], data: st.DataObject) -> None:
    choices = [site for site in sites if site.has_choice]
    last = max(site.stage for site in choices) + 1
    plain = ["s", "st", "sst", "mict", "smart", *(f"rule:{name}" for name in ("sthv1", "sthv2", "ucf101"))]
    heavy = [f"{kind}-heavy:{count}" for kind in ("top", "bottom") for count in range(len(choices) + 1)]
    mixed = [f"{kind}{group}" for kind in ("mc", "rmc") for group in range(2, last + 1)]
    name = data.draw(st.sampled_from([*plain, *heavy, *mixed, *(f"carried:{name}" for name in PUBLISHED)]))
    strategy = named(name, "net", sites)
    strategy.check("net", sites)
    assert all(strategy.units[site.name] == site.branches[0] for site in sites if not site.has_choice)


@given(site_lists(), st.data())
def test_opposite_names_are_opposite_everywhere(sites: tuple[Site, ...], data: st.DataObject) -> None:
    choices = [site for site in sites if site.has_choice]
    count = data.draw(st.integers(0, len(choices)))
    group = data.draw(st.integers(2, max(site.stage for site in choices) + 1))
    for name, opposite in [
        (f"top-heavy:{count}", f"bottom-heavy:{len(choices) - count}"),
        (f"mc{group}", f"rmc{group}"),
    ]:
        pair = named(name, "net", sites), named(opposite, "net", sites)
        for site in choices:
            assert {strategy.units[site.name] for strategy in pair} == {"S", "ST"}


def test_every_form_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")
    assert [form for form in FORMS.split(", ") if f"`{form}`" not in page] == []
    assert [name for name in PUBLISHED if f"`{name}`" not in page] == []


def test_uniform_strategies_open_sites_that_have_no_such_branch() -> None:
    sites = Architecture("densenet_tiny", 10, {"tail_sites": True}).sites
    assert set(named("s", "densenet_tiny", sites).units.values()) == {"S", "tail"}


def test_the_most_probable_strategy_has_a_name_where_there_is_a_posterior() -> None:
    panel = published("sthv1")
    likeliest = named("most-probable", panel.strategy.backbone, SITES, panel.posterior)
    assert likeliest == panel.posterior.most_probable()
    with pytest.raises(StrategyError, match="most-probable is the strategy of a posterior; name a model that has"):
        named("most-probable", panel.strategy.backbone, SITES)


def test_a_file_in_any_order_gives_the_strategy_in_network_order(tmp_path: Path) -> None:
    strategy = published("k400").strategy
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"units": dict(reversed(strategy.units.items())), "backbone": "densenet121"}))
    assert named(str(path), "densenet121", SITES) == strategy
    path.write_text(strategy.text())
    assert named(str(path), "densenet121", SITES).digest == strategy.digest


def test_a_strategy_of_another_backbone_is_refused(tmp_path: Path) -> None:
    tiny = Architecture("densenet_tiny", 10, {}).sites
    with pytest.raises(StrategyError, match="for densenet121, not for densenet_tiny; carried:k400 has it there by"):
        named("published:k400", "densenet_tiny", tiny)
    path = tmp_path / "short"
    path.write_text("densenet_tiny: B1.L1=S")
    with pytest.raises(StrategyError, match="lacks the sites"):
        named(str(path), "densenet_tiny", tiny)


@pytest.mark.parametrize(
    "name",
    [
        *("", "sts", "S", "missing.json", "published", "x" * 5000, "a\0b", "/nowhere/\ud800"),
        *("mc", "mc²", "mc٣", "rmc-2", "top-heavy", "top-heavy:", "top-heavy:-1", "bottom-heavy:x", "mc" + "9" * 5000),
    ],
)
def test_what_names_no_strategy_is_refused_with_the_known_forms(name: str) -> None:
    with pytest.raises(
        StrategyError, match=r"s, st, sst, .*mict, smart, mc<n>, .*:<n>, rule:<data>, .*published:<data>\.$"
    ):
        named(name, "densenet121", SITES)


@pytest.mark.parametrize("name", ["mc1", "mc6", "rmc0", "top-heavy:62", "bottom-heavy:99999"])
def test_a_number_out_of_range_is_refused(name: str) -> None:
    with pytest.raises(StrategyError, match=f"^{name} is out of range: densenet121 has .*, so choose "):
        named(name, "densenet121", SITES)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("publishd:k400", "published:k400"),
        ("top-heavi:3", "top-heavy:3"),
        ("rcm4", "rmc4"),
        ("smrt", "smart"),
        ("rules:sthv2", "rule:sthv2"),
        ("caried:ucf101", "carried:ucf101"),
    ],
)
def test_a_near_miss_is_offered(name: str, meant: str) -> None:
    with pytest.raises(StrategyError, match=rf'that path\. Did you mean "{meant}"\? Give '):
        named(name, "densenet121", SITES)


def test_a_near_miss_of_the_data_is_offered() -> None:
    for kind in ("published", "carried"):
        with pytest.raises(StrategyError, match=r'Did you mean "k400"\?'):
            named(f"{kind}:k40", "densenet121", SITES)
