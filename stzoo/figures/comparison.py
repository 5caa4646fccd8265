"""Posteriors and effects of several runs as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stzoo.figures.style import COLOURS, FAINT, INK, bare, blank, figure_format, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = Mapping[tuple[str, str], float]
"""By site and branch."""

_MARKERS = ("o", "s", "^", "D")


def comparison_figure(
    logits: Mapping[str, Sequence[Values]],
    effects: Mapping[str, Sequence[Values]] | None,
    path: Path | str,
    title: str,
) -> None:
    """Draws every run's logits of drop rates above and, where they are known, the effects of its branches below.

    By group: a colour for each, a mark for each branch, a dash at the group's mean. The suffix of `path` decides
    between PNG, SVG and PDF; `UsageError` for another one.
    """
    figure_format(path)
    branches = list(next(iter(logits.values()))[0])
    sites = list(dict.fromkeys(site for site, _ in branches))
    marks = dict(zip(dict.fromkeys(branch for _, branch in branches), _MARKERS, strict=False))
    colours = dict(zip(logits, list(COLOURS.values()) * len(logits), strict=False))
    rows = 1 if effects is None else 2
    width = min(18.0, max(6.5, 1.5 + 0.45 * len(sites)))
    with blank(width, 2.6 * rows + 1.0, "constrained") as figure:
        from matplotlib.lines import Line2D

        panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        _draw(panels[0], logits, sites, marks, colours)
        panels[0].set_ylabel("logit of the drop rate\n(below 0: rather open)", fontsize=9, color=INK)
        panels[0].set_title(title, loc="left", fontsize=10, color=INK)
        if effects is not None:
            _draw(panels[1], effects, sites, marks, colours)
            panels[1].set_ylabel("cost of closing it, nats", fontsize=9, color=INK)
        panels[-1].set_xticks(range(len(sites)), sites, rotation=90, fontsize=7)
        handles = [Line2D([], [], ls="", marker="o", color=colour, label=group) for group, colour in colours.items()]
        handles += [
            Line2D([], [], ls="", marker=mark, color=INK, mfc="none", label=branch) for branch, mark in marks.items()
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=8
        )
        save_figure(figure, path)


def _draw(
    axes: Axes,
    groups: Mapping[str, Sequence[Values]],
    sites: Sequence[str],
    marks: Mapping[str, str],
    colours: Mapping[str, str],
) -> None:
    columns = [(group, branch) for group in groups for branch in marks]
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
    for place, (group, branch) in enumerate(columns):
        x = [number + 0.8 * ((place + 0.5) / len(columns) - 0.5) for number in range(len(sites))]
        of_runs = [[run.get((site, branch), float("nan")) for site in sites] for run in groups[group]]
        for values in of_runs:
            axes.plot(x, values, marks[branch], ms=3.2, mew=0.7, mfc="none", color=colours[group], zorder=3)
        means = [sum(values) / len(values) for values in zip(*of_runs, strict=True)]
        axes.plot(x, means, "_", ms=9, mew=1.6, color=colours[group], zorder=2)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.7, zorder=0)
    bare(axes)
