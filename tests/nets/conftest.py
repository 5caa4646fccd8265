"""A backbone of the paper's kind that is small enough for a test: temporal stem, temporal pool, every stride."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stzoo import nets
from stzoo.nets import Backbone
from stzoo.nets.densenet import DenseNet3d, DenseNetSizes, densenet_sites

SMALL = DenseNetSizes((2, 1, 2), growth=4, stem_width=6, stem_kernel=(5, 7, 7), pool_kernel=(3, 3, 3), bottleneck=2)


@pytest.fixture(scope="module", autouse=True)
def densenet_small() -> Iterator[None]:
    """Backbone `densenet_small`."""
    with pytest.MonkeyPatch.context() as patch:
        small = Backbone(
            lambda fuse, classes, **options: DenseNet3d(fuse, SMALL, classes, **options),
            lambda tail_sites=False, **_: densenet_sites(SMALL.block_layers, tail_sites),
            ("none", "x8", "low"),
        )
        patch.setitem(nets.BACKBONES, "densenet_small", small)
        yield
