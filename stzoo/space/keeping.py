"""Effects where others find them: in the bundles out of the template that they were measured on."""

from __future__ import annotations

from math import isclose
from pathlib import Path

from stzoo import bundle as bundles
from stzoo.bundle import BranchEffect, BranchEffects
from stzoo.errors import UsageError
from stzoo.space.effects import Effects, Trust
from stzoo.strategies.posterior import Posterior
from stzoo.zoo.publishing import card_of
from stzoo.zoo.reference import find


def bundles_to_keep_in(model: str, template_digest: str, posterior: Posterior) -> list[Path]:
    """The bundles out of a template with this posterior: that which `model` means, or those of a run's folder.

    Raises `UsageError` where there is none on this machine.
    """
    folders = sorted(path.parent for path in Path(model).glob(f"bundles/*/{bundles.CONFIG}"))
    if not folders:
        location = find(model, offline=True)
        if location.repository is not None:
            raise UsageError(f"{model} is what the Hub has; keep effects in the folder of a bundle, and publish that")
        folders = [location.folder]
    of_template = [folder for folder in folders if is_of(folder, template_digest, posterior)]
    if not of_template:
        raise UsageError(f"{model} has no bundle out of this template; effects can be kept in none")
    return of_template


def is_of(folder: Path, template_digest: str | None, posterior: Posterior | None) -> bool:
    """Whether a bundle carries the template, or left it out and has its drop rates.

    What is not known of the template is None.
    """
    if (folder / bundles.TEMPLATE).exists():
        return bundles.weights_digest(folder, "template") == template_digest
    own = bundles.read(folder).posterior
    return (
        own is not None
        and posterior is not None
        and own.drop.keys() == posterior.drop.keys()
        and all(
            isclose(rate, posterior.drop[site].get(branch, -1.0), abs_tol=1e-6)
            for site, rates in own.drop.items()
            for branch, rate in rates.items()
        )
    )


def keep(
    folders: list[Path], effects: Effects, trust: Trust | None, *, template_digest: str, data: str, picture: Path
) -> None:
    """Puts effects that were measured on the videos called `data` into bundles, with their picture.

    Raises `UsageError` for effects without a standard error.
    """
    if not folders:
        return
    if not effects.has_errors:
        raise UsageError(
            f"{data} is of a single source, so effects have no standard error and are kept in no bundle; "
            "measure them on videos of several with --data"
        )
    said = _said(effects, trust, data, template_digest)
    for folder in folders:
        name = bundles.read(folder).name
        bundles.add_effects(folder, said, picture.read_bytes(), card_of(folder, name))


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
