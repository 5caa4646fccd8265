"""What every table of a recipe is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]


class Table(BaseModel):
    """A table whose keys are exactly its fields, with finite values of exactly their types."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
