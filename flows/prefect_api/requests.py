"""What a person fills in to start a flow: flat models that the Prefect UI renders as a form."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from finnex.config import Config, load_config
from finnex.reporting.file_names import PART_NAMES, PartName


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
    """Draw every session that is missing, up to the last close."""

    wait_minutes: int = Field(
        default=60,
        ge=0,
        le=300,
        title="Wait for inputs (minutes)",
        description="How long to look again where the prices of the last close have not arrived. "
        "Then everything else is drawn, and the run fails and says which table ends where.",
        json_schema_extra={"position": 1},
    )


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
        description="Draw published sessions too, even where nothing about them changed, and take out the images of "
        "sessions whose bar is gone from the prices.",
        json_schema_extra={"position": 4},
    )


AS_CONFIGURED: Literal["as configured"] = "as configured"


class TrainRequest(ConfiguredRun):
    """Train a model on what the store holds, and record the run in MLflow."""

    architecture: Literal["as configured", "multiscale_cnn", "vit"] = Field(
        default=AS_CONFIGURED,
        title="Network",
        description="The multi-scale convolutional network, or the vision transformer.",
        json_schema_extra={"position": 1},
    )
    preset: Literal["as configured", "small", "base"] = Field(
        default=AS_CONFIGURED,
        title="Size",
        description="'small' trains on two processor cores in minutes, 'base' wants a GPU.",
        json_schema_extra={"position": 2},
    )
    task: Literal["as configured", "class", "class_and_return"] = Field(
        default=AS_CONFIGURED,
        title="Question",
        description="The class alone, or the class and the return.",
        json_schema_extra={"position": 3},
    )
    epochs: int = Field(
        default=0,
        ge=0,
        le=10_000,
        title="Epochs",
        description="At most; 0 means as configured.",
        json_schema_extra={"position": 4},
    )
    seeds: int = Field(
        default=0,
        ge=0,
        le=100,
        title="Seeds",
        description="Trainings of each fold; 0 means as configured.",
        json_schema_extra={"position": 5},
    )

    def load(self) -> Config:
        """Return the configuration with what the form says instead."""
        config = super().load()
        model, training = config.model, config.training
        chosen = {name: value for name in ("architecture", "preset") if (value := getattr(self, name)) != AS_CONFIGURED}
        asked: dict[str, Any] = {name: value for name in ("epochs", "seeds") if (value := getattr(self, name)) > 0}
        if self.task != AS_CONFIGURED:
            asked |= {"task": self.task}
        return config.model_copy(
            update={"model": model.model_copy(update=chosen), "training": training.model_copy(update=asked)}
        )


class PredictRequest(NightlyRequest):
    """Draw the newest session, and predict it with the champion."""

    sessions: int = Field(
        default=1,
        ge=1,
        le=2000,
        title="Newest sessions",
        description="How many of each symbol's newest sessions are predicted, where they have no prediction yet. "
        "What was predicted once is kept.",
        json_schema_extra={"position": 2},
    )


class QaRequest(ConfiguredRun):
    """Check what the store holds, and write the report."""

    sample: int = Field(
        default=64,
        ge=2,
        le=2000,
        title="Sessions to look at",
        description="How many sessions' pixels are read; checksums, coverage and labels are checked on all.",
        json_schema_extra={"position": 1},
    )


class AuditRequest(ConfiguredRun):
    """Check features, tables and labels for look-ahead."""

    sessions: int = Field(
        default=8,
        ge=1,
        le=500,
        title="Sessions to rebuild",
        description="Random sessions of each symbol; each takes about three times a panel's second.",
        json_schema_extra={"position": 1},
    )
    seed: int = Field(
        default=0,
        ge=0,
        title="Seed",
        description="Chooses the sessions and the scrambling: the same seed gives the same answer.",
        json_schema_extra={"position": 2},
    )


class ExportRequest(ConfiguredRun):
    """Write a symbol's images as plain files."""

    symbol: str | None = Field(
        default=None,
        title="Symbol",
        description="Whose images; may be left out where the store holds one symbol.",
        json_schema_extra={"position": 1},
    )
    folder: str = Field(
        default="finnex_mega_images",
        min_length=1,
        title="Folder",
        description="A new folder on the machine that runs the flow. One that is there is never written into.",
        json_schema_extra={"position": 2},
    )
    parts: list[PartName] = Field(
        default=list(PART_NAMES),
        min_length=1,
        title="Parts",
        description="What is written. All parts take 4.8 GB a year of sessions; metadata and visualizations are small, "
        "batch_tensors take 1.6 GB, each other part 0.8 GB.",
        json_schema_extra={"position": 3},
    )
    start: date | None = Field(
        default=None,
        title="First session",
        description="Absent: the first that is published.",
        json_schema_extra={"position": 4},
    )
    end: date | None = Field(
        default=None,
        title="Last session",
        description="Absent: the last that is published.",
        json_schema_extra={"position": 5},
    )
