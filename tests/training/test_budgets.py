from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stzoo import nets
from stzoo.bundle import is_bundle
from stzoo.bundle import read as read_bundle
from stzoo.errors import RecipeError, TrainingError, UsageError
from stzoo.nets.densenet import DENSENET_TINY
from stzoo.nets.measure import measure
from stzoo.recipe import Recipe, read
from stzoo.space import frontier, search
from stzoo.space.costs import Costs
from stzoo.space.frontier import FOUND, Frontier, Point
from stzoo.space.latency import Check, Latency
from stzoo.strategies.budget import Budget
from stzoo.strategies.strategy import Strategy
from stzoo.training import earlier
from stzoo.training.budgets import FINETUNED, spread
from stzoo.training.bundling import LOOKS
from stzoo.training.checkpoint import save_weights
from stzoo.training.demands import refuse_beyond
from stzoo.training.pipeline import select, select_within, train
from stzoo.training.run import Run
from stzoo.training.voice import SILENT, Voice
from stzoo.zoo import loading

BUDGET = Budget(3_200_000)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """A backbone of three sites, and few strategies that are proposed for a budget."""
    with pytest.MonkeyPatch.context() as patch:
        small = replace(nets.BACKBONES["densenet_tiny"], sizes=replace(DENSENET_TINY, block_layers=(1, 1)))
        patch.setitem(nets.BACKBONES, "densenet_tiny", small)
        patch.setattr(search, "PROPOSED", 3)
        patch.setattr(search, "RACES", 2)
        patch.setattr(frontier, "RANDOMS", 3)
        yield


def with_template(folder: Path, recipe: Recipe, initial_drop: float = 0.1) -> Run:
    """A run whose template nobody has trained."""
    run = Run(folder, recipe)
    run.begin()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        template = nets.template("densenet_tiny", 3, initial_drop=initial_drop)
    save_weights(run.weights("variational"), template)
    save_weights(run.weights("warmup"), nets.prune(template, nets.architecture(template).all_open))
    return run


@pytest.fixture(scope="module")
def searched(motions: Path, clip_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Point]]:
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'"])
    run = with_template(tmp_path_factory.mktemp("budgets") / "smoke", recipe)
    return run, select_within(run, [BUDGET], clip_cache, SILENT)


def test_a_budget_gets_the_best_net_that_it_pays_for(searched: tuple[Run, list[Point]]) -> None:
    run, points = searched
    assert [point.net for point in points] == [
        *(FOUND, "top-heavy", "bottom-heavy", "most-probable", "median of 3 random", FINETUNED),
    ]
    assert all(point.cost <= BUDGET.amount and point.accuracy.n == 9 for point in points)
    bundle = read_bundle(run.bundle_called("smoke-3.2M"))
    assert bundle.strategy == points[0].strategy == points[-1].strategy
    assert bundle.config.multiply_adds == points[0].cost
    assert bundle.posterior is not None
    assert not (run.bundle_called("smoke-3.2M") / "template.safetensors").exists()
    (result, *_) = bundle.metrics
    shipped = {point.accuracy.value for point in (points[0], points[-1])}
    assert result.value in shipped
    assert loading.load(str(run.bundle_called("smoke-3.2M"))).labels == bundle.labels


def test_every_judged_strategy_is_in_the_scores_with_its_cost(searched: tuple[Run, list[Point]]) -> None:
    run, points = searched
    text = run.path("budgets/scores.csv").read_text()
    assert read_bundle(run.bundle_called("smoke-3.2M")).scores == text
    lines = list(csv.DictReader(text.splitlines()))
    assert [int(line["index"]) for line in lines] == list(range(len(lines)))
    judged = {line["strategy"]: line for line in lines}
    assert {point.strategy.text() for point in points} <= set(judged)
    for line in lines[:: len(lines) // 3]:
        strategy = Strategy.from_text(line["strategy"])
        size = measure(nets.Architecture("densenet_tiny", 3, {}), strategy, frames=4, height=32, width=32)
        assert (int(line["parameters"]), int(line["multiply_adds"])) == (size.parameters, size.multiply_adds)
    found = judged[points[0].strategy.text()]
    whole = [line for line in lines if line["videos"] == found["videos"]]
    within = [line for line in whole if int(line["multiply_adds"]) <= BUDGET.amount]
    assert min(float(line["cross_entropy"]) for line in within) == float(found["cross_entropy"])
    frontier_lines = list(csv.DictReader(run.path("budgets/frontier.csv").read_text().splitlines()))
    assert [line["net"] for line in frontier_lines] == [point.net for point in points]
    assert run.path("budgets/frontier.png").stat().st_size > 10_000


def test_the_same_again_asks_nothing(
    searched: tuple[Run, list[Point]], clip_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, points = searched
    monkeypatch.setattr("stzoo.space.judge.Trie", None)
    before = {path: path.read_bytes() for path in run.folder.rglob("*.csv")}
    said: list[str] = []
    assert select_within(run, [BUDGET], clip_cache, Voice(said.append, progress=False)) == points
    assert {path: path.read_bytes() for path in run.folder.rglob("*.csv")} == before
    assert any(re.match(r"Within 3\.2M: cross-entropy \d\.\d{4} on the selection split at \d", line) for line in said)


def test_what_was_found_within_other_budgets_stays(
    motions: Path, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Point, ...]] = []
    monkeypatch.setattr(Frontier, "draw", lambda self, path: drawn.append(self.points))
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'"])
    run = with_template(tmp_path / "smoke", recipe.model_copy(update={"finetune": None}))
    path = run.path("budgets/frontier.csv")
    first = select_within(run, [], clip_cache, SILENT, frontier=True)
    lines = path.read_text().splitlines()
    again = select_within(run, [BUDGET], clip_cache, SILENT)
    assert not {BUDGET} & {point.budget for point in first}
    assert {*lines} < {*path.read_text().splitlines()}
    assert len(drawn[-1]) == len(first) + len(again)
    assert [point.budget for point in earlier.read(path)] == sorted(
        [point.budget for point in (*first, *again)], key=lambda budget: 0 if budget is None else budget.amount
    )
    whole = path.read_text()
    select_within(run, [BUDGET], clip_cache, SILENT)
    assert path.read_text() == whole
    run.path("budgets/answers-val.npz").unlink()
    select_within(run, [BUDGET], clip_cache, SILENT)
    assert len(earlier.read(path)) == len(again), "no answers say that the others are this template's"


def test_a_look_is_counted_where_nets_are_measured(motions: Path, clip_cache: Path, tmp_path: Path) -> None:
    changes = [f"data.root='{motions}'", "data.tests={again='motion/val.txt'}"]
    recipe = read("recipes/smoke.toml", changes)
    run = with_template(tmp_path / "smoke", recipe.model_copy(update={"finetune": None}))
    points = select_within(run, [BUDGET, Budget(3_400_000)], clip_cache, SILENT)
    looks = json.loads(run.path("looks.json").read_text())
    found = {f"pruned {point.strategy.digest[:12]}" for point in points if point.net == FOUND}
    assert [{*one} for one in looks["again"]] == [found]
    assert len(looks["val"]) == 1
    assert {*looks["val"][0]} > found
    for name in ("smoke-3.2M", "smoke-3.4M"):
        assert read_bundle(run.bundle_called(name)).config.provenance[LOOKS] == "val once, again once"


def test_budgets_of_a_recipe_are_part_of_its_training(
    searched: tuple[Run, list[Point]], motions: Path, clip_cache: Path, tmp_path: Path
) -> None:
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'", "selection.budgets=['3200k']"])
    assert recipe.selection is not None
    assert recipe.selection.budgets == ("3.2M",)
    run = with_template(tmp_path / "smoke", recipe.model_copy(update={"finetune": None}))
    assert not run.is_finished
    train(run, clip_cache, SILENT)
    assert run.is_finished
    assert {path.name for path in (run.folder / "bundles").iterdir() if is_bundle(path)} == {"smoke-opt", "smoke-3.2M"}
    assert loading.load(str(run.folder)).name == "smoke-opt"
    with pytest.raises(TrainingError, match=r"selection\.budgets .* search budgets in this one with stzoo select"):
        Run(run.folder, run.recipe.model_copy(update={"selection": searched[0].recipe.selection}))


def test_sites_may_be_drawn_and_searched_closed(motions: Path, clip_cache: Path, tmp_path: Path) -> None:
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'", "selection.closed=true"])
    run = with_template(tmp_path / "smoke", recipe.model_copy(update={"finetune": None}), initial_drop=0.6)
    select(run, 5, clip_cache, SILENT)
    written = run.path("scores.csv").read_bytes()
    rows = list(csv.DictReader(written.decode().splitlines()))
    drawn = [Strategy.from_text(row["strategy"]) for row in rows]
    assert any("none" in strategy.units.values() for strategy in drawn)
    assert all(strategy.units["T1"] != "none" for strategy in drawn), "nothing leads past a transition"
    select(run, 5, clip_cache, SILENT)
    assert run.path("scores.csv").read_bytes() == written
    least = measure(
        nets.Architecture("densenet_tiny", 3, {}),
        Strategy("densenet_tiny", {"B1.L1": "none", "T1": "S", "B2.L1": "none"}),
        frames=4,
        height=32,
        width=32,
    )
    budget = Budget(least.multiply_adds)
    points = select_within(run, [budget], clip_cache, SILENT)
    assert points[0].net == FOUND
    assert points[0].strategy.units == {"B1.L1": "none", "T1": "S", "B2.L1": "none"}
    assert read_bundle(run.bundle_called(run.budget_name(budget))).strategy == points[0].strategy


def test_budgets_that_pay_for_none_or_for_all_are_refused_before_anything_is_asked(
    motions: Path, clip_cache: Path, tmp_path: Path
) -> None:
    run = with_template(tmp_path / "smoke", read("recipes/smoke.toml", [f"data.root='{motions}'"]))
    for text, words in (("1M", "below the cheapest"), ("1G", "above the dearest")):
        sentence = rf"the budget {text} is {words} strategy of smoke; give between [\d.]+M and [\d.]+M multiply-adds"
        with pytest.raises(UsageError, match=sentence):
            select_within(run, [Budget.parse("3.2M"), Budget.parse(text)], clip_cache, SILENT)
    assert not run.path("answers.npz").exists()
    assert not run.path("budgets").exists()


def test_a_budget_of_a_recipe_that_pays_for_none_is_refused_before_anything_is_trained(
    motions: Path, clip_cache: Path, tmp_path: Path
) -> None:
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'", "selection.budgets=['3.2M', '1M']"])
    with pytest.raises(UsageError, match="the budget 1M is below the cheapest strategy of smoke"):
        train(Run(tmp_path / "smoke", recipe), clip_cache, SILENT)
    assert not (tmp_path / "smoke").exists()


def test_milliseconds_are_a_budget_on_a_runtime(
    motions: Path, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine where S takes longest, which no count of multiply-adds says."""
    units = {"S": 900_000, "ST": 100_000, "S+ST": 950_000}

    def timed(template: object, contract: object, runtime: str, path: Path, *_: object) -> Latency:
        costs = Costs("densenet_tiny", 1_000_000, {site: dict(units) for site in ("B1.L1", "T1", "B2.L1")})
        check = Check(costs.cheapest, 1_300_000, 1_290_000)
        return Latency({"runtime": f"{runtime} 1.0"}, costs, (check,))

    monkeypatch.setattr("stzoo.training.budgets.measure_latency", timed)
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'"])
    run = with_template(tmp_path / "smoke", recipe.model_copy(update={"finetune": None}))
    said: list[str] = []
    voice = Voice(said.append, progress=False)
    (point, *_) = select_within(run, [Budget.parse("1.3ms")], clip_cache, voice, runtime="torch")
    assert point.strategy.units == {"B1.L1": "ST", "T1": "ST", "B2.L1": "ST"}
    assert (point.nanoseconds, str(point.budget)) == (1_300_000, "1.3ms")
    assert any(line.startswith("The table of milliseconds predicts whole nets within 10 %") for line in said)
    bundle = read_bundle(run.bundle_called("smoke-1.3ms"))
    assert bundle.strategy == point.strategy
    assert bundle.config.multiply_adds == point.cost
    assert "1.30 ms" in bundle.config.provenance["budget"]
    assert bundle.config.provenance["times"].startswith("torch 1.0, The table")
    (line, *_) = csv.DictReader(run.path("budgets/frontier.csv").read_text().splitlines())
    assert (line["budget"], line["milliseconds"], line["multiply_adds"]) == ("1.3ms", "1.300000", str(point.cost))
    assert all(row["milliseconds"] for row in csv.DictReader(run.path("budgets/scores.csv").read_text().splitlines()))
    with pytest.raises(UsageError, match=r"the budget 1ms is below the cheapest .* between 1\.3ms and 3\.85ms a clip"):
        select_within(run, [Budget.parse("1ms")], clip_cache, voice, runtime="torch")
    with pytest.raises(RecipeError, match=r"1ms depends on the machine; give multiply-adds here"):
        read("recipes/smoke.toml", [f"data.root='{motions}'", "selection.budgets=['1ms']"])


def test_a_frontier_spreads_budgets_over_the_space() -> None:
    costs = Costs("net", 40_123_456, {f"L{place}": {"S": 0, "ST": 1_000_001, "S+ST": 2_000_002} for place in range(15)})
    budgets = spread(costs)
    assert [budget.text for budget in budgets] == ["41.7M", "44.7M", "49.2M", "55.2M", "62.7M"]
    refuse_beyond(budgets, costs, "net")
    small = Costs("net", 5, {"L1": {"S": 0, "ST": 2}})
    refuse_beyond(spread(small), small, "net")
