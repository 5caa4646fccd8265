"""The recipe in docs/datasets.md with which a copy of an official dataset is tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stzoo.data.lists import read_lists
from stzoo.recipe import read
from stzoo.training.blueprint import architecture_of
from tests.data import layouts

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


def first_try() -> str:
    """The recipe on the page."""
    recipes: list[str] = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (text,) = (recipe for recipe in recipes if 'name = "first-try"' in recipe)
    return text


@pytest.mark.parametrize("recipe", ["k400", "sthv1", "sthv2", "ucf101"])
def test_it_shortens_every_stage_of_every_dataset(recipe: str, tmp_path: Path) -> None:
    text = first_try()
    file = tmp_path / "first-try.toml"
    file.write_text(text.replace("k400.toml", f"{recipe}.toml"))
    short, whole = read(file), read(recipe)
    assert short.net == whole.net
    assert architecture_of(short, 3).sites
    for stage in (short.warmup, short.variational):
        assert stage is not None
        assert stage.epochs == 1
    assert short.trained_at_once == whole.trained_at_once
    assert short.training_input.frames * short.training_input.crop**2 * 8 < whole.training_input.frames * 224**2
    assert short.finetune is None


def test_it_reads_the_list_that_it_names(tmp_path: Path) -> None:
    layouts.kinetics(tmp_path)
    (tmp_path / "train.csv").rename(tmp_path / "few-train.csv")
    text = first_try()
    (tmp_path / "first-try.toml").write_text(text)
    lists = read_lists(read(tmp_path / "first-try.toml", [f"data.root='{tmp_path}'"]).data)
    assert len(lists.train) == 5
