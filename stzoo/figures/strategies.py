"""Figures of posteriors and strategies, site by site."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stzoo.errors import StrategyError, UsageError
from stzoo.figures.style import COLOURS, FAINT, FORMULAS, INK, bare, blank, figure_format, save_figure, site_groups
from stzoo.metrics import Mean
from stzoo.strategies.posterior import Convention, Posterior
from stzoo.strategies.strategy import BRANCHES, Strategy, open_branches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_OTHER_COLOUR = "#CC79A7"
_GROUP_GAP, _BARS_WIDTH = 0.9, 0.84
_PANEL_INCHES, _GAP_INCHES = 2.7, 0.95
_LETTERS_AN_INCH = 15  # of the line below a figure


def marginals_figure(
    posterior: Posterior, strategy: Strategy | None, path: Path | str, title: str, convention: Convention = "linear"
) -> None:
    """Draws P(unit) as bars, site by site in network order, and under each site which branches the strategy opens.

    In the convention `linear`, which is what is sampled, P(none) has a bar too; `paper` draws what the paper's figures
    show. A line below says which it is. The suffix of `path` decides between PNG, SVG and PDF.

    Raises `UsageError` for another suffix, `StrategyError` when the strategy has other sites than the posterior.

    Reference: Fig. 4, Zhou et al. 2020.
    """
    posteriors_side_by_side([(title, posterior, strategy)], path, convention)


def strategy_figure(strategy: Strategy, path: Path | str, title: str) -> None:
    """Draws which branches a strategy opens, site by site in network order, where no posterior tells more.

    The suffix of `path` decides between PNG, SVG and PDF. Raises `UsageError` for another suffix.
    """
    figure_format(path)
    panel = _Panel.of(title, None, strategy, "linear")
    lanes_inches = 0.22 * len(panel.branches)
    height = lanes_inches + 1.1
    with blank(panel.width_inches, height) as figure:
        axes = figure.add_axes((0.08, 0.82 / height, 0.9, lanes_inches / height))
        axes.set_title(title, loc="left", fontsize=11, color=INK, pad=8, fontweight="bold")
        panel.draw_lanes(axes)
        _draw_legend(figure, panel.units, height)
        save_figure(figure, path)


def posteriors_side_by_side(
    panels: Sequence[tuple[str, Posterior, Strategy | None]], path: Path | str, convention: Convention = "linear"
) -> None:
    """Draws several posteriors as `marginals_figure` does, one below the other: equal sites stand in a column."""
    figure_format(path)
    if not panels:
        raise UsageError(f"{path} would show nothing; give at least one posterior")
    drawn = [_Panel.of(*panel, convention) for panel in panels]
    width = max(panel.width_inches for panel in drawn)
    height = len(drawn) * (_PANEL_INCHES + _GAP_INCHES)
    with blank(width, height) as figure:
        outer = figure.add_gridspec(
            len(drawn), 1, bottom=_GAP_INCHES / height, top=1.0, hspace=_GAP_INCHES / _PANEL_INCHES
        )
        for row, panel in enumerate(drawn):
            inner = outer[row].subgridspec(2, 1, height_ratios=(1, 0.11 * len(panel.branches)), hspace=0.04)
            bars = figure.add_subplot(inner[0])
            lanes = figure.add_subplot(inner[1], sharex=bars)
            panel.draw_bars(bars)
            panel.draw_lanes(lanes)
        _draw_legend(figure, list(dict.fromkeys(unit for panel in drawn for unit in panel.units)), height)
        caption = textwrap.fill(f"P(unit): {FORMULAS[convention]}", int(_LETTERS_AN_INCH * width))
        figure.text(0.5, 0.12 / height, caption, ha="center", va="top", fontsize=7.5, color="#666666")
        save_figure(figure, path)


def effects_figure(posterior: Posterior, losses: Mapping[tuple[str, str], Mean], path: Path | str, title: str) -> None:
    """Draws P(unit) above, as it is sampled, and below it what closing each branch (site, branch) costs in nats.

    Bars reach two standard errors to both sides. The suffix of `path` decides between PNG, SVG and PDF; `UsageError`
    for another one.
    """
    figure_format(path)
    panel = _Panel.of(title, posterior, None, "linear")
    branches = list(dict.fromkeys(branch for _, branch in losses))
    with blank(panel.width_inches, 5.0, layout="constrained") as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.4))
        panel.draw_bars(above)
        below.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
        for place, branch in enumerate(branches):
            shown = {site: mean for (site, name), mean in losses.items() if name == branch}
            offset = 0.3 * (place - (len(branches) - 1) / 2)
            below.errorbar(
                [panel.centres[site] + offset for site in shown],
                [mean.value for mean in shown.values()],
                yerr=[2 * mean.error for mean in shown.values()],
                fmt="o",
                ms=4,
                lw=1.2,
                color=_colour(branch),
                label=f"{branch} closed",
                zorder=3,
            )
        below.set_xlim(-0.5, panel.right + 0.5)
        below.set_xticks(list(panel.centres.values()), list(panel.centres), rotation=90, fontsize=7)
        below.set_ylabel("cost of closing it, nats\n(± 2 standard errors)", fontsize=9, color=INK)
        below.tick_params(axis="y", labelsize=8)
        below.grid(axis="y", color="#E6E6E6", linewidth=0.7, zorder=0)
        bare(below)
        handles = [*_unit_patches(panel.units), *below.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
        save_figure(figure, path)


@dataclass(frozen=True)
class _Panel:
    """A posterior, a strategy or both, laid out along x: every site takes one unit of length, groups are set apart."""

    title: str
    marginals: Mapping[str, Mapping[str, float]]
    strategy: Strategy | None
    centres: Mapping[str, float]
    branches: tuple[str, ...]

    @classmethod
    def of(cls, title: str, posterior: Posterior | None, strategy: Strategy | None, convention: Convention) -> _Panel:
        drop = posterior.drop if posterior is not None else {}
        if posterior is not None and strategy is not None and set(strategy.units) != set(drop):
            other = sorted(set(strategy.units) ^ set(drop))
            raise StrategyError(
                f"strategy and posterior differ in the site {other[0]}; draw a strategy with its own posterior"
            )
        centres: dict[str, float] = {}
        x = 0.0
        units = strategy.units if strategy is not None else {}
        for sites in site_groups(drop or units).values():
            for site in sites:
                centres[site] = x + 0.5
                x += 1.0
            x += _GROUP_GAP
        branches = [branch for drops in drop.values() for branch in drops]
        if not branches:
            branches = [*BRANCHES, *(branch for unit in units.values() for branch in open_branches(unit))]
        marginals = posterior.marginals(convention, none=convention == "linear") if posterior is not None else {}
        return cls(title, marginals, strategy, centres, tuple(dict.fromkeys(branches)))

    @property
    def right(self) -> float:
        return max(self.centres.values(), default=0.0) + 0.5

    @property
    def width_inches(self) -> float:
        return min(18.0, max(6.5, 1.2 + 0.26 * self.right))

    @property
    def units(self) -> tuple[str, ...]:
        if not self.marginals and self.strategy is not None:
            return tuple(self.strategy.counts())
        return tuple(dict.fromkeys(unit for values in self.marginals.values() for unit in values))

    def draw_bars(self, axes: Axes) -> None:
        step = _BARS_WIDTH / max(3, *(len(values) for values in self.marginals.values()))
        for site, values in self.marginals.items():
            for index, (unit, value) in enumerate(values.items()):
                x = self.centres[site] + step * (index - (len(values) - 1) / 2)
                axes.bar(x, value, width=0.92 * step, color=_colour(unit), linewidth=0, zorder=3)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.set_ylabel("P(unit)", fontsize=9, color=INK)
        axes.grid(axis="y", color="#E6E6E6", linewidth=0.7, zorder=0)
        axes.set_title(self.title, loc="left", fontsize=11, color=INK, pad=8, fontweight="bold")
        _strip(axes)

    def draw_lanes(self, axes: Axes) -> None:
        """One lane a branch: a full dot where the strategy opens it, a small ring where it does not."""
        for lane, branch in enumerate(reversed(self.branches)):
            for site, centre in self.centres.items():
                if self.marginals and branch not in "+".join(self.marginals[site]).split("+"):
                    continue
                unit = self.strategy.units[site] if self.strategy is not None else None
                if unit is not None and branch in open_branches(unit):
                    axes.plot(centre, lane, "o", ms=5.2, mew=0, color=_colour(unit), zorder=3)
                else:
                    axes.plot(centre, lane, "o", ms=2.6, mew=0.7, mec=FAINT, mfc="none", zorder=3)
        low, high = -0.6, len(self.branches) - 0.4
        axes.set_ylim(low, high)
        axes.set_yticks(range(len(self.branches)), list(reversed(self.branches)), fontsize=8)
        axes.set_xlim(-0.5, self.right + 0.5)
        small = len(self.centres) > 40
        axes.set_xticks(list(self.centres.values()), [_short(site) for site in self.centres])
        axes.tick_params(axis="x", labelsize=5.8 if small else 8, pad=1)
        for group, sites in site_groups(self.centres).items():
            left, right = self.centres[sites[0]] - 0.5, self.centres[sites[-1]] + 0.5
            axes.axvspan(left, right, color="#F4F4F4", linewidth=0, zorder=0)
            if sites != [group]:
                self._name_group(axes, group, left, right)
        _strip(axes)

    def _name_group(self, axes: Axes, group: str, left: float, right: float) -> None:
        name = f"block {group[1:]}" if group[:1] == "B" and group[1:].isdigit() else group
        across = axes.get_xaxis_transform()
        place: dict[str, Any] = {"xycoords": across, "annotation_clip": False}
        axes.annotate(
            "",
            (left, 0),
            (right, 0),
            textcoords=across,
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.8},
            **place,
        )
        axes.annotate(
            name,
            ((left + right) / 2, 0),
            (0, -17),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color=INK,
            **place,
        )


def _unit_patches(units: Iterable[str]) -> list[Any]:
    """What a legend shows for units."""
    from matplotlib.patches import Patch

    return [Patch(color=_colour(unit), label=unit) for unit in units]


def _draw_legend(figure: Figure, units: Iterable[str], height_inches: float) -> None:
    from matplotlib.lines import Line2D

    handles = _unit_patches(units)
    handles.append(Line2D([], [], marker="o", ls="", ms=5.2, mew=0, color=INK, label="open in the strategy"))
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.17 / height_inches),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        handlelength=1.0,
        handletextpad=0.5,
        columnspacing=1.2,
        borderaxespad=0,
    )


def _strip(axes: Axes) -> None:
    bare(axes)
    if axes.get_ylabel():
        axes.tick_params(labelbottom=False, labelsize=8)


def _colour(unit: str) -> str:
    return COLOURS.get(unit, _OTHER_COLOUR)


def _short(site: str) -> str:
    """What stands under a site: the layer's number in its block, a transition's name, nothing for a part of a layer."""
    group, *layer = site.split(".")
    return layer[0].removeprefix("L") if len(layer) == 1 else "" if layer else group
