"""Whether a series knows what happens after the decision: a test of association against permuted sessions.

Every series is reduced to its innovation: what is left of it after a regression on its own two last values and on the
bars up to the session. Of an honest series nothing of the innovation is associated with returns after the decision;
of one that was made from later data, most of it is. Regressing the returns on the same past and correlating the two
remainders is the partial correlation (Frisch and Waugh 1933); normal scores (van der Waerden 1952) keep single days
from deciding it, and the heteroskedasticity-consistent standard error (White 1980), of returns that overlap the one
that is consistent under autocorrelation, too (Newey and West 1987), keep common volatility and long windows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from finnex.audit.innovations import Floats, Innovations, Statistic, before, normal_scores, standard_errors
from finnex.audit.slow_series import LEAST_CORRELATION, WHATS, Periods, periods_of

LONGEST_LEAD = 21
"""Sessions ahead: one more than the longest horizon of a label."""
SUMS = (2, 3, 5, 10, 20)
"""Sessions over which returns are summed, the horizons of labels among them."""
PAST_RETURNS = 20
LEAST_Z = 5.5
"""Standard errors below which no association counts: of 400 series and 52 quantities one exceeds it by chance once in
1,300 markets."""
ABOVE_NULL = 1.15
"""How far above the largest statistic of the permuted markets an association must lie."""
LEAST_RETURN_CORRELATION = 0.2
"""Of honest series with a correlation above it, none exceeds 4.1 standard errors: `benchmarks/foreknowledge.py`."""
LEAST_ACTIVITY_CORRELATION = 0.5
"""Of volume and range: announced events and the options market know much of them honestly."""
LEAST_SUM_CORRELATION, TIMES_OF_SUM = 0.4, 1.4
"""Of returns over 10 and 20 sessions: the correlation, and by how much more their statistic must exceed its threshold.
Few of them are independent in a study of a year or two, so that their standard errors are estimated from little."""
LONG_SUM = 10
LEAST_SIZE_CORRELATION = 0.3
"""Of the size of a single session's return: announced events and the options market know a part of it."""
PERMUTATIONS = 19
BLOCK_SESSIONS = 20


@dataclass(frozen=True)
class Foreknowledge:
    """A series that knows what comes after its decision.

    Attributes
    ----------
    what
        What it knows, in words.
    lead
        Sessions after the decision at which that is complete.
    z, correlation
        Robust statistic and partial rank correlation.
    now
        Partial correlation with the return of the session itself: a shifted series knows it less. NaN of a slow series.
    threshold
        What the statistic had to exceed.
    sessions
        Sessions compared, or periods of a slow series.
    """

    name: str
    what: str
    lead: int
    z: float
    correlation: float
    now: float
    threshold: float
    sessions: int

    @property
    def evidence(self) -> str:
        """What it knows and how well, in words that follow its name."""
        own = f"{self.now:+.2f} with the return of its own session, {self.sessions} sessions"
        return (
            f"with {self.what}: partial rank correlation {self.correlation:+.2f}, {abs(self.z):.1f} standard errors "
            f"({self.threshold:.1f} needed), {f'{self.sessions} periods' if np.isnan(self.now) else own}"
        )


@dataclass(frozen=True)
class Target:
    """Something of the sessions after the decision, one value a session.

    Attributes
    ----------
    least
        Smallest correlation that counts.
    times
        Factor of the least threshold; targets with another factor have a threshold of their own.
    overlap
        Sessions that the outcomes of two neighbouring sessions share.
    """

    what: str
    lead: int
    least: float
    outcome: Floats
    times: float = 1.0
    overlap: int = 0

    @property
    def lags(self) -> int:
        """Over how many sessions products with the outcome may depend on each other: twice what it overlaps."""
        return 2 * self.overlap


@dataclass(frozen=True)
class Bars:
    """Bars of one symbol on all sessions, each (sessions,), NaN where it did not trade; prices in any one unit.

    Attributes
    ----------
    market
        Mean log return of the other symbols that features look at, 0 where there is none.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    market: Floats


def ahead(values: Floats, sessions: int) -> Floats:
    """Return the values `sessions` later, NaN past the end."""
    moved = np.full(len(values), np.nan)
    if sessions < len(values):
        moved[: len(values) - sessions] = values[sessions:]
    return moved


def targets_of(bars: Bars) -> list[Target]:
    """Return what is looked for after the decision: returns of single sessions, the next gap, sums, activity."""
    with np.errstate(all="ignore"):
        close, opened = np.log(bars.close), np.log(bars.open)
        spread, volume = np.log(bars.high / bars.low), np.log(np.where(bars.volume > 0, bars.volume, np.nan))
    least = LEAST_RETURN_CORRELATION
    found = [
        Target(
            "the return of the next session" if h == 1 else f"the return of the session {h} ahead",
            h,
            least,
            ahead(close, h) - ahead(close, h - 1),
        )
        for h in range(1, LONGEST_LEAD + 1)
    ]
    found += [
        Target("the move from the close to the next open", 1, least, ahead(opened, 1) - close),
        Target("the move from the next open to the next close", 1, least, ahead(close, 1) - ahead(opened, 1)),
    ]
    found += [
        Target(
            f"the return over the next {h} sessions",
            h,
            least if h < LONG_SUM else LEAST_SUM_CORRELATION,
            ahead(close, h) - close,
            1.0 if h < LONG_SUM else TIMES_OF_SUM,
            h - 1,
        )
        for h in SUMS
    ]
    if np.ptp(bars.market) > 0:
        found += [
            Target(f"the market's return {h} session{'s' * (h > 1)} ahead", h, least, ahead(bars.market, h))
            for h in (1, 2, 3)
        ]
    found += [
        Target(
            "the size of the return of the next session" if h == 1 else f"the size of the return {h} sessions ahead",
            h,
            LEAST_SIZE_CORRELATION,
            np.abs(ahead(close, h) - ahead(close, h - 1)),
        )
        for h in range(1, LONGEST_LEAD + 1)
    ]
    found += [
        Target("the range of the next session", 1, LEAST_ACTIVITY_CORRELATION, ahead(spread, 1)),
        Target("the volume of the next session", 1, LEAST_ACTIVITY_CORRELATION, ahead(volume, 1)),
    ]
    return found


@dataclass(frozen=True)
class Search:
    """What a search for foreknowledge found.

    Attributes
    ----------
    found
        The strongest association of each series that exceeds its threshold.
    untested
        Name of every series that could not be tested, with the reason.
    statistics
        Name of every tested series to its associations.
    slow
        Name of every series that was tested once a period, to the sessions of these periods.
    """

    found: list[Foreknowledge]
    untested: dict[str, str]
    statistics: dict[str, Statistic]
    slow: dict[str, int]


def foreknowing(families: Sequence[Mapping[str, Floats]], bars: Bars, seed: int = 0) -> Search:
    """Find the series that know what comes after their decision.

    Parameters
    ----------
    families
        Name to (sessions,) float64, NaN where not known. Each family has its own null: that of 400 features
        has little power for 40 series.
    bars
        Bars of the symbol on the same sessions.
    """
    with threadpool_limits(1):  # matrices of 40 columns: threads cost more than they bring
        return _search(families, bars, seed)


def _search(families: Sequence[Mapping[str, Floats]], bars: Bars, seed: int) -> Search:
    targets = targets_of(bars)
    past = _past(bars)
    scores = normal_scores(np.stack([target.outcome for target in targets], axis=1))
    complete = np.asarray(~(np.isnan(past).any(axis=1) | np.isnan(scores).any(axis=1)))
    lags = np.array([target.lags for target in targets], dtype=np.intp)
    innovations, search = Innovations(past, scores, complete, lags), Search([], {}, {}, {})
    for series in families:
        tested, slow = {}, {}
        for name, values in series.items():
            found = innovations.statistic(np.asarray(values, dtype=np.float64))
            if not isinstance(found, str):
                tested[name] = found
            elif isinstance(periods := periods_of(np.asarray(values, dtype=np.float64), bars.close), str):
                search.untested[name] = found
            else:
                slow[name] = periods
                search.slow[name] = int(periods.sessions.sum())
        search.found.extend(_of_periods(slow, seed))
        if tested:
            needed = _thresholds(_largest_by_chance(tested, scores, complete, lags, seed), targets)
            hits = (_strongest(name, one, targets, needed) for name, one in tested.items())
            search.found.extend(one for one in hits if one is not None)
            search.statistics.update(tested)
    return search


def _thresholds(by_chance: Floats, targets: Sequence[Target]) -> Floats:
    """Return what the statistic of each target must exceed, (targets,).

    Long sums overlap, and reach more by chance: they have a threshold of their own, and raise no other's.
    """
    times = np.array([target.times for target in targets])
    needed = np.empty(len(targets))
    for group in np.unique(times):
        inside = times == group
        needed[inside] = max(LEAST_Z * group, ABOVE_NULL * by_chance[inside].max())
    return needed


def _strongest(name: str, statistic: Statistic, targets: list[Target], needed: Floats) -> Foreknowledge | None:
    least = np.array([target.least for target in targets])
    above = (np.abs(statistic.z) > needed) & (np.abs(statistic.correlation) > least)
    if not above.any():
        return None
    best = int(np.where(above, np.abs(statistic.correlation), -1).argmax())
    target = targets[best]
    return Foreknowledge(
        name,
        target.what,
        target.lead,
        float(statistic.z[best]),
        float(statistic.correlation[best]),
        statistic.now,
        float(needed[best]),
        len(statistic.rows),
    )


def _of_periods(series: Mapping[str, Periods], seed: int) -> list[Foreknowledge]:
    """Return the slow series whose values know the return of their period."""
    rng = np.random.default_rng([seed, 8])
    by_chance = (one.by_chance(rng) for one in series.values() for _ in range(PERMUTATIONS))
    threshold = max(LEAST_Z, ABOVE_NULL * max(by_chance, default=0.0))
    found = []
    for name, one in series.items():
        correlation = one.correlation
        z, best = one.statistic(correlation), int(np.abs(correlation).argmax())
        if abs(z[best]) > threshold and abs(correlation[best]) > LEAST_CORRELATION:
            periods = len(one.value)
            strength = float(z[best]), float(correlation[best]), float("nan"), threshold
            found.append(Foreknowledge(name, WHATS[best], one.lead, *strength, periods))
    return found


def _largest_by_chance(
    statistics: Mapping[str, Statistic],
    scores: Floats,
    complete: npt.NDArray[np.bool_],
    lags: npt.NDArray[np.intp],
    seed: int,
) -> Floats:
    """Return for each target the largest statistic of all series in markets whose sessions are permuted in blocks."""
    sessions = np.flatnonzero(complete)
    place = np.full(len(complete), -1)
    place[sessions] = np.arange(len(sessions))
    innovation = np.zeros((len(sessions), len(statistics)))
    for column, statistic in enumerate(statistics.values()):
        innovation[place[statistic.rows], column] = statistic.innovation
    outcome = scores[sessions] - scores[sessions].mean(axis=0)
    rng, largest = np.random.default_rng([seed, 7]), np.zeros(scores.shape[1])
    blocks = np.arange(len(sessions)) // BLOCK_SESSIONS
    for _ in range(PERMUTATIONS):
        order = np.argsort(rng.permutation(blocks[-1] + 1)[blocks], kind="stable")
        order = np.roll(order, int(rng.integers(BLOCK_SESSIONS)))
        moved = outcome[order]
        spread = standard_errors(innovation, moved, lags)
        z = np.divide(innovation.T @ moved, spread, out=np.zeros_like(spread), where=spread > 0)
        largest = np.maximum(largest, np.abs(z).max(axis=0))
    return largest


def _past(bars: Bars) -> Floats:
    """Return what is known of the bars at each session: (sessions, regressors), a constant first, then the return."""
    with np.errstate(all="ignore"):
        close, opened = np.log(bars.close), np.log(bars.open)
        spread, volume = np.log(bars.high / bars.low), np.log(np.where(bars.volume > 0, bars.volume, np.nan))
    daily = close - before(close, 1)
    columns = [np.ones(len(close)), *(before(daily, lag) for lag in range(PAST_RETURNS)), close - opened]
    columns += [before(np.abs(daily), lag) for lag in (0, 1)]
    columns += [before(series, lag) for series in (spread, volume) for lag in (0, 1, 2, 4)]
    columns += [before(bars.market, lag) for lag in (0, 1, 2)]
    return np.column_stack(columns)
