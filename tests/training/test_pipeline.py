from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stzoo.bundle import read as read_bundle
from stzoo.bundle import weights_digest
from stzoo.errors import DataError, StzooError, TrainingError
from stzoo.inference import video_scores
from stzoo.nets import Architecture
from stzoo.recipe import Recipe, read
from stzoo.space.keeping import bundles_to_keep_in
from stzoo.space.one_shot import Answers, SelectionClips
from stzoo.strategies.strategy import Strategy
from stzoo.training import pipeline
from stzoo.training.bundling import LOOKS, template_digest
from stzoo.training.machine import shared_scores
from stzoo.training.pipeline import select, train
from stzoo.training.run import Run
from stzoo.training.stages import Stages, prepare
from stzoo.training.sweep import sweep_folder
from stzoo.training.voice import SILENT, Voice
from stzoo.zoo import loading
from stzoo.zoo.verifying import verify

REPEATED = (
    "warmup.safetensors",
    "template.safetensors",
    "scores.csv",
    "metrics.json",
    "metrics.jsonl",
    "bundles/smoke-opt/model.safetensors",
    "bundles/smoke-opt/config.json",
)


class StopError(Exception):
    """Raised in place of a crash."""


def repeated(run: Run) -> dict[str, bytes]:
    """What a run is to make the same every time: everything but how long it took."""
    (finetuned,) = run.folder.glob("finetuned-*.safetensors")
    contents = {name: run.path(name).read_bytes() for name in (*REPEATED, finetuned.name)}
    return {name: re.sub(rb'"training time": "[^"]+"', b"", content) for name, content in contents.items()}


def stop(*_: object) -> None:
    raise StopError


def trained(finished: Run, folder: Path, recipe: Recipe) -> Run:
    """A run that has come as far as its scores."""
    run = Run(folder, recipe)
    run.begin()
    for name in ("warmup.safetensors", "template.safetensors", "scores.csv"):
        run.path(name).write_bytes(finished.path(name).read_bytes())
    return run


@pytest.fixture(scope="module")
def finished(motions: Path, clip_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted run."""
    run = Run(tmp_path_factory.mktemp("runs") / "smoke", read("recipes/smoke.toml", [f"data.root='{motions}'"]))
    train(run, clip_cache, SILENT)
    return run


def test_a_run_goes_from_recipe_to_a_bundle_that_predicts(finished: Run, motions: Path) -> None:
    bundle = read_bundle(finished.bundle)
    assert verify(finished.bundle, "torch").passed, "it has golden clips, with the answers of its own net"
    assert bundle.labels == ("still", "turn-left", "turn-right")
    assert bundle.posterior is not None
    assert (result := bundle.metrics[0]).split == "val"
    assert result.dataset == motions.name
    assert result.n == 9
    assert result.model == weights_digest(finished.bundle)
    assert re.fullmatch(r"\d+ s|\d+ min \d+ s", bundle.config.provenance["training time"])
    assert {*finished.seconds()} == {"warmup", "variational", "finetune"}
    stored = {path.stem for path in (finished.bundle / "statistics").iterdir()}
    assert Architecture("densenet_tiny", 3, {}).uniform("S").digest in stored
    kept_in = bundles_to_keep_in(str(finished.folder), template_digest(finished), bundle.posterior)
    assert kept_in == [finished.bundle], "effects of its template have a place in it"
    best, *_ = loading.load(str(finished.folder)).predict(motions / "videos" / "val0.mp4")
    assert best.label in bundle.labels
    entries = [json.loads(line) for line in finished.path("metrics.jsonl").read_text().splitlines()]
    assert [(entry["stage"], entry["epoch"]) for entry in entries] == [
        ("warmup", 1),
        ("warmup", 2),
        ("variational", 1),
        ("variational", 2),
        ("finetune", 1),
    ]
    drops = entries[3]["drop"]
    assert len(drops) == 15
    assert all(set(branches) == {"S", "ST"} for branches in drops.values())


def test_metrics_compare_the_winner_with_the_baselines(finished: Run) -> None:
    rows = json.loads(finished.path("metrics.json").read_text())
    assert [row["net"] for row in rows] == ["opt", "most-probable", "s", "st", "sst", "opt-finetuned"]
    assert all(row["low"] <= row["accuracy"] <= row["high"] and row["n"] == 9 for row in rows)


def test_a_finished_run_does_nothing(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = repeated(finished)
    monkeypatch.setattr(pipeline, "prepare", None)
    assert train(finished, tmp_path, SILENT) == []
    assert repeated(finished) == before


@pytest.mark.parametrize("records", range(1, 6))
def test_a_run_stopped_after_any_epoch_ends_the_same(
    finished: Run, smoke: Recipe, clip_cache: Path, tmp_path: Path, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "smoke", smoke)
    done = 0

    def say(sentence: str) -> None:
        nonlocal done
        done += sentence.startswith(("warmup", "variational", "finetune"))
        if done == records:
            raise StopError

    with pytest.raises(StopError):
        train(run, clip_cache, Voice(say, progress=False))
    train(Run(tmp_path / "smoke", smoke), clip_cache, SILENT)
    assert repeated(run) == repeated(finished)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_a_run_that_ends_the_same(
    finished: Run, smoke: Recipe, motions: Path, clip_cache: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "stzoo", "train", "recipes/smoke.toml", "--quiet", "--data-root", str(motions)]
    command += ["--out", str(tmp_path / "smoke"), "--cache", str(clip_cache)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.getcwd()})
    metrics = tmp_path / "smoke" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) >= 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = Run(tmp_path / "smoke", smoke)
    assert not run.bundle.exists()
    train(run, clip_cache, SILENT)
    assert repeated(run) == repeated(finished)


def test_a_run_belongs_to_one_recipe(finished: Run, smoke: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="another recipe"):
        Run(finished.folder, smoke.model_copy(update={"seed": 1}))
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(TrainingError, match="is not a run"):
        Run(tmp_path, smoke)
    with pytest.raises(TrainingError, match=r"no recipe\.toml"):
        Run.open(tmp_path)


def test_select_draws_more_strategies_of_the_same_stream(
    finished: Run, clip_cache: Path, tmp_path: Path, smoke: Recipe
) -> None:
    run = trained(finished, tmp_path / "smoke", smoke)
    select(run, 5, clip_cache, SILENT)
    lines = run.path("scores.csv").read_text().splitlines()
    assert lines[:4] == finished.path("scores.csv").read_text().splitlines()
    assert len(lines) == 6
    said: list[str] = []
    select(run, 2, clip_cache, Voice(said.append, progress=False))
    bundled = read_bundle(run.bundle).scores
    assert bundled is not None
    assert bundled.splitlines() == lines
    assert "5 strategies were scored before and all of them count; 2 were asked for." in said
    winner = next(row for row in csv.DictReader(lines) if row["strategy"] == read_bundle(run.bundle).strategy.text())
    assert any(f"that with index {winner['index']} in {run.path('scores.csv')} is the best" in line for line in said)


def test_every_winner_is_finetuned_on_its_own(
    finished: Run, clip_cache: Path, tmp_path: Path, smoke: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(finished, tmp_path / "smoke", smoke)

    def select_winner(number: int) -> None:
        monkeypatch.setattr("stzoo.training.stages.best", lambda sampled: sampled[number])
        select(run, 3, clip_cache, SILENT)

    with monkeypatch.context() as stopped:
        stopped.setattr("stzoo.training.stages.save_weights", stop)
        with pytest.raises(StopError):
            select_winner(0)
    select_winner(1)
    select_winner(0)
    first, second, _ = csv.DictReader(run.path("scores.csv").read_text().splitlines())
    assert {path.name for path in run.folder.glob("finetuned-*")} == {
        f"finetuned-{row['digest']}.safetensors" for row in (first, second)
    }
    assert read_bundle(run.bundle).strategy.text() == first["strategy"]


def test_finetuned_weights_that_are_no_better_on_the_selection_split_are_not_shipped(
    finished: Run, clip_cache: Path, tmp_path: Path, motions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three videos both nets have one right, whose share has no exact decimal."""
    recipe = read(
        "recipes/smoke.toml", [f"data.root='{motions}'", "data.selection_fraction=0.2", "selection.choice_fraction=0.5"]
    )
    run = trained(finished, tmp_path / "smoke", recipe)
    run.path("scores.csv").unlink()
    stages = prepare(run, clip_cache, SILENT)
    assert [len(clips.labels) for clips in (stages.selection, stages.choice)] == [3, 3]

    def answers(clips: SelectionClips, net: object, rows: object = slice(None)) -> Answers:
        right = (np.arange(len(clips.labels)) == 0)[rows]
        shape = (len(net.keywords["among"]), len(right)) if isinstance(net, partial) else right.shape
        return Answers(np.full(shape, 0.5, np.float32), np.broadcast_to(right, shape))

    monkeypatch.setattr(SelectionClips, "answers", answers)
    said: list[str] = []
    select(run, 1, clip_cache, Voice(said.append, progress=False))
    assert (
        "On the 3 videos kept for this choice it has cross-entropy 0.6931, and finetuned 0.6931 and accuracy 0.3333, "
        "which is less by 0.0000 (95 % interval 0.0000 to 0.0000); the bundle gets the pruned weights."
    ) in said


@pytest.mark.parametrize(("lucky", "shipped"), [(True, "finetuned"), (False, "pruned")])
def test_the_videos_kept_for_the_choice_judge_it_alone(
    finished: Run,
    clip_cache: Path,
    tmp_path: Path,
    smoke: Recipe,
    lucky: bool,
    shipped: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the videos say that the strategies were selected on."""
    run = trained(finished, tmp_path / "smoke", smoke)
    ordinary = SelectionClips.answers
    finetuned: list[object] = []

    def answers(clips: SelectionClips, net: Any, rows: Any = slice(None)) -> Answers:
        there = ordinary(clips, net, rows)
        if net not in finetuned:
            return there
        good = lucky == (len(clips.labels) == kept)
        return Answers(np.full_like(there.likelihoods, 0.99 if good else 1e-6), np.full_like(there.right, good))

    def tuned(stages: Stages, *arguments: Any) -> Any:
        finetuned.append(finetune(stages, *arguments))
        return finetuned[-1]

    stages = prepare(run, clip_cache, SILENT)
    kept = len(stages.choice.labels)
    assert 0 < kept < len(stages.selection.labels)
    assert not {*stages.choice.sources} & {*stages.selection.sources}
    finetune = Stages.finetune
    monkeypatch.setattr(Stages, "finetune", tuned)
    monkeypatch.setattr(SelectionClips, "answers", answers)
    said: list[str] = []
    select(run, 3, clip_cache, Voice(said.append, progress=False))
    facts = read_bundle(run.bundle).config.provenance
    assert facts["weights"] == shipped
    change = r"by \d+\.\d{4} \(95 % interval \d+\.\d{4} to \d+\.\d{4}\)"
    lowers, less = ("lowers", "less") if lucky else ("raises", "more")
    of = rf"on {kept} videos kept for this choice"
    assert re.fullmatch(f"finetuning {lowers} cross-entropy {change} {of}", facts["choice of weights"])
    assert any(re.search(f"which is {less} {change}; the bundle gets the {shipped} weights", line) for line in said)


def test_a_run_of_an_earlier_version_judges_as_it_began(
    finished: Run, clip_cache: Path, tmp_path: Path, smoke: Recipe, motions: Path
) -> None:
    folder = trained(finished, tmp_path / "smoke", smoke).folder
    toml = (folder / "recipe.toml").read_text()
    assert "choice_fraction = 0.3" in toml
    (folder / "recipe.toml").write_text(re.sub(r"(choice_fraction|closed) = .*\n", "", toml))
    for run in (Run(folder, smoke), Run.open(folder)):
        stages = prepare(run, clip_cache, SILENT)
        assert stages.choice is stages.selection
        assert len(stages.selection.labels) == 8
    asked = read("recipes/smoke.toml", [f"data.root='{motions}'", "selection.choice_fraction=0.2"])
    with pytest.raises(TrainingError, match=r"selection.choice_fraction is 0.0 in .*, and 0.2 here"):
        Run(folder, asked)
    (folder / "recipe.toml").write_text(toml.replace("choice_fraction = 0.3", "choice_fraction = 0.0"))
    with pytest.raises(TrainingError, match=r"selection.choice_fraction is 0.0 in .*, and 0.3 here"):
        Run(folder, smoke)


def test_a_selection_says_how_far_it_is_to_be_trusted(finished: Run) -> None:
    told = json.loads(finished.path("reliability.json").read_text())
    assert told["drawn"] == 3
    facts = read_bundle(finished.bundle).config.provenance
    assert facts["selection"].startswith("split-half rank correlation ")
    assert facts[LOOKS] == "val once"
    assert {row["looks"] for row in json.loads(finished.path("metrics.json").read_text())} == {1}


def test_every_look_at_other_nets_is_counted(
    finished: Run, clip_cache: Path, tmp_path: Path, smoke: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(finished, tmp_path / "smoke", smoke.model_copy(update={"finetune": None}))
    run.path("scores.csv").unlink()
    said: list[str] = []

    spatial = Architecture("densenet_tiny", 3, {}).uniform("S")

    def looked(site: str) -> list[list[str]]:
        winner = Strategy("densenet_tiny", {**spatial.units, site: "ST"})
        monkeypatch.setattr("stzoo.training.stages.best", lambda sampled: replace(sampled[0], strategy=winner))
        select(run, 3, clip_cache, Voice(said.append, progress=False))
        looks: list[list[str]] = json.loads(run.path("looks.json").read_text())["val"]
        assert read_bundle(run.bundle).config.provenance[LOOKS] == ("val once", "val 2 times")[len(looks) - 1]
        return looks

    first = looked("B1.L1")
    assert looked("B1.L1") == first, "the same nets again"
    both = looked("T1")
    assert (both[:1], len(both), len(both[1])) == (first, 2, 1)
    assert looked("B1.L1") == both
    assert "This run has now looked at val 2 times; what is best there is so by luck, too." in said


def test_a_run_without_its_data_leaves_nothing_behind(smoke: Recipe, tmp_path: Path) -> None:
    data = smoke.data.model_copy(update={"root": str(tmp_path / "nowhere")})
    with pytest.raises(DataError, match=r"nowhere \(data\.root\) does not exist"):
        train(Run(tmp_path / "run", smoke.model_copy(update={"data": data})), tmp_path, SILENT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [("net.backbone=densenet_tinny", "no backbone"), ("fixed.strategy=published:k400", "is for densenet121")],
)
def test_a_net_that_cannot_be_built_is_refused_before_anything_is_decoded(
    fixed_toml: Path, motions: Path, tmp_path: Path, override: str, words: str
) -> None:
    recipe = read(fixed_toml, [f"data.root='{motions}'", override])
    with pytest.raises(StzooError, match=words):
        train(Run(tmp_path / "run", recipe), tmp_path / "cache", SILENT)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def test_select_needs_a_trained_template(smoke: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no trained template"):
        select(Run(tmp_path / "smoke", smoke), 5, tmp_path, SILENT)


@pytest.fixture
def fixed_toml(tmp_path: Path) -> Path:
    """A recipe that trains ST alone."""
    path = tmp_path / "st.toml"
    table = 'strategy = "st"\nepochs = 1\nbatch_size = 8\nlearning_rate = 0.1\nweight_decay = 0.0\n'
    smoke_toml = Path("recipes/smoke.toml").absolute()
    path.write_text(f'extends = "{smoke_toml}"\nname = "smoke-st"\n[fixed]\n{table}')
    return path


def test_a_fixed_recipe_trains_one_net(
    fixed_toml: Path, motions: Path, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    at_once: list[int] = []

    def watched(*arguments: Any, **named: Any) -> Any:
        at_once.append(named["at_once"])
        return video_scores(*arguments, **named)

    monkeypatch.setattr("stzoo.training.machine.video_scores", watched)
    run = Run(tmp_path / "run", read(fixed_toml, [f"data.root='{motions}'", "compute.micro_batch=3"]))
    accuracies = train(run, clip_cache, SILENT)
    assert at_once == [3, 3], "after the epoch and in the end a net is given what fits in training"
    assert [(measured.name, measured.how, measured.split) for measured in accuracies] == [("smoke-st", "alone", "val")]
    bundle = read_bundle(run.folder / "bundles" / "smoke-st")
    assert bundle.strategy.counts() == {"ST": 15}
    assert "left_out" not in run.recorded("fixed")[0]
    assert "training videos left out" not in bundle.config.provenance
    assert bundle.config.provenance["hardware"].startswith("CPU"), "a GPU that the recipe does not use is not named"
    with pytest.raises(TrainingError, match="one fixed net"):
        select(run, 5, clip_cache, SILENT)


def test_videos_that_training_left_out_are_counted_in_metrics_and_bundle(
    fixed_toml: Path, motions: Path, tmp_path: Path
) -> None:
    listed = (motions / read(fixed_toml).data.train).read_text()
    (tmp_path / "train.txt").write_text(f"{listed}gone.mp4 0\n")
    data = [f"data.root='{motions}'", f"data.train='{tmp_path / 'train.txt'}'", "data.groups=none", "data.cache=false"]
    run = Run(tmp_path / "run", read(fixed_toml, [*data, "data.max_broken=0.5", "compute.workers=1"]))
    train(run, tmp_path / "cache", SILENT)
    assert [entry["left_out"] for entry in run.recorded("fixed")] == [1]
    assert read_bundle(run.bundle).config.provenance["training videos left out"] == "1"


def test_a_run_takes_the_warm_up_of_its_sweep(finished: Run, clip_cache: Path, tmp_path: Path, smoke: Recipe) -> None:
    swept = Run(sweep_folder(tmp_path / "smoke") / "objective.k=1", smoke)
    swept.begin()
    for name in ("warmup.safetensors", "metrics.jsonl"):
        swept.path(name).write_bytes(finished.path(name).read_bytes())
    run = Run(tmp_path / "smoke", smoke)
    said: list[str] = []
    train(run, clip_cache, Voice(said.append, progress=False))
    assert not any(sentence.startswith("warmup") for sentence in said)
    assert repeated(run) == repeated(finished)


def test_a_bundle_in_16_bits_holds_the_net_that_was_measured(
    fixed_toml: Path, motions: Path, clip_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Any] = []

    def watched(net: Any, *arguments: Any) -> Any:
        measured.append(net)
        return shared_scores(net, *arguments)

    monkeypatch.setattr("stzoo.training.results.shared_scores", watched)
    run = Run(tmp_path / "run", read(fixed_toml, [f"data.root='{motions}'", "bundle.weights='float16'"]))
    train(run, clip_cache, SILENT)
    bundled = loading.load(run.bundle, runtime="torch", device="cpu")
    kernels = 0
    for name, value in measured[-1].state_dict().items():
        assert torch.equal(bundled.net.state_dict()[name], value), name
        kernels += 2 * value.numel() if value.dim() > 1 else 0
    assert kernels < (run.bundle / "model.safetensors").stat().st_size < 1.5 * kernels
    assert weights_digest(run.bundle) == bundled.digest
    assert json.loads((run.bundle / "golden.json").read_text())["model_digest"] == bundled.digest


def test_a_bundle_may_leave_its_template_out(finished: Run, motions: Path, clip_cache: Path, tmp_path: Path) -> None:
    recipe = read("recipes/smoke.toml", [f"data.root='{motions}'", "bundle.template=false"])
    run = trained(finished, tmp_path / "run", recipe)
    train(run, clip_cache, SILENT)
    assert (finished.bundle / "template.safetensors").exists()
    assert not (run.bundle / "template.safetensors").exists()
    assert not (run.bundle / "statistics").exists()
    assert (run.bundle / "marginals.json").read_bytes() == (finished.bundle / "marginals.json").read_bytes()
