"""A backbone of the paper's kind that is small enough for a test: temporal stem, temporal pool, every stride."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stzoo import nets
from stzoo.nets.densenet import DENSENET121

SMALL = replace(DENSENET121, block_layers=(2, 1, 2), growth=4, stem_width=6, bottleneck=2)


@pytest.fixture(scope="module", autouse=True)
def densenet_small() -> Iterator[None]:
    """Backbone `densenet_small`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nets.BACKBONES, "densenet_small", replace(nets.BACKBONES["densenet121"], sizes=SMALL))
        yield
