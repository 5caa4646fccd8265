"""Tables and bars in the terminal: results, strategies with their marginals. rich is imported late."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stzoo.figures.style import COLOURS, FORMULAS, site_groups
from stzoo.terminal.cleaning import clean_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from stzoo.bundle import BranchEffects, Result
    from stzoo.strategies.posterior import Convention, Posterior
    from stzoo.strategies.strategy import Strategy

UNKNOWN = "–"
_SITES = (
    "A site is a place of the network where a branch S (over the picture), ST (over picture and time), T (over time) "
    "or several of them can be open; its unit says which are."
)
_BAR_CELLS, _SHORTER_BAR_CELLS, _SHORT_BAR_CELLS = 12, 8, 4
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_PIPE_WIDTH = 200


def bar(value: float, cells: int = _BAR_CELLS) -> str:
    """A bar of `cells` characters for 1, in steps of an eighth, and the value."""
    full, eighths = divmod(round(value * cells * 8), 8)
    return f"{('█' * full + _EIGHTHS[eighths]).ljust(cells)} {value:.2f}"


def megabytes(size: int | None) -> str:
    """`1.4 MB`, the one unit of a column, or a dash for None."""
    return f"{size / 1e6:.1f} MB" if size is not None else UNKNOWN


def millions(number: int | None) -> str:
    """`7.17 M`, or a dash for None."""
    return f"{number / 1e6:.2f} M" if number is not None else UNKNOWN


def billions(number: int | None) -> str:
    """`161.4 G`, three digits below ten as in `0.117 G`, or a dash for None."""
    if number is None:
        return UNKNOWN
    return f"{number / 1e9:.1f} G" if number >= 10**10 else f"{number / 1e9:.3f} G"


def accuracy(result: Result | None) -> str:
    """`97.3 (95.8–98.4)` in per cent, or a dash for None."""
    if result is None:
        return UNKNOWN
    value, interval = (text.removesuffix(" %") for text in (result.text, result.interval_text))
    return f"{value} ({interval.replace(' to ', '–')})" if interval else value


def results_table(results: Iterable[Result]) -> Table:
    """One line a result."""
    table = plain_table("split", "metric", "value:right", "95 % interval", "n:right", "protocol")
    for result in results:
        table.add_row(result.split, result.metric, result.text, result.interval_text, str(result.n), result.protocol)
    return table


def site_table(
    strategy: Strategy, posterior: Posterior | None, convention: Convention, effects: BranchEffects | None = None
) -> list[Any]:
    """The strategy's unit at every site beside bars of P(unit) and effects, groups set apart, and what they mean.

    In the convention `linear` P(none) has a column too.
    """
    from rich.text import Text

    marginals = posterior.marginals(convention, none=convention == "linear") if posterior is not None else {}
    units = list(dict.fromkeys(unit for values in marginals.values() for unit in values))
    cells = {4: _SHORTER_BAR_CELLS}.get(len(units), _BAR_CELLS if len(units) < 4 else _SHORT_BAR_CELLS)
    worth = {} if effects is None else {(effect.site, effect.branch): effect.text for effect in effects.branches}
    branches = list(dict.fromkeys(branch for _, branch in worth))
    table = plain_table("site", "unit", *(f"P({unit})" for unit in units), *(f"{name} closed" for name in branches))
    for sites in site_groups(strategy.units).values():
        for site in sites:
            unit, values = strategy.units[site], marginals.get(site, {})
            bars = [
                Text(bar(values[name], cells) if name in values else "", style=COLOURS.get(name, "")) for name in units
            ]
            costs = (worth.get((site, branch), "") for branch in branches)
            table.add_row(site, Text(unit, style=f"bold {COLOURS.get(unit, '')}"), *bars, *costs)
        table.add_section()
    counts = ", ".join(f"{unit} at {count}" for unit, count in strategy.counts().items())
    parts: list[Any] = [table, Text(f"{counts} of {len(strategy.units)} sites; digest {strategy.digest[:12]}.")]
    parts.append(Text(_SITES, style="dim"))
    if posterior is not None:
        parts.append(Text(f"P(unit): {FORMULAS[convention]}.", style="dim"))
    if effects is not None:
        parts.append(
            Text(
                "closed: by how many nats the template's cross-entropy rises when that branch alone is closed, on "
                f"{effects.videos} videos ({effects.data}).",
                style="dim",
            )
        )
    return parts


def difference_table(first: str, second: str, sites: Mapping[str, tuple[str, str]]) -> Table:
    """The two units of every site given, groups set apart."""
    from rich.text import Text

    table = plain_table("site", first, second)
    for names in site_groups(sites).values():
        for site in names:
            table.add_row(site, *(Text(unit, style=f"bold {COLOURS.get(unit, '')}") for unit in sites[site]))
        table.add_section()
    return table


def pairs(*facts: Mapping[str, str]) -> Table:
    """Names and values in two columns; no part can replace what another says."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for key, value in (pair for part in facts for pair in part.items()):
        grid.add_row(Text(key, style="dim"), Text(value))
    return grid


def plain_table(*columns: str) -> Table:
    """A table with plain rules; `name:right` aligns a column to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        name = column.removesuffix(":right")
        table.add_column(
            name, justify="left" if name == column else "right", no_wrap=name not in ("dataset", "protocol", "weights")
        )
    return table


def console() -> Console:
    """Writes to stdout what others have written: as wide as the terminal, or wide enough where there is none."""
    stdout = clean_console(sys.stdout)
    if not stdout.is_terminal:
        stdout.width = _PIPE_WIDTH
    return stdout


def fits(table: Table, output: Console) -> bool:
    """Whether the table is shown without folding a cell."""
    return output.measure(table, options=output.options.update(max_width=1000)).maximum <= output.width


def print_parts(*parts: Any, output: Console | None = None) -> None:
    """Prints one part below the other, on `console()` if no other output is given."""
    output = console() if output is None else output
    for part in parts:
        output.print(part)
