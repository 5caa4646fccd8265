"""A recipe: one TOML file that decides everything about a training run. No torch.

`read` gives a checked, frozen `Recipe`, `resolve` one from tables that are no file; `expand` turns a sweep into
overrides for either.

    tables     the recipe as a whole and its tables: names, units, ranges and defaults of every value
    data       the table that says which videos there are, and what is asked of them
    stages     the tables that say what is trained and how a strategy is selected
    base       what every table is
    agreement  what the tables have to agree on with each other
    overrides  values changed one by one (--set) or as a grid (--sweep)
    reading    from a file to a `Recipe`
"""

from stzoo.recipe.data import Data, Format
from stzoo.recipe.overrides import expand
from stzoo.recipe.reading import find, read, resolve
from stzoo.recipe.stages import (
    STAGES,
    Fixed,
    Objective,
    ObjectiveForm,
    Optimisation,
    Selection,
    Stage,
    TemplateTables,
    Variational,
)
from stzoo.recipe.tables import Augment, Bundled, Compute, Init, Net, Recipe

__all__ = [
    "STAGES",
    "Augment",
    "Bundled",
    "Compute",
    "Data",
    "Fixed",
    "Format",
    "Init",
    "Net",
    "Objective",
    "ObjectiveForm",
    "Optimisation",
    "Recipe",
    "Selection",
    "Stage",
    "TemplateTables",
    "Variational",
    "expand",
    "find",
    "read",
    "resolve",
]
