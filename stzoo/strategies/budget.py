"""A budget: what a strategy may cost at most, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from stzoo.errors import UsageError
from stzoo.validation import shortened

_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,12})?) ?([A-Za-z]*)", re.ASCII)


@dataclass(frozen=True, order=True)
class Budget:
    """The most multiply-adds that a clip may take."""

    multiply_adds: int

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Reads `50M`, `1.2G` or `46000000`. Raises `UsageError` for anything else."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is None or match[2] not in _FACTORS or (count := round(Decimal(match[1]) * _FACTORS[match[2]])) < 1:
            raise UsageError(
                f"{shortened(repr(text))} is no budget; write multiply-adds a clip, such as 50M, 1.2G or 46000000"
            )
        return cls(count)

    @property
    def text(self) -> str:
        """The shortest way to write it, such as `50M`: what a bundle of this budget is called by."""
        unit = max((unit for unit in _FACTORS if _FACTORS[unit] <= self.multiply_adds), key=lambda unit: _FACTORS[unit])
        factor = _FACTORS[unit]
        whole, part = divmod(self.multiply_adds, factor)
        decimals = str(factor + part)[1:].rstrip("0")
        return f"{whole}{decimals and f'.{decimals}'}{unit}"

    def __str__(self) -> str:
        return self.text
