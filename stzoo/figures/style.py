"""How stzoo's figures look, and how they are written."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stzoo.errors import UsageError, require
from stzoo.figures.fonts import FAMILY, fonts_for, quietly
from stzoo.files import replacing
from stzoo.strategies.strategy import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "S": "#0072B2",
    "ST": "#E69F00",
    "S+ST": "#009E73",
    "T": "#D55E00",
    "S+T": "#56B4E9",
    "T+ST": "#F0E442",
    "S+T+ST": "#000000",
    NONE: "#999999",
}
"""One colour a unit, from Okabe and Ito's palette with its grey, which people with any colour vision tell apart."""

FORMULAS = {
    "paper": "a branch is kept with 1 − √drop, as in Fig. 4 of the paper",
    "linear": "a branch is kept with 1 − drop, as it is sampled; where none is kept, a site is drawn anew unless it "
    "may be closed",
}
"""What the two conventions of marginals mean, for captions."""

INK, FAINT = "#222222", "#B8B8B8"

_FORMATS = ("png", "svg", "pdf")
_LETTERS_NAMED = 20

STYLE: Any = {"svg.hashsalt": "stzoo", "font.family": FAMILY}


class FontWarning(UserWarning):
    """Letters of a figure that no font of this machine has."""


@contextmanager
def blank(
    width_inches: float, height_inches: float, layout: Literal["constrained"] | None = None, *, parse_math: bool = True
) -> Iterator[Figure]:
    """An empty figure, to be drawn on in stzoo's style. Raises `MissingPackageError` where matplotlib is not there."""
    require("matplotlib")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE | {"text.parse_math": parse_math}):
        yield Figure(figsize=(width_inches, height_inches), layout=layout)


def site_groups(sites: Iterable[str]) -> dict[str, list[str]]:
    """Sites in network order by the first part of their names: B1.L1 and B1.L2 belong to B1, a transition T1 to T1."""
    grouped: dict[str, list[str]] = {}
    for site in sites:
        grouped.setdefault(site.partition(".")[0], []).append(site)
    return grouped


def save_figure(figure: Figure, path: Path | str) -> None:
    """Writes a figure, the same bytes every time, in the format that the suffix of `path` says: PNG, SVG or PDF.

    Raises `UsageError` for another suffix. Warns `FontWarning`, once, of letters that no font of this machine has.
    """
    form = figure_format(path)
    metadata = {"Date": None} if form == "svg" else {}
    missing = _use_fonts(figure)
    if missing:
        warnings.warn(
            f'no font of this machine has the letters "{missing[:_LETTERS_NAMED]}" of {path}, which shows boxes in '
            "their place; install one, such as Noto, and draw it again.",
            FontWarning,
            stacklevel=3,
        )
    with replacing(path) as temporary, quietly():
        figure.savefig(temporary, format=form, dpi=200, bbox_inches="tight", pad_inches=0.12, metadata=metadata)


def _use_fonts(figure: Figure) -> str:
    """Gives every text of a figure the fonts that it takes; returns the letters that there are none for."""
    from matplotlib.text import Text

    missing = set()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        fonts = fonts_for(text.get_text())
        if len(fonts.families) > 1:
            text.set_fontfamily(fonts.families)
        missing |= set(fonts.missing)
    return "".join(sorted(missing))


def figure_format(path: Path | str) -> str:
    """What the suffix of a figure's path says: png, svg or pdf. Raises `UsageError` for another suffix."""
    form = Path(path).suffix.lower().lstrip(".")
    if form not in _FORMATS:
        raise UsageError(f'{path} has the suffix ".{form}"; figures are written as {", ".join(_FORMATS)}')
    return form


def bare(axes: Axes) -> None:
    """Takes frame and ticks away, and leaves the labels of the ticks."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=INK)
