"""Effects where others find them: in the bundles of the template that they were measured on."""

from __future__ import annotations

from pathlib import Path

from stzoo import bundle as bundles
from stzoo.bundle import BranchEffect, BranchEffects
from stzoo.errors import UsageError
from stzoo.space.effects import Effects, Trust
from stzoo.zoo.publishing import card_of
from stzoo.zoo.reference import find


def bundles_to_keep_in(model: str, template_digest: str) -> list[Path]:
    """The bundles that carry a template: that which `model` means, or those of a run's folder.

    Raises `UsageError` where there is none on this machine.
    """
    folders = sorted(path.parent for path in Path(model).glob(f"bundles/*/{bundles.CONFIG}"))
    if not folders:
        location = find(model, offline=True)
        if location.repository is not None:
            raise UsageError(f"{model} is what the Hub has; keep effects in the folder of a bundle, and publish that")
        folders = [location.folder]
    carrying = [
        folder
        for folder in folders
        if (folder / bundles.TEMPLATE).exists() and bundles.weights_digest(folder, "template") == template_digest
    ]
    if not carrying:
        raise UsageError(f"{model} has no bundle that carries this template; effects can be kept in none")
    return carrying


def keep(folders: list[Path], effects: Effects, trust: Trust | None, data: str, picture: Path) -> None:
    """Puts effects that were measured on the videos called `data` into bundles, with their picture."""
    for folder in folders:
        bundle = bundles.read(folder)
        said = _said(effects, trust, data, bundles.weights_digest(folder, "template"))
        bundles.add_effects(folder, said, picture.read_bytes(), card_of(folder, bundle.name))


def _said(effects: Effects, trust: Trust | None, data: str, template_digest: str) -> BranchEffects:
    return BranchEffects(
        template_digest=template_digest,
        data=data,
        cross_entropy=effects.cross_entropy,
        accuracy=effects.accuracy,
        rank_correlation=None if trust is None else trust.rank_correlation,
        branches=tuple(
            BranchEffect(
                site=effect.site,
                branch=effect.branch,
                cross_entropy=(effect.cross_entropy.value, effect.cross_entropy.error),
                accuracy=(effect.accuracy.value, effect.accuracy.error),
                multiply_adds=effect.multiply_adds,
                videos=effect.videos,
            )
            for effect in effects.effects
        ),
    )
