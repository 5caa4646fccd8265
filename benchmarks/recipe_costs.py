"""Writes what training costs into the second line of every recipe for an official dataset.

python benchmarks/recipe_costs.py
"""

from __future__ import annotations

from pathlib import Path

from stzoo.files import write_text
from stzoo.recipe import read
from stzoo.training.forecast import OFFICIAL, forecast


def main() -> None:
    for file in sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.toml")):
        recipe = read(file)
        if recipe.data.format not in OFFICIAL:
            continue
        command, *rest = file.read_text(encoding="utf-8").split("\n")
        kept = [line for line in rest if not line.endswith("no GPU was measured.")]
        cost = f"# {forecast(recipe, OFFICIAL[recipe.data.format]).sentence}"
        write_text(file, "\n".join([command, cost, *kept]))
        print(f"{file.name}: {cost}", flush=True)


if __name__ == "__main__":
    main()
