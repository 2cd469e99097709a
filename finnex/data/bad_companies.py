"""Companies that a run leaves out because of what is wrong with them: `on_bad_company = "leave out"`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from finnex.data.remarks import some
from finnex.errors import FinnexError, InputError, Problem, count, problem_line

COMPANIES = "companies"
"""The table that says who is a member and who is whose peer."""
PEERS_READ = ("prices", "fundamentals", "splits", "sentiment", COMPANIES)
"""Tables of which a company's rows are read for those whose peer it is."""
ABSENT = "symbols"
"""In the place of a table: a company that is configured and has no bar."""
PLACES = 3


@dataclass(frozen=True)
class BadCompany:
    """A company that is left out, with everything that is wrong with it.

    Attributes
    ----------
    symbol
        The company.
    problems
        What was found.
    """

    symbol: str
    problems: tuple[Problem, ...]


def problem_of(symbol: str, error: FinnexError) -> list[Problem]:
    """Return what an error says of a company."""
    if isinstance(error, InputError):
        return [replace(one, companies=(symbol,)) for one in error.problems]
    return [Problem(symbol, str(error).removesuffix("."), "", companies=(symbol,))]


def bad_companies(problems: Iterable[Problem]) -> tuple[BadCompany, ...]:
    """Return the companies that some problems name, in their order, each with its own."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        for symbol in problem.companies:
            found.setdefault(symbol, []).append(problem)
    return tuple(BadCompany(symbol, tuple(dict.fromkeys(own))) for symbol, own in found.items())


def counted(bad: Sequence[BadCompany]) -> str:
    """Say how many companies are left out."""
    return f"{len(bad)} {'company is' if len(bad) == 1 else 'companies are'} left out"


def title(bad: Sequence[BadCompany]) -> str:
    """Say how many companies are left out, and what becomes of their images."""
    one = len(bad) == 1
    return (
        f"{counted(bad)} ({some([each.symbol for each in bad])}); "
        f"{'its' if one else 'their'} published images stay as they are."
    )


def sentences(bad: Sequence[BadCompany]) -> list[str]:
    """Return a sentence for each kind of problem, with the companies that have it.

    Parameters
    ----------
    bad
        Companies that are left out.

    Returns
    -------
    list of str
        `ACME, BETA: prices.csv, rows 3 and 9, column 'close': is not a number (values: 'x'; 'y'). Correct the cell.`
    """
    alike: dict[object, dict[Problem, list[str]]] = {}
    for one in bad:
        for problem in one.problems:
            kind = problem.kind if problem.file != one.symbol else (problem.what,)
            alike.setdefault(kind, {}).setdefault(problem, []).append(one.symbol)
    found = []
    for group in alike.values():
        shown = list(group)[:PLACES]
        symbols = list(dict.fromkeys(symbol for own in group.values() for symbol in own))
        line = problem_line(shown, count(group) - len(shown)).strip()
        found.append(line if shown[0].file == symbols[0] and len(symbols) == 1 else f"{some(symbols)}: {line}")
    return found


def rows_of(bad: Sequence[BadCompany]) -> list[dict[str, str]]:
    """Return a row for each kind of problem of each company: company, problem and remedy."""
    found = []
    for one in bad:
        kinds: dict[object, list[Problem]] = {}
        for problem in one.problems:
            kinds.setdefault(problem.kind, []).append(problem)
        for alike in kinds.values():
            bare = [replace(problem, remedy="") for problem in alike[:PLACES]]
            said = problem_line(bare, count(alike) - len(bare)).strip().removeprefix(f"{one.symbol}: ")
            found.append({"company": one.symbol, "problem": said, "remedy": alike[0].remedy})
    return found
