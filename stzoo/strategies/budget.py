"""A budget: what a strategy may cost at most, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from stzoo.errors import UsageError
from stzoo.validation import shortened

Cost = Literal["multiply-adds", "nanoseconds"]
"""What is counted of a clip."""

_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MILLISECONDS, _NANOSECONDS, _FINEST = "ms", 10**6, 1000  # milliseconds have three decimals
_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,12})?) ?([A-Za-z]*)", re.ASCII)


@dataclass(frozen=True, order=True)
class Budget:
    """The most that a clip may take: multiply-adds, or nanoseconds, of which people write milliseconds."""

    amount: int
    of: Cost = "multiply-adds"

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Reads `50M`, `1.2G` or `46000000`, and `3.5ms`. Raises `UsageError` for anything else."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is not None and match[2] == _MILLISECONDS:
            budget = cls(round(Decimal(match[1]) * 1000) * _FINEST, "nanoseconds")
        elif match is not None and match[2] in _FACTORS:
            budget = cls(round(Decimal(match[1]) * _FACTORS[match[2]]))
        else:
            budget = cls(0)
        if budget.amount < 1:
            raise UsageError(
                f"{shortened(repr(text))} is no budget; write multiply-adds a clip, such as 50M, 1.2G or 46000000, or "
                "milliseconds, such as 3.5ms"
            )
        return budget

    @property
    def text(self) -> str:
        """The shortest way to write it, such as `50M` or `3.5ms`: what a bundle of this budget is called by."""
        if self.of == "nanoseconds":
            return _decimal(self.amount // _FINEST, 1000) + _MILLISECONDS
        unit = max((unit for unit in _FACTORS if _FACTORS[unit] <= self.amount), key=lambda unit: _FACTORS[unit])
        return _decimal(self.amount, _FACTORS[unit]) + unit

    def rounded(self, *, up: bool) -> Budget:
        """The nearest one above or below that is written with two decimals at most."""
        factor = max(factor for factor in _FACTORS.values() if factor <= self.amount)
        step = max(1, (_NANOSECONDS if self.of == "nanoseconds" else factor) // 100)
        return Budget((-(-self.amount // step) if up else self.amount // step) * step, self.of)

    def __str__(self) -> str:
        return self.text


def _decimal(amount: int, factor: int) -> str:
    whole, part = divmod(amount, factor)
    decimals = str(factor + part)[1:].rstrip("0")
    return f"{whole}{decimals and f'.{decimals}'}"
