"""What the tables of a recipe have to agree on with each other."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

NEEDED_BY_A_TEMPLATE = ("warmup", "variational", "objective", "selection")
TEMPLATE_TABLES = (*NEEDED_BY_A_TEMPLATE, "finetune")


def disagreements(tables: Mapping[str, Any], present: Container[str]) -> Iterator[str]:
    """What contradicts between tables. `tables` holds the valid ones; `present` names all that were given."""
    if "fixed" in present:
        for name in TEMPLATE_TABLES:
            if name in present:
                yield f"[{name}] does not go with [fixed], which trains one strategy alone; leave one of them out"
    elif missing := [f"[{name}]" for name in NEEDED_BY_A_TEMPLATE if name not in present]:
        if len(missing) == len(NEEDED_BY_A_TEMPLATE):
            yield "nothing to train: give [fixed], or [warmup], [variational], [objective] and [selection]"
        else:
            yield f"a template's recipe lacks {', '.join(missing)}; it needs {', '.join(NEEDED_BY_A_TEMPLATE)}"
    contract, augment, data = tables.get("input"), tables.get("augment"), tables.get("data")
    if data and augment and data.cache:
        for name in ("strip_frames", "strip_size"):
            if getattr(augment, name) is None:
                yield f"augment.{name} is missing"
        if augment.stride == "random":
            yield 'augment.stride = "random": needs data.cache = false, because strips have a fixed stride'
    if contract and augment:
        training = augment.over(contract)
        frames = f"{'augment' if augment.frames else 'input'}.frames, which is {training.frames}"
        crop = f"{'augment' if augment.crop else 'input'}.crop, which is {training.crop}"
        if augment.strip_frames is not None and augment.strip_frames < training.frames:
            yield f"augment.strip_frames = {augment.strip_frames}: less than {frames}"
        if augment.strip_size is not None and augment.strip_size < training.crop:
            yield f"augment.strip_size = {augment.strip_size}: less than {crop}"
        if augment.short_sides and min(augment.short_sides) < training.crop:
            yield f"augment.short_sides = {list(augment.short_sides)}: less than {crop}"
        if not augment.short_sides and augment.strip_size is None and contract.short_side < training.crop:
            yield f"input.resize = {contract.resize}: less than {crop}"
        if augment.stride_frames is not None and contract.stride_frames is None:
            yield f"augment.stride_frames = {augment.stride_frames}: needs input.stride_frames, whose place it takes"
        if data and data.frame_order == "arrow" and contract.short_video != "stretch":
            yield 'data.frame_order = "arrow": needs input.short_video = "stretch"; a repeated last frame would tell'
        if contract.sampling == "segments" and data and data.cache:
            yield 'input.sampling = "segments": needs data.cache = false, because a strip is one run of frames'
        if augment.stride == "random" and contract.stride_frames is None:
            yield 'augment.stride = "random": needs input.stride_frames, of which it draws every step'
