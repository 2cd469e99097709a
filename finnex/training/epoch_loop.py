"""The training loop: plain PyTorch on `accelerate`, readable in one sitting.

What happens in a batch depends on the weights, the batch and (seed, epoch, batch, process) alone: the order of the
images, what is altered about them, and dropout are all drawn anew from those numbers. So a training resumed
from a checkpoint, even in the middle of an epoch, gives the same bits as an uninterrupted one, and no state of a random
generator has to be kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from finnex.config.training import TrainingSettings
from finnex.datasets import Batch
from finnex.errors import TrainingError
from finnex.models.network_inputs import check_values
from finnex.training.answers import Batches, predict, surprise
from finnex.training.augment import Augment
from finnex.training.checkpoint import (
    BEST,
    LAST,
    check_same,
    has_checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from finnex.training.interruption import Interruption
from finnex.training.objective import Objective
from finnex.training.reports import EpochReport, OnProgress, Progress, ignore_progress
from finnex.training.running import ask

T = TypeVar("T")


def warmup_cosine(warmup_steps: int, steps: int) -> Callable[[int], float]:
    """Return the learning rate's factor by step: a linear rise, then half a cosine down to zero."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))

    return factor


def fit(
    accelerator: Accelerator, model: nn.Module, train: Batches, validation: Batches, objective: Objective,
    settings: TrainingSettings, folder: Path, *,
    about: dict[str, Any], augment: Augment | None = None,
    describe: Callable[[Batch], str] = lambda batch: f"{len(batch)} images",
    before_epoch: Callable[[], None] = lambda: None,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
    on_progress: OnProgress = ignore_progress,
) -> list[EpochReport]:  # fmt: skip
    """Train a model and leave it with the weights of its best epoch. Every process of a parallel training calls this.

    `folder` keeps two checkpoints: `best.safetensors`, the best epoch's weights, and `last.safetensors`, from which an
    earlier call that did not end is resumed.

    Parameters
    ----------
    accelerator
        Device and processes.
    model
        Network to train.
    train, validation
        This process' share of the batches.
    objective
        Loss, and the units of returns.
    settings
        Epochs, learning rate and the other numbers of a training.
    folder
        Where checkpoints are kept.
    about
        Plain values that identify the training: a `last.safetensors` with other values is refused.
    augment
        Changes a batch before it is learned from; None changes none.
    describe
        Names a batch in an error.
    before_epoch
        Called first in every epoch; raises to stop.
    on_epoch
        Called with every epoch's report, those of an earlier call too.
    on_progress
        Called after every batch and every epoch.

    Returns
    -------
    list of EpochReport
        The report of every epoch, those of an earlier call too.

    Raises
    ------
    TrainingError
        Pixels are no numbers in [0, 1], or the loss or its gradient is no number: both checkpoints stay as they are.
        Or `last.safetensors` cannot be used.
    """
    learning = _Learning(accelerator, model, objective, settings, folder, about, augment, _steps(train, accelerator))
    now = learning.restore()
    for report in now.history:
        on_epoch(report)
    with Interruption() as interruption:
        while not now.over(settings):
            before_epoch()
            train.set_epoch(now.epoch, now.batch)
            learning.learner.train()
            asked_at = time.perf_counter()
            for batch in _first(learning.steps - now.batch, iter(train)):
                now.waiting += time.perf_counter() - asked_at
                stop = learning.step(batch, describe, interruption.requested)
                now.seconds += time.perf_counter() - asked_at
                mean = now.loss / now.images
                on_progress(Progress("train", now.batch, learning.steps, now.epoch, settings.epochs, mean))
                if stop or learning.unsaved_seconds >= 60 * settings.checkpoint_minutes:
                    learning.save()
                if stop:
                    accelerator.wait_for_everyone()  # a process that ends has its launcher end the others
                    interruption.deliver()
                asked_at = time.perf_counter()
            report = learning.judge(validation, describe)
            now = learning.now = Standing(epoch=now.epoch + 1, history=[*now.history, report])
            learning.save()
            on_epoch(report)
            epochs = settings.epochs
            on_progress(Progress("epoch", report.epoch, epochs, report.epoch, epochs, report.loss, report))
    learning.take_best()
    return now.history


@dataclass
class Standing:
    """Progress of a training; with the weights and the optimiser's state, all that is needed to resume.

    `batch` counts this epoch's batches that are done, in each process; loss and images are summed over all.
    """

    epoch: int = 1
    batch: int = 0
    loss: float = 0.0
    images: int = 0
    waiting: float = 0.0
    seconds: float = 0.0
    history: list[EpochReport] = field(default_factory=list)

    @property
    def best(self) -> EpochReport | None:
        """The report of the best epoch so far."""
        return next((report for report in reversed(self.history) if report.best), None)

    def over(self, settings: TrainingSettings) -> bool:
        """Whether all epochs are done, or no better one came for too long."""
        since_best = self.epoch - 1 - (self.best.epoch if self.best else 0)
        return self.epoch > settings.epochs or since_best >= settings.patience_epochs


class _Learning:
    """A network, its optimiser, how far they are, and the step they make with a batch."""

    def __init__(
        self, accelerator: Accelerator, model: nn.Module, objective: Objective, settings: TrainingSettings,
        folder: Path, about: dict[str, Any], augment: Augment | None, steps: int,
    ) -> None:  # fmt: skip
        self.accelerator, self.model, self.objective, self.settings = accelerator, model, objective, settings
        self.about, self.augment, self.steps = about, augment, steps
        self.last, self.best = folder / LAST, folder / BEST
        self.factor = warmup_cosine(settings.warmup_epochs * steps, settings.epochs * steps)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.learner, self.stepper = accelerator.prepare(model, self.optimizer)
        self.now = Standing()
        self._saved_at = time.monotonic()

    def step(self, batch: Batch, describe: Callable[[Batch], str], stop: bool) -> bool:
        """Learn from a batch; return whether any process was asked to stop."""
        accelerator, now, device = self.accelerator, self.now, self.accelerator.device
        _seed(self.settings.seed, now.epoch, now.batch, accelerator.process_index)
        images, targets = batch.images.to(device), self.objective.targets(batch.rows).to(device)
        patches = None if batch.patches is None else batch.patches.to(device)
        try:
            if self.augment is not None:
                check_values(images)  # of the result they are 'not known', which is another thing than no number
                images, targets = self.augment(images.float(), targets)
            loss = self.objective(ask(self.learner, images, patches), targets)
        except TrainingError as error:
            raise TrainingError(
                f"{error}\nThat is in epoch {now.epoch}, batch {now.batch + 1} of {self.steps} ({describe(batch)}). "
                f"Training stopped before the weights were touched{self._kept()}."
            ) from error
        here = float(loss.detach()) * len(batch), len(batch), stop
        total, count, stops = _over_processes(accelerator, *here)
        self._refuse_nan("loss", total, batch, describe)
        self.stepper.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(self.learner.parameters(), self.settings.gradient_clip)
        if accelerator.scaler is None:  # which skips such a step itself
            self._refuse_nan("gradient", float(norm), batch, describe)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * self.factor((now.epoch - 1) * self.steps + now.batch)
        self.stepper.step()
        now.batch, now.loss, now.images = now.batch + 1, now.loss + total, now.images + int(count)
        return stops > 0

    def _refuse_nan(self, what: str, value: float, batch: Batch, describe: Callable[[Batch], str]) -> None:
        if math.isfinite(value):
            return
        now = self.now
        raise TrainingError(
            f"the {what} became {value} in epoch {now.epoch}, batch {now.batch + 1} of {self.steps} "
            f"({describe(batch)}). Training stopped before the weights were touched{self._kept()}. "
            "Lower learning_rate, and look at these images with `finnex show`."
        )

    def _kept(self) -> str:
        best = self.now.best
        return f"; the best epoch so far, {best.epoch}, is kept in {self.best}" if best else ""

    def judge(self, validation: Batches, describe: Callable[[Batch], str]) -> EpochReport:
        """Score the epoch on the validation part; keep its weights where they are the best so far."""
        now = self.now
        try:
            answers = predict(self.model, validation, self.accelerator, describe)
        except TrainingError as error:
            raise TrainingError(f"validation of epoch {now.epoch}{self._kept()}: {error}") from error
        labels = self.objective.samples.label[answers.rows]
        loss = float(surprise(answers.probabilities, labels).mean())
        report = EpochReport(
            epoch=now.epoch,
            loss=now.loss / now.images,
            validation_loss=loss,
            validation_accuracy=float((answers.probabilities.argmax(axis=1) == labels).mean()),
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            images_per_second=now.images / now.seconds,
            waiting_share=now.waiting / now.seconds,
            seconds=now.seconds,
            best=now.best is None or loss < now.best.validation_loss,
        )
        if report.best and self.accelerator.is_main_process:
            content = {"about": self.about, "model": self.model.state_dict(), "report": asdict(report)}
            save_checkpoint(self.best, content)
        return report

    @property
    def unsaved_seconds(self) -> float:
        """Time since the state was last saved."""
        return time.monotonic() - self._saved_at

    def save(self) -> None:
        """Write all that is needed to resume from here."""
        self._saved_at = time.monotonic()
        if self.accelerator.is_main_process:
            scaler = None if self.accelerator.scaler is None else self.accelerator.scaler.state_dict()
            state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "scaler": scaler}
            save_checkpoint(self.last, {"about": self.about, "standing": asdict(self.now), **state})

    def restore(self) -> Standing:
        """Take up what an earlier call left, where it left something."""
        if has_checkpoint(self.last):
            found = load_checkpoint(self.last)
            check_same(self.last, found["about"], self.about)
            load_weights(self.last, found["model"], self.model)
            self.optimizer.load_state_dict(found["optimizer"])
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(found["scaler"])
            history = [EpochReport(**report) for report in found["standing"]["history"]]
            self.now = Standing(**{**found["standing"], "history": history})
            if self.now.best:
                load_checkpoint(self.best)  # it is needed at the end; hours earlier is the time to miss it
        return self.now

    def take_best(self) -> None:
        """Give the model the weights of its best epoch, and full precision."""
        self.accelerator.wait_for_everyone()  # the first process writes them
        self.accelerator.unwrap_model(self.learner, keep_fp32_wrapper=False)
        load_weights(self.best, load_checkpoint(self.best)["model"], self.model)
        self.model.eval()


def _steps(train: Batches, accelerator: Accelerator) -> int:
    """Return how many batches an epoch has in every process: they step together, so a last odd round is left out."""
    steps = len(train)
    if accelerator.num_processes > 1:
        steps = int(accelerator.gather(torch.tensor([steps], device=accelerator.device)).min())
    if steps == 0:
        raise TrainingError(
            f"there are fewer batches than the {accelerator.num_processes} processes. "
            "Lower batch_size, or start fewer processes."
        )
    return steps


def _first(count: int, items: Iterator[T]) -> Iterator[T]:
    """Yield `count` items, then stop the reader that prefetches more of them."""
    with closing(items):  # type: ignore[type-var]
        yield from islice(items, count)


def _seed(*numbers: int) -> None:
    """Set torch's random state to one that these numbers alone decide."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1)))


def _over_processes(accelerator: Accelerator, *values: float) -> list[float]:
    """Sum plain numbers over all processes, so that all of them make the same decision."""
    if accelerator.num_processes == 1:
        return list(values)
    together = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    return [float(value) for value in accelerator.reduce(together, "sum")]
