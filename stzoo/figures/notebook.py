"""What a notebook shows of a value: its figure, with what it is."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from stzoo.errors import MissingPackageError
from stzoo.figures.strategies import marginals_figure, strategy_figure
from stzoo.prediction.predictor import Predictor
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy


def notebook_html(value: Strategy | Posterior | Predictor) -> str | None:
    """The value as HTML with its figure inside; None without matplotlib, where a notebook shows the plain text."""
    try:
        if isinstance(value, Strategy):
            return page({"strategy": value.digest[:12]}, _of_strategy(value, value.backbone))
        if isinstance(value, Posterior):
            name = value.backbone
            return page({}, lambda path: marginals_figure(value, value.most_probable(), path, name))
        facts = {
            "model": value.name,
            "labels": ", ".join(value.labels),
            "input": value.contract.text,
            "runs on": f"{value.runtime}, {value.precision}, {value.device}",
        }
        return page(facts, _of_strategy(value.strategy, value.name))
    except MissingPackageError:
        return None


def _of_strategy(strategy: Strategy | None, title: str) -> Callable[[Path], None] | None:
    """What draws a strategy; None for that of a net without sites."""
    if strategy is None or not strategy.units:
        return None
    return lambda path: strategy_figure(strategy, path, title)


def page(facts: Mapping[str, str], draw: Callable[[Path], None] | None) -> str:
    """Facts as a table, and below it what is drawn into a PNG file. Raises `MissingPackageError` as `draw` does."""
    rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in facts.items())
    table = f"<table>{rows}</table>" if rows else ""
    if draw is None:
        return table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        draw(path)
        picture = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'{table}<img style="max-width: 100%" src="data:image/png;base64,{picture}">'
