"""A recipe: one TOML file that decides everything about a training run.

`read` gives a checked, frozen `Recipe`, `resolve` one from tables that are no file; `expand` turns a sweep into
overrides for either. No torch.
"""

from stzoo.recipe.overrides import expand
from stzoo.recipe.reading import find, read, resolve
from stzoo.recipe.stages import Fixed, Objective, Optimisation, Selection, Variational
from stzoo.recipe.tables import Augment, Compute, Data, Init, Net, Recipe

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
    "resolve",
]
