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


@given(st.integers(1, 10**16))
def test_what_is_written_is_read_again(multiply_adds: int) -> None:
    assert Budget.parse(Budget(multiply_adds).text) == Budget(multiply_adds)


@pytest.mark.parametrize(
    "text", ["", "M", "50X", "50m", "-5M", "0", "0.0001", "1e7", "5,0M", "nan", "٥M", "50MM", "9" * 99]
)
def test_what_is_no_budget_is_refused(text: str) -> None:
    shown = re.escape(repr(text)[:20])
    with pytest.raises(UsageError, match=f"^{shown}.* is no budget; write multiply-adds a clip, such as 50M"):
        Budget.parse(text)
