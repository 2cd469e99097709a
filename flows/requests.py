"""What a person fills in to start a flow: flat models that the Prefect UI renders as a form."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from finnex.config import Config, load_config


class ConfiguredRun(BaseModel):
    """What every flow needs."""

    model_config = ConfigDict(extra="forbid")

    config: str = Field(
        title="Configuration",
        description="Path of a finnex.toml on the machine that runs the flow.",
        json_schema_extra={"position": 0},
    )

    def load(self) -> Config:
        """Return the configuration, checked.

        Raises
        ------
        ConfigError
            It cannot be read, or is wrong.
        """
        return load_config(Path(self.config))


class NightlyRequest(ConfiguredRun):
    """Draw every session that is missing, up to the last close in the inputs."""


class BackfillRequest(ConfiguredRun):
    """Draw a range of sessions."""

    symbols: list[str] = Field(
        default_factory=list,
        title="Symbols",
        description="Only these; none means all of the configuration.",
        json_schema_extra={"position": 1},
    )
    start: date | None = Field(
        default=None,
        title="First session",
        description="Absent: the start of the configuration.",
        json_schema_extra={"position": 2},
    )
    end: date | None = Field(
        default=None,
        title="Last session",
        description="Absent: the end of the configuration, or the last bar.",
        json_schema_extra={"position": 3},
    )
    force: bool = Field(
        default=False,
        title="Draw again",
        description="Draw published sessions too, even where nothing about them changed.",
        json_schema_extra={"position": 4},
    )


class TrainRequest(ConfiguredRun):
    """Train the configured model on what the store holds, and record the run in MLflow."""
