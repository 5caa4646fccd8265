"""`stzoo diff`: where two strategies differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.cli.drawing import difference_table, print_parts
from stzoo.cli.options import format_option
from stzoo.cli.strategy_names import pair
from stzoo.errors import StrategyError

if TYPE_CHECKING:
    from stzoo.strategies.strategy import Strategy


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@format_option
def diff(first: str, second: str, format_: str) -> None:
    """Show where the strategies of A and B differ, site by site.

    A and B are names from `stzoo list`, folders of bundles or runs, ORG/NAME of the Hub, files of strategies,
    published:sthv1 and the like. One of them may be the name of a strategy for the other's backbone, such as sst.
    """
    strategies = pair(first, second)
    one, other = strategies
    if one.backbone != other.backbone:
        raise StrategyError(
            f"{first} is for {one.backbone} and {second} for {other.backbone}; only strategies of one backbone "
            "can be compared site by site"
        )
    if one.units.keys() != other.units.keys():
        raise StrategyError(
            f"{first} has {len(one.units)} sites and {second} {len(other.units)}, and not the same ones, though both "
            f"are for {one.backbone}; compare strategies with the same sites"
        )
    sites = {site: (unit, other.units[site]) for site, unit in one.units.items() if unit != other.units[site]}
    if format_ == "json":
        sides = [_side(name, strategy) for name, strategy in zip((first, second), strategies, strict=True)]
        value = {"a": sides[0], "b": sides[1], "sites": len(one.units), "differing": sites}
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        print_parts(*_parts(first, second, one, sites))


def _side(name: str, strategy: Strategy) -> dict[str, Any]:
    return {"name": name, "backbone": strategy.backbone, "digest": strategy.digest, "counts": strategy.counts()}


def _parts(first: str, second: str, one: Strategy, sites: dict[str, tuple[str, str]]) -> list[Any]:
    from rich.text import Text

    total = len(one.units)
    if not sites:
        return [Text(f"{first} and {second} have the same unit at all {total} sites of {one.backbone}.")]
    changes = Counter(sites.values()).most_common()
    listed = ", ".join(f"{before} → {after} at {count}" for (before, after), count in changes)
    summary = f"They differ at {len(sites)} of {total} sites of {one.backbone}: {listed}."
    return [difference_table(first, second, sites), Text(summary)]
