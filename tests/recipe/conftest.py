"""A small template recipe and a fixed one, as text to be varied."""

from __future__ import annotations

from pathlib import Path

import pytest

COMMON = """
name = "toy"
seed = 3

[data]
root = "data/toy"
classes = "classes.txt"
train = "train.txt"
val = "val.txt"

[data.tests]
test-unseen = "unseen.txt"

[input]
frames = 8
fps = 6
resize = 72
crop = 64

[augment]
strip_frames = 12
strip_size = 72

[net]
backbone = "densenet_tiny"
"""

TEMPLATE = (
    COMMON
    + """
[warmup]
epochs = 4
batch_size = 32
learning_rate = 0.1
weight_decay = 5e-4

[variational]
epochs = 6
batch_size = 32
learning_rate = 0.05
weight_decay = 0.0
gate_learning_rate = 0.3

[objective]
k = 20

[selection]
"""
)

FIXED = (
    COMMON
    + """
[fixed]
strategy = "st"
epochs = 10
batch_size = 32
learning_rate = 0.1
weight_decay = 5e-4
"""
)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The file of a recipe that trains a template."""
    file = tmp_path / "toy.toml"
    file.write_text(TEMPLATE)
    return file


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    """The file of a recipe that trains one fixed net."""
    file = tmp_path / "toy-st.toml"
    file.write_text(FIXED)
    return file
