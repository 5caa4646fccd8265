"""The pictures that the made videos film: scikit-image's photographs and procedural ones, known or not in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from stzoo.data.synth.scenes import SCENES, thing
from stzoo.data.synth.textures import HEIGHT, TEXTURES, WIDTH, Picture, shade
from stzoo.errors import DataError

KNOWN = 160
UNSEEN = 40
LEAST_CONTRAST = 26.0  # standard deviation of pixel values; below it a slow motion could not be seen

# Photographs inside scikit-image's wheel, with source and licence as scikit-image's documentation gives them.
PHOTOGRAPHS: dict[str, str] = {
    "astronaut": "Eileen Collins, NASA, public domain",
    "brick": "brick wall, CC0Textures, CC0",
    "camera": "cameraman by Lav Varshney, CC0",
    "cell": "quantitative phase image by Paul Müller and others, CC0",
    "chelsea": "cat by Stefan van der Walt, CC0",
    "clock": "Stefan van der Walt, public domain",
    "coffee": "espresso by Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0",
    "coins": "Greek coins from Pompeii, Brooklyn Museum, no known copyright restrictions",
    "grass": "linolafett, DeviantArt, CC0",
    "gravel": "CC0Textures, CC0",
    "hubble_deep_field": "NASA, public domain",
    "immunohistochemistry": "Center for Microscopy and Molecular Imaging, no known copyright restrictions",
    "moon": "USGS and NASA, public domain",
    "page": "scanned page, public domain",
    "retina": "Mikael Häggström, Wikimedia Commons, CC0",
    "rocket": "SpaceX, CC0",
    "stereo_motorcycle": "Middlebury stereo 2014, left view, CC0",
    "text": "photographed text, Wikipedia, public domain",
}
UNSEEN_PHOTOGRAPHS = ("chelsea", "clock", "gravel", "hubble_deep_field", "stereo_motorcycle")


@dataclass(frozen=True)
class PictureId:
    """One picture: `index` seeds a procedural family, and names its place in the catalogue."""

    name: str
    family: str
    index: int
    group: Literal["known", "unseen"]


def catalogue(known: int = KNOWN, unseen: int = UNSEEN) -> tuple[list[PictureId], list[PictureId]]:
    """The known and the unseen pictures, in order; photographs are spread evenly, families follow in turn.

    The two groups share no photograph and no procedural picture.
    """
    photographs = [name for name in PHOTOGRAPHS if name not in UNSEEN_PHOTOGRAPHS]
    return _group("known", known, photographs, 0), _group("unseen", unseen, list(UNSEEN_PHOTOGRAPHS), 10_000)


def _group(group: Literal["known", "unseen"], count: int, photographs: list[str], first: int) -> list[PictureId]:
    families = [family for pair in zip(SCENES, TEXTURES, strict=False) for family in pair] + list(TEXTURES)[
        len(SCENES) :
    ]
    pictures: list[PictureId] = []
    waiting, procedural = list(photographs), 0
    for index in range(count):
        if waiting and index % 8 == 0:
            name = waiting.pop(0)
            pictures.append(PictureId(f"photo-{name}", name, first + index, group))
            continue
        family = families[procedural % len(families)]
        procedural += 1
        pictures.append(PictureId(f"{family}-{first + index:03d}", family, first + index, group))
    return pictures


def photograph(name: str) -> Picture:
    """One of scikit-image's photographs, scaled so that its short side is the procedural pictures'.

    Raises: DataError when scikit-image is not installed.
    """
    try:
        import skimage.data
    except ImportError as error:
        raise DataError(
            "The made data films scikit-image's photographs, but scikit-image is not installed; "
            "install it with: pip install 'stzoo[data]'."
        ) from error
    pixels = getattr(skimage.data, name)()
    image = np.asarray(pixels[0] if isinstance(pixels, tuple) else pixels)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    scale = min(HEIGHT, WIDTH) / min(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(image[..., :3], size, interpolation=how), dtype=np.uint8)


def draw(picture: PictureId, seed: int) -> Picture:
    """The picture's pixels: a photograph as it is, a procedural one from (seed, index) alone."""
    if picture.family in PHOTOGRAPHS:
        return photograph(picture.family)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 1, picture.index])))
    drawn = {**SCENES, **TEXTURES}[picture.family](rng)
    if picture.family in TEXTURES and rng.random() < 0.4:
        for _ in range(int(rng.integers(4, 25))):
            thing(rng, drawn, int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)), int(rng.integers(20, 140)))
    spread = float(drawn.std(axis=(0, 1)).mean())
    if spread < LEAST_CONTRAST:
        middle = drawn.mean(axis=(0, 1), keepdims=True)
        drawn = np.clip(middle + (drawn - middle) * (LEAST_CONTRAST / spread), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        drawn = shade(rng, drawn, rng.uniform(0.1, 0.6))
    if rng.random() < 0.3:
        drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), float(rng.uniform(0.6, 1.6))), np.uint8)
    return np.ascontiguousarray(drawn)
