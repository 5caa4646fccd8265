from __future__ import annotations

from pathlib import Path

import pytest

from stzoo.errors import TrainingError
from stzoo.recipe import Recipe
from stzoo.training.run import Run


def test_a_run_that_was_killed_while_it_began_begins_again(smoke: Recipe, tmp_path: Path) -> None:
    half_written = tmp_path / ".recipe.toml.abc.tmp"
    half_written.write_text("name =")
    run = Run(tmp_path, smoke)
    run.begin()
    with run.alone():
        pass
    assert Run.open(tmp_path).recipe == smoke
    assert not half_written.exists()


def test_what_a_killed_process_had_half_written_is_removed(smoke: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path, smoke)
    run.begin()
    for name in ("warmup.safetensors", "bundles/smoke-opt/config.json"):
        run.path(name).parent.mkdir(parents=True, exist_ok=True)
        run.path(name).write_text("done")
    before = sorted(tmp_path.rglob("*"))
    run.path(".checkpoint-warmup.safetensors.abc.tmp").write_text("half")
    for folder in (".smoke-opt.abc.tmp", ".smoke-opt.abc.old"):
        run.path(f"bundles/{folder}").mkdir()
        run.path(f"bundles/{folder}/config.json").write_text("half")
    with run.alone():
        assert {path for path in tmp_path.rglob("*") if path.name != "lock"} == set(before)


def test_a_run_is_worked_on_by_one_process_at_a_time(smoke: Recipe, tmp_path: Path) -> None:
    first, second = Run(tmp_path, smoke), Run(tmp_path, smoke)
    first.begin()
    with first.alone(), pytest.raises(TrainingError, match="another process works on the run"), second.alone():
        pass
    with second.alone():
        pass


def test_an_epoch_that_is_recorded_again_replaces_its_line_and_later_ones(smoke: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path, smoke)
    for stage, epoch, loss in [("warmup", 1, 3.0), ("warmup", 2, 2.0), ("variational", 1, 1.0), ("warmup", 2, 2.5)]:
        run.record(stage, epoch, {"loss": loss})
    assert run.recorded("warmup") == [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.5}]
    assert run.recorded("variational") == [{"epoch": 1, "loss": 1.0}]


def test_a_recipe_that_was_written_before_a_table_got_another_default_is_the_same(
    smoke: Recipe, tmp_path: Path
) -> None:
    run = Run(tmp_path, smoke)
    run.begin()
    path = run.path("recipe.toml")
    text = path.read_text()
    path.write_text(text.replace("max_broken = 0.01\n", ""))
    assert path.read_text() != text
    run.record("warmup", 1, {"loss": 3.0})
    assert Run(tmp_path, smoke).recipe == smoke
    differing = {
        text.replace("seed = ", "seed = 1"): rf"\(seed is 1\d* in .*toml, and {smoke.seed} here\)",
        "name =": "read",
    }
    for other, difference in differing.items():
        path.write_text(other)
        with pytest.raises(TrainingError, match=f"holds a run of another recipe .*{difference}"):
            Run(tmp_path, smoke)


def test_a_run_that_says_no_seed_of_its_split_keeps_the_one_that_drew_it(smoke: Recipe, tmp_path: Path) -> None:
    seeded = smoke.model_copy(update={"seed": 3})
    Run(tmp_path / "new", seeded).begin()
    assert Run.open(tmp_path / "new").recipe.data.split_seed == 0
    text = (tmp_path / "new" / "recipe.toml").read_text()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "recipe.toml").write_text(text.replace("split_seed = 0\n", ""))
    old = Run.open(tmp_path / "old")
    assert old.recipe.data.split_seed == 3
    old.record("warmup", 1, {"loss": 3.0})
    with pytest.raises(TrainingError, match=r"data.split_seed is 3 in .*, and 0 here"):
        Run(tmp_path / "old", seeded)


def left_open(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"compute": recipe.compute.model_copy(update={"precision": "auto"})})


def test_a_run_that_has_begun_keeps_its_precision_where_the_recipe_leaves_it_open(
    smoke: Recipe, tmp_path: Path
) -> None:
    in_16_bits = smoke.model_copy(update={"compute": smoke.compute.model_copy(update={"precision": "bfloat16"})})
    run = Run(tmp_path, in_16_bits)
    run.begin()
    assert Run(tmp_path, left_open(smoke)).recipe == left_open(smoke)
    run.record("warmup", 1, {"loss": 3.0})
    assert Run(tmp_path, left_open(smoke)).recipe == in_16_bits
    with pytest.raises(TrainingError, match=r"compute.precision is 'bfloat16' in .*, and 'float32' here"):
        Run(tmp_path, smoke)
    path = run.path("recipe.toml")
    path.write_text(path.read_text().replace('precision = "bfloat16"\n', ""))
    assert Run(tmp_path, left_open(smoke)).recipe == Run.open(tmp_path).recipe == smoke


def test_a_run_without_an_epoch_takes_another_recipe(smoke: Recipe, tmp_path: Path) -> None:
    changed = smoke.model_copy(update={"seed": smoke.seed + 1})
    stopped = Run(tmp_path, smoke)
    stopped.begin()
    stopped.path("init.json").write_text("{}")
    run = Run(tmp_path, changed)
    with stopped.alone(), pytest.raises(TrainingError, match="another process works on the run"):
        run.begin()
    assert Run.open(tmp_path).recipe == smoke
    run.begin()
    assert Run.open(tmp_path).recipe == changed
    assert not run.path("init.json").exists()
    with pytest.raises(TrainingError, match="another recipe"), stopped.alone():
        pass
    run.record("warmup", 1, {"loss": 3.0})
    with pytest.raises(TrainingError, match="another recipe"):
        Run(tmp_path, smoke)
    assert changed.selection is not None
    more = changed.selection.model_copy(update={"strategies": 500})
    with pytest.raises(TrainingError, match="draw more strategies from this one with stzoo select"):
        Run(tmp_path, changed.model_copy(update={"selection": more}))


def test_the_seconds_of_an_epoch_that_is_run_again_replace_the_first(smoke: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path, smoke)
    assert run.seconds() == {}
    for stage, epoch, seconds in [("warmup", 1, 3.0), ("warmup", 2, 9.0), ("variational", 1, 1.0), ("warmup", 2, 2.5)]:
        run.record_seconds(stage, epoch, seconds)
    assert run.seconds() == {"warmup": {"1": 3.0, "2": 2.5}, "variational": {"1": 1.0}}


def test_a_bundle_is_no_run_although_it_has_a_recipe(smoke: Recipe, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(smoke.to_toml())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"is a bundle and not a run; give a folder that stzoo train made"):
        Run.open(tmp_path)
    with pytest.raises(TrainingError, match=r"is a bundle and not a run; choose another folder with --out"):
        Run(tmp_path, smoke)
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.toml", "config.json"}
