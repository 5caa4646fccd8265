from __future__ import annotations

import copy
import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stzoo import nets
from stzoo.errors import TrainingError
from stzoo.nets.fusion import named_gates
from stzoo.nets.measure import measure
from stzoo.ranks import ALONE
from stzoo.space import judge, race
from stzoo.space.judge import Judge
from stzoo.space.one_shot import SelectionScore, one_shot_score
from stzoo.space.selection import FIELDS, NetSize, ScoredStrategy, baselines, best, score_strategies
from stzoo.space.trie import Trie
from stzoo.strategies.names import UNIFORM
from stzoo.strategies.strategy import ALL_BRANCHES, Strategy
from tests.space.clips import VIDEOS, data, make_template

DRAWN = 6


@pytest.fixture(scope="module")
def template() -> nn.Module:
    return make_template()


def score(template: nn.Module, path: Path, **changes: Any) -> list[ScoredStrategy]:
    asked = Judge(
        template,
        changes.pop("clips", data()),
        path.with_name("answers.npz"),
        ranks=changes.pop("ranks", ALONE),
        advance=changes.pop("advance", lambda answers: None),
    )
    return score_strategies(asked, **({"strategies": DRAWN, "seed": 0, "scores_file": path} | changes))


@pytest.fixture(scope="module")
def finished(template: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ScoredStrategy], bytes]:
    """An uninterrupted selection: its scores and its file."""
    path = tmp_path_factory.mktemp("selection") / "scores.csv"
    return score(template, path), path.read_bytes()


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Strategy]:
    """The strategies for which a net is evaluated from here on."""
    computed: list[Strategy] = []

    def watched(template: nn.Module, strategies: Sequence[Strategy]) -> Trie:
        computed.extend(strategies)
        return Trie(template, strategies)

    monkeypatch.setattr(judge, "Trie", watched)
    return computed


def without_answers(path: Path) -> None:
    """Leaves of a selection what stzoo 0.1 had left of it."""
    path.with_name("answers.npz").unlink(missing_ok=True)


def hash_of(net: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in net.state_dict().items()}


def test_strategies_are_drawn_from_the_posterior_and_scored_on_the_clips(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes]
) -> None:
    scored, _ = finished
    posterior = nets.posterior(template)
    assert [row.index for row in scored] == list(range(DRAWN))
    assert [row.strategy for row in scored] == [posterior.sample(0, index) for index in range(DRAWN)]
    assert len({row.strategy for row in scored}) == DRAWN
    for row in scored:
        score = one_shot_score(template, row.strategy, data())
        assert row.score.accuracy == score.accuracy
        assert row.score.cross_entropy == pytest.approx(score.cross_entropy, abs=2e-6)
        assert row.videos == VIDEOS
        assert row.log_probability == pytest.approx(posterior.log_probability(row.strategy), abs=1e-6)


def test_the_file_holds_every_score(template: nn.Module, finished: tuple[list[ScoredStrategy], bytes]) -> None:
    scored, written = finished
    rows = list(csv.DictReader(written.decode().splitlines()))
    assert tuple(rows[0]) == FIELDS
    for row, line in zip(scored, rows, strict=True):
        assert int(line["index"]) == row.index
        assert float(line["accuracy"]) == row.score.accuracy
        assert float(line["cross_entropy"]) == row.score.cross_entropy
        assert float(line["log_probability"]) == row.log_probability
        assert int(line["videos"]) == row.videos
        assert Strategy.from_text(line["strategy"]) == row.strategy
        assert line["digest"] == row.strategy.digest[:12]
        size = measure(nets.architecture(template), row.strategy, frames=2, height=32, width=32)
        assert (int(line["parameters"]), int(line["multiply_adds"])) == (size.parameters, size.multiply_adds)
    assert len({row.size for row in scored}) > 1


def test_a_file_of_an_older_version_is_read_and_goes_on(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes], tmp_path: Path, computed: list[Strategy]
) -> None:
    scored, written = finished
    path = tmp_path / "scores.csv"
    rows = list(csv.DictReader(written.decode().splitlines()))[:2]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(
            file,
            [name for name in FIELDS if name not in ("videos", "parameters", "multiply_adds")],
            extrasaction="ignore",
        )
        table.writeheader()
        table.writerows(rows)
    assert score(template, path) == scored
    assert computed == [row.strategy for row in scored[2:]]
    assert path.read_bytes() == written
    computed.clear()
    assert score(template, path) == scored
    assert not computed


def test_selection_leaves_the_template_as_it_was(tmp_path: Path) -> None:
    template = make_template()
    before = hash_of(template)
    score(template, tmp_path / "scores.csv")
    assert hash_of(template) == before
    assert not template.training
    assert all(parameter.grad is None for parameter in template.parameters())


def test_in_eval_mode_or_not_a_template_gives_the_same(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes], tmp_path: Path
) -> None:
    assert score(copy.deepcopy(template).train(), tmp_path / "scores.csv", strategies=2) == finished[0][:2]


@pytest.mark.parametrize("kept", range(DRAWN + 1))
def test_a_selection_goes_on_from_what_is_written(
    template: nn.Module,
    finished: tuple[list[ScoredStrategy], bytes],
    tmp_path: Path,
    kept: int,
    computed: list[Strategy],
) -> None:
    scored, written = finished
    path = tmp_path / "scores.csv"
    path.write_bytes(b"".join(written.splitlines(keepends=True)[: 1 + kept]))
    advanced: list[int] = []
    assert score(template, path, advance=advanced.append) == scored
    assert path.read_bytes() == written
    assert computed == [row.strategy for row in scored[kept:]]
    assert sum(advanced) == (DRAWN - kept) * VIDEOS


@pytest.fixture
def three_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six strategies at three videos, two at five, and one at seven."""
    for name, value in {"_FIRST": 3, "_SECOND": 5, "FINALISTS": 1}.items():
        monkeypatch.setattr(race, name, value)


@pytest.mark.usefixtures("three_rungs")
@pytest.mark.parametrize("stopped", range(1, 4))
def test_a_race_that_is_stopped_ends_the_same(template: nn.Module, tmp_path: Path, stopped: int) -> None:
    raced = score(template, tmp_path / "straight" / "scores.csv")
    assert sorted(row.videos for row in raced) == [3, 3, 3, 3, 5, 7]
    assert best(raced).videos == 7
    path, done = tmp_path / "scores.csv", 0

    def stop(answers: int) -> None:
        nonlocal done
        done += 1
        if done == stopped:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(template, path, advance=stop)
    assert path.exists() == (stopped > 1)
    assert score(template, path) == raced
    assert path.read_bytes() == (tmp_path / "straight" / "scores.csv").read_bytes()
    assert path.with_name("answers.npz").read_bytes() == (tmp_path / "straight" / "answers.npz").read_bytes()


@pytest.mark.usefixtures("three_rungs")
def test_an_exhaustive_selection_asks_all_about_all_videos(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    score(template, path)
    assert score(template, path, exhaustive=True) == finished[0]
    assert score(template, path) == finished[0], "a strategy that has a score keeps it"
    assert path.read_bytes() == finished[1]


@pytest.mark.usefixtures("three_rungs")
def test_what_was_raced_before_counts_where_more_are_drawn(template: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    first = score(template, path, strategies=4)
    more = score(template, path, strategies=12)
    at_once = score(template, tmp_path / "at once" / "scores.csv", strategies=12)
    for before, row, straight in zip(first, more, at_once, strict=False):
        assert row.videos == max(before.videos, straight.videos)
    assert best(more).score.cross_entropy <= min(best(first).score.cross_entropy, best(at_once).score.cross_entropy)


def test_what_was_scored_counts_where_fewer_are_asked_for_and_more_go_on(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(finished[1])
    assert score(template, path, strategies=2) == finished[0]
    assert path.read_bytes() == finished[1]
    assert score(template, path, strategies=DRAWN + 1)[:-1] == finished[0]


def test_a_strategy_drawn_twice_is_computed_once(tmp_path: Path, computed: list[Strategy]) -> None:
    template = make_template(certain=True)
    path = tmp_path / "scores.csv"
    scored = score(template, path, strategies=8)
    different = {row.strategy for row in scored}
    assert 1 < len(different) < 8
    assert len(computed) == len(different)
    assert [row.index for row in scored] == list(range(8))
    for row in scored:
        assert len({other.score for other in scored if other.strategy == row.strategy}) == 1

    # Nor again after a stop, when it is in the file.
    written = path.read_bytes()
    without_answers(path)
    path.write_bytes(b"".join(written.splitlines(keepends=True)[:-1]))
    computed.clear()
    assert score(template, path, strategies=8) == scored
    assert len(computed) == (scored[-1].strategy not in {row.strategy for row in scored[:-1]})
    assert path.read_bytes() == written


def test_scores_of_another_seed_are_refused(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(finished[1])
    sentence = f"line 2 of {path} was not drawn from this posterior with seed 1; move the file away"
    with pytest.raises(TrainingError, match=re.escape(sentence)):
        score(template, path, seed=1)
    assert path.read_bytes() == finished[1]


def test_scores_of_another_template_are_refused_even_if_it_draws_the_same(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    template = make_template()
    scored = score(template, path, strategies=2)
    with torch.no_grad():
        for _, _, gate, _ in named_gates(template):
            gate.logit += 1e-3
    assert [nets.posterior(template).sample(0, row.index) for row in scored] == [row.strategy for row in scored]
    with pytest.raises(TrainingError, match="holds answers of another template"):
        score(template, path, strategies=3)


@pytest.mark.parametrize("damage", ["cut", "word", "strategy", "foreign", "column", "reordered", "missing"])
def test_a_file_that_is_no_list_of_scores_is_refused(
    template: nn.Module, finished: tuple[list[ScoredStrategy], bytes], tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "scores.csv"
    lines = finished[1].decode().splitlines(keepends=True)
    if damage == "cut":
        lines = [*lines[:3], lines[3][:6]]
    elif damage == "word":
        lines[3] = lines[3].replace(f"{finished[0][2].score.accuracy:.6f}", "high", 1)
    elif damage == "strategy":
        lines[3] = lines[3].replace("B1.L1", "B1 L1", 1)
    elif damage == "foreign":
        lines[3] = lines[3].replace(finished[0][2].strategy.text(), finished[0][3].strategy.text())
    elif damage == "column":
        lines[0] = lines[0].replace("strategy", "units")
    elif damage == "reordered":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        del lines[2]
    path.write_text("".join(lines))
    with pytest.raises(
        TrainingError, match=rf"line [234] of {re.escape(str(path))} .*move the file away to score again"
    ):
        score(template, path)


def row(index: int, videos: int, accuracy: float, cross_entropy: float) -> ScoredStrategy:
    score, strategy = SelectionScore(accuracy, cross_entropy), Strategy("net", {"L1": "S"})
    return ScoredStrategy(index, score, videos, -1.0, strategy, NetSize(1, 1))


@pytest.mark.parametrize(
    ("rows", "winner"),
    [
        ([(9, 0.5, 1.0), (9, 0.7, 2.0), (9, 0.6, 0.1)], 2),  # cross-entropy first
        ([(9, 0.5, 1.0), (9, 0.7, 1.0), (9, 0.6, 1.0)], 1),  # then accuracy
        ([(9, 0.7, 1.0), (9, 0.7, 1.0), (9, 0.7, 1.0)], 0),  # then the first
        ([(3, 0.9, 0.1), (9, 0.7, 2.0), (5, 0.9, 0.1)], 1),  # of those that have seen most
        ([(1, 0.1, 5.0)], 0),
    ],
)
def test_the_best_is_the_surest_of_those_that_have_seen_most(rows: list[tuple[int, float, float]], winner: int) -> None:
    scored = [row(index, *numbers) for index, numbers in enumerate(rows)]
    assert best(scored).index == winner
    assert best(scored[::-1]).index == winner


def test_baselines_are_the_uniform_strategies_and_the_most_probable(template: nn.Module) -> None:
    strategies = baselines(template)
    assert list(strategies) == ["most-probable", "s", "st", "sst"]
    assert strategies["most-probable"] == nets.posterior(template).most_probable()
    assert [set(strategies[name].units.values()) for name in ("s", "st", "sst")] == [{"S"}, {"ST"}, {"S+ST"}]
    for strategy in strategies.values():
        strategy.check("densenet_tiny", nets.architecture(template).sites)


def test_baselines_of_seven_units_are_all_seven() -> None:
    template = nets.template("resnet_tiny", 3, branches=ALL_BRANCHES)
    assert list(baselines(template)) == ["most-probable", *UNIFORM]
