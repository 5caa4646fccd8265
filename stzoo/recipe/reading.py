"""From a recipe's file to a `Recipe`: found, joined with what it extends, overridden, and checked as a whole."""

from __future__ import annotations

import copy
import json
import os
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stzoo.contract import InputContract
from stzoo.errors import RecipeError, did_you_mean
from stzoo.files import packaged
from stzoo.recipe.agreement import TEMPLATE_TABLES, disagreements
from stzoo.recipe.data import Data
from stzoo.recipe.overrides import put
from stzoo.recipe.stages import STAGES
from stzoo.recipe.tables import Augment, Recipe
from stzoo.validation import parse_toml, phrase, refuse_absurd, shortened

_MOST_PROBLEMS = 30

_OF_A_LIST = ("groups", "source_column", "fold", "leave_out")
"""What [data] says of one training list, and nothing of another."""

_OF_A_LAYOUT = (
    *("annotations", "classes", "train", "val", "tests", "good", "frame_rate"),
    *_OF_A_LIST,
)
"""What [data] says of one format, and nothing of another."""

_PACES = {"fps", "stride_frames"}
"""What [input] says of the time between frames, each in the other's place; segments of a video have neither."""

Tree = dict[str, Any]
Places = Mapping[str, Path]
"""The dotted key of a value -> the file that says it, where that is one which the recipe extends."""


def read(path: Path | str, overrides: Sequence[str] = (), changes: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
    """Reads a recipe file, or one that ships with stzoo by its name (`smoke`, `recipes/smoke.toml`).

    `overrides` are texts such as `warmup.epochs=3`: a TOML value, or else plain text. A recipe that `extends` another
    (by a path relative to its own, or by a shipped recipe's name) takes over all it does not say itself, except the
    name; one with [fixed] does not take over a template's tables, nor the other way round, one with another
    `data.format` takes over no lists, one with another `data.train` no sources, folds and classes to leave out of
    them, and one with another of `input.fps`, `input.stride_frames` and `input.sampling = "segments"` not that of the
    other; overrides do the same. `changes`
    are tables that are laid over the file as if it were extended. Raises `RecipeError` that lists every problem with
    its place and value.
    """
    file = find(path)
    tree, places = _load(file)
    if changes:
        tree = _joined(tree, dict(changes), always_its_own_lists="data" in changes)
    overridden = tuple(f"{override.partition('=')[0].strip()}." for override in overrides)
    places = {key: place for key, place in places.items() if not f"{key}.".startswith(overridden)}
    return resolve(tree, overrides, source=str(file), places=places)


def resolve(tree: Tree, overrides: Sequence[str] = (), *, source: str, places: Places = MappingProxyType({})) -> Recipe:
    """The recipe that tables say, changed by overrides as `read` takes them.

    `RecipeError` calls it `source`, and says of the values that `places` knows in which file they stand.
    """
    tree = copy.deepcopy(tree)
    problems = []
    if formats := [override for override in overrides if override.partition("=")[0].strip() == "data.format"]:
        tree = _without_other_layout(tree, formats[-1].partition("=")[2].strip().strip("\"'"))
    own = {"".join(key.split()): text.strip() for key, _, text in (override.partition("=") for override in overrides)}
    tree = _without_other_pace(
        tree, {key.removeprefix("input."): text.strip("\"'") for key, text in own.items() if key.startswith("input.")}
    )
    for override in overrides:
        try:
            put(tree, override)
        except ValueError as error:
            problems.append(str(error))
    try:
        refuse_absurd(tree)
    except ValueError as error:
        raise RecipeError(report(source, [*problems, str(error)])) from error
    tree = _with_dropout(tree)
    problems += _problems(tree, places)
    if problems:
        raise RecipeError(report(source, problems))
    return Recipe(**_tuples(tree))


def find(path: Path | str) -> Path:
    """The recipe file that a path or a shipped recipe's name means. Raises `RecipeError` if there is none."""
    return _existing(Path(path), Path(path), "here")


def _existing(path: Path, file: Path, place: str) -> Path:
    """The `file`, or else the recipe that ships under the name that is `path`; `place` is where the file would be."""
    try:
        if file.is_file():
            return file
    except (OSError, ValueError):  # no file can have such a name
        pass
    folder = packaged("recipes")
    known = sorted(file.stem for file in folder.glob("*.toml"))
    name = path.name.removesuffix(".toml")
    if name in known and path.parent in (Path(), Path("recipes")):
        return folder / f"{name}.toml"
    if os.path.isdir(file):
        raise RecipeError(f"{file} is a folder; a recipe is a TOML file")
    beside = sorted(sibling.name for sibling in file.parent.glob("*.toml"))
    guess = did_you_mean(path.name, beside) or did_you_mean(name, known)
    guess = guess or f" Known are {', '.join(known) or 'none'}."
    raise RecipeError(
        f"there is no recipe {shortened(str(path), 300)}, neither {place} nor among those that ship with stzoo.{guess}"
    )


def _load(file: Path, seen: tuple[Path, ...] = ()) -> tuple[Tree, Places]:
    """The tree of a recipe file with everything it extends, and what of it stands in another file."""
    chain = (*seen, file.resolve())
    if file.resolve() in seen:
        raise RecipeError(f"recipes extend each other in a circle: {' -> '.join(str(step) for step in chain)}")
    try:
        tree = parse_toml(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        extended = f" that {seen[-1]} extends" if seen else ""
        raise RecipeError(f"cannot read the recipe {file}{extended}: {error.strerror}") from error
    except ValueError as error:
        raise RecipeError(f"{file} is not valid TOML: {shortened(str(error), 300)}") from error
    parent = tree.pop("extends", None)
    if parent is None:
        return tree, {}
    if not isinstance(parent, str):
        raise RecipeError(f"{file}: extends is {parent!r}; it is the path of another recipe, relative to this one")
    below = _existing(Path(parent), file.parent / parent, f"beside {file}, which extends it,")
    inherited, places = _load(below, chain)
    inherited.pop("name", None)
    places = dict.fromkeys(_keys_of(inherited), below) | {**places}
    said_here = set(_keys_of(tree))
    places = {key: place for key, place in places.items() if key not in said_here}
    return _joined(inherited, tree), places


def _joined(below: Tree, above: Tree, always_its_own_lists: bool = False) -> Tree:
    """`above` laid over `below`, of which it takes over what goes with it."""
    data = above.get("data")
    if isinstance(data, dict) and (always_its_own_lists or "format" in data):
        below = _without_other_layout(below, None if always_its_own_lists else data["format"])
    if isinstance(data, dict) and "train" in data and isinstance(below.get("data"), dict):
        below = {**below, "data": {key: value for key, value in below["data"].items() if key not in _OF_A_LIST}}
    if isinstance(own := above.get("input"), dict):
        below = _without_other_pace(below, own)
    return _merged(_without_other_kind(below, above), above)


def _without_other_layout(tree: Tree, format_: object) -> Tree:
    """A tree without lists where its format is another one."""
    data = tree.get("data")
    if not isinstance(data, dict) or data.get("format", "list") == format_:
        return tree
    return {**tree, "data": {key: value for key, value in data.items() if key not in _OF_A_LAYOUT}}


def _without_other_pace(tree: Tree, said: Mapping[str, object]) -> Tree:
    """A tree without the time between frames whose place is taken by what is said of [input]."""
    below = tree.get("input")
    if not isinstance(below, dict):
        return tree
    gone: set[str] = set()
    if said.get("sampling") == "segments":
        gone = _PACES
    elif _PACES & said.keys():
        gone = _PACES | ({"sampling"} if below.get("sampling") == "segments" else set())
    return {**tree, "input": {key: value for key, value in below.items() if key not in gone}}


def _keys_of(tree: Tree, prefix: str = "") -> Iterator[str]:
    """The dotted keys of all values that are no tables."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _keys_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _without_other_kind(below: Tree, above: Tree) -> Tree:
    """`below` without those of its tables that do not go with what `above` trains: a template, or a fixed net."""
    unfit: set[str] = set()
    if "fixed" in above and above.keys().isdisjoint(TEMPLATE_TABLES):
        unfit = {*TEMPLATE_TABLES}
    elif "fixed" not in above and {"warmup", "variational"} & above.keys():
        unfit = {"fixed"}
    return {name: value for name, value in below.items() if name not in unfit}


def _merged(below: Tree, above: Tree) -> Tree:
    """A value of `above` replaces its namesake; a table is laid over it, but for `tests`, whose keys are free names."""
    merged = dict(below)
    for name, value in above.items():
        both_tables = name != "tests" and isinstance(value, dict) and isinstance(below.get(name), dict)
        merged[name] = _merged(below[name], value) if both_tables else value
    return merged


def _with_dropout(tree: Tree) -> Tree:
    """[net]'s dropout in every stage that names none itself."""
    net = tree.get("net")
    if not isinstance(net, dict) or "dropout" not in net:
        return tree
    stages: Tree = {
        name: {"dropout": net["dropout"], **tree[name]} for name in STAGES if isinstance(tree.get(name), dict)
    }
    return {**tree, **stages}


def _tuples(value: Any) -> Any:
    """TOML's arrays as tuples, because the tables are strict."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _problems(tree: Tree, places: Places) -> list[str]:
    """Everything that is wrong: what pydantic finds, then what contradicts between the tables that are in order."""
    values = _tuples(tree)
    try:
        Recipe(**values)
    except ValidationError as error:
        findings = [finding for finding in error.errors(include_url=False, include_context=False) if finding["loc"]]
    else:
        return []
    broken = {finding["loc"][0] for finding in findings}
    valid = {
        name: table.model_validate(values[name])
        for name, table in (("data", Data), ("input", InputContract), ("augment", Augment))
        if name in values and name not in broken
    }
    return [*(_phrase(finding, places) for finding in findings), *disagreements(valid, values)]


def _phrase(finding: ErrorDetails, places: Places) -> str:
    """A finding's dotted place, the file if it is an extended one, its value, and what is wrong with it."""
    steps = [str(step) for step in finding["loc"] if step != "[key]"]
    place = ".".join(steps)
    files = (places.get(".".join(steps[:count])) for count in range(1, len(steps) + 1))
    place += next((f" (in {file})" for file in files if file), "")
    if finding["type"] in ("model_type", "dict_type"):
        finding = {**finding, "msg": "Input should be a table"}
    is_table = isinstance(finding["input"], dict)
    sentence = phrase(finding, place, place if is_table else f"{place} = {written(finding['input'])}")
    if place == "name" and finding["type"] == "missing":
        return f'{sentence}; give the recipe one of its own, such as name = "mine"'
    if finding["type"] == "extra_forbidden":
        return f"{sentence}.{did_you_mean(steps[-1], _keys(*steps[:-1]))}"
    return sentence


def _keys(table: str = "") -> list[str]:
    """The keys of a table, or those of the recipe itself."""
    if not table:
        return [*Recipe.model_fields, "extends"]
    annotation = Recipe.model_fields[table].annotation
    (model,) = [kind for kind in typing.get_args(annotation) or (annotation,) if kind is not type(None)]
    return [field.alias or name for name, field in model.model_fields.items()]


def written(value: object) -> str:
    """A value as an error shows it, much of it left out where it is long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def report(source: str, problems: list[str]) -> str:
    """What is said of a recipe: its one problem, or each on a line of its own; endless ones are cut short."""
    problems = [shortened(problem, 600) for problem in problems]
    if len(problems) > _MOST_PROBLEMS:
        problems = [*problems[:_MOST_PROBLEMS], f"and {len(problems) - _MOST_PROBLEMS} more"]
    if len(problems) == 1:
        return f"{source}: {problems[0]}"
    return "\n  ".join([f"{source} has {len(problems)} problems:", *problems])
