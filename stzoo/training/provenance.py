"""Where the weights of a bundle come from: recipe, first weights, hardware, time and commit."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import torch

import stzoo
from stzoo.files import without_folders
from stzoo.terminal.progress import duration
from stzoo.training.initial import recorded_origin
from stzoo.training.run import Run


def provenance(run: Run, how: str, device: torch.device, processes: int) -> dict[str, str]:
    """The facts by name: `how` the weights came about, and on how many processes of what hardware."""
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
    left_out = max((entry.get("left_out", 0) for stage in recipe.stages for entry in run.recorded(stage)), default=0)
    if left_out:
        facts["training videos left out"] = str(left_out)
    seconds = sum(sum(epochs.values()) for epochs in run.seconds().values())
    if seconds:
        facts["training time"] = duration(seconds)
    if (commit := source_commit()) is not None:
        facts["commit"] = commit
    return facts


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
