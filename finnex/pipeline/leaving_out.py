"""A build without the companies that cannot be drawn: those without a session in the range, and with lost bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from finnex.data.bad_companies import problem_of
from finnex.errors import ConfigError, FinnexError, InputError, Problem, ServiceError, StoreError
from finnex.pipeline.run_inputs import Run, in_universe, sessions_wanted
from finnex.pipeline.store_opening import Opened, open_for_writing


def leaves_out(run: Run, error: FinnexError | None = None) -> bool:
    """Return whether a company that has an error is left out: one that is neither of the store nor of a service."""
    return run.config.on_bad_company == "leave out" and not isinstance(error, StoreError | ServiceError)


def with_sessions(
    run: Run, symbols: Sequence[str], start: date | None, end: date | None
) -> tuple[Run, tuple[str, ...]]:
    """Return the run without those symbols that have no session in a range, and the others.

    A symbol that is no member of the universe in the range is not bad: it is not drawn, and nothing is said of it.

    Parameters
    ----------
    run
        Inputs and layout.
    symbols
        Symbols that are asked for.
    start, end
        Range; absent, those of the configuration.

    Returns
    -------
    Run
        With the companies that are left out.
    tuple of str
        Symbols to draw.

    Raises
    ------
    InputError, ConfigError
        A symbol is not configured; or has no session, and bad companies are refused; or none is left.
    """
    known = {*run.config.symbols, *(one.symbol for one in run.bad)}
    problems: list[Problem] = []
    symbols = in_universe(run, symbols, start, end)
    for symbol in symbols:
        try:
            sessions_wanted(run, symbol, start, end)
        except (ConfigError, InputError) as error:
            if symbol not in known or not leaves_out(run, error):
                raise
            problems += problem_of(symbol, error)
    bad = {symbol for problem in problems for symbol in problem.companies}
    if bad.issuperset(symbols):
        raise InputError(list(dict.fromkeys(problems)))
    already = {one.symbol for one in run.bad}
    new = [problem for problem in problems if not already.issuperset(problem.companies)]
    return run.without(new) if new else run, tuple(symbol for symbol in symbols if symbol not in bad)


def opened_without(
    run: Run, symbols: Sequence[str], *, start: date | None, end: date | None, force: bool
) -> tuple[Run, tuple[str, ...], Opened]:
    """Open the run's store for a build of some symbols, without those whose bars are gone.

    Parameters
    ----------
    run
        Inputs and layout.
    symbols
        Those that are drawn.
    start, end
        Range that is drawn.
    force
        Whether images of sessions that lost their bar are given up.

    Returns
    -------
    Run
        With the companies that are left out.
    tuple of str
        Symbols to draw.
    Opened
        See `open_for_writing`.

    Raises
    ------
    InputError, StoreError
        As `open_for_writing`; of a company alone where bad companies are refused, or none is left.
    """
    while True:
        try:
            return (
                run,
                tuple(symbols),
                open_for_writing(run, symbols=symbols, start=start, end=end, force=force, trust=True),
            )
        except InputError as error:
            if not leaves_out(run, error) or not all(problem.companies for problem in error.problems):
                raise
            run = run.without(error.problems)
            kept = [symbol for symbol in symbols if symbol in run.config.symbols]
            if not kept:
                raise
            symbols = kept
