from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.errors import UsageError
from stzoo.strategies.budget import Budget


@pytest.mark.parametrize(
    ("text", "multiply_adds"),
    [("50M", 50_000_000), ("1.2G", 1_200_000_000), ("46000000", 46_000_000), (" 0.5 k ", 500), ("2T", 2 * 10**12)],
)
def test_budgets_are_read(text: str, multiply_adds: int) -> None:
    assert Budget.parse(text) == Budget(multiply_adds)


@pytest.mark.parametrize(("multiply_adds", "text"), [(50_000_000, "50M"), (45_500_000, "45.5M"), (999, "999")])
def test_budgets_are_written_shortly(multiply_adds: int, text: str) -> None:
    assert str(Budget(multiply_adds)) == text


@pytest.mark.parametrize(
    ("text", "nanoseconds", "written"),
    [("3.5ms", 3_500_000, "3.5ms"), (" 12 ms", 12_000_000, "12ms"), ("0.0254ms", 25_000, "0.025ms")],
)
def test_milliseconds_have_three_decimals(text: str, nanoseconds: int, written: str) -> None:
    budget = Budget.parse(text)
    assert budget == Budget(nanoseconds, "nanoseconds")
    assert budget.text == written


@given(st.integers(1, 10**16), st.booleans())
def test_what_is_written_is_read_again(amount: int, timed: bool) -> None:
    budget = Budget(1000 * amount, "nanoseconds") if timed and amount < 10**15 else Budget(amount)
    assert Budget.parse(budget.text) == budget


@given(st.integers(1, 10**16), st.booleans())
def test_a_rounded_budget_is_on_its_side_and_short(amount: int, timed: bool) -> None:
    budget = Budget(amount, "nanoseconds" if timed else "multiply-adds")
    below, above = budget.rounded(up=False), budget.rounded(up=True)
    assert below.amount <= amount <= above.amount
    if below.amount:
        assert Budget.parse(below.text) == below
    assert Budget.parse(above.text) == above
    assert len(above.text.partition(".")[2].rstrip("kMGTms")) <= 2


@pytest.mark.parametrize(
    "text",
    [
        *("", "M", "50X", "50m", "-5M", "0", "0.0001", "1e7", "5,0M", "nan", "٥M", "50MM", "9" * 99),
        *("0ms", "0.0001ms", "3.5s", "ms"),
    ],
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    shown = re.escape(repr(text)[:20])
    with pytest.raises(UsageError, match=f"^{shown}.* is no budget; write multiply-adds a clip, such as 50M"):
        Budget.parse(text)
