"""Read the fundamentals table: one column a metric, or one row a metric as EDGAR gives them, quarters or durations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from finnex.data import checks, parse
from finnex.data.names import CONCEPTS, FLOWS, METRICS, STOCKS, TAXONOMY
from finnex.data.quarters import DAYS, SERIES, quarters_in, single_quarters
from finnex.data.rows import Rows, Where
from finnex.data.table_reader import Part, TableReader
from finnex.errors import Problem

ROW = ["symbol", "origin", "period_end", "available", "available_is_date"]
START, CURRENCY, MERGED = EXTRA = ("(start)", "(currency)", "(merged)")
"""Of a row until the table is whole: no names of a file's columns that are kept."""
LENGTHS = ", ".join(f"{least} to {most}" for least, most in DAYS.values())
GIVE_DURATIONS = (
    "If one is of a quarter and another of a longer period, give the first day of each period as period_start (EDGAR's "
    "start): quarters are then taken or derived. Otherwise keep the right one."
)


def _fundamentals(part: Part, problems: list[Problem]) -> pd.DataFrame:
    cells, where, zone = part.cells, part.where, part.reading.zone
    by_metric = "value" in cells.columns
    cells = _one_column_a_metric(cells, where, problems)
    available, only_date = parse.moment(cells["available_date"], where, problems, zone)
    frame = pd.DataFrame(
        {
            "symbol": parse.word(cells["symbol"], where, problems),
            "period_end": parse.day(cells["period_end"], where, problems, zone),
            "available": available,
            "available_is_date": only_date,
            "origin": parse.text_of(cells["origin"]) if "origin" in cells.columns else "",
        }
    )
    known = {"symbol", "period_start", "period_end", "available_date", "origin", "currency"}
    names = [column for column in cells.columns if column not in known]
    if taken := [column for column in names if column in (*frame.columns, "derived", *EXTRA)]:
        file = str(where.files[0][0])
        problems += [Problem(file, "the column has a name that FinNeX uses", "Rename it.", column=taken[0])]
        names = [column for column in names if column not in taken]
    frame = pd.concat([frame, parse.numbers(cells[names], where, problems)], axis=1)
    early = frame["available"] < frame["period_end"]
    what, remedy = "a report is dated before its period ends", "Give the filing date."
    problems += checks.refuse(frame, early, where, "available", what, remedy, than="period_end")
    future = frame["available"] > pd.Timestamp.now("UTC").tz_localize(None)
    what, remedy = "a filing date lies in the future", "Give the date on which it was filed."
    problems += checks.refuse(frame, future, where, "available", what, remedy)
    extra: dict[str, Any] = {MERGED: by_metric}
    if "currency" in cells.columns:
        extra[CURRENCY] = parse.text_of(cells["currency"])
    if "period_start" in cells.columns:
        extra[START] = _starts(cells["period_start"], where, problems, zone)
    return pd.concat([frame, pd.DataFrame(extra, index=frame.index)], axis=1)


def _starts(cells: pd.Series[Any], where: Where, problems: list[Problem], zone: str | None) -> pd.Series[pd.Timestamp]:
    given = cells.notna() if cells.dtype.kind in "fM" else parse.text_of(cells) != ""
    found = pd.Series(pd.NaT, index=cells.index, dtype="datetime64[ns]")
    found[given] = parse.day(cells[given], where, problems, zone)
    return found


def _whole(frame: pd.DataFrame, where: Where, problems: list[Problem]) -> pd.DataFrame:
    names = [name for name in frame.columns if name not in (*ROW, *EXTRA)]
    if CURRENCY in frame.columns:
        problems += _second_currency(frame, frame[CURRENCY].fillna(""), where)
    merge = bool(frame[MERGED].any()) or (isinstance(where, Rows) and len(where.files) > 1)
    if START in frame.columns:
        frame = _from_durations(frame.drop(columns=[MERGED, CURRENCY], errors="ignore"), names, where, problems)
    else:
        frame = _of_one_length(frame.drop(columns=[MERGED, CURRENCY], errors="ignore"), names, merge, where, problems)
    return frame.sort_values(["symbol", "available", "period_end"], ignore_index=True, kind="stable")


read_fundamentals = TableReader(
    "fundamentals", ("symbol", "period_end", "available_date"), _fundamentals, _whole,
    reads=("period_start", "metric", "value", "currency"),
)  # fmt: skip
"""Filed figures: symbol, period_end, available_date (filing), optional origin, any numeric metrics.

Flows (`finnex.data.names.FLOWS`) are single quarters. With a column `period_start` they may be of three, six, nine
and twelve months: quarters are taken, missing ones derived (`finnex.data.quarters`), and the column `derived`
says of each row whether one of its figures was. EDGAR's names of columns (`start`, `end`, `filed`, `val`) are
aliases; a column `metric` says of which metric `value` is, and may hold XBRL's names."""


def _one_column_a_metric(cells: pd.DataFrame, where: Rows, problems: list[Problem]) -> pd.DataFrame:
    """Return a table of metric and value with a column for each metric; a table without `val` as it is."""
    if "value" not in cells.columns:
        return cells
    if "metric" not in cells.columns:
        remedy = (
            "Add a column metric (revenue, or EDGAR's concept), or name it: [inputs.columns.fundamentals] "
            'revenue = "val", with the column\'s name in the file.'
        )
        file = str(where.files[0][0])
        problems += [Problem(file, "nothing says of which metric its values are", remedy, column="value")]
        return cells.drop(columns="value")
    metric = parse.word(cells["metric"], where, problems).str.replace(TAXONOMY, "", regex=True).replace(CONCEPTS)
    rest = cells.drop(columns=["metric", "value"])
    value = cells["value"] if cells["value"].dtype == "float64" else parse.text_of(cells["value"])
    empty = np.nan if value.dtype == "float64" else ""
    wide = {name: value.where(metric == name, empty) for name in metric.unique() if name not in ("", *rest.columns)}
    return pd.concat([rest, pd.DataFrame(wide, index=cells.index)], axis=1)


def _second_currency(frame: pd.DataFrame, currency: pd.Series[str], where: Where) -> list[Problem]:
    money = [name for name in METRICS if name in frame.columns and name != "shares_outstanding"]
    given = frame[money].notna().any(axis=1) & (currency != "")
    first = currency.where(given).groupby(frame["symbol"]).transform("first")
    what, remedy = "a company's figures are in two currencies", "Keep the figures of one currency for each company."
    shown = pd.DataFrame({"currency": currency})
    return checks.refuse(shown, given & (currency != first), where, "currency", what, remedy)


def _at_one_time(frame: pd.DataFrame, names: list[str], further: list[str]) -> pd.Series[bool]:
    """Return which rows are of a period end and filing of which a row before has another value of one of `names`."""
    key = ["symbol", "origin", "period_end", "available", *further]
    sound = frame[frame[key].notna().all(axis=1)]
    if not names or not sound.duplicated(key).any():
        return pd.Series(False, index=frame.index)
    sound = sound[sound.duplicated(key, keep=False)]
    differs = sound.groupby(key)[names].transform("nunique").gt(1).any(axis=1) & sound.duplicated(key)
    return differs.reindex(frame.index, fill_value=False)


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"period_end": frame["period_end"].dt.strftime("%Y-%m-%d")})


def _of_one_length(
    frame: pd.DataFrame, names: list[str], merge: bool, where: Where, problems: list[Problem]
) -> pd.DataFrame:
    """Refuse rows of one period end and filing, with the remedy of durations where a flow differs."""
    two = _at_one_time(frame, [name for name in names if name in FLOWS or merge], [])
    what = "an earlier row has other figures for the same period_end and filing"
    problems += checks.refuse(_shown(frame), two, where, "period_end", what, GIVE_DURATIONS)
    if merge and names:
        return frame.groupby(ROW, as_index=False, sort=False, dropna=False)[names].first()
    problems += checks.duplicates(frame[~two], ["symbol", "origin", "period_end", "available"], where)
    return frame


def _from_durations(frame: pd.DataFrame, names: list[str], where: Where, problems: list[Problem]) -> pd.DataFrame:
    """Return a row for each period end and filing, flows as single quarters, with `derived`."""
    start = frame[START]
    frame = frame.drop(columns=START)
    given = start.notna()
    days = (frame["period_end"] - start).dt.days + 1
    count = quarters_in(np.asarray(days.fillna(0), dtype=np.int64))
    shown = pd.DataFrame({"period_start": start.dt.strftime("%Y-%m-%d") + days.map(" ({:.0f} days)".format)})
    what = f"a period is no quarter, half year, nine months or year ({LENGTHS} days)"
    remedy = "Correct its first or last day, or remove the row: no quarter follows from it."
    flow = frame[[name for name in FLOWS if name in names]].notna().any(axis=1)
    problems += checks.refuse(shown, flow & days.notna() & (count == 0), where, "period_start", what, remedy)
    what, remedy = "a figure over a period has no first day", "Give it; of a quarter, the day after the last one ended."
    problems += checks.refuse(pd.DataFrame({"period_start": ""}, index=frame.index), flow & ~given, where,
                             "period_start", what, remedy)  # fmt: skip
    stocks = [name for name in names if name in STOCKS]
    lengths = frame.assign(quarters=count)
    two = _at_one_time(lengths, [name for name in names if name not in STOCKS], ["quarters"])
    two |= _at_one_time(frame, stocks, [])
    what = "an earlier row has another figure for the same period and filing"
    problems += checks.refuse(_shown(frame), two, where, "period_end", what, "Keep the right one.")
    return frame if problems or not names else _in_quarters(lengths.assign(start=start), names)


def _in_quarters(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the figures of a sound table with durations (`start`, `quarters`): a row a period end and filing."""
    parts = []
    for name in names:
        # Balances hold at the end of a period of any length. Metrics that are no sums are taken from single quarters.
        most, least = 4 if name in METRICS else 1, 1 if name in FLOWS else 0
        own = frame[frame["quarters"].between(least, most) & frame[name].notna()]
        parts.append(own[[*ROW, "start"]].assign(metric=name, value=own[name], derived=False))
    facts = pd.concat(parts, ignore_index=True)
    flows = facts["metric"].isin(FLOWS)
    single = single_quarters(facts[flows].rename(columns={"period_end": "end"})).rename(columns={"end": "period_end"})
    long = pd.concat([facts.loc[~flows, single.columns], single], ignore_index=True)
    rows = long.groupby(ROW, sort=False)["derived"].any()
    table = long.drop_duplicates([*ROW, "metric"]).pivot(index=ROW, columns="metric", values="value")
    table = table.reindex(columns=names)
    table = table.assign(derived=rows).reset_index().rename_axis(columns=None)
    # A company without any quarter keeps its rows, empty: its absence would be taken for a wrong symbol.
    silent = ~pd.MultiIndex.from_frame(frame[SERIES[:2]]).isin(pd.MultiIndex.from_frame(table[SERIES[:2]]))
    empty = frame.loc[silent, ROW].drop_duplicates().assign(derived=False)
    return pd.concat([table, empty], ignore_index=True)
