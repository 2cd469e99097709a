"""Every error FinNeX raises on purpose.

FinnexError
│   (ConfigError, InputError and LayoutError are UnusableContent: their messages are bounded and printable)
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
├── FetchError         a public source that cannot be asked, or whose answer is none
└── ServiceError       Prefect, Dask or MLflow could not be reached or started
    └── StateBusy      another command uses the state folder

A message names the value, the place and the remedy. The command line prints it and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

LONGEST_VALUE, LONGEST_SENTENCE = 80, 400
"""Characters of a value, and of a sentence, that a message shows."""
LONGEST_LINE, LONGEST_MESSAGE, MOST_LINES = 700, 3600, 20
"""Bytes of a line and of the whole message of an `UnusableContent`, and its lines."""
MOST_OF_A_KIND = 20
"""Problems of one kind that are kept one by one; the rest are counted."""
PLACES = 3
"""Problems of a kind whose places and values a message shows."""
MOST_LISTED = 12
"""Valid words that a message lists where the set may be long; of a short one, it lists all."""
MOST_OPTIONS, LONGEST_OPTION = 1000, 60
"""Most valid words, and characters of each, that are searched for the nearest word."""


def shortened(value: object, most: int = LONGEST_VALUE) -> str:
    """Return a value as text of at most `most` characters."""
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown(value: object) -> str:
    """Return a value as Python writes it, of at most `LONGEST_VALUE` characters; a moment as a date and a time."""
    if isinstance(value, datetime):
        return str(value)
    if isinstance(value, float):  # numpy's would be written as np.float64(...)
        value = float(value)
    try:
        return shortened(repr(value[: LONGEST_VALUE + 1] if isinstance(value, str) else value))
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number too long to show"


def legible(text: str) -> str:
    """Return a message in printable characters and bounded size: lines are cut in their middle, further ones counted.

    A message about any content of a file fits a screen and moves no cursor.
    """
    lines = text.split("\n")
    kept: list[str] = []
    room = LONGEST_MESSAGE
    for line in lines[:MOST_LINES]:
        printable = _printable(line)
        room -= len(printable.encode()) + 1
        if room < 0:
            break
        kept.append(printable)
    if len(kept) < len(lines):
        kept.append(f"... and {len(lines) - len(kept)} more lines like these")
    return "\n".join(kept)


def _printable(line: str) -> str:
    half = LONGEST_LINE // 2
    ends = [line] if len(line) <= LONGEST_LINE else [line[:half], line[-half:]]
    ends = ["".join(one if one.isprintable() else ascii(one)[1:-1] for one in end) for end in ends]
    if len(ends) == 2 or len(ends[0].encode()) > LONGEST_LINE:
        first, last = ends[0].encode()[: half - 3], ends[-1].encode()[3 - half :]
        ends = [first.decode(errors="ignore"), last.decode(errors="ignore")]
    return " ... ".join(ends)


class FinnexError(Exception):
    """Root of all errors that a user can do something about."""


class UnusableContent(FinnexError):
    """The content of a file cannot be used. The message is legible for any content: see `legible`."""

    def __init__(self, text: str = "") -> None:
        super().__init__(legible(text))


class ConfigError(UnusableContent):
    """The run configuration cannot be used as it is."""


class InputsMissing(ConfigError):
    """The configuration names tables that do not exist yet; they may still arrive."""


class InputsLate(FinnexError):
    """The inputs of the last close have not arrived."""


class LayoutError(UnusableContent):
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


class FetchError(FinnexError):
    """A public source cannot be asked, or its answer cannot be used; tables that exist are as they were."""


class ServiceError(FinnexError):
    """Prefect, Dask or MLflow could not be reached or started."""


class StateBusy(ServiceError):
    """Another command uses the state folder."""


@dataclass(frozen=True)
class Problem:
    """One problem of an input table: its place, the value found there, and the remedy."""

    file: str
    what: str
    remedy: str
    row: int | None = None  # line in the file as an editor counts it, the header being line 1
    column: str | None = None
    value: object = None
    further: int = 0
    """Further rows with the same problem, which have no `Problem` of their own."""
    companies: tuple[str, ...] = field(default=(), compare=False)
    """Whose rows these are, with the further ones; none where the problem is of no company, or may be of any."""
    table: str = field(default="", compare=False)
    """The table that the file was read for."""

    @property
    def kind(self) -> tuple[str, str, str | None]:
        """File, column and what is wrong: equal where the same is wrong in several rows."""
        return self.file, self.what, self.column

    def __str__(self) -> str:
        return problem_line([self], 0)


def problem_line(alike: Sequence[Problem], further: int) -> str:
    """Return one line for problems of one kind: the places and values of some, and how many further there are."""
    first = alike[0]
    place = [first.file]
    rows = [str(one.row) for one in alike if one.row is not None]
    if rows:
        more = f" and {further} more" if further else ""
        listed = ", ".join(rows) if more or len(rows) == 1 else f"{', '.join(rows[:-1])} and {rows[-1]}"
        place.append(f"row{'' if len(rows) == 1 and not more else 's'} {listed}{more}")
    if first.column is not None:
        place.append(f"column '{shortened(first.column)}'")
    values = [shortened(one.value) for one in alike if one.value is not None]
    shown = f" (value{'' if len(values) == 1 else 's'}: {'; '.join(values)})" if values else ""
    counted = f" ({further} more like it)" if further and not rows else ""
    return f"{', '.join(place)}: {shortened(first.what, LONGEST_SENTENCE)}{shown}.{counted} {first.remedy}"


class InputError(UnusableContent):
    """A table that cannot be trusted.

    Parameters
    ----------
    problems
        What was found wrong, so that one reading of the message mends the whole file. The message shows the first of
        every kind, with its first places.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(_lines(self.problems)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the problems alone: the message is made from them in the other process."""
        return type(self), (self.problems,)


def _lines(problems: Sequence[Problem]) -> list[str]:
    """Return a line for each kind of problem in a column, with its first places, and what was left out."""
    groups: dict[tuple[str, str, str | None], list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.kind, []).append(problem)
    lines: list[str] = []
    room, left = LONGEST_MESSAGE - 200, 0
    for number, group in enumerate(groups.values()):
        shown = group[:PLACES]
        line = _printable(problem_line(shown, count(group) - len(shown)))
        room -= len(line.encode()) + 1
        last = number == len(groups) - 1
        if room < 0 or (len(lines) == MOST_LINES - 1 and not last):
            left = sum(count(later) for later in list(groups.values())[number:])
            break
        lines.append(line)
    if left:
        lines.append(f"... and {left} more problems")
    return lines


def count(problems: Iterable[Problem]) -> int:
    """Return how many problems there are, with those that were only counted."""
    return sum(1 + problem.further for problem in problems)


def first_of(rows: Sequence[Any], most: int = MOST_OF_A_KIND) -> list[tuple[Any, int]]:
    """Return the first of some rows, each with the number of further ones that it represents: 0 but for the last."""
    kept = [(row, 0) for row in islice(rows, most)]
    if len(rows) > most:
        kept[-1] = kept[-1][0], len(rows) - most
    return kept


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error message; the error's type where the message is empty."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def repeated(words: Iterable[str]) -> list[str]:
    """Return the words that come more than once."""
    return [word for word, times in Counter(words).items() if times > 1]


def near_name(word: str, valid: Iterable[str]) -> str | None:
    """Return the valid word that differs from a word by a slip of the pen; None where none is that near.

    Examples
    --------
    >>> near_name("yfinanc", ["yahoo", "yfinance"]), near_name("GDPC1", ["GDP1", "DGS10"]), near_name("eps", ["capex"])
    ('yfinance', 'GDP1', None)
    """
    folded = {option.casefold(): option for option in valid}
    close = difflib.get_close_matches(word[:LONGEST_OPTION].casefold(), folded, n=1, cutoff=0.8)
    return folded[close[0]] if close else None


def nearest(word: str, valid: Iterable[str], most: int = MOST_LISTED) -> str:
    """Return a remedy that names the nearest valid word, or the first `most` of them where none is near."""
    word = word[:LONGEST_OPTION]
    options = sorted(option for option in valid if len(option) <= LONGEST_OPTION)
    if len(options) > MOST_OPTIONS:  # the cost of a comparison is bounded, and their number must be
        options = sorted(sorted(options, key=lambda option: abs(len(option) - len(word)))[:MOST_OPTIONS])
    same = [option for option in options if option.casefold() == word.casefold()]
    close = same or difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    listed = ", ".join(options[:most]) + (", ..." if len(options) > most else "")
    return f"Valid names: {listed}."
