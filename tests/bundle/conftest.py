from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stzoo import bundle as bundles
from stzoo.bundle import Backbone, BranchEffect, BranchEffects, Bundle, Classes, Config, Result, Versions
from stzoo.contract import InputContract
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy


@pytest.fixture
def bundle() -> Bundle:
    """Two sites, three classes, everything optional present."""
    return Bundle(
        config=Config(
            name="toy-opt",
            backbone=Backbone(name="toy", options={"temporal_stride": "none", "dropout": 0.1}),
            classes=Classes.of(["left", "right", "still"]),
            strategy=Strategy("toy", {"B1.L1": "S+ST", "T1": "S"}),
            input=InputContract(frames=8, fps=4.0, clips=3, resize=64, crop=64),
            versions=Versions(stzoo="0.1.0", torch="2.15.0"),
            multiply_adds=1_234_567,
            provenance={"recipe": "toy", "batch norm": "re-estimated on 256 clips"},
        ),
        posterior=Posterior("toy", {"B1.L1": {"S": 0.1, "ST": 0.2}, "T1": {"S": 0.01, "ST": 0.5}}),
        metrics=(
            Result(
                dataset="toy",
                split="test",
                protocol="video level, 3 clips",
                metric="top1",
                value=0.973,
                n=600,
                low=0.958,
                high=0.984,
                model="0" * 64,
            ),
            Result(dataset="toy", split="val", protocol="video level, 3 clips", metric="loss", value=0.25, n=300),
        ),
        recipe='name = "toy"\n',
        scores="index,strategy,top1\n0,toy: B1.L1=S+ST T1=S,0.9\n",
        effects=BranchEffects(
            template_digest="1" * 64,
            data="val.txt",
            cross_entropy=0.25,
            accuracy=0.9,
            rank_correlation=0.97,
            branches=tuple(
                BranchEffect(
                    site="B1.L1",
                    branch=branch,
                    cross_entropy=(nats, 0.01),
                    accuracy=(nats / 2, 0.02),
                    multiply_adds=40_000,
                    videos=300,
                )
                for branch, nats in (("S", -0.002), ("ST", 0.125))
            ),
        ),
    )


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "stem.weight": generator.normal(size=(4, 3, 1, 3, 3)).astype(np.float32),
        "norm.weight": generator.normal(size=4).astype(np.float32),
        "norm.running_mean": generator.normal(size=4).astype(np.float32),
        "norm.running_var": np.full(4, 1e-7, np.float32),
        "norm.num_batches_tracked": np.array(7, np.int64),
        "head.bias": np.zeros(3, np.float32),
    }


@pytest.fixture
def folder(tmp_path: Path, bundle: Bundle, weights: dict[str, np.ndarray]) -> Path:
    return bundles.save(tmp_path / "toy-opt", bundle, weights, template=weights)
