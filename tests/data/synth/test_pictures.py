"""The catalogue of pictures and what they look like."""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest

from stzoo.data.synth import pictures
from stzoo.data.synth.scenes import SCENES
from stzoo.data.synth.textures import HEIGHT, TEXTURES, WIDTH
from stzoo.errors import DataError


def test_two_hundred_pictures_in_two_groups_that_share_none() -> None:
    known, unseen = pictures.catalogue()
    assert (len(known), len(unseen)) == (160, 40)
    assert len({picture.name for picture in known + unseen}) == 200
    assert len({picture.index for picture in known + unseen}) == 200
    photographs = [p.family for p in known + unseen if p.family in pictures.PHOTOGRAPHS]
    assert sorted(photographs) == sorted(pictures.PHOTOGRAPHS)
    assert {p.family for p in known} >= set(SCENES) | set(TEXTURES)
    assert {p.family for p in unseen} >= set(SCENES) | set(TEXTURES)


@pytest.mark.parametrize("family", [*SCENES, *TEXTURES])
def test_every_family_draws_pictures_with_something_on_them(family: str) -> None:
    drawn = [pictures.draw(pictures.PictureId("x", family, index, "known"), 0) for index in (1, 2)]
    for picture in drawn:
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert picture.std(axis=(0, 1)).mean() > 12
    assert np.abs(drawn[0].astype(float) - drawn[1]).mean() > 5


def test_a_procedural_picture_comes_from_seed_and_index_alone() -> None:
    picture = pictures.PictureId("x", "leaves", 7, "known")
    assert (pictures.draw(picture, 1) == pictures.draw(picture, 1)).all()
    assert (pictures.draw(picture, 1) != pictures.draw(picture, 2)).any()


@pytest.mark.parametrize("name", pictures.PHOTOGRAPHS)
def test_every_photograph_comes_out_of_the_installed_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*arguments: object) -> None:
        raise AssertionError("a photograph was to be downloaded")

    monkeypatch.setattr("socket.socket.connect", no_network)
    picture = pictures.photograph(name)
    assert min(picture.shape[:2]) == HEIGHT
    assert picture.std() > 5


def test_without_scikit_image_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: object, **options: object) -> object:
        if name.startswith("skimage"):
            raise ImportError(name)
        return original(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.delitem(sys.modules, "skimage.data", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"stzoo\[data\]"):
        pictures.photograph("coffee")
