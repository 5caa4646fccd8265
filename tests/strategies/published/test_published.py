from __future__ import annotations

import pytest

from stzoo.errors import StrategyError
from stzoo.nets import Architecture
from stzoo.strategies.posterior import Convention, Posterior
from stzoo.strategies.published import PUBLISHED, published

SITES = Architecture("densenet121", 174, {}).sites


def sites(text: str) -> set[str]:
    """`B2.4.12 T1` is B2.L4, B2.L12 and T1."""
    names = set()
    for word in text.split():
        block, *layers = word.split(".")
        names |= {f"{block}.L{layer}" for layer in layers} or {block}
    return names


# Sites of the best strategies that are not S+ST, as the figures show them.
S_AT = {
    "sthv1": "T1",
    "sthv2": "",
    "ucf101": "",
    "k400": "B1.1 B2.5.7.8.10.11.12 B3.8.21.22.23.24",
    "sthv1-lowtemporal": "B2.8 B3.2.4.7.10.19",
}
ST_AT = {
    "sthv1": "B1.6 B2.4.12 B3.11.14.15.18.20.21.22.23 B4.1.2.3.4.6.12.14.15",
    "sthv2": "B1.6 B2.6.10 B3.12.14.17.18.20.24 B4.3.4.5.7.8.11.13.14.16",
    "ucf101": "",
    "k400": "B3.2.19 B4.2.4.5.6.7.10.14",
    "sthv1-lowtemporal": "B3.23.24 T3 B4.2.4.5.6.14.15.16",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_posterior_reproduces_the_printed_bars(name: str) -> None:
    panel = published(name)
    marginals = panel.posterior.marginals("paper")
    assert list(marginals) == list(panel.bars) == [site.name for site in SITES]
    for site, bars in panel.bars.items():
        assert set(bars) == {"S", "ST", "S+ST"}
        assert marginals[site] == pytest.approx(bars, abs=1e-3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_strategy_is_the_one_of_the_figure(name: str) -> None:
    strategy = published(name).strategy
    strategy.check("densenet121", SITES)
    assert {site for site, unit in strategy.units.items() if unit == "S"} == sites(S_AT[name])
    assert {site for site, unit in strategy.units.items() if unit == "ST"} == sites(ST_AT[name])
    assert set(strategy.units.values()) <= {"S", "ST", "S+ST"}


def most_often(posterior: Posterior, convention: Convention, unit: str) -> int:
    """At how many sites the unit has the highest bar."""
    return sum(max(bars, key=lambda name: bars[name]) == unit for bars in posterior.marginals(convention).values())


@pytest.mark.parametrize(
    ("name", "sst_paper", "st_paper", "sst_linear"),
    [("sthv1", 23, 37, 60), ("sthv2", 26, 34, 61), ("ucf101", 61, 0, 61), ("k400", 20, 21, 61)],
)
def test_that_st_is_preferred_depends_on_the_convention(
    name: str, sst_paper: int, st_paper: int, sst_linear: int
) -> None:
    posterior = published(name).posterior
    assert most_often(posterior, "paper", "S+ST") == sst_paper
    assert most_often(posterior, "paper", "ST") == st_paper
    assert most_often(posterior, "linear", "S+ST") == sst_linear


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_panel_says_where_it_is_printed(name: str) -> None:
    panel = published(name)
    assert panel.name == name
    assert panel.posterior.backbone == panel.strategy.backbone == "densenet121"
    assert "Zhou et al. 2020" in panel.source


def test_an_unknown_panel_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(StrategyError, match=r'called "sthv3"\. Did you mean "sthv[12]"\? Known are sthv1, '):
        published("sthv3")
