"""What a study is before it starts, what it reports while it runs, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from finnex.training.checkpoint import BEST
from finnex.training.network import load_network
from finnex.training.reports import EpochReport

Parameters = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Part:
    """Size and reach of one part of a fold."""

    samples: int
    sessions: int
    first: np.datetime64
    last: np.datetime64
    classes: Mapping[str, int]


@dataclass(frozen=True)
class Member:
    """One training of a study: a network on a fold with a seed.

    Attributes
    ----------
    model
        As the predictions table names it: the architecture, or the layout it is compared on.
    number, of
        Its place in the study, from 1, and how many there are.
    parts
        train, validation and test of its fold.
    purged
        Samples left out between the parts.
    folder
        Where its checkpoints are.
    """

    model: str
    fold: int
    seed: int
    number: int
    of: int
    parts: Mapping[str, Part]
    purged: int
    folder: Path


@dataclass(frozen=True)
class MemberResult:
    """What one training came to.

    Attributes
    ----------
    history
        One report per epoch.
    predictions
        Its rows of the predictions table.
    seconds
        Wall clock of all its epochs and predictions.
    in_memory
        Whether images were held in memory or streamed.
    """

    member: Member
    history: tuple[EpochReport, ...]
    predictions: pd.DataFrame
    seconds: float
    in_memory: bool

    @property
    def best(self) -> EpochReport:
        """The report of the epoch whose weights the model has."""
        return [report for report in self.history if report.best][-1]

    @property
    def checkpoint(self) -> Path:
        """The best epoch's weights, for `finnex.training.load_network`."""
        return self.member.folder / BEST


@dataclass(frozen=True)
class Study:
    """What is known of a study before its first training.

    Attributes
    ----------
    fingerprint
        Version of the store's data that is trained on.
    parameters
        Everything that was set, flat, for the record.
    image_shape
        Height, width, channels of an image.
    members
        All its trainings, in the order in which they run.
    resumed
        Whether an earlier call began it. What that one had done is reported to observers again, so that a record that
        begins anew is complete.
    """

    folder: Path
    fingerprint: str
    layout_hash: str
    parameters: Parameters
    image_shape: tuple[int, int, int]
    members: tuple[Member, ...]
    resumed: bool


class Observer:
    """Is notified of what happens in a study, while it happens, in the main process; override what you need."""

    def on_study_start(self, study: Study) -> None:
        """Take note of a study: everything was checked, nothing is trained yet."""

    def on_member_start(self, member: Member) -> None:
        """Take note of a training that starts or resumes."""

    def on_epoch(self, member: Member, report: EpochReport) -> None:
        """Take note of an epoch that is done, its checkpoint written."""

    def on_member_end(self, result: MemberResult) -> None:
        """Take note of a training that is done, its predictions made."""

    def on_study_end(self, result: TrainingResult) -> None:
        """Take note of the whole, baselines too."""


@dataclass(frozen=True)
class TrainingResult:
    """What a study came to.

    Attributes
    ----------
    predictions
        One row per model, fold, seed, symbol and session of the validation and test parts;
        `finnex.evaluation.scorecard` derives every score from it. Baselines draw nothing at random (trees always
        the same), so each has one entry per fold, under the study's first seed.
    members
        Every training.
    seconds
        Wall clock of this call.
    study
        What was known before the first training.
    """

    study: Study
    predictions: pd.DataFrame
    members: tuple[MemberResult, ...]
    seconds: float

    @property
    def chosen(self) -> MemberResult:
        """The training whose model the study selects: of the newest fold, the seed with the lowest validation loss."""
        model = self.members[0].member.model
        newest = max(result.member.fold for result in self.members)
        own = [r for r in self.members if r.member.model == model and r.member.fold == newest]
        return min(own, key=lambda result: (result.best.validation_loss, result.member.seed))

    @cached_property
    def model(self) -> nn.Module:
        """The chosen training's network, with the weights of its best epoch."""
        return load_network(self.chosen.checkpoint)

    @property
    def history(self) -> tuple[EpochReport, ...]:
        """The chosen training's epochs."""
        return self.chosen.history

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights the chosen model has."""
        return self.chosen.best.epoch

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts of the chosen training's fold."""
        return self.chosen.member.parts

    @property
    def purged(self) -> int:
        """Samples left out between these parts."""
        return self.chosen.member.purged

    @property
    def fingerprint(self) -> str:
        """Version of the store's data that was trained on."""
        return self.study.fingerprint

    @property
    def parameters(self) -> Parameters:
        """Everything that was set, flat, for the record."""
        return self.study.parameters

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of what the model takes."""
        return self.study.image_shape

    @property
    def in_memory(self) -> bool:
        """Whether the chosen training's images were held in memory or streamed."""
        return self.chosen.in_memory
