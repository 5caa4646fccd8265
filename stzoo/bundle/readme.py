"""Renders a bundle's README.md: a Hub model card whose every number comes from the bundle.

What it looks like stands in `card.md.jinja`. Every value that is put into it is escaped, so that a recipe's name or a
label cannot be a heading or a picture; the prose of a card file, which is Markdown, is not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import yaml

from stzoo.bundle.markdown import Markdown, code, text
from stzoo.bundle.metadata import front_matter
from stzoo.bundle.schema import Bundle
from stzoo.card import Bundled, Card
from stzoo.strategies.strategy import Strategy, open_branches
from stzoo.validation import parse_toml

if TYPE_CHECKING:
    from jinja2 import Template

_LAYOUT = "card.md.jinja"
_FACTS = ("recipe", "seed", "hardware", "training time", "commit")
"""What a bundle says of its making, and a card in any case."""

_CAPTIONS = {"marginals": "Strategy and marginals", "strategy": "Strategy", "effects": "Marginals and effects"}


def render(
    bundle: Bundle,
    card: Card | None,
    parameters: int,
    pictures: Sequence[str] = (),
    *,
    repository: str | None = None,
) -> str:
    """The model card as Markdown with YAML front matter. `card` lends its title, prose and licences.

    `pictures` are files of the folder such as `marginals.png`, `repository` is the Hub's that it is for.
    """
    return _layout().render(
        front_matter=yaml.safe_dump(front_matter(bundle, card), sort_keys=False, allow_unicode=True, width=1000),
        bundle=bundle,
        card=card,
        reference=repository or _reference(bundle, card),
        units=_units(bundle.strategy),
        counts=", ".join(f"{unit} at {count}" for unit, count in bundle.strategy.counts().items()),
        pictures={name: _caption(name) for name in pictures},
        facts=_facts(bundle, parameters),
    )


@functools.cache
def _layout() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined, finalize=text
    )
    environment.filters |= {"code": code, "markdown": Markdown}
    return environment.from_string((resources.files(__package__) / _LAYOUT).read_text(encoding="utf-8"))


def _reference(bundle: Bundle, card: Card | None) -> str:
    """What the card's reader gives to `stzoo.load` where the bundle is in no repository."""
    in_package = card is not None and isinstance(card.weights, Bundled)
    return bundle.name if in_package else f"path/to/{bundle.name}"


def _units(strategy: Strategy) -> str:
    """What a site of the net can be, in words."""
    if any("T" in open_branches(unit) for unit in strategy.units.values()):
        return "spatial (S), temporal (T), spatiotemporal (ST), or several of these"
    return "spatial (S), spatiotemporal (ST) or both (S+ST)"


def _caption(picture: str) -> str:
    stem = PurePosixPath(picture).stem
    return _CAPTIONS.get(stem, stem)


def _facts(bundle: Bundle, parameters: int) -> dict[str, str]:
    """How the bundle was made, in the order in which it is told."""
    config = bundle.config
    facts = {"backbone": config.backbone.text, "parameters": f"{parameters:,}"}
    if config.multiply_adds is not None:
        facts["multiply-adds per clip"] = f"{config.multiply_adds:,}"
    if bundle.recipe is not None and (data := _training_data(bundle.recipe)):
        facts["data"] = data
    facts |= dict.fromkeys(_FACTS, "not recorded") | config.making
    facts["stzoo"] = config.versions.stzoo
    if config.versions.torch is not None:
        facts["torch"] = config.versions.torch
    return facts


def _training_data(recipe: str) -> Markdown:
    """What the recipe trains on, in words; empty where the text is no recipe that says so."""
    try:
        data = parse_toml(recipe).get("data", {})
        source = code(data["train"]) if "train" in data else text(data["format"])
        root, held_out = code(data["root"]), 100 * float(data["selection_fraction"])
        if not 0 < held_out < 100:
            return Markdown()
        return Markdown(f"{source} in {root}, {held_out:g} % of it held out for selection")
    except (ValueError, TypeError, KeyError, AttributeError):
        return Markdown()
