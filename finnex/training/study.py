"""From a store to trained models and their predictions: folds times seeds, and the baselines on the same sessions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from finnex.config import Config
from finnex.config.training import TrainingSettings
from finnex.datasets import PinnedStore
from finnex.datasets.epoch_order import Rows
from finnex.datasets.pinned import memory_limit
from finnex.datasets.samples import CLASSES, Samples
from finnex.datasets.splits import TimeSplit
from finnex.store import ImageStore, study_companies
from finnex.training.baselines import answer
from finnex.training.devices import arithmetic_threads, make_accelerator, repeatable
from finnex.training.network import build_network
from finnex.training.one_training import shown_px, train_member
from finnex.training.other_layouts import build_sibling, same_samples, sibling_path
from finnex.training.predictions import predictions_table, rows_to_answer
from finnex.training.reports import OnProgress, Progress, ignore_progress
from finnex.training.result import Member, MemberResult, Observer, Parameters, Part, Study, TrainingResult
from finnex.training.study_folder import (
    begin,
    done_member,
    finish,
    keep_member,
    keep_table,
    kept_table,
    new_folder,
    unfinished_study,
    working_in,
)
from finnex.training.study_samples import study_samples

WITHOUT_EFFECT = ("training.preset", "training.readers", "training.checkpoint_minutes")
"""Settings that an interrupted study may be resumed without."""
UNTIL_CHOSEN: Mapping[str, str | int] = {
    f"training.{key}": value if isinstance(value, str | int) else str(value)
    for key in ("every_sessions", "samples_per_epoch", "balance")
    for value in [TrainingSettings.model_fields[key].default]
}
"""Settings that studies of earlier versions lack: with these values they are resumed."""


def train(
    config: Config, store: ImageStore, *, observers: Sequence[Observer] = (), on_progress: OnProgress | None = None,
    folder: Path | None = None, resume: bool = False, memory_limit_bytes: int | None = None,
) -> TrainingResult:  # fmt: skip
    """Train the configured network and its baselines on every fold of a store, and predict unseen sessions.

    Under `torchrun` or `accelerate launch` every process calls this, and every one gets the same result.

    Parameters
    ----------
    config
        Training, model, labels and symbols.
    store
        Store to train on.
    observers
        Notified of the study, its trainings and their epochs while they happen.
    on_progress
        Called with images read, batches, epochs and baselines.
    folder
        Where the study keeps its checkpoints; by default a new folder in `training`, next to the store.
    resume
        Resume the study in `folder`, by default the newest that was interrupted. It must have been begun with the same
        data and settings; the result equals that of an uninterrupted study.
    memory_limit_bytes
        What images may take in memory, as float16; by default `memory_limit()`. More are streamed.

    Returns
    -------
    TrainingResult
        Predictions of the network and its baselines for validation and test, and the chosen checkpoint.

    Raises
    ------
    TrainingError
        Too few sessions, one class only, no such labels, a store that changed during it, a loss that is not a number,
        a study that cannot be resumed.
    """
    begun = time.perf_counter()
    notify, settings = on_progress or ignore_progress, config.training
    samples, splits = study_samples(config, store)
    accelerator = make_accelerator(settings)
    pinned: dict[str, PinnedStore] = {config.model.architecture: PinnedStore(store, samples)}
    for layout, sibling in _siblings(config, accelerator, notify).items():
        pinned[layout] = PinnedStore(sibling, same_samples(config, sibling, samples))
    first = pinned[config.model.architecture]
    fingerprint, image_shape = first.fingerprint, first.image_shape
    del first  # a reference to it keeps its images in memory
    parameters = _parameters(config, store, image_shape[2], shown_px(image_shape, settings))
    threads = arithmetic_threads(settings, accelerator.num_processes)
    identity = _identity(parameters, accelerator, {name: one.fingerprint for name, one in pinned.items()}, threads)
    lead = accelerator.is_main_process
    if folder is None and lead:
        folder = unfinished_study(config) if resume else new_folder(config)
    where = Path(_said_by_the_first(accelerator, str(folder)))
    with working_in(where) if lead else nullcontext(), repeatable(accelerator, threads):
        if lead:
            begin(where, identity, resume=resume)
        members = _members(config, tuple(pinned), samples, splits, where)
        study = Study(where, fingerprint, str(store.attrs["layout_hash"]), parameters, image_shape, members, resume)
        watchers = tuple(observers) if lead else ()
        for observer in watchers:
            observer.on_study_start(study)
        results: list[MemberResult] = []
        for name in list(pinned):
            # One store's images at a time: each may fill what memory there is.
            own = [member for member in members if member.model == name]
            results += _train_all(
                own, pinned.pop(name), splits, config, accelerator, identity, memory_limit_bytes, watchers, notify
            )
        baselines = _baselines(config, samples, splits, study, accelerator, threads, notify)
        predictions = pd.concat([*(result.predictions for result in results), *baselines], ignore_index=True)
        result = TrainingResult(study, predictions, tuple(results), time.perf_counter() - begun)
        for observer in watchers:
            observer.on_study_end(result)
        if lead:
            finish(where)
    return result


def _train_all(
    members: Sequence[Member], pinned: PinnedStore, splits: Sequence[TimeSplit], config: Config,
    accelerator: Accelerator, identity: Mapping[str, Any], memory_limit_bytes: int | None,
    observers: Sequence[Observer], notify: OnProgress,
) -> list[MemberResult]:  # fmt: skip
    """Train a network's members one after another; what an earlier call has done is read and reported again."""
    known = {member.number: done_member(member) for member in members}
    in_memory = False
    if not all(known.values()):
        limit = memory_limit(accelerator.num_processes) if memory_limit_bytes is None else memory_limit_bytes
        in_memory = pinned.hold_in_memory(limit, lambda done, total: notify(Progress("read", done, total)))
    results = []
    for member in members:
        for observer in observers:
            observer.on_member_start(member)
        result = known[member.number]
        if result is None:
            result = train_member(
                member, pinned, splits[member.fold], config, accelerator, identity,
                in_memory=in_memory, observers=observers, on_progress=notify,
            )  # fmt: skip
            if accelerator.is_main_process:
                keep_member(result)
            accelerator.wait_for_everyone()
        else:
            for report in result.history:
                for observer in observers:
                    observer.on_epoch(member, report)
        for observer in observers:
            observer.on_member_end(result)
        results.append(result)
    return results


def _baselines(
    config: Config, samples: Samples, splits: Sequence[TimeSplit], study: Study, accelerator: Accelerator,
    threads: int, notify: OnProgress,
) -> list[pd.DataFrame]:  # fmt: skip
    """Answer with every baseline on every fold, in the first process; all others read what it wrote."""
    names = config.training.baselines
    wanted = [(split, name) for split in splits for name in names]
    paths = [study.folder / "baselines" / f"{name}-fold{split.fold}.parquet" for split, name in wanted]
    for done, ((split, name), path) in enumerate(zip(wanted, paths, strict=True)):
        if accelerator.is_main_process and not path.exists():
            notify(Progress("baselines", done, len(wanted), member=len(study.members), members=len(study.members)))
            said = answer(name, samples, split, rows_to_answer(split), threads)
            table = predictions_table(
                name, config.training.seed, samples, split, said, None, config.labels, study.fingerprint
            )
            keep_table(path, table)
    accelerator.wait_for_everyone()
    return [kept_table(path) for path in paths]


def _siblings(config: Config, accelerator: Accelerator, notify: OnProgress) -> dict[str, ImageStore]:
    """Bring the compared layouts' stores up to date, in the first process, and open them."""
    if accelerator.is_main_process:
        for layout in config.training.compare:
            build_sibling(config, layout, notify)
    accelerator.wait_for_everyone()
    return {layout: ImageStore.open(sibling_path(config, layout)) for layout in config.training.compare}


def _members(
    config: Config, names: Sequence[str], samples: Samples, splits: Sequence[TimeSplit], where: Path
) -> tuple[Member, ...]:
    seeds = range(config.training.seed, config.training.seed + config.training.seeds)
    wanted = [(name, split, seed) for name in names for split in splits for seed in seeds]
    return tuple(
        Member(
            model=name, fold=split.fold, seed=seed, number=number, of=len(wanted),
            parts={part: _part(samples, rows) for part, rows in split.parts().items()},
            purged=split.purged, folder=where / f"{name}-fold{split.fold}-seed{seed}",
        )
        for number, (name, split, seed) in enumerate(wanted, start=1)
    )  # fmt: skip


def _said_by_the_first(accelerator: Accelerator, text: str) -> str:
    """Return the first process' text in every process. It travels as bytes: an object would be unpickled there."""
    if accelerator.num_processes == 1:
        return text
    data = list(text.encode())
    length = broadcast(torch.tensor([len(data)], device=accelerator.device))
    room = torch.zeros(int(length[0]), dtype=torch.uint8, device=accelerator.device)
    if accelerator.is_main_process:
        room = torch.tensor(data, dtype=torch.uint8, device=accelerator.device)
    return bytes(broadcast(room).tolist()).decode()


def _part(samples: Samples, rows: Rows) -> Part:
    days = samples.decision[rows]
    counts = np.bincount(samples.label[rows], minlength=len(CLASSES))
    classes = dict(zip(CLASSES, counts.tolist(), strict=True))
    return Part(len(rows), len(np.unique(days)), days.min(), days.max(), classes)


def _parameters(config: Config, store: ImageStore, channels: int, side_px: int) -> Parameters:
    found: dict[str, str | int | float] = {}
    for section in ("labels", "model", "training", "augmentation"):
        for key, value in getattr(config, section).model_dump(mode="json").items():
            found[f"{section}.{key}"] = value if isinstance(value, str | int | float) else str(value)
    network = build_network(config.model, channels, task=config.training.task, side_px=side_px)
    found["symbols"] = " ".join(study_companies(config, store))
    found["layout"] = str(store.attrs["layout_name"])
    found["layout_hash"] = str(store.attrs["layout_hash"])
    found["weights"] = sum(weight.numel() for weight in network.parameters())
    return found


def _identity(
    parameters: Parameters, accelerator: Accelerator, fingerprints: Mapping[str, str], threads: int
) -> dict[str, str | int | float]:
    """Return all that decides a study's numbers."""
    found = {
        key: value
        for key, value in parameters.items()
        if key not in WITHOUT_EFFECT and value != UNTIL_CHOSEN.get(key, object())
    }
    return {
        **found,
        # The number in use, not the one configured: another one sums in another order, and the last bits differ.
        "training.threads": threads,
        **{f"data of {name}": fingerprint for name, fingerprint in fingerprints.items()},
        "processes": accelerator.num_processes,
        "precision": accelerator.mixed_precision,
    }
