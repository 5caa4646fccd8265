"""`stzoo list` and `stzoo show`: what the zoo has, and what one model is.

torch is imported only for the sites of a backbone, which `show --strategy` asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import rich_click as click

from stzoo.card import Bundled, Card
from stzoo.cli.drawing import (
    UNKNOWN,
    accuracy,
    megabytes,
    pairs,
    plain_table,
    print_parts,
    results_table,
    site_table,
)
from stzoo.errors import HubError, ModelNotFoundError
from stzoo.strategies import FORMS, named

if TYPE_CHECKING:
    from stzoo.bundle import Bundle
    from stzoo.posterior import Convention, Posterior
    from stzoo.strategy import Strategy

_PUBLISHED = "published:"

_format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, json for programs.",
)


@dataclass(frozen=True)
class Row:
    """A line of the list. What is unknown because nobody has trained the model is None."""

    name: str
    title: str
    dataset: str
    task: str
    backbone: str
    strategy: str
    parameters: int | None
    multiply_adds: int | None
    bytes: int | None
    metrics: list[dict[str, Any]]
    weights: str


@dataclass(frozen=True)
class _Opened:
    """A bundle, the parameters of its net and the bytes of its weights file."""

    bundle: Bundle
    parameters: int
    bytes: int

    @classmethod
    def of(cls, folder: Path) -> _Opened:
        from stzoo import bundle as bundles

        parameters = bundles.parameter_count(bundles.weight_shapes(folder))
        return cls(bundles.read(folder), parameters, (folder / "model.safetensors").stat().st_size)


@click.command("list")
@click.argument("pattern", default="*")
@_format_option
def list_models_command(pattern: str, format_: str) -> None:
    """List the models of the zoo, or those whose name matches PATTERN, such as 'camera-*'.

    The accuracy is the one on the split farthest from the training data, with its 95 % interval.
    """
    from stzoo import card as cards
    from stzoo.hub import list_models

    names = list_models(pattern)
    if not names:
        raise ModelNotFoundError(f'no model matches "{pattern}"; `stzoo list` shows every model.')
    models = [(cards.named(name), _opened(name)) for name in names]
    if format_ == "json":
        click.echo(json.dumps([asdict(_row(*model)) for model in models], indent=2, ensure_ascii=False))
    else:
        print_parts(*_listing(models))


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--strategy", help=f"Draw this strategy of the backbone MODEL: {FORMS}, or a file.")
@click.option(
    "--convention",
    type=click.Choice(["paper", "linear"]),
    default="paper",
    show_default=True,
    help="paper keeps a branch with 1 - sqrt(drop), as the paper's figures do; linear with 1 - drop, as sampling does.",
)
@_format_option
def show(model: str, strategy: str | None, convention: str, format_: str) -> None:
    """Show one model: its strategy and marginals site by site, its input, labels and numbers.

    MODEL is a name from `stzoo list`, the folder of a bundle or a run, ORG/NAME of the Hub, or published:sthv1 and the
    like for what the paper publishes. With --strategy it is a backbone, such as densenet121.
    """
    if strategy is not None:
        from stzoo.nets import Architecture

        drawn = named(strategy, model, Architecture(model, classes=1, options={}).sites)
        shown = _Shown(strategy, {"backbone": model}, drawn, None, None, None)
    elif model.startswith(_PUBLISHED):
        from stzoo.published import published

        panel = published(model.removeprefix(_PUBLISHED))
        facts = {"backbone": panel.strategy.backbone, "source": panel.source}
        shown = _Shown(model, facts, panel.strategy, panel.posterior, None, None)
    else:
        from stzoo.hub import find

        found = find(model)
        opened = _Opened.of(found.folder)
        bundle, row = opened.bundle, _row(found.card, opened)
        shown = _Shown(bundle.name, _facts(row, str(found.folder)), bundle.strategy, bundle.posterior, bundle, row)
    chosen = cast("Convention", convention)
    if format_ == "json":
        click.echo(json.dumps(shown.to_json(chosen), indent=2, ensure_ascii=False))
    else:
        print_parts(*shown.parts(chosen))


@dataclass(frozen=True)
class _Shown:
    """Everything that `show` prints of a model."""

    name: str
    facts: Mapping[str, str]
    strategy: Strategy
    posterior: Posterior | None
    bundle: Bundle | None
    row: Row | None

    def to_json(self, convention: Convention) -> dict[str, Any]:
        value: dict[str, Any] = {"name": self.name, "strategy": self.strategy.to_json(), "digest": self.strategy.digest}
        if self.posterior is not None:
            value |= {"convention": convention, "marginals": self.posterior.marginals(convention)}
        if self.bundle is not None and self.row is not None:
            value |= {"input": self.bundle.contract.model_dump(mode="json"), "labels": list(self.bundle.labels)}
            value |= {"provenance": self.bundle.config.provenance, "model": asdict(self.row)}
        else:
            value |= dict(self.facts)
        return value

    def parts(self, convention: Convention) -> list[Any]:
        from rich.text import Text

        parts: list[Any] = [Text(self.name, style="bold")]
        if self.bundle is not None:
            labels = ", ".join(self.bundle.labels[:30])
            more = f" and {len(self.bundle.labels) - 30} more" if len(self.bundle.labels) > 30 else ""
            about = {"input": self.bundle.contract.text, f"{len(self.bundle.labels)} labels": labels + more}
            parts += [pairs(self.facts, about, self.bundle.config.provenance)]
            parts += [results_table(self.bundle.metrics)] if self.bundle.metrics else []
        else:
            parts += [pairs(self.facts)]
        return [*parts, *site_table(self.strategy, self.posterior, convention)]


def _opened(name: str) -> _Opened | None:
    """The bundle behind a name of the zoo, or None where it has no weights here; the Hub is not asked."""
    from stzoo.hub import find

    try:
        folder = find(name, offline=True).folder
    except (ModelNotFoundError, HubError):
        return None
    return _Opened.of(folder)


def _row(card: Card | None, opened: _Opened | None) -> Row:
    bundle = opened.bundle if opened else None
    label = "/".join(bundle.strategy.counts()) if bundle is not None else UNKNOWN
    return Row(
        name=card.name if card else bundle.name if bundle else UNKNOWN,
        title=card.title if card else "",
        dataset=card.dataset if card else "",
        task=card.task if card else "",
        backbone=card.backbone if card else bundle.strategy.backbone if bundle else UNKNOWN,
        strategy=card.strategy if card else label,
        parameters=opened.parameters if opened else None,
        multiply_adds=bundle.config.multiply_adds if bundle else None,
        bytes=opened.bytes if opened else None,
        metrics=[result.model_dump(mode="json", exclude_none=True) for result in bundle.metrics] if bundle else [],
        weights=_where(card, bundle is not None),
    )


def _listing(models: Iterable[tuple[Card, _Opened | None]]) -> list[Any]:
    """The table, and the protocols that its accuracies were measured with."""
    from rich.text import Text

    table = plain_table(
        "name", "task", "backbone", "strategy", "parameters:right", "accuracy:right", "on", "size:right", "weights"
    )
    protocols: list[str] = []
    for card, opened in models:
        row = _row(card, opened)
        headline = opened.bundle.headline if opened else None
        if headline is not None and headline.protocol not in protocols:
            protocols.append(headline.protocol)
        table.add_row(
            Text(row.name, style="bold"),
            row.task,
            row.backbone,
            row.strategy,
            f"{row.parameters:,}" if row.parameters is not None else UNKNOWN,
            accuracy(headline),
            f"{headline.split}, n = {headline.n}" if headline else UNKNOWN,
            megabytes(row.bytes),
            row.weights,
        )
    return [table, *(Text(f"Measured: {protocol}.", style="dim") for protocol in protocols)]


def _facts(row: Row, folder: str) -> dict[str, str]:
    facts = {"title": row.title, "dataset": row.dataset, "task": row.task, "backbone": row.backbone}
    facts["parameters"] = f"{row.parameters:,}"
    if row.multiply_adds is not None:
        facts["multiply-adds"] = f"{row.multiply_adds:,} a clip"
    facts |= {"size": f"{megabytes(row.bytes)}, {row.weights}", "folder": folder}
    return {key: value for key, value in facts.items() if value}


def _where(card: Card | None, found: bool) -> str:
    if card is None:
        return "in its folder"
    return card.where if found or not isinstance(card.weights, Bundled) else "missing from this installation"
