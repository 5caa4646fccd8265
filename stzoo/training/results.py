"""What a finished run says of itself: measurements, figure and bundle."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stzoo
from stzoo import card as cards
from stzoo.bundle import Backbone, Bundle, Classes, Config, Result, Versions, save, serialise
from stzoo.contract import InputContract
from stzoo.files import without_folders, write_json
from stzoo.metrics import Estimate, accuracy
from stzoo.nets import architecture
from stzoo.nets.classifier import Classifier
from stzoo.nets.measure import measure
from stzoo.progress import counting
from stzoo.strategies.names import UNIFORM
from stzoo.strategies.posterior import Posterior
from stzoo.strategies.strategy import Strategy, open_branches
from stzoo.training.data import RunData
from stzoo.training.initial import recorded_origin
from stzoo.training.machine import Machine, shared_scores
from stzoo.training.run import Run


@dataclass(frozen=True)
class Row:
    """One net on one split. `how` is how its weights came about: `pruned`, `finetuned` or `alone`."""

    name: str
    how: str
    split: str
    accuracy: Estimate
    strategy: Strategy


def measure_nets(
    nets: Mapping[str, tuple[str, Strategy, Classifier]], data: RunData, machine: Machine, *, progress: bool
) -> list[Row]:
    """Every net (name -> how, strategy, net) once on `val` and on each test list, with intervals.

    Nets of the same strategy and origin share one measurement, and the processes of the machine its videos.
    """
    rows = []
    for split in data.tests:
        cache, contract = data.test(split)
        seen: dict[tuple[str, Strategy], Estimate] = {}
        with counting(f"measuring {split}", len(nets) * len(cache), unit="videos", show=progress) as bar:
            for name, (how, strategy, net) in nets.items():
                if (how, strategy) not in seen:
                    scores = shared_scores(net, cache.clips, contract, machine, data.recipe.scored_at_once, bar.advance)
                    seen[how, strategy] = accuracy(scores, cache.labels)
                else:
                    bar.advance(len(cache))
                rows.append(Row(name, how, split, seen[how, strategy], strategy))
    return rows


def write_metrics(path: Path, rows: list[Row], contract: InputContract) -> None:
    """Every measurement with protocol, split, n and interval, as JSON."""
    write_json(
        path,
        [
            {
                "net": row.name,
                "how": row.how,
                "split": row.split,
                "protocol": contract.protocol,
                "accuracy": round(row.accuracy.value, 6),
                "low": round(row.accuracy.low, 6),
                "high": round(row.accuracy.high, 6),
                "n": row.accuracy.n,
                "strategy": row.strategy.text(),
            }
            for row in rows
        ],
    )


def save_bundle(
    run: Run,
    labels: tuple[str, ...],
    net: Classifier,
    strategy: Strategy,
    rows: list[Row],
    *,
    posterior: Posterior | None = None,
    scores: str | None = None,
    template: Classifier | None = None,
    figure: Path | None = None,
    normalised: Sequence[tuple[Strategy, Classifier]] = (),
    processes: int = 1,
) -> Path:
    """Writes the run's bundle; `rows` are the measurements of exactly this net.

    `scores` is the CSV of the strategies that it was selected from. `normalised` are nets of the same template with
    batch-norm statistics of their own, which the bundle keeps too. So many `processes` have made it.
    """
    built = architecture(net)
    contract = run.recipe.input
    weights = _arrays(net)
    digest = hashlib.sha256(serialise(weights)).hexdigest()
    card = cards.named(run.bundle_name) if run.bundle_name in cards.names() else None
    results = tuple(
        Result(
            dataset=run.recipe.name if card is None else card.dataset,
            split=row.split,
            protocol=contract.protocol,
            metric="top1",
            value=row.accuracy.value,
            n=row.accuracy.n,
            low=row.accuracy.low,
            high=row.accuracy.high,
            model=digest,
        )
        for row in rows
    )
    size = measure(built, strategy, frames=contract.frames, height=contract.crop, width=contract.crop)
    config = Config(
        name=run.bundle_name,
        backbone=Backbone(name=built.backbone, options=dict(built.options)),
        classes=Classes.of(labels),
        strategy=strategy,
        input=contract,
        versions=Versions(stzoo=stzoo.__version__, torch=torch.__version__),
        multiply_adds=size.multiply_adds,
        provenance=_provenance(run, rows[0].how, next(net.parameters()).device, processes),
    )
    bundle = Bundle(
        config=config,
        posterior=posterior,
        metrics=results,
        recipe=run.recipe.portable().to_toml(),
        scores=scores,
    )
    return save(
        run.bundle,
        bundle,
        weights,
        None if template is None else _arrays(template),
        None if figure is None else {figure.name: figure},
        statistics={other: _buffers(pruned) for other, pruned in normalised},
        card=card,
        replace=True,
    )


def _arrays(net: Classifier) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    return {name: value.detach().cpu().contiguous().numpy() for name, value in net.state_dict().items()}


def _buffers(net: Classifier) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    return {name: buffer.detach().cpu().contiguous().numpy() for name, buffer in net.named_buffers()}


def _provenance(run: Run, how: str, device: torch.device, processes: int) -> dict[str, str]:
    recipe = run.recipe
    facts = {"recipe": recipe.name, "seed": str(recipe.seed), "weights": how}
    if (origin := recorded_origin(run)) is not None:
        facts["initial weights"] = str(replace(origin, source=without_folders(origin.source)))
    if recipe.selection is not None:
        facts["batch norm"] = recipe.selection.batch_norm
    on_gpu = device.type == "cuda"
    facts["hardware"] = torch.cuda.get_device_name(device) if on_gpu else f"CPU, {platform.machine()}"
    if processes > 1:
        facts["processes"] = str(processes)
    stages = ("warmup", "variational", "finetune", "fixed")
    left_out = max((entry.get("left_out", 0) for stage in stages for entry in run.recorded(stage)), default=0)
    if left_out:
        facts["training videos left out"] = str(left_out)
    seconds = sum(sum(epochs.values()) for epochs in run.seconds().values())
    if seconds:
        facts["training time"] = duration(seconds)
    if (commit := source_commit()) is not None:
        facts["commit"] = commit
    return facts


def duration(seconds: float) -> str:
    """For people: `42 s`, `7 min 5 s`, `3 h 20 min`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def source_commit() -> str | None:
    """The commit of the checkout that stzoo runs from, with `, changed` if files differ; None for an installation."""
    checkout = Path(stzoo.__file__).parents[1]
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None

    def said(*words: str) -> str | None:
        done = subprocess.run([git, "-C", str(checkout), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    commit = said("rev-parse", "HEAD")
    changed = said("status", "--porcelain", "--untracked-files=no", "--", "stzoo")
    return f"{commit}, changed" if commit and changed else commit or None


def table(rows: list[Row]) -> Any:
    """The measurements as a rich table: one line a net, one column a split."""
    from rich.table import Table

    splits = list(dict.fromkeys(row.split for row in rows))
    present = {unit for row in rows for unit in row.strategy.units.values()}
    units = [unit for unit in UNIFORM.values() if "T" not in open_branches(unit) or unit in present]
    shown = Table("net", "weights", *splits, f"sites with {' / '.join(units)}", title="accuracy with 95 % interval")
    for name in dict.fromkeys(row.name for row in rows):
        own = {row.split: row for row in rows if row.name == name}
        first = next(iter(own.values()))
        counts = first.strategy.counts()
        cells = [f"{100 * row.accuracy.value:.1f} ({_interval(row.accuracy)})" for row in own.values()]
        shown.add_row(name, first.how, *cells, " / ".join(str(counts.get(unit, 0)) for unit in units))
    return shown


def _interval(accuracy: Estimate) -> str:
    return f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
