"""A zoo of three names, and the commands as a person runs them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stzoo import card as cards
from stzoo import hub
from stzoo.card import Bundled, Card


@pytest.fixture
def zoo(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    common = {"title": "Which way", "dataset": "toy", "task": "way", "backbone": "densenet_tiny", "strategy": "Opt"}
    homes: dict[str, Any] = {
        "toy-opt": Bundled(bundled="tiny-opt"),
        "toy-lost": Bundled(bundled="lost"),
        "toy-never": "none",
    }
    (tmp_path / "cards").mkdir()
    for name, weights in homes.items():
        card = Card.model_validate(common | {"name": name, "weights": weights, "body": "Prose."})
        (tmp_path / "cards" / f"{name}.md").write_text(cards.render(card))
    shutil.copytree(tiny_bundle, tmp_path / "bundled" / "tiny-opt")
    for module in (hub, cards):
        monkeypatch.setattr(module, "packaged", lambda folder: tmp_path / folder)
    return tmp_path
