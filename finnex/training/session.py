"""One training, whole: samples, split, network, baselines, and one table of predictions from which all else follows."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from finnex.config import Config
from finnex.errors import TrainingError
from finnex.models.multiscale_cnn import IMAGE_PX, FinNeXMultiScaleCNN
from finnex.store import ImageStore
from finnex.training.baselines import BASELINES, Probabilities
from finnex.training.dataset import Batch, ImageBatches, PinnedStore
from finnex.training.loop import EpochReport, OnProgress, Progress, fit, ignore_progress, predict
from finnex.training.samples import CLASSES, Samples, labelled_samples
from finnex.training.splits import Rows, TimeSplit, split_by_time

LEAST_PER_PART = 8
"""Below this many samples a part says nothing, not even that training works."""


@dataclass(frozen=True)
class Part:
    """Size and reach of one part of the split."""

    samples: int
    sessions: int
    first: np.datetime64
    last: np.datetime64
    classes: Mapping[str, int]


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to.

    Attributes
    ----------
    predictions
        One row per model, symbol and session of the validation and test parts, in the columns of the
        predictions table; `finnex.evaluation.scorecard` derives every score from it.
    history
        One report per epoch.
    parts
        train, validation and test by name.
    purged
        Samples left out between the parts.
    model
        The network with the weights of its best epoch.
    seconds
        Wall clock of the whole training.
    fingerprint
        Version of the store's data that was trained on.
    parameters
        Everything that was set, flat, for the record.
    image_shape
        Height, width, channels of what the model takes.
    in_memory
        Whether images were held in memory or streamed.
    """

    predictions: pd.DataFrame
    history: tuple[EpochReport, ...]
    parts: Mapping[str, Part]
    purged: int
    model: nn.Module
    seconds: float
    fingerprint: str
    parameters: Mapping[str, str | int | float]
    image_shape: tuple[int, int, int]
    in_memory: bool

    @property
    def best_epoch(self) -> int:
        """Number of the epoch whose weights the model has."""
        return max(report.epoch for report in self.history if report.best)


def _check_labels(config: Config, store: ImageStore) -> None:
    made = store.attrs["label_settings"]
    wanted = config.labels.model_dump()
    for key in sorted(set(made) & set(wanted) - {"kind", "horizon"}):
        if made[key] != wanted[key]:
            raise TrainingError(
                f"{store.path} was labelled with {key} = {made[key]}, [labels] now says {wanted[key]}. "
                "Put it back, or build a new store."
            )


def _check_parts(samples: Samples, split: TimeSplit) -> None:
    for name, rows in split.parts().items():
        if len(rows) < LEAST_PER_PART:
            raise TrainingError(
                f"{len(rows)} samples are too few for {name} ({len(samples)} labelled, {split.purged} purged); "
                f"at least {LEAST_PER_PART} are needed. Build more sessions, or change the fractions."
            )
    present = np.unique(samples.label[split.train])
    if len(present) < 2:
        raise TrainingError(
            f"all {len(split.train)} training samples are of the class '{CLASSES[int(present[0])]}'; "
            "a model learns from two or more. Widen the range, or change threshold_volatility in [labels]."
        )


def _part(samples: Samples, rows: Rows) -> Part:
    days = samples.decision[rows]
    counts = np.bincount(samples.label[rows], minlength=len(CLASSES))
    return Part(
        len(rows),
        len(np.unique(days)),
        days.min(),
        days.max(),
        dict(zip(CLASSES, counts.tolist(), strict=True)),
    )


def _table(
    name: str,
    samples: Samples,
    part_of: Mapping[str, Rows],
    answers: Mapping[str, Probabilities],
    config: Config,
    fingerprint: str,
) -> pd.DataFrame:
    frames = []
    for part, rows in part_of.items():
        p = answers[part]
        frames.append(
            pd.DataFrame(
                {
                    "decision_date": samples.decision[rows].astype("datetime64[ms]"),
                    "symbol": np.array(samples.symbols)[samples.symbol[rows]],
                    "split": part,
                    "fold": 0,
                    "seed": config.training.seed,
                    "model": name,
                    "fingerprint": fingerprint,
                    "label_kind": config.labels.kind,
                    "horizon": config.labels.horizon,
                    "entry": samples.entry[rows].astype("datetime64[ms]"),
                    "exit": samples.label_end[rows].astype("datetime64[ms]"),
                    "label_end": samples.label_end[rows].astype("datetime64[ms]"),
                    **{f"p_{word}": p[:, code] for code, word in enumerate(CLASSES)},
                    "label": samples.label[rows],
                    "return": samples.outcome[rows],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _parameters(config: Config, store: ImageStore, model: nn.Module) -> dict[str, str | int | float]:
    found: dict[str, str | int | float] = {}
    for section in ("labels", "model", "training"):
        for key, value in getattr(config, section).model_dump().items():
            found[f"{section}.{key}"] = value if isinstance(value, str | int | float) else str(value)
    found["symbols"] = " ".join(config.symbols)
    found["layout"] = str(store.attrs["layout_name"])
    found["weights"] = sum(weight.numel() for weight in model.parameters())
    return found


def train(
    config: Config, store: ImageStore, *, on_progress: OnProgress | None = None, checkpoint: Path | None = None,
    memory_limit_bytes: int | None = None,
) -> TrainingResult:  # fmt: skip
    """Train the configured network and its baselines on a store, and predict validation and test sessions.

    Parameters
    ----------
    on_progress
        Told of images read, batches and epochs.
    checkpoint
        Where the best epoch's weights are kept; by default only the result holds them.
    memory_limit_bytes
        What images may take in memory, as float16; by default a third of what is free. More are streamed.

    Raises
    ------
    TrainingError
        Too few sessions, one class only, no such labels, a store that changed meanwhile, a loss that is not a number.
    """
    begun = time.perf_counter()
    tell = on_progress or ignore_progress
    settings = config.training
    _check_labels(config, store)
    samples = labelled_samples(store, config.labels, config.symbols)
    split = split_by_time(
        samples.decision, samples.label_end, train_fraction=settings.train_fraction,
        validation_fraction=settings.validation_fraction, embargo_sessions=settings.embargo_sessions,
    )  # fmt: skip
    _check_parts(samples, split)
    # A core is left to the reader and to other programs: threads that meet after every small product wait for
    # the slowest, and where cores are shared two of them took six times as long as one.
    torch.set_num_threads(settings.threads or max(1, (os.cpu_count() or 1) - 1))
    torch.manual_seed(settings.seed)
    pinned = PinnedStore(store, samples)
    if pinned.image_shape[:2] != (IMAGE_PX, IMAGE_PX):
        raise TrainingError(
            f"{store.path} has images of {pinned.image_shape[:2]} pixels; "
            f"{config.model.architecture} takes {IMAGE_PX} x {IMAGE_PX}. Choose a layout of that size."
        )
    model = FinNeXMultiScaleCNN(pinned.image_shape[2], len(CLASSES), preset=config.model.preset)
    in_memory = pinned.hold_in_memory(memory_limit_bytes, lambda done, total: tell(Progress("read", done, total)))

    def batches(rows: Rows, *, shuffle: bool = False) -> ImageBatches:
        return ImageBatches(pinned, rows, settings.batch_size, shuffle=shuffle, seed=settings.seed)

    def describe(batch: Batch) -> str:
        row = int(batch.rows[0])
        return f"{len(batch)} images, among them {samples.symbols[samples.symbol[row]]} {samples.decision[row]}"

    parameters = _parameters(config, store, model)
    with tempfile.TemporaryDirectory(prefix="finnex-") as scratch:
        history = fit(
            model, batches(split.train, shuffle=True), batches(split.validation), samples.label, settings,
            checkpoint or Path(scratch) / "best.pt",
            about={"fingerprint": pinned.fingerprint, "layout_hash": store.attrs["layout_hash"], **parameters},
            describe=describe, before_epoch=pinned.check, on_progress=tell,
        )  # fmt: skip
    shown = {name: rows for name, rows in split.parts().items() if name != "train"}
    device = next(model.parameters()).device
    answers = {part: predict(model, batches(rows), device)[1] for part, rows in shown.items()}
    pinned.check()
    tables = [_table(config.model.architecture, samples, shown, answers, config, pinned.fingerprint)]
    for name, baseline in BASELINES.items():
        together = baseline(samples, split, np.concatenate(list(shown.values())))
        ends = np.cumsum([len(rows) for rows in shown.values()])[:-1]
        answers = dict(zip(shown, np.split(together, ends), strict=True))
        tables.append(_table(name, samples, shown, answers, config, pinned.fingerprint))
    return TrainingResult(
        predictions=pd.concat(tables, ignore_index=True),
        history=tuple(history),
        parts={name: _part(samples, rows) for name, rows in split.parts().items()},
        purged=split.purged,
        model=model,
        seconds=time.perf_counter() - begun,
        fingerprint=pinned.fingerprint,
        parameters=parameters,
        image_shape=pinned.image_shape,
        in_memory=in_memory,
    )
