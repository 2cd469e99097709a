"""What every table of the configuration file is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the configuration file: unknown keys are errors, numbers finite, values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
