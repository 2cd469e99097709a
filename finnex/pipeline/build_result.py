"""What a build did: images, failures, and companies that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from finnex.data.bad_companies import BadCompany
from finnex.errors import Problem


@dataclass(frozen=True)
class BuildResult:
    """What a build did.

    Attributes
    ----------
    built, skipped, failed
        Sessions that were drawn, that had their image, and that could not be drawn.
    seconds
        Wall clock of the build.
    images_per_second
        Over the time that drawing took.
    fingerprint
        Of the store's data after the build.
    failures
        Symbol, session and reason of each that failed.
    warnings
        What is odd about the inputs and refuses nothing.
    notes
        How files are read that do not say it themselves.
    bad
        Companies that were left out, or could not be drawn whole, where `on_bad_company` excuses it.

    Examples
    --------
    >>> result = finnex.build(finnex.load_config("finnex.toml"))
    >>> result.built + result.skipped, result.failures
    (12, ())
    """

    built: int
    skipped: int
    failed: int
    seconds: float
    images_per_second: float
    fingerprint: str
    failures: tuple[tuple[str, date, str], ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    bad: tuple[BadCompany, ...] = field(default=())


def unexcused(result: BuildResult) -> tuple[tuple[str, date, str], ...]:
    """Return the failures of companies that are not among `bad`: a build that has one did not do what it should."""
    excused = {one.symbol for one in result.bad}
    return tuple(failure for failure in result.failures if failure[0] not in excused)


def of_failures(failures: Sequence[tuple[str, date, str]]) -> list[Problem]:
    """Return a problem for each company of which sessions could not be drawn."""
    found: dict[str, list[tuple[date, str]]] = {}
    for symbol, day, reason in failures:
        found.setdefault(symbol, []).append((day, reason))
    remedy = "The next run tries these again."
    return [
        Problem(symbol, f"{_some_days(own)} could not be drawn: {own[0][1]}", remedy, companies=(symbol,))
        for symbol, own in found.items()
    ]


def _some_days(own: Sequence[tuple[date, str]]) -> str:
    return f"{own[0][0]} and {len(own) - 1} more sessions" if len(own) > 1 else f"{own[0][0]}"
