"""Train a network on parts of patches: the way of the specification's trainer into the training loop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from finnex.config.training import AugmentationSettings, TrainingSettings
from finnex.datasets import Batch
from finnex.datasets.part_batches import PartBatches, takes_whole_images
from finnex.datasets.parts import PatchPart, SessionsOf, labelled_sessions_of
from finnex.datasets.patch_data import Patches
from finnex.datasets.samples import Samples
from finnex.training.augment import make_augmentation
from finnex.training.devices import arithmetic_threads, make_accelerator, repeatable
from finnex.training.epoch_loop import fit
from finnex.training.objective import Objective
from finnex.training.reports import EpochReport

READ_AT_ONCE_BYTES = 50_000_000
OF_STUDIES = {"every_sessions", "samples_per_epoch", "balance"}
"""Settings that parts know nothing of: a part's sessions are chosen by its maker."""


def train_on_parts(
    model: nn.Module,
    train: PatchPart,
    validation: PatchPart,
    settings: TrainingSettings,
    augmentation: AugmentationSettings,
    patches_per_session: int | None,
    folder: Path | None,
    about: Mapping[str, Any],
    before_epoch: Callable[[], None],
    on_epoch: Callable[[EpochReport], None],
) -> tuple[EpochReport, ...]:
    """Train a network on a part, choosing its best epoch on another; see `finnex.training.epoch_loop.fit`.

    Parameters
    ----------
    model
        The network; it is left with the weights of its best epoch.
    train, validation
        The parts; a label that is not known is refused.
    settings, augmentation
        What the training loop takes.
    patches_per_session
        How many of a session's patches an epoch uses; None for all.
    folder
        Where checkpoints are kept, to resume from; None keeps none.
    about
        What identifies images and symbol; "fingerprint" is that of their store, empty where there is none.
    before_epoch
        Called first in every epoch; raises to stop.
    on_epoch
        Called with the report of every epoch.

    Returns
    -------
    tuple of EpochReport
        The report of each epoch, in order.

    Raises
    ------
    TrainingError
        As `fit` does, or a label is not known yet.
    """
    parts = [labelled_sessions_of(part.labels, part.metadata) for part in (train, validation)]
    samples = _samples(parts)
    train_rows = np.arange(len(parts[0].day))
    accelerator = make_accelerator(settings)
    whole = takes_whole_images(model)

    def batches(part: PatchPart, known: SessionsOf, first_session: int, *, train: bool = False) -> PartBatches:
        return PartBatches(
            part, known, settings.batch_size, first_session=first_session, whole_images=whole, shuffle=train,
            patches_per_session=patches_per_session if train else None, seed=settings.seed,
            rank=accelerator.process_index, world_size=accelerator.num_processes,
        )  # fmt: skip

    def describe(batch: Batch) -> str:
        days = np.unique(samples.decision[np.asarray(batch.rows)])
        return f"{len(batch)} samples of {', '.join(map(str, days[:4]))}{', ...' if len(days) > 4 else ''}"

    threads = arithmetic_threads(settings, accelerator.num_processes)
    what = {}
    if folder is not None:  # a training may resume from it, with the same data only
        version = str(about["fingerprint"])
        what = {
            "training data": _what(train, parts[0], version), "validation data": _what(validation, parts[1], version)
        }  # fmt: skip
    with repeatable(accelerator, threads), tempfile.TemporaryDirectory(prefix="finnex-") as scratch:
        torch.manual_seed(settings.seed)
        history = fit(
            accelerator, model, batches(train, parts[0], 0, train=True),
            batches(validation, parts[1], len(train_rows)), Objective(settings, samples, train_rows), settings,
            folder or Path(scratch),
            about={
                **about, **settings.model_dump(mode="json", exclude=OF_STUDIES), **augmentation.model_dump(mode="json"),
                "patches_per_session": patches_per_session, "model": type(model).__name__,
                "threads": threads, "sessions": [len(part.day) for part in parts], **what,
            },
            augment=make_augmentation(augmentation, train.patches.shape[-1]), describe=describe,
            before_epoch=before_epoch, on_epoch=on_epoch,
        )  # fmt: skip
    accelerator.free_memory()
    return tuple(history)


def _what(part: PatchPart, known: SessionsOf, version: str) -> str:
    """Return a digest of the training data of a part: symbols, dates, patch numbers, labels and pixels.

    A store's fingerprint represents the pixels that are read from it; all others are read here.
    """
    digest = blake2b(digest_size=16)
    for values in (known.symbol[known.session], known.day[known.session], known.patch, np.asarray(part.labels)):
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    if not (version and isinstance(part.patches, Patches)):
        count = max(1, READ_AT_ONCE_BYTES // int(4 * np.prod(part.patches.shape[1:])))
        for begin in range(0, len(part.patches), count):
            pixels = np.ascontiguousarray(part.patches[begin : begin + count], dtype=np.float32)
            digest.update(pixels.tobytes())
    return digest.hexdigest()


def _samples(parts: list[SessionsOf]) -> Samples:
    """Return the parts' sessions one after another, in the form of samples that the loop's objective takes."""
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
