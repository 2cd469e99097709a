"""Rebuild the sessions of one symbol from tables with another future, and trace what differs to the row that did it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from finnex.audit.alter import HOWS, Alteration, How, alteration, scrambled
from finnex.audit.audit_report import LeakedRow
from finnex.audit.clock import CLOCKS, Mask, describe, later_rows
from finnex.audit.compare import Differences, differences, image_of, moved_after, weights_that_differ
from finnex.audit.constants import shuffled
from finnex.audit.fresh import Fresh, Opened, in_fresh_process
from finnex.config import Config
from finnex.data.normalize import FeatureSpec
from finnex.data.panel import Panel
from finnex.data.reading import readings
from finnex.data.tables import Tables
from finnex.errors import FinnexError
from finnex.images.render import Renderer
from finnex.pipeline import Run

Make = Callable[[Tables, Config, str, Sequence[FeatureSpec]], Panel]
"""Makes the panel of a symbol: `finnex.data.panel.make_panel`, or a replacement."""
COMPANIES = "companies"
SEVERAL = "several tables"
FAILURES = (FinnexError, ArithmeticError, LookupError, ValueError, TypeError)
"""What code that needs the future raises without it: an answer, not an accident."""
SEARCHES = 4
"""Rows searched for in one table and session: the first that change anything, not all of them."""


@dataclass(frozen=True)
class Leak:
    """Features that a later row of a table changed, each with the arrays that differ.

    Attributes
    ----------
    row
        The first row that matters; None where it was not searched for.
    shown
        Whether the session's image differs too.
    """

    symbol: str
    session: date
    table: str
    how: How
    features: Differences
    row: LeakedRow | None
    shown: bool


class Timing:
    """The rebuilding of one symbol.

    Attributes
    ----------
    full
        The panel of all tables.
    leaks
        What was found, traced once a feature.
    sessions_of
        Feature to the sessions at which it differed.
    altered
        Table to the number of later rows that were changed, over all sessions.
    fed
        Table to the features that its later rows move, as they should, in later sessions.
    """

    def __init__(self, run: Run, symbol: str, make: Make, seed: int, tick: Callable[[str], None]) -> None:
        self.run, self.symbol = run, symbol
        self._make, self._seed, self._tick = make, seed, tick
        self._renderer = Renderer(run.layout)
        self._quotes = frozenset(run.config.inputs.quote_delay_minutes)
        self.rebuilds = 0
        self.leaks: list[Leak] = []
        self.sessions_of: dict[str, list[date]] = {}
        self.altered: Counter[str] = Counter()
        self.fed: dict[str, set[str]] = {}
        self.moved: set[str] = set()
        self.sessions_compared = 0
        self.opened: dict[str, Opened] = {}
        tick(f"{symbol}, the full build")
        full = self._panel(run.tables, ())
        assert full.value is not None
        self.full = full.value

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """The tables that have a clock, by name."""
        given = {field.name: getattr(self.run.tables, field.name) for field in fields(Tables)}
        return {name: frame for name, frame in given.items() if frame is not None and name in CLOCKS}

    @property
    def without_a_clock(self) -> tuple[str, ...]:
        """The tables that are given and have no clock, and whose later rows are altered all the same."""
        return tuple(name for name in ("splits", COMPANIES) if getattr(self.run.tables, name) is not None)

    def describe(self, table: str, row: pd.Series[Any], *, added: bool = False) -> LeakedRow:
        """Return a row of a table as a person finds it."""
        return describe(table, row, readings(self.run.config, table), added=added)

    def _panel(
        self, tables: Tables, failures: tuple[type[BaseException], ...], denied: frozenset[str] = frozenset()
    ) -> Fresh[Panel]:
        """Compute a panel in a process of its own: no memo of an earlier one can make two agree."""
        self.rebuilds += 1

        def compute() -> Panel:
            with np.errstate(all="ignore"):
                return self._make(tables, self.run.config, self.symbol, self.run.layout.catalogue.entries)

        found = in_fresh_process(compute, failures, denied)
        self.opened.update({one.what: one for one in found.opened})
        return found

    def rebuild(self, changed: Mapping[str, pd.DataFrame], position: int | None = None) -> Fresh[Panel]:
        """Return the panel of the tables with some of them changed, or why there is none."""
        changed = dict(changed)
        absent = set(self.run.config.peers) - set(changed["prices"]["symbol"]) if "prices" in changed else set()
        if absent and position is not None:
            # The configuration names its peers whether or not they trade yet: such a one has a bar without prices.
            day = pd.Timestamp(self.full.calendar.days[position])
            empty = pd.DataFrame({"symbol": sorted(absent), "date": day}).reindex(columns=changed["prices"].columns)
            changed["prices"] = pd.concat([changed["prices"], empty], ignore_index=True)
        return self._panel(replace(self.run.tables, **changed), FAILURES)

    def _compare(self, changed: Mapping[str, pd.DataFrame], position: int) -> tuple[Differences, Panel | None]:
        rebuilt = self.rebuild(changed, position)
        seen = rebuilt.value
        if seen is None:
            return {"the rebuild": (rebuilt.error,)}, None
        found = differences(self.full, seen, position)
        if "sessions" not in found:
            found |= weights_that_differ(self.run.layout, self.full, seen, position)
        return found, seen

    def _same_image(self, seen: Panel, position: int) -> bool:
        ours, theirs = (image_of(self._renderer, panel, position) for panel in (self.full, seen))
        return np.array_equal(ours, theirs)

    def alterations(self, position: int, how: How) -> dict[str, Alteration]:
        """Return how each table's later rows are changed at a session; tables without such rows are left out."""
        found = {}
        for number, (table, frame) in enumerate(self.frames.items()):
            rng = np.random.default_rng([self._seed, position, number])
            delays = self.run.config.inputs.quote_delay_minutes
            later = later_rows(table, frame, self.full.calendar, position, delays)
            one = alteration(table, how, frame, later, self.full.calendar, position, rng, self._quotes)
            if len(one):
                found[table] = one
        return found

    def feeds(self, position: int) -> None:
        """Find what each table feeds: scramble its later rows alone and see what moves in later sessions.

        A comparison that no later row could have failed proves nothing; `fed` says which could.
        """
        for table, one in self.alterations(position, "scrambled").items():
            self._tick(f"{self.symbol}, what {table} feeds")
            _, seen = self._compare({table: one.first(len(one))}, position)
            self.fed.setdefault(table, set()).update(moved_after(self.full, seen, position) if seen else ())

    def fed_by(self, table: str, rows: Mask) -> tuple[str, ...]:
        """Return the features that some rows of a table move anywhere."""
        frame = scrambled(table, self.frames[table], rows, np.random.default_rng(self._seed))
        found, _ = self._compare({table: frame}, len(self.full.calendar) - 1)
        return tuple(name for name in self.full.features if name in found)

    def session(self, position: int, hows: Sequence[How] = HOWS) -> None:
        """Rebuild one session in every way asked for, and trace what differs."""
        day = self.full.calendar.days[position].item()
        self.sessions_compared += 1
        for how in hows:
            self._tick(f"{self.symbol} {day}, later rows {how}")
            altered = self.alterations(position, how)
            found, seen = self._compare({table: one.first(len(one)) for table, one in altered.items()}, position)
            self.altered.update({table: len(one) for table, one in altered.items()})
            if seen is not None and how == "scrambled":
                self.moved |= moved_after(self.full, seen, position)
            shown = seen is not None and "sessions" not in found and not self._same_image(seen, position)
            if shown and not found:
                found = {"image": ("pixels",)}  # the renderer itself looks past its window
            fresh = {name: where for name, where in found.items() if name not in self.sessions_of}
            for name in found:
                days = self.sessions_of.setdefault(name, [])
                if day not in days:
                    days.append(day)
            if fresh:
                self._trace(position, how, altered, fresh, shown)

    def later_split(self, position: int) -> None:
        """Compare with tables as they would be after one more split, of two for one, that comes after a session.

        Its prices before are halved and its volumes doubled, which changes no bit of what is free of the price's scale.
        """
        splits = self.run.tables.splits
        if splits is None:
            return
        day, ahead = self.full.calendar.days[position], self.full.calendar.days[position + 1]
        self._tick(f"{self.symbol} {day}, a later split")
        new = pd.DataFrame({"symbol": [self.symbol], "date": [pd.Timestamp(ahead)], "ratio": [2.0]})
        columns = [name for name in splits.columns if name in new.columns]
        joined = pd.concat([splits, new[columns].astype(splits.dtypes[columns].to_dict())], ignore_index=True)
        joined = joined.sort_values(["symbol", "date"], kind="stable").reset_index(drop=True)
        prices = self.run.tables.prices.copy()
        halved = ((prices["symbol"] == self.symbol) & (prices["date"] <= pd.Timestamp(day))).to_numpy()
        for name, factor in (("open", 0.5), ("high", 0.5), ("low", 0.5), ("close", 0.5), ("volume", 2.0)):
            values = prices[name].to_numpy(dtype="float64").copy()
            values[halved] *= factor
            prices[name] = values
        found, _ = self._compare({"splits": joined, "prices": prices}, position)
        fresh = {name: where for name, where in found.items() if name not in self.sessions_of}
        if fresh:
            row = LeakedRow("splits", self.symbol, str(ahead), added=True)
            self.leaks.append(Leak(self.symbol, day.item(), "splits", "added", fresh, row, shown=False))

    def later_members(self, position: int) -> None:
        """Compare with a table of companies without what begins or ends after a session."""
        companies = self.run.tables.companies
        if companies is None:
            return
        day = pd.Timestamp(self.full.calendar.days[position])
        begun = companies["from"] > day
        ended = ~begun & (companies["to"] > day)
        if self.symbol not in set(companies["symbol"][~begun]):  # without a row it would be no company of the universe
            own = companies["symbol"] == self.symbol
            begun, ended = begun & ~own, ended & ~own
        if not (begun | ended).any():
            return
        self._tick(f"{self.symbol} {day.date()}, later members")
        known = companies.assign(to=companies["to"].mask(ended))[~begun]
        # The configuration names its peers whether or not they are members yet: such a one becomes one the day after.
        named = sorted((set(self.run.config.peers) & set(companies["symbol"])) - set(known["symbol"]))
        joining = pd.DataFrame({"symbol": named, "sector": "", "industry": "", "from": day + pd.Timedelta(days=1)})
        joining = joining.reindex(columns=companies.columns).astype(companies.dtypes.to_dict())
        known = pd.concat([known, joining]).sort_values(["symbol", "from"], ignore_index=True)
        found, seen = self._compare({COMPANIES: known}, position)
        self.altered[COMPANIES] += int((begun | ended).sum())
        self.fed.setdefault(COMPANIES, set()).update(moved_after(self.full, seen, position) if seen else ())
        if fresh := {name: where for name, where in found.items() if name not in self.sessions_of}:
            first = companies[begun | ended].iloc[0]
            dated = first["from"] if begun[begun | ended].iloc[0] else first["to"]
            row = LeakedRow(COMPANIES, str(first["symbol"]), str(dated.date()))
            self.leaks.append(Leak(self.symbol, day.date(), COMPANIES, "cut", fresh, row, shown=False))

    def without_what_was_opened(self) -> tuple[str, ...]:
        """Return the features that differ in tables cut half-way where the other files that were opened are absent."""
        self._tick(f"{self.symbol}, without what was opened")
        position = len(self.full.calendar) // 2
        cut = {table: one.first(len(one)) for table, one in self.alterations(position, "cut").items()}
        tables = replace(self.run.tables, **cut)
        found = self._panel(tables, (*FAILURES, OSError), frozenset(self.opened)).value
        if found is None:
            return ()
        moved = differences(self.full, found, position)
        return tuple(name for name in self.full.features if name in moved)

    def shuffle(self, number: int) -> Panel | None:
        """Return the panel of tables whose values are shuffled over their full history."""
        self._tick(f"{self.symbol}, all values shuffled ({number + 1})")
        rng = np.random.default_rng([self._seed, 11, number])
        changed = {table: shuffled(table, frame, rng) for table, frame in self.frames.items()}
        return self.rebuild(changed, len(self.full.calendar) - 1).value

    def _trace(
        self, position: int, how: How, altered: Mapping[str, Alteration], wanted: Differences, shown: bool
    ) -> None:
        day: date = self.full.calendar.days[position].item()
        traced: set[str] = set()
        for table, one in altered.items():
            found, _ = self._compare({table: one.first(len(one))}, position)
            left = {name: where for name, where in found.items() if name in wanted}
            traced |= left.keys()
            known = 0
            for _ in range(SEARCHES):
                if not left:
                    break
                number, features = self._search(position, one, left, known)
                row = self.describe(table, one.row(number), added=how == "added")
                self.leaks.append(Leak(self.symbol, day, table, how, features, row, shown))
                left = {name: where for name, where in left.items() if name not in features}
                known = number + 1
            if left:
                self.leaks.append(Leak(self.symbol, day, table, how, left, None, shown))
        if rest := {name: where for name, where in wanted.items() if name not in traced}:
            self.leaks.append(Leak(self.symbol, day, SEVERAL, how, rest, None, shown))

    def _search(self, position: int, one: Alteration, wanted: Differences, known: int) -> tuple[int, Differences]:
        """Return the row whose change, on top of all earlier ones, first makes any of `wanted` differ.

        Bisects the number of rows changed, earliest known first: with `known` of them nothing differs, with all of
        them something does.
        """
        low, high = known, len(one)
        features = wanted
        while high - low > 1:
            middle = (low + high) // 2
            self._tick(f"{self.symbol}, the row of {one.table} that leaks: {high - low} rows left")
            found, _ = self._compare({one.table: one.first(middle)}, position)
            found = {name: where for name, where in found.items() if name in wanted}
            if found:
                high, features = middle, found
            else:
                low = middle
        return high - 1, features
