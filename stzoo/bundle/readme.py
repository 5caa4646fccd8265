"""Renders a bundle's README.md: a Hub model card whose every number comes from the bundle."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import yaml

from stzoo.bundle.metadata import front_matter
from stzoo.bundle.schema import Bundle, Result
from stzoo.card import Bundled, Card
from stzoo.contract import InputContract
from stzoo.strategies.strategy import open_branches

_CITATION = """\
@inproceedings{zhou2020spatiotemporal,
  title     = {Spatiotemporal Fusion in 3D CNNs: A Probabilistic View},
  author    = {Zhou, Yizhou and Sun, Xiaoyan and Luo, Chong and Zha, Zheng-Jun and Zeng, Wenjun},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2020}
}"""


_FACTS = ("recipe", "seed", "hardware", "training time", "commit")
"""What a bundle says of its making, and a card in any case."""


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
    sections = [
        f"# {card.title if card else bundle.name}",
        _answers(bundle, card),
        _usage(bundle, card, repository),
        _strategy(bundle, pictures),
        _results(bundle.metrics),
        _input(bundle.contract),
        _making(bundle, parameters),
        _limits(bundle, card),
        _licence(card),
        f"## Citation\n\n```bibtex\n{_CITATION}\n```",
    ]
    front = yaml.safe_dump(front_matter(bundle, card), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _answers(bundle: Bundle, card: Card | None) -> str:
    labels = bundle.labels
    shown = ", ".join(f"`{label}`" if "`" not in label else f"`` {label} ``" for label in labels[:20])
    more = f" and {len(labels) - 20} more (all in `config.json`)" if len(labels) > 20 else ""
    sentence = f"Shown a video, the model gives a probability to each of {len(labels)} labels: {shown}{more}."
    return f"{card.body}\n\n{sentence}" if card and card.body else sentence


def _usage(bundle: Bundle, card: Card | None, repository: str | None) -> str:
    in_package = card is not None and isinstance(card.weights, Bundled)
    reference = f'"{repository or (bundle.name if in_package else f"path/to/{bundle.name}")}"'
    return (
        "## How to load it\n\n```python\nimport stzoo\n\n"
        f"model = stzoo.load({reference})\n"
        'model.predict("video.mp4", topk=5)\n```'
    )


def _strategy(bundle: Bundle, pictures: Sequence[str]) -> str:
    strategy = bundle.strategy
    counts = ", ".join(f"{unit} at {count}" for unit, count in strategy.counts().items())
    units = "spatial (S), spatiotemporal (ST) or both (S+ST)"
    if any("T" in open_branches(unit) for unit in strategy.units.values()):
        units = "spatial (S), temporal (T), spatiotemporal (ST), or several of these"
    text = (
        f"## Strategy\n\nAt each site of the backbone the net is {units}: "
        f"{counts} of {len(strategy.units)} sites.\n\n    {strategy.text()}"
    )
    if bundle.posterior is not None:
        text += "\n\nThe probabilities it was drawn from are in `marginals.json`, in both conventions."
    return "\n\n".join([text, *(f"![{_caption(name)}]({name})" for name in pictures)])


def _caption(picture: str) -> str:
    stem = PurePosixPath(picture).stem
    return {"marginals": "Strategy and marginals", "strategy": "Strategy"}.get(stem, stem)


def _results(results: Iterable[Result]) -> str:
    rows = [
        f"| {_escaped(result.dataset)} | {_escaped(result.split)} | {_escaped(result.protocol)} | {result.metric} | "
        f"{result.text} | {result.interval_text or '–'} | {result.n} |"
        for result in results
    ]
    if not rows:
        return "## Results\n\nNothing has been measured on this bundle."
    head = "| dataset | split | protocol | metric | value | 95 % interval | videos |\n|---|---|---|---|---|---|---|"
    return "\n".join(["## Results\n", head, *rows])


def _input(contract: InputContract) -> str:
    return (
        f"## Input\n\n{contract.text}; the probabilities of the clips are averaged. "
        "`config.json` holds the whole contract."
    )


def _making(bundle: Bundle, parameters: int) -> str:
    config = bundle.config
    facts = {"backbone": config.backbone.name, "parameters": f"{parameters:,}"}
    if config.multiply_adds is not None:
        facts["multiply-adds per clip"] = f"{config.multiply_adds:,}"
    if bundle.recipe is not None and (data := _training_data(bundle.recipe)):
        facts["data"] = data
    facts |= dict.fromkeys(_FACTS, "not recorded") | config.provenance
    facts["stzoo"] = config.versions.stzoo
    if config.versions.torch is not None:
        facts["torch"] = config.versions.torch
    lines = [f"- {key}: {value}" for key, value in facts.items()]
    recipe = (
        ["The recipe is in `recipe.toml`; `stzoo train recipe.toml --data-root FOLDER` runs it where the data is."]
        if bundle.recipe is not None
        else []
    )
    scores = ["`scores.csv` has every sampled strategy with its score."] if bundle.scores is not None else []
    return "\n".join(["## How it was made\n", *lines, *(["", *recipe, *scores] if recipe or scores else [])])


def _training_data(recipe: str) -> str:
    """What the recipe trains on, in words; empty where the text is no recipe that says so."""
    try:
        data = tomllib.loads(recipe).get("data", {})
        source = f"`{data['train']}`" if "train" in data else data["format"]
        return f"{source} in `{data['root']}`, {100 * data['selection_fraction']:g} % of it held out for selection"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""


def _limits(bundle: Bundle, card: Card | None) -> str:
    text = (
        "## Intended use and limits\n\nIt is made for videos like those it was trained and measured on. It always "
        f"chooses among its {len(bundle.labels)} labels, also for a video that shows none of them, and its scores are "
        "the net's own, not frequencies of being right."
    )
    return f"{text}\n\n{card.limits}" if card is not None and card.limits is not None else text


def _licence(card: Card | None) -> str:
    weights, data = (card.license, card.data_license) if card is not None else (None, None)
    return (
        f"## Licence\n\n- weights: {weights or 'not stated'}\n"
        f"- training data{f' ({card.dataset})' if card is not None else ''}: {data or 'not stated'}"
    )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
