"""`stzoo show`: what one model is. torch is imported for the sites of a backbone alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from stzoo.card import Card, NetDescription
from stzoo.cli.drawing import megabytes, pairs, print_parts, results_table, site_table
from stzoo.cli.list_models import ModelLine, Opened
from stzoo.cli.options import format_option
from stzoo.cli.rendering import refuse_figure, say_written
from stzoo.cli.strategy_names import PUBLISHED, bound_strategy, branch_options, by_name, naming_branches
from stzoo.cli.torchvision import show_net
from stzoo.errors import ModelNotFoundError, UsageError, listed
from stzoo.strategies.names import FORMS
from stzoo.zoo import torchvision

if TYPE_CHECKING:
    from stzoo.bundle import Bundle
    from stzoo.strategies.posterior import Convention, Posterior
    from stzoo.strategies.strategy import Strategy


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--strategy", help=f"Draw this strategy of MODEL's backbone: {FORMS}, or a file.")
@click.option(
    "--branches", help="With --strategy: S,ST or S,T,ST, what a site can open.  [default: the model's, or S,ST]"
)
@click.option(
    "--convention",
    type=click.Choice(["linear", "paper"]),
    help="linear keeps a branch with 1 - drop, as sampling does; paper with 1 - sqrt(drop), as the paper's figures do. "
    " [default: linear; paper for what the paper publishes]",
)
@click.option(
    "--figure",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw strategy and marginals: png, svg or pdf.",
)
@format_option
def show(
    model: str,
    strategy: str | None,
    branches: str | None,
    convention: Convention | None,
    figure: Path | None,
    format_: str,
) -> None:
    """Show one model: its strategy and marginals site by site, its input, labels and numbers.

    MODEL is a name from `stzoo list`, the folder of a bundle or a run, ORG/NAME of the Hub, torchvision:NAME, or
    published:sthv1 and the like for what the paper publishes. With --strategy it may also be a backbone, such as
    densenet121.
    """
    if strategy is None and branches is not None:
        raise UsageError("--branches says which units a --strategy can have; give both of them")
    if figure is not None:
        refuse_figure(figure)
    if (foreign := torchvision.named(model)) is not None:
        if strategy is not None or figure is not None:
            foreign.config.strategy.require_sites()
        show_net(foreign, format_)
        return
    shown = _shown(model) if strategy is None else _of_backbone(model, strategy, branches)
    if convention is not None:
        shown = replace(shown, convention=convention)
    if format_ == "json":
        click.echo(json.dumps(shown.to_json(), indent=2, ensure_ascii=False))
    else:
        print_parts(*shown.parts())
    if figure is not None:
        shown.strategy.require_sites()
        shown.draw(figure)


@dataclass(frozen=True)
class _Shown:
    """Everything that `show` prints of a model. `remark` is a sentence at the end."""

    name: str
    facts: Mapping[str, str]
    strategy: Strategy
    posterior: Posterior | None = None
    convention: Convention = "linear"
    bundle: Bundle | None = None
    line: ModelLine | None = None
    net: NetDescription | None = None
    remark: str | None = None

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"name": self.name, "strategy": self.strategy.to_json(), "digest": self.strategy.digest}
        if self.posterior is not None:
            marginals = self.posterior.marginals(self.convention, none=self.convention == "linear")
            value |= {"convention": self.convention, "marginals": marginals}
        if self.bundle is not None:
            value |= {"input": self.bundle.contract.model_dump(mode="json"), "labels": list(self.bundle.labels)}
            value |= {"provenance": self.bundle.config.provenance}
            if self.bundle.effects is not None:
                value |= {"effects": self.bundle.effects.model_dump(mode="json")}
        elif self.net is not None:
            value |= {"input": self.net.input.model_dump(mode="json"), "classes": self.net.classes}
        return value | (dict(self.facts) if self.line is None else {"model": asdict(self.line)})

    def parts(self) -> list[Any]:
        from rich.text import Text

        parts: list[Any] = [Text(self.name, style="bold")]
        if self.bundle is not None:
            labels = self.bundle.labels
            about = {"input": self.bundle.contract.text, f"{len(labels)} labels": listed(labels, most=30)}
            parts += [pairs(self.facts, about, self.bundle.config.making)]
            parts += [results_table(self.bundle.metrics)] if self.bundle.metrics else []
        else:
            parts += [pairs(self.facts)]
        remark = [Text(self.remark)] if self.remark is not None else []
        effects = None if self.bundle is None else self.bundle.effects
        sites = site_table(self.strategy, self.posterior, self.convention, effects) if self.strategy.units else []
        return [*parts, *sites, *remark]

    def draw(self, figure: Path) -> None:
        """Draws the strategy, with the marginals where there are any, and says so."""
        from stzoo.figures.strategies import marginals_figure, strategy_figure

        if self.posterior is None:
            strategy_figure(self.strategy, figure, self.name)
        else:
            marginals_figure(self.posterior, self.strategy, figure, self.name, self.convention)
        say_written(figure)


def _of_backbone(model: str, strategy: str, branches: str | None) -> _Shown:
    known = bound_strategy(model)
    backbone = model if known is None else known.strategy.backbone
    options = {} if known is None else dict(known.options)
    if branches is not None:
        options = {name: value for name, value in options.items() if name != "branches"} | branch_options(branches)
    with naming_branches(strategy, options):
        named = by_name(strategy, backbone, options, None if known is None else known.posterior)
        return _Shown(strategy, {"backbone": backbone}, named)


def _shown(model: str) -> _Shown:
    from stzoo import card as cards
    from stzoo.zoo.reference import find

    if model.startswith(PUBLISHED):
        from stzoo.strategies.published import published

        panel = published(model.removeprefix(PUBLISHED))
        facts = {"backbone": panel.strategy.backbone, "source": panel.source}
        return _Shown(model, facts, panel.strategy, panel.posterior, "paper")
    try:
        location = find(model)
    except ModelNotFoundError as error:
        card = cards.named(model) if model in cards.names() else None
        if card is None:
            _refuse_backbone(model)
        if card is None or card.net is None:
            raise
        return _untrained(card, card.net, str(error))
    opened = Opened.at(location)
    bundle, line = opened.bundle, ModelLine.of(location.card, opened)
    about = {"backbone": opened.bundle.config.backbone.text, "folder": str(location.folder)}
    facts = _facts(line, location.card) | about
    return _Shown(bundle.name, facts, bundle.strategy, bundle.posterior, bundle=bundle, line=line)


def _refuse_backbone(name: str) -> None:
    from stzoo.runtimes import is_there

    if not is_there("torch"):
        return
    from stzoo.nets import BACKBONES
    from stzoo.nets.timm_library import is_timm, timm_name

    if name in BACKBONES or (is_timm(name) and timm_name(name)):
        raise ModelNotFoundError(f'"{name}" is a backbone and no model; show a strategy of it with --strategy sst')


def _untrained(card: Card, net: NetDescription, remark: str) -> _Shown:
    """A name that nobody has trained: its net, and the posterior that the paper publishes for it."""
    line = ModelLine.of(card, None)
    facts = _facts(line, card) | {"classes": str(net.classes), "input": net.input.text}
    strategy, posterior = by_name(net.strategy, card.backbone, net.options), None
    if net.strategy.startswith(PUBLISHED):
        from stzoo.strategies.published import published

        posterior = published(net.strategy.removeprefix(PUBLISHED)).posterior
    return _Shown(card.name, facts, strategy, posterior, "paper", line=line, net=net, remark=remark)


def _facts(line: ModelLine, card: Card | None) -> dict[str, str]:
    facts = {"title": line.title, "dataset": line.dataset, "task": line.task, "backbone": line.backbone}
    if line.parameters is not None:
        facts["parameters"] = f"{line.parameters:,}"
    if line.multiply_adds is not None:
        facts["multiply-adds"] = f"{line.multiply_adds:,} a clip"
    facts |= (
        {"size": f"{megabytes(line.bytes)}, {line.weights}"} if line.bytes is not None else {"weights": line.weights}
    )
    if card is not None and card.paper:
        facts["the paper says"] = "\n".join(quoted.text for quoted in card.paper)
    return {key: value for key, value in facts.items() if value}
