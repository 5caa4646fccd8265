from __future__ import annotations

from math import nan
from pathlib import Path

import pytest

from stzoo.errors import UsageError
from stzoo.metrics import Mean
from stzoo.nets import Architecture
from stzoo.space.effects import Effect, Effects
from stzoo.space.keeping import keep

ARCHITECTURE = Architecture("densenet_tiny", 3, {})


def test_effects_of_a_single_source_are_kept_nowhere(tmp_path: Path) -> None:
    """They have no standard error; where nothing is to be kept, that is no matter."""
    effect = Effect("B1.L1", "ST", Mean(0.1, nan), Mean(0.0, nan), 1000, None, 8, ())
    effects = Effects(ARCHITECTURE, 1.0, 0.5, 100_000, (effect,))
    keep([], effects, None, template_digest="0" * 64, data="val.txt", picture=tmp_path / "none.png")
    with pytest.raises(UsageError, match=r"val\.txt is of a single source"):
        keep([tmp_path], effects, None, template_digest="0" * 64, data="val.txt", picture=tmp_path / "none.png")
    assert not list(tmp_path.iterdir())
