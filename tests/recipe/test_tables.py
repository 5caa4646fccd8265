from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stzoo.contract import InputContract
from stzoo.recipe import (
    Augment,
    Compute,
    Data,
    Fixed,
    Init,
    Net,
    Objective,
    Optimisation,
    Recipe,
    Selection,
    Variational,
)
from stzoo.strategies.strategy import ALL_BRANCHES, BRANCHES

OPTIMISATION: dict[str, Any] = {"epochs": 10, "batch_size": 8, "learning_rate": 0.1, "weight_decay": 0.0}


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=True, exclude_max=True)


@st.composite
def optimisations(draw: st.DrawFn) -> dict[str, Any]:
    epochs = draw(st.integers(2, 10_000))
    head_epochs = draw(st.integers(0, epochs - 2))
    milestones = draw(st.lists(st.integers(head_epochs + 1, epochs - 1), max_size=4, unique=True).map(sorted))
    return {
        "epochs": epochs,
        "head_epochs": head_epochs,
        "optimiser": draw(st.sampled_from(["sgd", "adamw"])),
        "trunk_learning_rate": draw(st.none() | floats(0, 100)),
        "label_smoothing": draw(floats(0, 1)),
        "mixup": draw(floats(0, 10)),
        "cutmix": draw(floats(0, 10)),
        "batch_norm": draw(st.sampled_from(["batch", "kept"])),
        "batch_size": draw(st.integers(1, 65_536)),
        "learning_rate": draw(floats(0, 100)),
        "momentum": draw(floats(0, 1)),
        "weight_decay": draw(floats(0, 1)),
        "dropout": draw(floats(0, 1)),
        "schedule": "step" if milestones else "cosine",
        "milestones": tuple(milestones),
        "gamma": draw(floats(0, 1)),
        "ramp_epochs": draw(st.integers(0, epochs - head_epochs)),
        "ema": draw(floats(0, 1)),
        "patience": draw(st.integers(0, 10_000)),
    }


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any recipe: odd texts, every number within its range, a template or a fixed net."""
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
    frames, crop = draw(st.integers(1, 64)), draw(st.integers(8, 128))
    values: dict[str, Any] = {
        "name": draw(st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9})?", fullmatch=True)),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "data": Data(
            root=draw(text),
            classes=draw(text),
            train=draw(text),
            val=draw(text),
            groups=draw(st.none() | text),
            source_column=draw(text),
            fold=draw(st.none() | text | st.integers(0, 9)),
            selection_fraction=draw(floats(0, 0.5)),
            split_seed=draw(st.integers(0, 2**63 - 1)),
            leave_out=draw(st.lists(text, max_size=2).map(tuple)),
            frame_order=draw(st.sampled_from(["given", "shuffled"])),
            tests=draw(st.dictionaries(st.sampled_from(["test", "test-unseen", "x1"]), text)),
        ),
        "input": InputContract(
            frames=frames, fps=draw(floats(0, 1000)), resize=crop + draw(st.integers(0, 9)), crop=crop
        ),
        "augment": Augment(
            strip_frames=frames + draw(st.integers(0, 9)),
            strip_size=crop + draw(st.integers(0, 9)),
            flip=draw(st.booleans()),
        ),
        "net": Net(
            backbone="densenet_tiny",
            **draw(
                st.fixed_dictionaries({"temporal_stride": st.sampled_from(["none", "x2", "x8", "low"])})
                | st.just({"stem_frames": 1})
            ),
            branches=draw(st.sampled_from([BRANCHES, ALL_BRANCHES])),
            pooling=draw(st.sampled_from([("mean",), ("mean", "deviation", "trend")])),
            shared_norm=draw(st.booleans()),
        ),
        "init": draw(st.none() | text.map(lambda source: Init.model_validate({"from": source}))),
        "compute": Compute(
            device=draw(st.sampled_from(["auto", "cpu", "cuda", "cuda:3"])),
            micro_batch=draw(st.integers(0, 65_536)),
            compile=draw(st.booleans()),
        ),
    }
    if draw(st.booleans()):
        values["fixed"] = Fixed(strategy=draw(text), **draw(optimisations()))
    else:
        values["warmup"] = Optimisation(**draw(optimisations()))
        values["variational"] = Variational(
            gate_learning_rate=draw(floats(0, 1000)), initial_drop=draw(floats(0, 1)), **draw(optimisations())
        )
        values["objective"] = Objective(k=draw(st.floats(0, 1e9)), form=draw(st.sampled_from(["coded", "eq5"])))
        values["selection"] = Selection(strategies=draw(st.integers(1, 100_000)))
        values["finetune"] = draw(st.none() | optimisations().map(lambda fields: Optimisation(**fields)))
    return Recipe(**values)


@given(recipes())
def test_a_written_recipe_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    from stzoo.recipe import read

    file = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8", newline="")
    again = read(file)
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()


@given(recipes())
def test_a_recipe_for_others_keeps_all_but_the_folders_of_this_machine(recipe: Recipe) -> None:
    assert recipe.portable().portable() == recipe.portable()
    here = recipe.model_dump(by_alias=True)
    here["data"] |= {"root": "/home/me/videos", "train": "/tmp/lists/train.txt", "tests": {"test": "/tmp/test.txt"}}
    here["init"] = {"from": "~/me/bundle"}
    portable = Recipe.model_validate(here).portable()
    assert (portable.data.root, portable.data.train) == ("videos", "train.txt")
    assert portable.data.tests == {"test": "test.txt"}
    assert portable.init is not None
    assert portable.init.source == "bundle"
    assert portable.input == recipe.input


@pytest.mark.parametrize(
    ("table", "fields", "message"),
    [
        (Optimisation, {"milestones": (3, 3), "schedule": "step"}, "milestones must increase"),
        (Optimisation, {"milestones": (0, 3), "schedule": "step"}, "first milestone must be at least 1"),
        (Optimisation, {"milestones": (3, 10), "schedule": "step"}, "less than epochs, which is 10; give earlier"),
        (Optimisation, {"milestones": (3,)}, 'milestones need schedule = "step"'),
        (Optimisation, {"schedule": "step"}, 'schedule = "step" needs milestones'),
        (Optimisation, {"ramp_epochs": 11}, "ramp must fit into epochs, which is 10"),
        (Optimisation, {"head_epochs": 11}, "the head's epochs must fit into epochs, which is 10"),
        (Optimisation, {"head_epochs": 9, "ramp_epochs": 2}, "must fit into epochs, which is 10, behind 9 of the head"),
        (
            Optimisation,
            {"head_epochs": 3, "milestones": (3, 5), "schedule": "step"},
            "first milestone must be at least 4",
        ),
        (Optimisation, {"optimiser": "adam"}, "optimiser"),
        (Optimisation, {"trunk_learning_rate": 0.0}, "trunk_learning_rate"),
        (Optimisation, {"label_smoothing": 1.0}, "label_smoothing"),
        (Optimisation, {"mixup": -0.1}, "mixup"),
        (Optimisation, {"cutmix": float("inf")}, "cutmix"),
        (Optimisation, {"batch_norm": "re-estimated"}, "batch_norm"),
        (Optimisation, {"epochs": 0}, "epochs"),
        (Optimisation, {"epochs": 1.0}, "epochs"),
        (Optimisation, {"epochs": True}, "epochs"),
        (Optimisation, {"batch_size": 0}, "batch_size"),
        (Optimisation, {"learning_rate": 0.0}, "learning_rate"),
        (Optimisation, {"learning_rate": float("nan")}, "learning_rate"),
        (Optimisation, {"momentum": 1.0}, "momentum"),
        (Optimisation, {"gamma": 0.0}, "gamma"),
        (Optimisation, {"learning_rte": 1.0}, "learning_rte"),
        (Variational, {"gate_learning_rate": 0.0}, "gate_learning_rate"),
        (Variational, {"gate_learning_rate": 0.1, "initial_drop": 1.0}, "initial_drop"),
        (Variational, {"gate_learning_rate": 0.1, "temperature": 0.0}, "temperature"),
        (Fixed, {"strategy": ""}, "strategy"),
    ],
)
def test_a_stage_out_of_range_is_refused(table: type[Optimisation], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table(**{**OPTIMISATION, **fields})


@given(recipes())
def test_a_recipe_trains_a_template_or_one_net(recipe: Recipe) -> None:
    if recipe.template is None:
        assert recipe.fixed is not None
        assert recipe.stages == {"fixed": recipe.fixed}
    else:
        assert recipe.fixed is None
        assert list(recipe.stages) == ["warmup", "variational", "finetune"][: 2 + (recipe.finetune is not None)]
        assert recipe.template.variational is recipe.stages["variational"]
    assert recipe.first_stage == next(iter(recipe.stages))


@pytest.mark.parametrize("fraction", [0.0, 0.51, -0.1])
def test_the_selection_split_is_at_most_half_of_train(fraction: float) -> None:
    with pytest.raises(ValidationError, match="selection_fraction"):
        Data(root="r", classes="c", train="t", val="v", selection_fraction=fraction)


@pytest.mark.parametrize("name", ["train", "val", "selection", "Test", "", "a b", "../x"])
def test_a_further_split_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ValidationError, match="tests"):
        Data(root="r", classes="c", train="t", val="v", tests={name: "x.txt"})


def test_where_a_fold_validates_no_list_does() -> None:
    assert Data(root="r", classes="c", train="t", fold=0).val is None
    assert Data(root="r", classes="c", train="t", val="v", groups="none").groups is None
    with pytest.raises(ValidationError, match="val"):
        Data(root="r", classes="c", train="t", groups="g")


def test_official_formats_know_their_own_lists() -> None:
    assert Data(root="r", format="ucf101").train is None
    with pytest.raises(ValidationError, match="train"):
        Data(root="r", format="frame-list", classes="c", val="v")
    with pytest.raises(ValidationError, match="format"):
        Data(root="r", format="kinetics")


@pytest.mark.parametrize("frames", [0, 2, 5, "1"])
def test_a_stem_sees_one_frame_or_its_own_number(frames: object) -> None:
    assert Net(backbone="mobilenet_v2", stem_frames=1).stem_frames == 1
    with pytest.raises(ValidationError, match="stem_frames"):
        Net(backbone="mobilenet_v2", stem_frames=frames)


def test_a_stem_of_single_frames_needs_all_of_them() -> None:
    with pytest.raises(ValidationError, match='needs temporal_stride = "none", because a stride would pass over'):
        Net(backbone="mobilenet_v2", temporal_stride="x2", stem_frames=1)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(ValidationError, match="device"):
        Compute(device=device)


def test_what_is_computed_again_cannot_be_compiled() -> None:
    with pytest.raises(ValidationError, match="cannot trace checkpoint_activations"):
        Compute(compile=True, checkpoint_activations=True)


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Compute().threads = 3  # type: ignore[misc]
