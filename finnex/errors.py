"""Every error FinNeX raises on purpose.

FinnexError
├── ConfigError        finnex.toml: unknown key, bad value, missing file
│   └── InputsMissing  it names tables that are not there
├── InputError         a table that cannot be trusted; lists every problem found in it
├── InputsLate         inputs of the last close that have not arrived
├── LayoutError        a catalogue or layout that does not describe an image
├── StoreError         the image store cannot do what was asked
│   ├── StoreMismatch  the store was made for another layout, calendar or symbol
│   ├── StoreBusy      another process is writing
│   └── StoreCorrupt   stored bytes are not the bytes that were written
├── BuildError         images that could not be drawn
├── QualityError       a check or an audit that did not pass
├── TrainingError      data or settings a model cannot be trained on
│   └── ModelRefused   a model that training did not register, or whose files are others
├── ExportError        plain files that cannot be written
└── ServiceError       Prefect, Dask or MLflow could not be reached or started
    └── StateBusy      another command uses the state folder

A message names the value, the place and the remedy. The command line prints it and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class FinnexError(Exception):
    """Root of all errors that a user can do something about."""


class ConfigError(FinnexError):
    """The run configuration cannot be used as it stands."""


class InputsMissing(ConfigError):
    """The configuration names tables that are not there; they may be on their way."""


class InputsLate(FinnexError):
    """The inputs of the last close have not arrived."""


class LayoutError(FinnexError):
    """A catalogue or layout does not describe an image."""


class StoreError(FinnexError):
    """The image store cannot do what was asked; nothing stored was changed."""


class StoreMismatch(StoreError):
    """The store was made for another layout, calendar or symbol."""


class StoreBusy(StoreError):
    """Another process holds the store's writer lock."""


class StoreCorrupt(StoreError):
    """Stored bytes are not the bytes that were written."""


class BuildError(FinnexError):
    """Images that could not be drawn."""


class QualityError(FinnexError):
    """A check of the store or an audit of its inputs did not pass."""


class TrainingError(FinnexError):
    """Data or settings a model cannot be trained on."""


class PricesUnknown(TrainingError):
    """Prices of the sessions that a portfolio would be held in are not known: it cannot be simulated."""


class ModelRefused(TrainingError):
    """A model that training did not register, or whose files are not those that it registered; it is not loaded.

    Parameters
    ----------
    reason
        What is wrong, without the remedy.
    model
        Which model it is.
    remedy
        What to do, as a sentence.
    """

    def __init__(
        self,
        reason: str,
        model: str = "the model",
        remedy: str = "Take it from the registry again, or train again: finnex train.",
    ) -> None:
        super().__init__(reason, model, remedy)
        self.reason, self.model, self.remedy = reason, model, remedy

    def __str__(self) -> str:
        return f"{self.model} is refused: {self.reason}. {self.remedy}"


class ExportError(FinnexError):
    """Plain files that cannot be written; nothing of them is left."""


class ServiceError(FinnexError):
    """Prefect, Dask or MLflow could not be reached or started."""


class StateBusy(ServiceError):
    """Another command uses the state folder."""


LONGEST_VALUE, LONGEST_SENTENCE = 80, 400
"""Characters of a value, and of a sentence, that a message shows."""


def shortened(value: object, most: int = LONGEST_VALUE) -> str:
    """Return a value as text of at most `most` characters."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input table: where it stands, what stands there, what to do about it."""

    file: str
    what: str
    remedy: str
    row: int | None = None  # line in the file as an editor counts it, the header being line 1
    column: str | None = None
    value: object = None

    def __str__(self) -> str:
        place = [self.file]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column '{shortened(self.column)}'")
        shown = "" if self.value is None else f" (value: {shortened(self.value)})"
        return f"{', '.join(place)}: {shortened(self.what, LONGEST_SENTENCE)}{shown}. {self.remedy}"


class InputError(FinnexError):
    """A table that cannot be trusted.

    Parameters
    ----------
    problems
        Everything found wrong, so that one reading of the message mends the whole file.
    """

    shown_at_most = 20

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[: self.shown_at_most]]
        hidden = len(self.problems) - len(lines)
        if hidden:
            lines.append(f"... and {hidden} more of the same file set")
        super().__init__("\n".join(lines))


def first_line(error: BaseException) -> str:
    """Return what a library's error says, without the pages that may follow; its type where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return a remedy that names the nearest valid word, or all of them where none is near."""
    options = sorted(valid)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    listed = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"Valid names: {listed}."
