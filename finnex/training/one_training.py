"""One training of a study: a network, a fold, a seed; from its first weights to its rows of the predictions table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from finnex.config import Config
from finnex.config.training import TrainingSettings
from finnex.datasets import Batch, ImageBatches, PatchBatches, PinnedStore, ReadAhead
from finnex.datasets.epoch_order import Rows
from finnex.datasets.splits import TimeSplit
from finnex.errors import TrainingError
from finnex.patches.grid import PATCH_PX
from finnex.training.answers import Batches, predict
from finnex.training.augment import make_augmentation
from finnex.training.epoch_loop import fit
from finnex.training.network import build_network, describe_network
from finnex.training.objective import Objective
from finnex.training.predictions import predictions_table, rows_to_answer
from finnex.training.reports import EpochReport, OnProgress, Progress
from finnex.training.result import Member, MemberResult, Observer
from finnex.training.study_samples import balanced_groups


def shown_px(image_shape: tuple[int, int, int], settings: TrainingSettings) -> int:
    """Return the side of what a network is shown: a patch, or the whole image (height, width, channels)."""
    height, width, _ = image_shape
    if height != width:
        raise TrainingError(f"images of {height} x {width} pixels are not square. Choose a layout that is.")
    return PATCH_PX if settings.input == "patches" else height


def make_batches(
    pinned: PinnedStore, rows: Rows, settings: TrainingSettings, accelerator: Accelerator, *, shuffle: bool = False
) -> Batches:
    """Return this process' share of the batches over some rows, of images or patches as the settings say.

    What is shuffled is drawn as `samples_per_epoch` and `balance` say; what is not comes whole.

    Parameters
    ----------
    pinned
        Images to read.
    rows
        (rows,) samples to read.
    settings
        Batch size, seed, input, readers and the draw of an epoch.
    accelerator
        Device and processes.
    shuffle
        Whether the order is permuted by seed and epoch.

    Returns
    -------
    Batches
        Batches, read ahead.
    """
    kind = ImageBatches if settings.input == "images" else PatchBatches
    found = kind(
        pinned, rows, settings.batch_size, shuffle=shuffle, seed=settings.seed,
        rank=accelerator.process_index, world_size=accelerator.num_processes,
        samples=settings.samples_per_epoch if shuffle else None,
        group=balanced_groups(settings.balance, pinned.samples, rows) if shuffle else None, first_epoch=1,
    )  # fmt: skip
    return ReadAhead(found, settings.readers)


def train_member(
    member: Member,
    pinned: PinnedStore,
    split: TimeSplit,
    config: Config,
    accelerator: Accelerator,
    identity: Mapping[str, Any],
    *,
    in_memory: bool,
    observers: Sequence[Observer],
    on_progress: OnProgress,
) -> MemberResult:
    """Train a network on a fold and predict its validation and test part.

    Parameters
    ----------
    member
        Model, fold and seed.
    pinned
        Images to read.
    split
        Parts of the fold.
    config
        Training, model and labels.
    accelerator
        Device and processes.
    identity
        What the study is; with the member's own values it is what a checkpoint must agree with.
    in_memory
        Whether images are held in memory.
    observers
        Notified of the training and its epochs.
    on_progress
        Called after every batch and every epoch, and while predictions are made.

    Returns
    -------
    MemberResult
        The epochs, the checkpoint, and the predictions of both parts.

    Raises
    ------
    TrainingError
        As `fit` does, or the store changed during training.
    """
    begun = time.perf_counter()
    settings = config.training.model_copy(update={"seed": member.seed})
    samples, channels = pinned.samples, pinned.image_shape[2]
    task, side_px = settings.task, shown_px(pinned.image_shape, settings)
    objective = Objective(settings, samples, split.train)
    about = {
        **identity,
        **describe_network(config.model, channels, task=task, side_px=side_px),
        "member": f"{member.model}, fold {member.fold}, seed {member.seed}",
        "fingerprint": pinned.fingerprint,
        "return_location": objective.location,
        "return_scale": objective.scale,
    }

    def describe(batch: Batch) -> str:
        rows = np.unique(np.asarray(batch.rows))
        named = [f"{samples.symbols[samples.symbol[row]]} {samples.decision[row]}" for row in rows[:4]]
        return f"{', '.join(named)}{', ...' if len(rows) > len(named) else ''}"

    def report_progress(progress: Progress) -> None:
        on_progress(replace(progress, member=member.number, members=member.of))

    def report_epoch(report: EpochReport) -> None:
        for observer in observers:
            observer.on_epoch(member, report)

    torch.manual_seed(member.seed)
    model = build_network(config.model, channels, task=task, side_px=side_px)
    history = fit(
        accelerator, model,
        make_batches(pinned, split.train, settings, accelerator, shuffle=True),
        make_batches(pinned, split.validation, settings, accelerator),
        objective, settings, member.folder,
        about=about, augment=make_augmentation(config.augmentation, channels), describe=describe,
        before_epoch=pinned.check, on_epoch=report_epoch, on_progress=report_progress,
    )  # fmt: skip
    rows = rows_to_answer(split)
    answers = predict(model, make_batches(pinned, rows, settings, accelerator), accelerator, describe)
    accelerator.free_memory()
    pinned.check()
    if not np.array_equal(answers.rows, np.sort(rows)):
        raise TrainingError(
            f"{len(rows)} sessions of fold {member.fold} were asked about and {len(answers.rows)} answered: the stream "
            "of images leaves some out. This is a defect of FinNeX; nothing is recorded."
        )
    place = np.searchsorted(answers.rows, rows)
    returns = objective.location + objective.scale * answers.returns[place]  # NaN without a return head
    table = predictions_table(
        member.model, member.seed, samples, split, answers.probabilities[place], returns, config.labels,
        pinned.fingerprint,
    )  # fmt: skip
    return MemberResult(member, tuple(history), table, time.perf_counter() - begun, in_memory)
