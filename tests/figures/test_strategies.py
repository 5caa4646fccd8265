from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stzoo.errors import StrategyError, UsageError
from stzoo.figures import strategies as figures
from stzoo.figures import style
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.published import published
from stzoo.strategies.strategy import Strategy

SMALL = Posterior(
    "toy",
    {
        "B1.L1": {"S": 0.1, "ST": 0.9},
        "B1.L2": {"S": 0.5, "ST": 0.0},
        "B1.L2.tail": {"tail": 0.2},
        "T1": {"S": 0.01, "ST": 0.5},
    },
)
CHOSEN = Strategy("toy", {"B1.L1": "S", "B1.L2": "none", "B1.L2.tail": "tail", "T1": "S+ST"})


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_suffix_decides_the_format(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"m.{suffix}"
    figures.marginals_figure(SMALL, CHOSEN, path, "toy")
    assert path.read_bytes().startswith(start)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_same_posterior_gives_the_same_svg(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figures.marginals_figure(SMALL, None, tmp_path / name, "toy", "linear")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_chance_of_no_branch_has_a_bar_where_it_is_what_is_sampled(tmp_path: Path) -> None:
    collapsed = Posterior("toy", {"B1.L1": {"S": 1.0, "ST": 1.0}, "T1": {"S": 1.0, "ST": 1.0}})
    for convention, is_shown in (("linear", True), ("paper", False)):
        figures.marginals_figure(collapsed, None, tmp_path / "m.svg", "toy", convention)
        assert (style.COLOURS["none"] in (tmp_path / "m.svg").read_text()) == is_shown


def test_the_published_panels_are_drawn(tmp_path: Path) -> None:
    panels = [published(name) for name in ("sthv1", "k400")]
    figures.posteriors_side_by_side(
        [(panel.name, panel.posterior, panel.strategy) for panel in panels], tmp_path / "both.png"
    )
    width, height = (int.from_bytes((tmp_path / "both.png").read_bytes()[i : i + 4], "big") for i in (16, 20))
    assert width > 2000
    assert height > 1000


def test_a_strategy_is_drawn_without_a_posterior(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        figures.strategy_figure(Strategy("toy", {"B1.L1": "S", "B1.L2": "S+ST", "T1": "T"}), tmp_path / name, "toy")
    text = (tmp_path / "a.svg").read_text().lower()
    assert all(style.COLOURS[unit].lower() in text for unit in ("S", "S+ST", "T"))
    assert style.COLOURS["ST"].lower() not in text
    assert (tmp_path / "b.svg").read_text().lower() == text
    with pytest.raises(UsageError, match=r'suffix "\.gif"'):
        figures.strategy_figure(CHOSEN, tmp_path / "m.gif", "toy")


def test_the_global_state_of_pyplot_stays_untouched(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    figures.marginals_figure(SMALL, CHOSEN, tmp_path / "m.png", "toy")
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'suffix "\.gif"'):
        figures.marginals_figure(SMALL, CHOSEN, tmp_path / "m.gif", "toy")
    with pytest.raises(UsageError, match="at least one"):
        figures.posteriors_side_by_side([], tmp_path / "m.png")
    with pytest.raises(StrategyError, match=r"differ in the site B1\.L2"):
        figures.marginals_figure(SMALL, Strategy("toy", {"B1.L1": "S"}), tmp_path / "m.png", "toy")
    assert list(tmp_path.iterdir()) == []


def test_seven_units_are_drawn_in_seven_colours(tmp_path: Path) -> None:
    seven = Posterior("toy", {"B1.L1": {"S": 0.1, "T": 0.5, "ST": 0.9}, "T1": {"S": 0.5, "ST": 0.1}})
    figures.marginals_figure(seven, Strategy("toy", {"B1.L1": "S+T", "T1": "ST"}), tmp_path / "m.svg", "toy", "linear")
    text = (tmp_path / "m.svg").read_text().lower()
    units = seven.marginals()["B1.L1"]
    assert len(units) == len({style.COLOURS[unit] for unit in units}) == 7
    assert all(style.COLOURS[unit].lower() in text for unit in units)
