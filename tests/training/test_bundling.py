from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stzoo import bundle as bundles
from stzoo import nets
from stzoo.bundle.tensors import Storage, digest, load, store
from stzoo.recipe import Recipe
from stzoo.training.bundling import template_digest
from stzoo.training.checkpoint import save_weights
from stzoo.training.run import Run


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_the_template_of_a_run_is_known_by_what_its_bundles_store(
    smoke: Recipe, tmp_path: Path, storage: Storage
) -> None:
    """The run's own file says the same arrays in other bytes."""
    stored_so = smoke.bundle.model_copy(update={"weights": storage})
    run = Run(tmp_path / "run", smoke.model_copy(update={"bundle": stored_so}))
    with torch.random.fork_rng():
        save_weights(run.weights("variational"), nets.template("densenet_tiny", 3))
    stored = tmp_path / bundles.TEMPLATE
    store(stored, load(run.weights("variational")), storage)
    assert template_digest(run) == bundles.weights_digest(tmp_path, "template")
    assert template_digest(run) != digest(run.weights("variational"))
