"""Figures of measurements: confusion matrix, reliability diagram, scores over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from stzoo.figures.style import COLOURS, FAINT, INK, bare, blank, save_figure
from stzoo.metrics import Calibration, Estimate, RiskCoverage
from stzoo.prediction.timeline import Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MATTERS = 0.1  # a class that is best in no window is drawn where its score reaches this
_LINES = 6  # classes of a timeline that are drawn, as many as there are colours
_MARKED = 60  # windows up to which each is a dot
_BOTH = 12  # classes up to which a share stands below each number
_LABELLED, _NUMBERED = 60, 20  # classes up to which every label, and every share, is written


def confusion_figure(
    matrix: Int64[np.ndarray, "classes classes"], labels: Sequence[str], path: Path | str, title: str
) -> None:
    """Draws videos by right class (row) and answer (column): how many there are, on a shade for their share of the row.

    Where there are many classes, labels and numbers are left out. The suffix of `path` decides between PNG, SVG and
    PDF.

    Raises `UsageError` for another suffix.
    """
    classes = len(labels)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(14.0, max(3.5, 1.5 + (0.32 if classes <= _NUMBERED else 0.16) * classes))
    with blank(side, side) as figure:
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        if classes <= _LABELLED:
            size = 8 if classes <= _NUMBERED else 6
            names = [label if len(label) <= 30 else f"{label[:29]}…" for label in labels]
            axes.set_xticks(range(classes), names, rotation=90, fontsize=size)
            axes.set_yticks(range(classes), names, fontsize=size)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        if classes <= _NUMBERED:
            for row, column in np.argwhere(matrix > 0).tolist():
                share = shares[row, column]
                colour = "white" if share > 0.5 else INK
                written = f"{matrix[row, column]:,}"
                if classes <= _BOTH:
                    written += f"\n{100 * share:.0f} %"
                axes.text(column, row, written, ha="center", va="center", fontsize=6.5, color=colour)
        axes.set_xlabel("answer", fontsize=9, color=INK)
        axes.set_ylabel("right class", fontsize=9, color=INK)
        numbers = "videos, and " if classes <= _BOTH else "videos, on a shade for " if classes <= _NUMBERED else ""
        axes.set_title(f"{title}\n{numbers}their share of the row", loc="left", fontsize=9, color=INK)
        bare(axes)
        save_figure(figure, path)


def frontier_figure(
    lines: Mapping[str, Sequence[tuple[int, Estimate]]],
    named: Mapping[str, tuple[int, Estimate]],
    path: Path | str,
    title: str,
    cost: str,
) -> None:
    """Draws accuracy with its 95 % interval against the cost in millions: a line for each kind of net, and named dots.

    The first of the `lines` stands out. The suffix of `path` decides between PNG, SVG and PDF; `UsageError` for another
    one.
    """
    colours = [COLOURS[unit] for unit in ("S+ST", "T", "S", "ST", "S+T", "S+T+ST")]
    with blank(6.4, 4.4, layout="constrained") as figure:
        axes = figure.add_subplot()
        for place, (name, points) in enumerate(lines.items()):
            costs = [amount / 1e6 for amount, _ in sorted(points, key=lambda point: point[0])]
            _interval(
                axes,
                costs,
                [accuracy for _, accuracy in sorted(points, key=lambda point: point[0])],
                fmt="-o" if place == 0 else ":o",
                lw=2.0 if place == 0 else 1.1,
                color=colours[place % len(colours)],
                label=name,
                zorder=4 if place == 0 else 3,
            )
        for name, (amount, accuracy) in named.items():
            _interval(axes, [amount / 1e6], [accuracy], fmt="D", lw=0.8, color=INK, zorder=2)
            dot = (amount / 1e6, 100 * accuracy.value)
            paper = {"boxstyle": "square,pad=0", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
            axes.annotate(name, dot, (4, -9), textcoords="offset points", fontsize=7, zorder=5, bbox=paper)
        axes.set_xlabel(cost, fontsize=9, color=INK)
        axes.set_ylabel("accuracy in % (95 % interval)", fontsize=9, color=INK)
        axes.set_title(title, loc="left", fontsize=9, color=INK)
        axes.grid(color="#E6E6E6", linewidth=0.7, zorder=0)
        axes.tick_params(labelsize=8)
        figure.legend(loc="outside lower center", ncols=3, fontsize=7.5, frameon=False)
        bare(axes)
        save_figure(figure, path)


def _interval(axes: Axes, costs: Sequence[float], accuracies: Sequence[Estimate], **style: Any) -> None:
    below = [100 * (accuracy.value - accuracy.low) for accuracy in accuracies]
    above = [100 * (accuracy.high - accuracy.value) for accuracy in accuracies]
    values = [100 * accuracy.value for accuracy in accuracies]
    axes.errorbar(costs, values, yerr=(below, above), ms=4, elinewidth=0.8, **style)


def reliability_figure(calibration: Calibration, path: Path | str, title: str) -> None:
    """Draws how often answers are right against the confidence they are given with, above how many there are.

    A bar is a range of confidence. Its dot stands at the mean confidence of its videos: on the dashed line answers are
    right as often as their scores say, below it they are too sure.

    The suffix of `path` decides between PNG, SVG and PDF; `UsageError` for another one.

    Reference: Fig. 1, Guo et al. 2017, "On calibration of modern neural networks".
    """
    bins = len(calibration.videos)
    centres = (np.arange(bins) + 0.5) / bins
    some = calibration.videos > 0
    with blank(4.2, 4.8) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        above.bar(centres[some], calibration.accuracy[some], width=0.92 / bins, color=COLOURS["S"], zorder=2)
        above.plot(
            calibration.confidence[some],
            calibration.accuracy[some],
            "o",
            ms=4,
            color=COLOURS["ST"],
            mew=0,
            zorder=4,
            label="mean confidence in a bar",
            clip_on=False,
        )
        above.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--", zorder=3, label="right as often as that")
        above.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, fontsize=7.5, frameon=False, handlelength=1.6
        )
        error = calibration.error
        above.set_title(
            f"{title}\nexpected calibration error {100 * error.value:.1f} % "
            f"({100 * error.low:.1f} to {100 * error.high:.1f} %), n = {error.n}",
            loc="left",
            fontsize=9,
            color=INK,
        )
        above.set_ylabel("share of right answers", fontsize=9, color=INK)
        above.set_ylim(0, 1)
        below.bar(centres, calibration.videos, width=0.92 / bins, color=FAINT)
        below.set_ylabel("videos", fontsize=9, color=INK)
        below.set_xlabel("confidence: the best class's score", fontsize=9, color=INK)
        below.set_xlim(0, 1)
        for axes in (above, below):
            axes.grid(axis="y", color="#E6E6E6", linewidth=0.7, zorder=0)
            axes.tick_params(labelsize=8)
            bare(axes)
        save_figure(figure, path)


def risk_figure(curve: RiskCoverage, path: Path | str, title: str) -> None:
    """Draws how often answers are wrong against the share of videos that is answered, the surest first.

    The suffix of `path` decides between PNG, SVG and PDF; `UsageError` for another one.
    """
    with blank(4.2, 3.2) as figure:
        axes = figure.subplots()
        axes.plot(curve.coverage, curve.risk, color=COLOURS["S"], drawstyle="steps-post")
        axes.set_title(f"{title}\narea {curve.area:.4f}, n = {curve.n}", loc="left", fontsize=9, color=INK)
        axes.set_xlabel("share of videos that is answered", fontsize=9, color=INK)
        axes.set_ylabel("share of wrong answers", fontsize=9, color=INK)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(0.05, 1.1 * float(curve.risk.max())))
        bare(axes)
        save_figure(figure, path)


def timeline_figure(timeline: Timeline, path: Path | str, title: str) -> None:
    """Draws the scores of a video's windows at their middles: the classes that are best most often, up to six.

    A class that is best nowhere is left out unless its score reaches a tenth.

    A strip below shows when which of them is best; grey where it is another class. The suffix of `path` decides
    between PNG, SVG and PDF; `UsageError` for another one.
    """
    middles = timeline.spans_seconds.mean(axis=1)
    best = np.bincount(timeline.scores.argmax(axis=1), minlength=len(timeline.labels))
    ranked = sorted(range(len(best)), key=lambda row: (-best[row], -timeline.scores[:, row].max()))[:_LINES]
    shown = [row for row in ranked if best[row] or timeline.scores[:, row].max() >= _MATTERS]
    palette = list(COLOURS.values())
    colours = {timeline.labels[row]: palette[place] for place, row in enumerate(shown)}
    with blank(8.0, 3.4, parse_math=False) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(9, 1))
        for row in shown:
            label = timeline.labels[row]
            marker = "o" if len(middles) <= _MARKED else ""
            above.plot(middles, timeline.scores[:, row], marker=marker, ms=3, lw=1.4, color=colours[label], label=label)
        for caption in timeline.captions():
            length = caption.end_seconds - caption.start_seconds
            below.barh(0, length, left=caption.start_seconds, height=1, color=colours.get(caption.label, FAINT))
        above.set_title(title, loc="left", fontsize=9, color=INK)
        above.set_ylabel("score", fontsize=9, color=INK)
        above.set_ylim(0, 1.02)
        above.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
        below.set_yticks([0], ["best"])
        below.margins(x=0)
        below.set_xlabel("seconds", fontsize=9, color=INK)
        above.grid(axis="y", color="#E6E6E6", linewidth=0.7)
        for axes in (above, below):
            axes.tick_params(labelsize=8)
            bare(axes)
        save_figure(figure, path)
