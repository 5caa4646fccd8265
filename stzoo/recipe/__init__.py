"""A recipe: one TOML file that decides everything about a training run.

`read` gives a checked, frozen `Recipe`; `expand` turns a sweep into overrides for `read`. No torch.
"""

from stzoo.recipe.overrides import expand
from stzoo.recipe.reading import find, read
from stzoo.recipe.tables import (
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

__all__ = [
    "Augment",
    "Compute",
    "Data",
    "Fixed",
    "Init",
    "Net",
    "Objective",
    "Optimisation",
    "Recipe",
    "Selection",
    "Variational",
    "expand",
    "find",
    "read",
]
