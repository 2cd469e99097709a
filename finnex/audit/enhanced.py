"""An enhanced file is used as it is; what can be asked is whether its columns know the future and stay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.audit.clock import describe
from finnex.audit.report import Finding

Floats = npt.NDArray[np.floating[Any]]
LONGEST = 20  # sessions
LEAST_ROWS = 30
LEAST_REGRESSION_ROWS = 500
NEARLY_ALL = 0.95
EXPLAINED = 0.8
MEAN_TOLERANCE, SPREAD_TOLERANCE = 1e-4, 1e-3
KEYS = ("symbol", "date")


def columns_of(table: pd.DataFrame) -> list[str]:
    """Return the feature columns of an enhanced table."""
    return [str(name) for name in table.columns if name not in KEYS]


def fitted_on_everything(table: pd.DataFrame) -> list[Finding]:
    """Find columns that are standardised or scaled to a range over the whole file, but not over its first half."""
    found = []
    for name in columns_of(table):
        groups = [("the whole file", table), *((f"all rows of {key}", rows) for key, rows in table.groupby("symbol"))]
        for where, rows in groups:
            ordered = rows.sort_values("date", kind="stable")[name].dropna().to_numpy(dtype="float64")
            if evidence := _fitted(ordered):
                remedy = "Fit the normaliser on rows up to each session, or give the column as it was before scaling."
                text = f"column '{name}' has {evidence} over {where} ({len(ordered)} rows), not over the first half."
                found.append(Finding("normalizer_fitted_on_everything", "enhanced", (name,), text, remedy))
                break
    return found


def _fitted(values: Floats) -> str:
    if len(values) < LEAST_ROWS or len(np.unique(values)) <= 10:
        return ""
    half = values[: len(values) // 2]
    for degrees in (0, 1):
        spread, half_spread = values.std(ddof=degrees), half.std(ddof=degrees)
        off = abs(half.mean()) > 10 * MEAN_TOLERANCE or abs(half_spread - 1) > 10 * SPREAD_TOLERANCE
        if abs(values.mean()) < MEAN_TOLERANCE and abs(spread - 1) < SPREAD_TOLERANCE and off:
            return "mean 0 and standard deviation 1"
    low, high = float(values.min()), float(values.max())
    ends = int((values == low).sum()), int((values == high).sum())
    if (low, high) in ((0.0, 1.0), (-1.0, 1.0)) and max(ends) <= 2 and (half.min() > low or half.max() < high):
        return f"minimum {low:g} and maximum {high:g}, each reached {'once' if max(ends) == 1 else 'at most twice'},"
    return ""


@dataclass(frozen=True)
class Market:
    """Bars of one symbol on its sessions, NaN between, and what came of each session."""

    symbol: str
    days: npt.NDArray[np.datetime64]
    bars: dict[str, Floats]
    computed: dict[str, Floats]
    """Features as FinNeX computes them itself, for columns of the same name."""

    def returns(self) -> tuple[list[str], Floats]:
        """Return what to call them, and (sessions, targets) log returns that begin after each session's close."""
        close, opened = np.log(self.bars["close"]), np.log(self.bars["open"])
        names, found = [], []
        for h in range(1, LONGEST + 1):
            names += [f"the return over the next {h} sessions", f"the return from the next open to the close {h} on"]
            found += [_ahead(close, h) - close, _ahead(close, h) - _ahead(opened, 1)]
        return names, np.stack(found, axis=1)


def _ahead(values: Floats, sessions: int) -> Floats:
    moved = np.full(len(values), np.nan)
    moved[: len(values) - sessions] = values[sessions:]
    return moved


def knows_the_future(table: pd.DataFrame, market: Market) -> list[Finding]:
    """Find columns that equal, follow, or decide the sign of what happens after their session."""
    own = table[table["symbol"] == market.symbol]
    position = np.searchsorted(market.days, own["date"].to_numpy().astype("datetime64[D]"))
    inside = position < len(market.days)
    inside[inside] = market.days[position[inside]] == own["date"].to_numpy().astype("datetime64[D]")[inside]
    names, targets = market.returns()
    complete = ~np.isnan(targets).any(axis=1)
    found = []
    for name in columns_of(table):
        values = np.full(len(market.days), np.nan)
        values[position[inside]] = own[name].to_numpy(dtype="float64")[inside]
        rows = np.flatnonzero(complete & ~np.isnan(values))
        if len(rows) < LEAST_ROWS or np.ptp(values[rows]) == 0:
            continue
        evidence = (
            _equals(values, rows, market)
            or _equals_itself_later(values, market.computed.get(name))
            or _follows(values[rows], targets[rows], names)
            or _decides_sign(values[rows], targets[rows], names)
            or _explained(values, rows, market.bars["close"])
        )
        if evidence:
            text = f"column '{name}' of {market.symbol} {evidence} ({len(rows)} rows)."
            remedy = "Compute the column from rows up to its own session, or give it the date on which it was known."
            found.append(Finding("enhanced_knows_the_future", "enhanced", (name,), text, remedy, symbol=market.symbol))
    return found


def _equals(values: Floats, rows: npt.NDArray[np.intp], market: Market) -> str:
    probe = rows[:: max(1, len(rows) // LEAST_ROWS)]
    close = np.log(market.bars["close"])
    for h in range(1, LONGEST + 1):
        for back in range(LONGEST + 1):
            start = np.concatenate([np.full(back, np.nan), close[: len(close) - back]])
            change = _ahead(close, h) - start
            for target in (change, np.expm1(change)):
                if _same(values[probe], target[probe], 1e-4, 2e-6) and _same(values[rows], target[rows], 1e-4, 2e-6):
                    began = "its own close" if back == 0 else f"the close {back} sessions before"
                    return f"equals the return from {began} to the close {h} sessions after"
        for price, series in market.bars.items():
            later = _ahead(series, h)
            if _same(values[probe], later[probe], 1e-6, 0.0) and _same(values[rows], later[rows], 1e-6, 0.0):
                return f"equals the {price} {h} sessions after"
    return ""


def _same(ours: Floats, theirs: Floats, relative: float, absolute: float) -> bool:
    return bool(np.isclose(ours, theirs, rtol=relative, atol=absolute).mean() >= NEARLY_ALL)


def _equals_itself_later(values: Floats, computed: Floats | None) -> str:
    if computed is None:
        return ""
    for h in range(1, LONGEST + 1):
        later = _ahead(computed, h)
        # Where the feature stood still, later and now cannot be told apart.
        telling = ~np.isnan(values) & ~np.isnan(later) & ~np.isclose(later, computed, rtol=1e-4, atol=1e-9)
        if telling.sum() >= LEAST_ROWS and _same(values[telling], later[telling], 1e-5, 1e-9):
            return f"equals the feature of its name as FinNeX computes it {h} sessions after"
    return ""


def _decides_sign(values: Floats, targets: Floats, names: list[str]) -> str:
    kinds = np.unique(values)
    middle = (kinds[0] + kinds[-1]) / 2 if len(kinds) <= 5 else 0.0
    side = np.sign(values - middle)
    sided = side != 0
    if sided.sum() < LEAST_ROWS or not 0.1 < (side[sided] > 0).mean() < 0.9:
        return ""
    hits = (np.sign(targets[sided]) == side[sided, None]).mean(axis=0)
    best = int(np.maximum(hits, 1 - hits).argmax())
    share = max(hits[best], 1 - hits[best])
    return f"decides the sign of {names[best]}: right in {share:.0%}" if share >= NEARLY_ALL else ""


def _follows(values: Floats, targets: Floats, names: list[str]) -> str:
    for how, x, y in (
        ("correlates", values, targets),
        ("correlates in rank", pd.Series(values).rank().to_numpy(), pd.DataFrame(targets).rank().to_numpy()),
    ):
        a, b = x - x.mean(), y - y.mean(axis=0)
        size = np.sqrt((a**2).sum() * (b**2).sum(axis=0))
        correlation = np.divide(a @ b, size, out=np.zeros(len(names)), where=size > 0)
        best = int(np.abs(correlation).argmax())
        if abs(correlation[best]) > NEARLY_ALL:
            return f"{how} by {correlation[best]:.3f} with {names[best]}"
    return ""


def _explained(values: Floats, rows: npt.NDArray[np.intp], close: Floats) -> str:
    """Regress on the next twenty daily returns what the last twenty leave open: a centred window shows here."""
    logarithm = np.log(close)
    daily = np.diff(logarithm, prepend=np.nan)
    past = np.stack([np.roll(daily, back) for back in range(LONGEST)], axis=1)
    past[:LONGEST] = np.nan
    future = np.stack([_ahead(daily, h) for h in range(1, LONGEST + 1)], axis=1)
    level = np.log(np.where(values > 0, values, np.nan)) - logarithm
    for what, target in (("", values), (" against the close", level)):
        use = rows[~np.isnan(past[rows]).any(axis=1) & ~np.isnan(target[rows])]
        if len(use) < LEAST_REGRESSION_ROWS:
            continue
        known = np.column_stack([np.ones(len(use)), past[use]])
        basis, _ = np.linalg.qr(known)
        open_, ahead = (part - basis @ (basis.T @ part) for part in (target[use], future[use]))
        if open_.var() <= 1e-4 * target[use].var() + 1e-20:  # the past says it all
            continue
        fitted = ahead @ np.linalg.lstsq(ahead, open_, rcond=None)[0]
        share = 1 - ((open_ - fitted) ** 2).sum() / (open_**2).sum()
        if share > EXPLAINED:
            return f"{what} is explained to {share:.0%} by the daily returns of the next {LONGEST} sessions".strip()
    return ""


@dataclass(frozen=True)
class Vintage:
    """What a later vintage of the enhanced file says.

    Attributes
    ----------
    stayed
        Columns whose published values are all the same in it, with the number of values compared.
    """

    findings: list[Finding]
    stayed: dict[str, int]


def compare_vintage(current: pd.DataFrame, later: pd.DataFrame, paths: tuple[Path | None, Path]) -> Vintage:
    """Compare what was published with what a later vintage of the file says of the same rows."""
    before, after = current.set_index(list(KEYS)), later.set_index(list(KEYS))
    findings: list[Finding] = []
    remedy = "Compute the column from rows up to its own session; a value that was published must stay."
    gone = before.index.difference(after.index)
    rows = before.index.intersection(after.index)
    if len(gone):
        text = f"{len(gone)} of {len(before)} published rows are not in {paths[1].name}, such as {_named(gone[0])}."
        kept = "Keep published rows in every vintage."
        findings.append(Finding("enhanced_vintage_lost_rows", "enhanced", (), text, kept))
    longer = len(rows) > 0 and later["date"].max() > current["date"].max()
    if lost := [name for name in columns_of(current) if name not in after.columns]:
        text = f"{paths[1].name} lacks {len(lost)} published columns: {', '.join(lost[:5])}."
        kept = "Keep published columns in every vintage."
        findings.append(Finding("enhanced_vintage_lost_columns", "enhanced", tuple(lost), text, kept))
    stayed = {}
    for name in columns_of(current):
        if name in lost or not len(rows):
            continue
        ours, theirs = (frame.loc[rows, name].to_numpy(dtype="float64") for frame in (before, after))
        moved = ~np.isclose(ours, theirs, rtol=1e-12, atol=0.0, equal_nan=True)
        if not moved.any():
            if longer:  # the same file again proves nothing
                stayed[name] = len(rows)
            continue
        shown = "; ".join(f"{_named(rows[i])}: {ours[i]:.6g}, later {theirs[i]:.6g}" for i in np.flatnonzero(moved)[:3])
        text = (
            f"column '{name}': {int(moved.sum())} of {len(rows)} published values ({moved.mean():.1%}) moved: {shown}."
        )
        whole = before.loc[rows].reset_index()
        leaked = tuple(describe("enhanced", whole.iloc[i], paths[0]) for i in np.flatnonzero(moved)[:3])
        findings.append(Finding("enhanced_vintage_differs", "enhanced", (name,), text, remedy, rows=leaked))
    return Vintage(findings, stayed)


def _named(key: tuple[str, pd.Timestamp]) -> str:
    return f"{key[0]} {key[1].date()}"
