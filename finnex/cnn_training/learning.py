"""The one call of the training loop: parts and a plan in, a trained network and its epochs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from finnex.cnn_training.part_batches import PartBatches, takes_whole_images
from finnex.cnn_training.parts import PatchPart, SessionsOf, sessions_of
from finnex.cnn_training.plan import TrainingPlan
from finnex.streaming import Batch
from finnex.streaming.samples import Samples
from finnex.training.augment import make_augmentation
from finnex.training.devices import arithmetic_threads, make_accelerator, repeatable
from finnex.training.loop import fit
from finnex.training.objective import Objective
from finnex.training.reports import EpochReport


def learn(
    model: nn.Module,
    train: PatchPart,
    validation: PatchPart,
    plan: TrainingPlan,
    folder: Path,
    about: Mapping[str, Any],
    before_epoch: Callable[[], None],
    on_epoch: Callable[[EpochReport], None],
) -> tuple[EpochReport, ...]:
    """Train a network on a part, choosing its best epoch on another; see `finnex.training.loop.fit`."""
    settings = plan.settings
    parts = [sessions_of(part.labels, part.metadata) for part in (train, validation)]
    samples = _samples(parts)
    train_rows = np.arange(len(parts[0].day))
    accelerator = make_accelerator(settings)
    whole = takes_whole_images(model)

    def batches(part: PatchPart, known: SessionsOf, first_session: int, *, train: bool = False) -> PartBatches:
        return PartBatches(
            part, known, settings.batch_size, first_session=first_session, whole_images=whole, shuffle=train,
            patches_per_session=plan.patches_per_session if train else None, seed=settings.seed,
            rank=accelerator.process_index, world_size=accelerator.num_processes,
        )  # fmt: skip

    def describe(batch: Batch) -> str:
        days = np.unique(samples.decision[np.asarray(batch.rows)])
        return f"{len(batch)} samples of {', '.join(map(str, days[:4]))}{', ...' if len(days) > 4 else ''}"

    with repeatable(accelerator, arithmetic_threads(settings, accelerator.num_processes)):
        torch.manual_seed(settings.seed)
        history = fit(
            accelerator, model, batches(train, parts[0], 0, train=True),
            batches(validation, parts[1], len(train_rows)), Objective(settings, samples, train_rows), settings, folder,
            about={
                **about, **settings.model_dump(mode="json"), **plan.augmentation.model_dump(mode="json"),
                "patches_per_session": plan.patches_per_session, "model": type(model).__name__,
                "sessions": [len(part.day) for part in parts],
            },
            augment=make_augmentation(plan.augmentation, plan.input_shape[0]), describe=describe,
            before_epoch=before_epoch, on_epoch=on_epoch,
        )  # fmt: skip
    accelerator.free_memory()
    return tuple(history)


def _samples(parts: list[SessionsOf]) -> Samples:
    """Return the parts' sessions one after another, as the loop's objective knows samples."""
    symbol = np.concatenate([part.symbol for part in parts])
    names, code = np.unique(symbol, return_inverse=True)
    decision = np.concatenate([part.day for part in parts])
    return Samples(
        symbols=tuple(names.tolist()),
        symbol=code.astype(np.intp),
        index=np.arange(len(decision)),
        decision=decision,
        entry=np.full(len(decision), np.datetime64("NaT"), dtype="datetime64[D]"),
        label_end=np.concatenate([part.label_end for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        outcome=np.concatenate([part.outcome for part in parts]).astype(np.float32),
        panels=(),
    )
