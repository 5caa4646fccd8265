from __future__ import annotations

import json
from pathlib import Path

import pytest

from stzoo.errors import StrategyError
from stzoo.nets import Architecture
from stzoo.published import PUBLISHED, published
from stzoo.strategies import UNIFORM, named
from stzoo.strategy import ALL_BRANCHES, Strategy

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


def test_uniform_strategies_open_sites_that_have_no_such_branch() -> None:
    sites = Architecture("densenet_tiny", 10, {"tail_sites": True}).sites
    assert set(named("s", "densenet_tiny", sites).units.values()) == {"S", "tail"}


def test_a_file_in_any_order_gives_the_strategy_in_network_order(tmp_path: Path) -> None:
    strategy = published("k400").strategy
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"units": dict(reversed(strategy.units.items())), "backbone": "densenet121"}))
    assert named(str(path), "densenet121", SITES) == strategy
    path.write_text(strategy.text())
    assert named(str(path), "densenet121", SITES).digest == strategy.digest


def test_a_strategy_of_another_backbone_is_refused(tmp_path: Path) -> None:
    tiny = Architecture("densenet_tiny", 10, {}).sites
    with pytest.raises(StrategyError, match="for densenet121, not for densenet_tiny"):
        named("published:k400", "densenet_tiny", tiny)
    path = tmp_path / "short"
    path.write_text("densenet_tiny: B1.L1=S")
    with pytest.raises(StrategyError, match="lacks the sites"):
        named(str(path), "densenet_tiny", tiny)


@pytest.mark.parametrize("name", ["", "sts", "S", "missing.json", "published", "x" * 5000, "a\0b", "/nowhere/\ud800"])
def test_what_names_no_strategy_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(StrategyError, match=r"s, st, sst, published:sthv1, .*published:sthv1-lowtemporal\.$"):
        named(name, "densenet121", SITES)


def test_a_near_miss_is_offered() -> None:
    with pytest.raises(StrategyError, match=r'that path\. Did you mean "published:k400"\? Give '):
        named("publishd:k400", "densenet121", SITES)
    with pytest.raises(StrategyError, match=r'Did you mean "k400"\?'):
        named("published:k40", "densenet121", SITES)
