from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from stzoo.data.lists import read_lists
from stzoo.errors import RecipeError
from stzoo.files import packaged
from stzoo.recipe import find, read


def problems(file: Path, *overrides: str) -> list[str]:
    """The lines of the error that reading must raise."""
    with pytest.raises(RecipeError) as caught:
        read(file, overrides)
    return str(caught.value).splitlines()


def test_a_template_recipe(template: Path) -> None:
    recipe = read(template)
    assert (recipe.name, recipe.seed) == ("toy", 3)
    assert recipe.input.fps == 6.0
    assert recipe.variational is not None
    assert recipe.variational.temperature == 0.2
    assert recipe.selection is not None
    assert recipe.selection.strategies == 100
    assert recipe.objective is not None
    assert recipe.objective.form == "coded"
    assert recipe.finetune is None
    assert recipe.fixed is None
    assert recipe.data.tests == {"test-unseen": "unseen.txt"}


def test_a_fixed_recipe(fixed: Path) -> None:
    recipe = read(fixed)
    assert recipe.fixed is not None
    assert recipe.fixed.strategy == "st"
    assert recipe.warmup is None


def test_overrides_are_laid_over_the_file(template: Path) -> None:
    overrides = ["seed=4", "warmup.epochs=9", "compute.device=cpu", "data.tests.extra=x.txt", "finetune.epochs=2"]
    overrides += ["finetune.batch_size=2", "finetune.learning_rate=1", "finetune.weight_decay=0", "warmup.epochs=8"]
    recipe = read(template, overrides)
    assert recipe.seed == 4
    assert recipe.warmup is not None
    assert recipe.warmup.epochs == 8
    assert recipe.compute.device == "cpu"
    assert recipe.data.tests == {"test-unseen": "unseen.txt", "extra": "x.txt"}
    assert recipe.finetune is not None


def test_the_nets_dropout_holds_where_a_stage_names_none(template: Path) -> None:
    recipe = read(template, ["net.dropout=0.5", "variational.dropout=0.0"])
    assert recipe.warmup is not None
    assert recipe.variational is not None
    assert (recipe.warmup.dropout, recipe.variational.dropout) == (0.5, 0.0)


def test_every_problem_is_reported_at_once(template: Path) -> None:
    lines = problems(
        template,
        "epochs=3",
        "warmup.epochs=-1",
        "warmup.lerning_rate=0.1",
        "variational.temperature=nan",
        "objective.form=eq6",
        "data.train=7",
        "data.selection_fraction=0.75",
        "input.stride_frames=2",
        "input.fps=6",
        "augment.strip_size=32",
        "net.backbone=DenseNet 121",
        "selection=3",
        "netto.x=1",
        "nonsense",
    )
    assert lines == [
        f"{template} has 12 problems:",
        "  'nonsense' is no override; write table.key=value",
        "  data.train = 7: input should be a valid string",
        "  data.selection_fraction = 0.75: input should be less than or equal to 0.5",
        "  input: set exactly one of fps and stride_frames",
        "  net.backbone = \"DenseNet 121\": string should match pattern '^(timm:)?[A-Za-z0-9_]+$'",
        "  warmup.epochs = -1: input should be greater than or equal to 1",
        '  warmup.lerning_rate is unknown. Did you mean "learning_rate"?',
        "  variational.temperature = NaN: input should be a finite number",
        "  objective.form = \"eq6\": input should be 'coded', 'eq5' or 'cost'",
        "  selection = 3: input should be a table",
        "  epochs is unknown.",
        '  netto is unknown. Did you mean "net"?',
    ]


def test_init_says_where_weights_come_from(template: Path) -> None:
    recipe = read(template, ["init.from=imagenet", "init.temporal=centre"])
    assert recipe.init is not None
    assert (recipe.init.source, recipe.init.head, recipe.init.temporal) == ("imagenet", "auto", "centre")
    assert '[init]\nfrom = "imagenet"' in recipe.to_toml()
    assert problems(template, "init.form=imagenet", "init.head=new") == [
        f"{template} has 3 problems:",
        "  init.from is missing",
        "  init.head = \"new\": input should be 'auto', 'keep' or 'replace'",
        '  init.form is unknown. Did you mean "from"?',
    ]


def test_one_problem_is_one_sentence(template: Path) -> None:
    assert problems(template, "augment.strip_frames=7") == [
        f"{template}: augment.strip_frames = 7: less than input.frames, which is 8"
    ]


def test_branches_are_one_of_two_sets(template: Path) -> None:
    assert problems(template, 'net.branches=["S", "T"]') == [
        f'{template}: net.branches = ["S", "T"]: choose ["S", "ST"] or ["S", "T", "ST"]'
    ]
    assert read(template).net.branches == ("S", "ST")
    assert read(template, ['net.branches=["S", "T", "ST"]']).net.branches == ("S", "T", "ST")


def test_strips_hold_a_crop(template: Path) -> None:
    assert problems(template, "augment.strip_size=63") == [
        f"{template}: augment.strip_size = 63: less than input.crop, which is 64"
    ]


def test_training_may_crop_otherwise_than_the_contract(template: Path) -> None:
    assert read(template, ["augment.crop=72"]).augment.crop == 72
    assert problems(template, "augment.crop=80", "augment.short_sides=[79, 90]") == [
        f"{template} has 2 problems:",
        "  augment.strip_size = 72: less than augment.crop, which is 80",
        "  augment.short_sides = [79, 90]: less than augment.crop, which is 80",
    ]
    bare = template.with_name("bare.toml")
    bare.write_text(template.read_text().replace("strip_frames = 12\nstrip_size = 72\n", ""))
    assert problems(bare, "augment.crop=80", "data.cache=false") == [
        f"{bare}: input.resize = 72: less than augment.crop, which is 80"
    ]


@pytest.mark.parametrize(
    ("name", "trained", "scored"), [("k400", 32, 6), ("k400-mobilenet_v2", 32, 6), ("smoke", 8, 8), ("sthv1", 8, 6)]
)
def test_no_more_pixels_are_scored_at_once_than_are_trained_on(name: str, trained: int, scored: int) -> None:
    """Kinetics-400 is trained on 32 frames of 224 pixels and measured on 128 of 256."""
    recipe = read(name)
    assert (recipe.trained_at_once, recipe.scored_at_once) == (trained, scored)
    assert read(name, ["compute.micro_batch=1"]).scored_at_once == 1
    assert read(name, ["compute.micro_batch=9999"]).trained_at_once == recipe.warmup.batch_size


def test_training_may_take_other_frames_than_the_contract(template: Path) -> None:
    assert read(template, ["augment.frames=4"]).training_input.frames == 4
    assert problems(template, "augment.frames=14", "augment.stride_frames=2") == [
        f"{template} has 2 problems:",
        "  augment.strip_frames = 12: less than augment.frames, which is 14",
        "  augment.stride_frames = 2: needs input.stride_frames, whose place it takes",
    ]


def test_what_is_cached_and_what_is_not_go_with_their_own_options(template: Path) -> None:
    place = f"{template}: "
    fewer = ("augment.short_sides=[72, 56]", "input.fps=5", "augment.flip=label-aware")
    assert problems(template, *fewer) == [
        f"{place}augment.short_sides = [72, 56]: less than input.crop, which is 64",
    ]
    assert problems(template, "augment.stride=random", "data.cache=false") == [
        f'{place}augment.stride = "random": needs input.stride_frames, of which it draws every step'
    ]
    bare = template.with_name("bare.toml")
    text = template.read_text().replace("strip_frames = 12\nstrip_size = 72\n", "").replace("fps = 6\n", "")
    bare.write_text(text)
    assert problems(bare, "input.stride_frames=2", "augment.stride=random") == [
        f"{bare} has 3 problems:",
        "  augment.strip_frames is missing",
        "  augment.strip_size is missing",
        '  augment.stride = "random": needs data.cache = false, because strips have a fixed stride',
    ]
    assert problems(bare, "input.sampling=segments")[-1] == (
        '  input.sampling = "segments": needs data.cache = false, because a strip is one run of frames'
    )
    for overrides in (("input.stride_frames=2", "augment.stride=random"), ("input.sampling=segments",)):
        assert read(bare, ("data.cache=false", *overrides)).augment.strip_size is None


def test_missing_values_are_named(tmp_path: Path) -> None:
    file = tmp_path / "empty.toml"
    file.write_text("[data]\nroot = 'x'\n")
    assert problems(file) == [
        f"{file} has 8 problems:",
        '  name is missing; give the recipe one of its own, such as name = "mine"',
        "  data.classes is missing",
        "  data.train is missing",
        "  data.val is missing",
        "  input is missing",
        "  augment is missing",
        "  net is missing",
        "  nothing to train: give [fixed], or [warmup], [variational], [objective] and [selection]",
    ]


def test_a_template_needs_all_its_tables(template: Path) -> None:
    template.write_text(re.sub(r"\[objective\]\nk = 20\n", "", template.read_text()))
    assert problems(template) == [
        f"{template}: a template's recipe lacks [objective]; it needs warmup, variational, objective, selection"
    ]


def test_fixed_excludes_a_templates_tables(fixed: Path) -> None:
    fixed.write_text(fixed.read_text() + "\n[objective]\nk = 1\n[selection]\n")
    lines = problems(fixed)
    assert len(lines) == 3
    assert "[objective] does not go with [fixed]" in lines[1]
    assert "[selection] does not go with [fixed]" in lines[2]


def test_a_recipe_extends_another(template: Path) -> None:
    child = template.parent / "below" / "child.toml"
    child.parent.mkdir()
    child.write_text('extends = "../toy.toml"\nname = "child"\n[warmup]\nepochs = 1\n')
    recipe, parent = read(child), read(template)
    assert recipe.warmup is not None
    assert recipe.warmup.epochs == 1
    assert recipe.name == "child"
    assert parent.warmup is not None
    assert recipe.model_copy(update={"name": "toy", "warmup": parent.warmup}) == parent


def test_a_mistake_in_an_extended_recipe_is_said_to_be_there(template: Path) -> None:
    middle, child = template.with_name("middle.toml"), template.with_name("child.toml")
    template.write_text(template.read_text().replace("k = 20", "k = -20"))
    middle.write_text(
        'extends = "toy.toml"\nname = "middle"\n[warmup]\nepoch = 3\nmilestones = [3, "4"]\nepochs = "1"\n'
    )
    child.write_text('extends = "middle.toml"\nname = "child"\n[warmup]\nepochs = 1.5\n')
    lines = [
        f"{child} has 4 problems:",
        "  warmup.epochs = 1.5: input should be a valid integer",
        f'  warmup.milestones.1 (in {middle}) = "4": input should be a valid integer',
        f'  warmup.epoch (in {middle}) is unknown. Did you mean "epochs"?',
        f"  objective.k (in {template}) = -20: input should be greater than or equal to 0",
    ]
    assert problems(child) == lines
    for override in ("objective.k=-3", 'objective={k=-3, form="coded"}'):
        assert problems(child, override)[-1] == "  objective.k = -3: input should be greater than or equal to 0"


def test_a_name_is_not_inherited(template: Path) -> None:
    child = template.with_name("child.toml")
    child.write_text('extends = "toy.toml"\n')
    assert problems(child) == [f'{child}: name is missing; give the recipe one of its own, such as name = "mine"']


@pytest.mark.parametrize(
    ("said", "other"), [(("fps", 6.0), "stride_frames"), (("stride_frames", 3), "fps"), (("frames", 4), None)]
)
def test_frames_by_the_clock_and_by_number_take_each_others_place(
    template: Path, said: tuple[str, float], other: str | None
) -> None:
    name, value = said
    child = template.with_name("child.toml")
    child.write_text(f'extends = "{template.name}"\nname = "child"\n[input]\n{name} = {value}\n')
    before = read(template).input
    for recipe in (read(child), read(template, [f"input.{name}={value}"])):
        assert getattr(recipe.input, name) == value
        pace = (recipe.input.fps, recipe.input.stride_frames)
        assert pace == (before.fps, before.stride_frames) if other is None else getattr(recipe.input, other) is None


def test_segments_and_the_time_between_frames_take_each_others_place(template: Path) -> None:
    child = template.with_name("child.toml")
    child.write_text(
        f'extends = "{template.name}"\nname = "child"\n[data]\ncache = false\n[input]\nsampling = "segments"\n'
    )
    for recipe in (read(child), read(template, ["data.cache=false", "input . sampling='segments'"])):
        assert (recipe.input.sampling, recipe.input.fps, recipe.input.stride_frames) == ("segments", None, None)
    back = template.with_name("back.toml")
    back.write_text('extends = "child.toml"\nname = "back"\n[input]\nfps = 5.0\n')
    for recipe in (read(back), read(child, ["input.fps=5.0"])):
        assert (recipe.input.sampling, recipe.input.fps) == ("dense", 5.0)


def test_two_ways_to_say_which_frames_are_still_one_too_many(template: Path) -> None:
    with pytest.raises(RecipeError, match="exactly one of fps and stride_frames"):
        read(template, ["input.fps=6.0", "input.stride_frames=3"])


@pytest.mark.parametrize("parent", ["smoke.toml", "smoke", "recipes/smoke.toml"])
def test_a_recipe_of_ones_own_extends_a_shipped_one(tmp_path: Path, parent: str) -> None:
    (child := tmp_path / "mine.toml").write_text(f'extends = "{parent}"\nname = "mine"\nseed = 5\n')
    assert read(child) == read("smoke", ["name=mine", "seed=5"])
    (tmp_path / parent).parent.mkdir(exist_ok=True)
    (tmp_path / parent).write_text("seed = ")
    with pytest.raises(RecipeError, match="not valid TOML"):  # a file of that path comes first
        read(child)


def test_a_fixed_recipe_extends_a_template_and_back(template: Path) -> None:
    fixed = template.with_name("st.toml")
    fixed.write_text(
        textwrap.dedent("""
            extends = "toy.toml"
            name = "toy-st"
            [fixed]
            strategy = "st"
            epochs = 10
            batch_size = 32
            learning_rate = 0.1
            weight_decay = 5e-4
        """)
    )
    assert read(fixed).warmup is None
    back = template.with_name("back.toml")
    stages = template.read_text()[template.read_text().index("[warmup]") :]
    back.write_text(f'extends = "st.toml"\nname = "toy"\n{stages}')
    assert read(back) == read(template)


def test_tests_are_inherited_or_replaced_as_a_whole(template: Path) -> None:
    child = template.with_name("child.toml")
    child.write_text('extends = "toy.toml"\nname = "child"\n[data.tests]\nhard = "hard.txt"\n')
    assert read(child).data.tests == {"hard": "hard.txt"}


def test_an_override_does_not_change_the_kind_of_run(fixed: Path) -> None:
    assert any("[objective] does not go with [fixed]" in line for line in problems(fixed, "objective.k=3"))


def test_recipes_must_not_extend_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"')
    (tmp_path / "b.toml").write_text('extends = "a.toml"')
    with pytest.raises(RecipeError, match=r"in a circle: .*a\.toml -> .*b\.toml -> .*a\.toml"):
        read(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"seed = ", "is not valid TOML: "),
        (b"\xff\xfe\x00", "is not valid TOML: "),
        (b'extends = "nowhere.toml"', "broken.toml, which extends it, nor among those that ship with stzoo."),
        (b"extends = 3", "extends is 3; it is the path of another recipe"),
    ],
)
def test_an_unreadable_recipe_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=re.escape(sentence)) as caught:
        read(file)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is a folder"):
        read(tmp_path)


def test_shipped_recipes_are_found_by_name(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stzoo.recipe.reading.packaged", lambda folder: tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in ("toy", "toy.toml", "recipes/toy", "recipes/toy.toml"):
        assert find(name) == template
    with pytest.raises(RecipeError, match='Did you mean "toy"'):
        find("tooy")
    with pytest.raises(RecipeError, match=r"there is no recipe other/toy\.toml"):
        find("other/toy.toml")
    (elsewhere / "mine.toml").touch()
    for name in ("mine", "min.toml"):
        with pytest.raises(RecipeError, match=r'Did you mean "mine\.toml"\?$'):
            find(name)
    namesake = elsewhere / "recipes" / "toy.toml"
    namesake.parent.mkdir()
    namesake.write_text("")
    assert find("recipes/toy.toml") == Path("recipes/toy.toml")


def test_every_shipped_recipe_is_valid_and_opens_with_its_command() -> None:
    files = sorted(packaged("recipes").glob("*.toml"))
    assert len(files) >= 8
    for file in files:
        assert read(file).name == file.stem
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        assert first.startswith("# ")
        assert first.endswith(f"stzoo train recipes/{file.name}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seed = 0x" + "f" * 5000, "seed is an integer of 20000 bits"),
        ("seed = " + "9" * 5000, "is not valid TOML: it holds a number"),
        ("seed = 2024-01-01", "seed = .*2024-01-01.* valid integer"),
        ("seed = 07:32:00", "seed = .*07:32:00.* valid integer"),
        ("seed.".join([""] * 3) + "a = 1", "."),
        (".".join("a" * 5000) + " = 1", "too deeply"),
        ("extends = '" + "a" * 5000 + "'", "there is no recipe aaaa"),
        ("extends = '\x01'", "not valid TOML"),
        ('extends = "\\u0000"', "there is no recipe"),
        ("\n".join(f"k{number} = 1" for number in range(99)), "and .* more$"),
    ],
    ids=range(10),
)
def test_absurd_values_are_one_sentence(template: Path, line: str, words: str) -> None:
    template.write_text(f"{line}\n{template.read_text().replace('seed = 3', '')}")
    with pytest.raises(RecipeError, match=words) as caught:
        read(template)
    assert len(str(caught.value)) < 4000


def test_absurd_overrides_are_one_sentence(template: Path) -> None:
    assert "seed = " in problems(template, "seed=" + "9" * 5000)[0]
    assert "too deeply" in problems(template, ".".join("a" * 5000) + "=1")[0]
    assert "valid integer" in problems(template, "warmup.epochs=0x" + "f" * 1000)[0]


def test_a_byte_order_mark_is_no_part_of_a_recipe(template: Path) -> None:
    plain = read(template)
    template.write_text(template.read_text(), encoding="utf-8-sig")
    assert read(template) == plain


def test_another_format_leaves_the_lists_below_behind(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "camera-motion.toml"\nname = "mine"\n[data]\nroot = "clips"\nformat = "folders"\n')
    data = read(file).data
    assert (data.classes, data.train, data.val, data.tests, data.selection_fraction) == (None, None, None, {}, 0.1)
    same = file.read_text().replace("folders", "list")
    file.write_text(same)
    assert read(file).data.train == "motion/train.txt"
    file.write_text(same.replace('format = "list"', 'train = "all.txt"'))
    assert (read(file).data.train, read(file).data.val) == ("all.txt", "motion/val.txt")
    assert (read("camera-motion").data.groups, read(file).data.groups) == ("clips.csv", None)
    overridden = read("camera-motion", ["data.val=held-out", "data.format=folders"]).data
    assert (overridden.format, overridden.train, overridden.val, overridden.tests) == ("folders", None, "held-out", {})
    assert read("camera-motion", ["data.format=list"]) == read("camera-motion")


def test_tables_can_be_laid_over_a_file(template: Path) -> None:
    data = {"root": "x", "classes": "c", "train": "t", "val": "v"}
    changed = read(template, ["seed=4"], {"name": "other", "data": data})
    assert (changed.name, changed.seed, changed.data.tests) == ("other", 4, {})
    assert changed.warmup == read(template).warmup


def test_the_recipe_for_own_videos_in_the_documentation_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    (block,) = (block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if 'name = "mine"' in block)
    assert len([line for line in block.splitlines() if line]) <= 10
    (tmp_path / "mine.toml").write_text(block)
    for path in ("train/a/1.mp4", "train/b/1.mp4", "val/a/2.mp4"):
        (tmp_path / "clips" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clips" / path).touch()
    monkeypatch.chdir(tmp_path)
    lists = read_lists(read("mine.toml").data)
    assert (lists.classes, len(lists.train), [*lists.tests]) == (("a", "b"), 2, ["val"])
