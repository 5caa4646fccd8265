"""From a user's own videos to the recipe that trains a template on them, or finetunes a bundle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from stzoo.bundle import Bundle
from stzoo.contract import InputContract
from stzoo.data.own import CLASSES, GROUPS, MAX_BROKEN, TRAIN, VAL, OwnVideos
from stzoo.errors import TrainingError
from stzoo.files import write_text
from stzoo.recipe import STAGES, Net, Recipe, read, resolve
from stzoo.training.run import Run, is_blank
from stzoo.validation import parse_toml

GIVEN = "given"
STRATEGY = "strategy.json"

_STEPS, _EPOCHS = 500, (5, 40)
_FEW = 1000  # training videos, below which batches are smaller
_MOST_CACHED_BYTES = 20e9
_RATE_PER_CLIP = 0.00125  # of a batch: 0.02 for 16 clips
_GENTLE_RATE_PER_CLIP = 0.000025  # AdamW's: 0.0004 for 16 clips


def finetuning_recipe(
    source: str,
    bundle: Bundle,
    videos: OwnVideos,
    folder: Path,
    *,
    name: str,
    epochs: int | None = None,
    balance: bool = False,
    overrides: Sequence[str] = (),
) -> Recipe:
    """A [fixed] recipe with the bundle's net, strategy and input, which starts from the bundle's weights.

    Batch size, epochs and whether strips are kept on disk follow from how many videos there are; clips are mirrored if
    they were where the bundle was trained. A net whose trunk was trained more slowly than its head is finetuned so too,
    with AdamW and the head first: it began with weights that others trained, which a rate for a fresh head destroys.

    Args:
        source: what `[init] from` is to say: a model's name, a folder, or a Hub repository.
        bundle: what is there.
        videos: what it is finetuned on.
        folder: where `given_texts` are, or will be.
        name: the recipe's, and so the bundle's.
        epochs: in place of as many as make about 500 steps, from 5 to 40.
        balance: every class trains as often as any other.
        overrides: as `stzoo.recipe.read` takes them.

    Raises `RecipeError` for overrides that do not fit, `TrainingError` for a net that no recipe can describe.
    """
    contract, clips = bundle.contract, len(videos.train)
    batch_size = max(2, min(16 if clips < _FEW else 32, clips // 4))
    strips = _strips(contract, clips)
    epochs = _epochs(clips, batch_size) if epochs is None else epochs
    trained = _tables(bundle.recipe)
    tree: dict[str, Any] = {
        "name": name,
        "data": {
            **_lists(videos, folder),
            "selection_fraction": min(max(0.1, 1 / clips), 0.5),
            "cache": bool(strips),
            "balance": balance,
        },
        "input": contract.model_dump(exclude_none=True),
        "augment": {**strips, "flip": _flip(trained)},
        "net": {"backbone": bundle.config.backbone.name, **_net_options(source, bundle)},
        "init": {"from": source},
        "fixed": {
            "strategy": str(folder.resolve() / STRATEGY),
            "epochs": epochs,
            "batch_size": batch_size,
            **(_gently(epochs, batch_size) if _had_a_slow_trunk(trained) else _plainly(batch_size)),
            "ramp_epochs": 1,
        },
    }
    return resolve(tree, overrides, source=source_of(source))


def training_recipe(
    recipe: Path | str, videos: OwnVideos, folder: Path, *, name: str, overrides: Sequence[str] = ()
) -> Recipe:
    """A recipe, with a user's own videos in place of its dataset.

    Args:
        recipe: a file or the name of one that ships, as `stzoo.recipe.read` takes it.
        videos: what it is to train and validate on; test lists there are none.
        folder: where the texts of `videos` are, or will be.
        name: the new recipe's.
        overrides: as `stzoo.recipe.read` takes them.

    Raises `RecipeError` for a recipe or overrides that are no good.
    """
    data = _lists(videos, folder) | {"format": "list", "tests": {}}
    adapted = read(recipe, overrides, {"name": name, "data": data})
    if round(adapted.data.selection_fraction * len(videos.train)) > 0:
        return adapted
    data["selection_fraction"] = min(1 / len(videos.train), 0.5)
    return read(recipe, overrides, {"name": name, "data": data})


def _lists(videos: OwnVideos, folder: Path) -> dict[str, Any]:
    """What [data] says of the files in a folder that `OwnVideos.texts` gives."""
    root, lists = str(videos.root), str(folder.resolve())
    known = {
        "root": root,
        "annotations": lists,
        "classes": CLASSES,
        "train": TRAIN,
        "val": VAL,
        "max_broken": MAX_BROKEN,
    }
    return {**known, "groups": GROUPS} if videos.has_groups else known


def source_of(source: str) -> str:
    """What errors call the recipe that finetunes a model."""
    return f"the recipe that finetunes {source}"


def given_texts(bundle: Bundle, videos: OwnVideos) -> dict[str, str]:
    """The files, by name, that such a recipe reads: classes, lists and strategy."""
    return {**videos.texts(), STRATEGY: json.dumps(bundle.strategy.to_json(), indent=2) + "\n"}


def refuse_changed(run_folder: Path, texts: Mapping[str, str]) -> None:
    """Raises `TrainingError` where a run was trained on other files than these."""
    for name, text in texts.items() if not is_blank(run_folder) else ():
        path = run_folder / GIVEN / name
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise TrainingError(
                f"videos, classes or model are not those that the run {run_folder} began with ({path} differs); "
                "choose another folder with --out, or remove this one"
            )


def begin(run: Run, texts: Mapping[str, str]) -> None:
    """Makes a directory this run's, and puts what it is given into it."""
    run.begin()
    for name, text in texts.items():
        write_text(run.path(GIVEN) / name, text)


def _epochs(clips: int, batch_size: int) -> int:
    low, high = _EPOCHS
    return min(max(math.ceil(_STEPS / math.ceil(clips / batch_size)), low), high)


def _strips(contract: InputContract, clips: int) -> dict[str, int]:
    """What [augment] says of strips; nothing where they would take too much room, or cannot be cut."""
    frames = contract.frames + contract.frames // 2
    if contract.sampling != "dense" or clips * frames * contract.short_side**2 * 3 > _MOST_CACHED_BYTES:
        return {}
    return {"strip_frames": frames, "strip_size": contract.short_side}


def _tables(recipe: str | None) -> Mapping[str, Any]:
    """A bundle's recipe, for whose text nobody vouches; nothing where it cannot be read."""
    try:
        return parse_toml(recipe or "")
    except ValueError:
        return {}


def _had_a_slow_trunk(trained: Mapping[str, Any]) -> bool:
    stages = [trained.get(stage) for stage in STAGES]
    return any(isinstance(stage, dict) and "trunk_learning_rate" in stage for stage in stages)


def _gently(epochs: int, batch_size: int) -> dict[str, Any]:
    """What [fixed] says of a net that began with weights that others trained."""
    rate = _GENTLE_RATE_PER_CLIP * batch_size
    return {
        "optimiser": "adamw",
        "learning_rate": rate,
        "trunk_learning_rate": rate / 4,
        "head_epochs": min(2, epochs - 1),
        "weight_decay": 0.05,
        "dropout": 0.5,
    }


def _plainly(batch_size: int) -> dict[str, Any]:
    return {"learning_rate": _RATE_PER_CLIP * batch_size, "weight_decay": 0.0005}


def _flip(trained: Mapping[str, Any]) -> bool | Literal["label-aware"]:
    """Whether a recipe mirrors clips."""
    augment = trained.get("augment")
    flip = augment.get("flip") if isinstance(augment, dict) else False
    return "label-aware" if flip == "label-aware" else flip is True


def _net_options(source: str, bundle: Bundle) -> dict[str, Any]:
    """The bundle's options as [net] says them."""
    options = {name: value for name, value in bundle.config.backbone.options.items() if value is not False}
    if unknown := [name for name in options if name not in Net.model_fields]:
        raise TrainingError(f"{source} has the option {unknown[0]}, which a net that is finetuned cannot have")
    return options
