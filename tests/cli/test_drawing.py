from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stzoo.bundle import Result
from stzoo.cli import drawing
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "             0.00"), (0.5, "██████       0.50"), (1.0, "████████████ 1.00"), (0.0104, "▏            0.01")],
)
def test_bars_grow_by_eighths(value: float, text: str) -> None:
    assert drawing.bar(value) == text


@given(st.floats(0, 1), st.floats(0, 1))
def test_bars_have_one_width_and_never_shrink(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert len(drawing.bar(low)) == len(drawing.bar(high)) == 17
    assert drawing.bar(low).count("█") <= drawing.bar(high).count("█")


def test_unknown_numbers_are_dashes() -> None:
    assert drawing.megabytes(None) == drawing.accuracy(None) == "–"
    assert drawing.megabytes(1_400_000) == "1.4 MB"
    assert drawing.millions(7_169_838) == "7.17 M"


def test_an_accuracy_comes_with_its_interval() -> None:
    result = Result(dataset="d", split="s", protocol="p", metric="top1", value=0.5, n=4)
    assert drawing.accuracy(result) == "50.0"
    assert drawing.accuracy(result.model_copy(update={"low": 0.1, "high": 0.9})) == "50.0 (10.0–90.0)"


def test_nothing_that_is_shown_is_taken_for_an_order(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result(dataset="d", split="[bold]s", protocol="[/p] :smile:", metric="top1", value=0.5, n=4)
    drawing.print_parts(drawing.results_table([result]))
    shown = capsys.readouterr().out
    assert "[bold]s" in shown
    assert "[/p] :smile:" in shown


def test_seven_units_fit_beside_each_other() -> None:
    posterior = Posterior("toy", {"B1.L1": {"S": 0.1, "T": 0.5, "ST": 0.9}})
    table, *_ = drawing.site_table(Strategy("toy", {"B1.L1": "S+T+ST"}), posterior, "linear")
    console = Console(width=110)
    with console.capture() as captured:
        console.print(table)
    heading, _, row, *_ = captured.get().strip().splitlines()
    assert [f"P({unit})" for unit in posterior.marginals(none=True)["B1.L1"]] == heading.split()[2:]
    assert row.split()[:2] == ["B1.L1", "S+T+ST"]
    assert "…" not in captured.get()
