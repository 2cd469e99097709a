"""The training loop: plain PyTorch on `accelerate`, readable in one sitting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from finnex.config import TrainingSettings
from finnex.errors import TrainingError
from finnex.training.dataset import Batch, ImageBatches, prefetch
from finnex.training.samples import CLASSES

CHECKPOINT_FORMAT = 1


@dataclass(frozen=True)
class EpochReport:
    """What one pass over the training part came to.

    Attributes
    ----------
    loss
        Mean training loss, with label smoothing and class weights.
    validation_loss, validation_accuracy
        Plain log loss and share of correct answers; the lowest validation loss is the best epoch.
    images_per_second
        Training images, validation not counted.
    waiting_share
        Part of the training time in which the network waited for data.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    images_per_second: float
    waiting_share: float
    seconds: float
    best: bool


@dataclass(frozen=True)
class Progress:
    """How far a training is: images read into memory, batches of an epoch, or an epoch done (with its report)."""

    stage: Literal["read", "train", "epoch"]
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float = math.nan
    report: EpochReport | None = None


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Show nothing."""


def warmup_cosine(warmup_steps: int, steps: int) -> Callable[[int], float]:
    """Return the learning rate's factor by step: a straight line up, then half a cosine down to nought."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))

    return factor


def class_weights(labels: npt.NDArray[np.int64], classes: int) -> Tensor:
    """Return weights inversely proportional to the classes' frequencies, of mean 1 over the samples."""
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes, dtype=np.float32)
    weights[present] = len(labels) / (np.count_nonzero(present) * counts[present])
    return torch.from_numpy(weights)


def save_checkpoint(path: Path, model: nn.Module, about: Mapping[str, Any]) -> None:
    """Write a model's weights with plain values about them; a file of that name is replaced only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    torch.save({"format": CHECKPOINT_FORMAT, "model": model.state_dict(), "about": dict(about)}, draft)
    draft.replace(path)


def load_checkpoint(path: Path, model: nn.Module) -> dict[str, Any]:
    """Put a checkpoint's weights into a model; return what was saved about them. No code of the file is run.

    Raises
    ------
    TrainingError
        The file is missing, damaged, or holds another network's weights.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(found["model"])
    except FileNotFoundError:
        raise TrainingError(f"there is no checkpoint {path}. Train first, or name another file.") from None
    except Exception as error:  # torch raises what the damaged byte happens to break
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"the checkpoint {path} cannot be used: {reason}. Restore the file, or train again."
        ) from None
    return dict(found["about"])


@torch.no_grad()
def predict(
    model: nn.Module, batches: ImageBatches, device: torch.device | None = None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return row numbers of the samples and their class probabilities (sample, class), in the order of the batches."""
    was_training = model.training
    model.eval()
    rows, probabilities = [], []
    for batch in prefetch(lambda: iter(batches)):
        images = batch.images if device is None else batch.images.to(device)
        logits, _ = model(images)
        rows.append(batch.rows)
        probabilities.append(logits.double().softmax(-1).cpu().numpy())
    model.train(was_training)
    return np.concatenate(rows), np.concatenate(probabilities)


def _log_loss(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, None)).mean())


class _Meter:
    """Sums up one epoch: loss, images, and where its time went."""

    def __init__(self) -> None:
        self.loss = torch.zeros((), dtype=torch.float64)
        self.images, self.waiting, self.begun = 0, 0.0, time.perf_counter()

    def add(self, loss: Tensor, images: int) -> None:
        self.loss += loss.detach().double().cpu() * images
        self.images += images


def fit(
    model: nn.Module,
    train: ImageBatches,
    validation: ImageBatches,
    labels: npt.NDArray[np.int64],
    settings: TrainingSettings,
    checkpoint: Path,
    *,
    about: Mapping[str, Any] | None = None,
    describe: Callable[[Batch], str] = lambda batch: f"{len(batch)} images",
    before_epoch: Callable[[], None] = lambda: None,
    on_progress: OnProgress = ignore_progress,
) -> list[EpochReport]:
    """Train a model and leave it with the weights of its best epoch, which `checkpoint` keeps.

    Parameters
    ----------
    labels
        All samples' labels, by row number: class weights use the training part, scores the validation part.
    describe
        Names a batch in an error.
    before_epoch
        Called first in every epoch; raises to stop.

    Raises
    ------
    TrainingError
        The loss is not a number.
    """
    accelerator = Accelerator()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = len(train)
    schedule = LambdaLR(optimizer, warmup_cosine(settings.warmup_epochs * steps, settings.epochs * steps))
    learner, optimizer = accelerator.prepare(model, optimizer)
    weights = None
    if settings.class_weights == "balanced":
        weights = class_weights(labels[np.sort(train.order())], len(CLASSES)).to(accelerator.device)
    history: list[EpochReport] = []
    best, epochs_since_best = math.inf, 0
    for epoch in range(1, settings.epochs + 1):
        before_epoch()
        train.set_epoch(epoch)
        learner.train()
        meter = _Meter()
        asked = time.perf_counter()
        for step, batch in enumerate(prefetch(lambda: iter(train)), start=1):
            meter.waiting += time.perf_counter() - asked
            images, target = batch.images.to(accelerator.device), batch.labels.to(accelerator.device)
            logits, _ = learner(images)
            loss = functional.cross_entropy(logits, target, weight=weights, label_smoothing=settings.label_smoothing)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss became {loss.item()} in epoch {epoch}, batch {step} of {steps} ({describe(batch)}). "
                    "Lower learning_rate, and look at these images with `finnex show`; "
                    + (f"the best epoch so far is kept in {checkpoint}." if history else "no epoch was finished.")
                )
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(learner.parameters(), settings.gradient_clip)
            optimizer.step()
            rate = float(schedule.get_last_lr()[0])
            schedule.step()
            meter.add(loss, len(batch))
            on_progress(Progress("train", step, steps, epoch, settings.epochs, float(meter.loss) / meter.images))
            asked = time.perf_counter()
        seconds = time.perf_counter() - meter.begun
        bare = accelerator.unwrap_model(learner)
        rows, probabilities = predict(bare, validation, accelerator.device)
        validation_loss = _log_loss(probabilities, labels[rows])
        report = EpochReport(
            epoch, float(meter.loss) / meter.images, validation_loss,
            float((probabilities.argmax(1) == labels[rows]).mean()), rate,
            meter.images / seconds, meter.waiting / seconds, seconds, validation_loss < best,
        )  # fmt: skip
        history.append(report)
        on_progress(Progress("epoch", epoch, settings.epochs, epoch, settings.epochs, report.loss, report))
        if report.best:
            best, epochs_since_best = validation_loss, 0
            if accelerator.is_main_process:
                save_checkpoint(checkpoint, bare, {**(about or {}), **asdict(report)})
        else:
            epochs_since_best += 1
            if epochs_since_best >= settings.patience_epochs:
                break
    accelerator.wait_for_everyone()
    load_checkpoint(checkpoint, accelerator.unwrap_model(learner))
    model.eval()
    return history
