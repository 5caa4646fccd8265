from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from stzoo.errors import UsageError
from stzoo.figures import style


def test_sites_are_grouped_into_stages_in_network_order() -> None:
    assert style.site_groups(["B1.L1", "B1.L2", "T1", "B2.L1"]) == {
        "B1": ["B1.L1", "B1.L2"],
        "T1": ["T1"],
        "B2": ["B2.L1"],
    }


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_the_suffix_decides_how_a_figure_is_written(tmp_path: Path, suffix: str, start: bytes) -> None:
    style.save_figure(Figure(), tmp_path / f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes().startswith(start)
    assert [entry.name for entry in tmp_path.iterdir()] == [f"a.{suffix}"]


@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="figures are written as png, svg, pdf"):
        style.save_figure(Figure(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_every_unit_has_a_colour_of_its_own() -> None:
    assert len(set(style.COLOURS.values())) == len(style.COLOURS) == 8
