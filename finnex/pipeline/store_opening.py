"""The store of a run, opened for writing: damage is repaired, and no image is removed because inputs are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache

import numpy as np

from finnex.data.calendar import Days
from finnex.errors import InputError, Problem, StoreCorrupt
from finnex.pipeline.input_keys import InputKeys
from finnex.pipeline.rebuilt_sessions import reach_of, traded_days
from finnex.pipeline.run_inputs import Run
from finnex.store import (
    QUARANTINED,
    READY,
    Finding,
    ImageStore,
    Reach,
    StoreWriter,
    Verified,
    holds_a_store,
    read_verified,
    restore,
    signatures,
    whole_companies,
    write_verified,
)
from finnex.store_path import StorePath

NAMED = 6
"""Most repairs that are named."""


@dataclass(frozen=True)
class Opened:
    """A store that is open for writing.

    Attributes
    ----------
    mended
        What was damaged and is mended, in one sentence; '' where nothing was.
    blocked
        Why a company cannot be written to before an operator has agreed to a loss, by its symbol.
    whole
        Companies whose files are as the last build left them, and which were therefore not looked at.
    current
        Companies whose files are as the last build left them, and whose images, features and labels follow from the
        very inputs of now.
    touched
        Companies of which something is mended or blocked.
    keys
        Of the inputs of now, by company.
    """

    store: StoreWriter
    mended: str = ""
    blocked: dict[str, str] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()
    current: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()
    keys: Mapping[str, str] = field(default_factory=dict)

    def block(self, symbol: str, error: StoreCorrupt) -> str:
        """Draw nothing more of a company, as something of it is damaged that opening did not find; return that."""
        self.blocked[symbol] = f"{error} Nothing more of {symbol} is drawn."
        return self.blocked[symbol]

    def refuse(self, symbols: Iterable[str]) -> None:
        """Report the companies of which nothing was drawn; call when the others are drawn.

        Raises
        ------
        StoreCorrupt
            One of the symbols is blocked.
        """
        if said := [self.blocked[symbol] for symbol in symbols if symbol in self.blocked]:
            raise StoreCorrupt("\n".join([*said, "What was asked for of other companies is drawn."]))

    def verify(self, completed: Mapping[str, int], fingerprint: str, due: Collection[str] = ()) -> None:
        """Record which companies the next build need not look at; call when everything is drawn.

        Parameters
        ----------
        completed
            How many sessions of a company's range have their image, where none failed.
        fingerprint
            Of the store.
        due
            Companies whose small arrays the next build is to read: it is their turn.
        """
        known = read_verified(self.store.path).companies
        found: dict[str, Verified] = {}
        for symbol, signature in signatures(self.store, self.store.symbols).items():
            before = known.get(symbol)
            if signature and symbol not in self.blocked and symbol not in due:
                if symbol in completed:
                    found[symbol] = Verified(signature, self.keys[symbol], completed[symbol])
                elif before is not None and before.signature == signature:
                    found[symbol] = before
                else:
                    found[symbol] = Verified(signature)
        write_verified(self.store.path, found, fingerprint)

    def is_untouched(self, symbols: Iterable[str]) -> bool:
        """Return whether a build of some symbols leaves every company of the store as it is."""
        return self.current.issuperset(symbols) and self.whole.issuperset(self.store.symbols)

    def fingerprint(self, symbols: Iterable[str]) -> str:
        """Return the fingerprint of the store; call when everything is drawn.

        Raises
        ------
        StoreCorrupt
            One of the symbols is blocked, or another one of which the fingerprint needs what is damaged.
        """
        self.refuse(symbols)
        try:
            return self.store.fingerprint()
        except StoreCorrupt:
            self.refuse(self.blocked)
            raise


def open_for_writing(
    run: Run,
    *,
    symbols: Collection[str] | None = None,
    start: date | None = None,
    end: date | None = None,
    force: bool = False,
    trust: bool = False,
) -> Opened:
    """Open the run's store for writing, making it where there is none. Call under `finnex.store.writing`.

    Damage that this build can make again without loss is repaired. A company where something would be lost is blocked
    and left as it is; the others are drawn.

    Parameters
    ----------
    run
        Inputs and layout.
    symbols
        Those that are drawn; absent, all that are configured.
    start, end
        Range that is drawn; absent, as `sessions_wanted` says.
    force
        Whether images of sessions that lost their bar are given up.
    trust
        Whether companies whose files are as the last build left them are not looked at. What reads one of them then
        may find damage that neither size nor time shows: open the store again without trust.

    Returns
    -------
    Opened
        The store, what was mended, and which companies are blocked.

    Raises
    ------
    InputError
        The prices lack bars of sessions that have an image, and not `force`; with a line for each symbol, and nothing
        is mended. All configured symbols are looked at, whichever are drawn: the others are their peers.
    StoreError
        The store was made for other images, or cannot be written.
    StoreCorrupt
        What all companies need is damaged, and only `finnex repair` can make it again.
    """
    path, found = run.config.store.path, []
    guard = _Bars(run)
    keys = InputKeys(run, start, end)
    wanted = {symbol: keys.of(symbol) for symbol in symbols or run.config.symbols}
    whole, current = frozenset[str](), frozenset[str]()
    if holds_a_store(path):
        store = ImageStore.open(path)  # what the store itself is made for is never taken from the run
        unchanged, known = _whole(store), read_verified(path).companies
        whole = unchanged if trust else whole
        if not force:
            current = frozenset(symbol for symbol in unchanged if known[symbol].inputs == wanted.get(symbol))
            # First: what a repair withdraws cannot be missed after it.
            guard.refuse_lost(store, [symbol for symbol in run.config.symbols if symbol not in current])

        def reaches(symbol: str) -> Reach:
            if symbols is not None and symbol not in symbols:
                return Reach()
            reach = reach_of(run, symbol, start=start, end=end)
            if force:
                with suppress(StoreCorrupt):
                    gone = _between(guard.lost(ImageStore.open(path), symbol), start, end)
                    reach = replace(reach, images=np.union1d(reach.images, gone))
            return reach

        found = restore(path, run.template, reaches=reaches, whole=whole)
    if common := [finding for finding in found if finding.lost and not finding.symbol]:
        raise StoreCorrupt(f"{path}/{common[0].where} is damaged. `finnex repair` asks before it makes it anew.")
    lost = [finding for finding in found if finding.lost]
    blocked = {finding.symbol: _why_blocked(path, finding) for finding in lost}
    touched = frozenset(finding.symbol for finding in found)
    current -= touched
    writer = StoreWriter.prepare(path, run.template, whole)
    if not force:
        guard.refuse_lost(writer, [one for one in run.config.symbols if one not in blocked and one not in current])
    return Opened(
        store=writer,
        mended=_mended([one for one in found if not one.lost]),
        blocked=blocked,
        whole=whole,
        current=current,
        touched=touched,
        keys=wanted,
    )


def _whole(store: ImageStore) -> frozenset[str]:
    """Return the companies that need not be looked at; none where the record of companies is damaged."""
    try:
        return whole_companies(store)
    except StoreCorrupt:
        return frozenset()


def _why_blocked(path: StorePath, finding: Finding) -> str:
    remedies = ["Put the files back", *([f"make it again by {finding.instead}"] if finding.instead else [])]
    return (
        f"{path}: {finding.where} is damaged, and nothing of {finding.symbol} is drawn. To be lost: {finding.lost}. "
        f"{'; '.join(remedies)}; or run: finnex repair, which asks before it gives that up."
    )


def _mended(found: Sequence[Finding]) -> str:
    if not found:
        return ""
    shown = "; ".join(f"{finding.where} ({finding.what})" for finding in found[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"The store was damaged and is mended: {shown}{more}."


class _Bars:
    """The bars of a run's symbols, each looked up once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._traded = cache(lambda symbol: traded_days(run, symbol))

    def lost(self, store: ImageStore, symbol: str) -> Days:
        """Return the sessions of a symbol that have an image and, in the inputs of now, no bar.

        Raises
        ------
        StoreCorrupt
            Its axis or its status is damaged.
        """
        if symbol not in store.symbols:
            return np.array([], dtype="datetime64[D]")
        days, status = store.values(symbol, "date").astype("datetime64[D]"), store.values(symbol, "status")
        published = days[np.isin(status, (READY, QUARANTINED))]
        lost: Days = published[~np.isin(published, self._traded(symbol))]
        return lost

    def refuse_lost(self, store: ImageStore, symbols: Iterable[str]) -> None:
        """Raise `InputError` where sessions have an image and no bar; what is damaged is left to the repair."""
        problems = []
        for symbol in symbols:
            days: Days = np.array([], dtype="datetime64[D]")
            with suppress(StoreCorrupt):
                days = self.lost(store, symbol)
            if len(days):
                inputs = self._run.config.inputs
                universe = self._run.tables.universe
                outside = days if universe is None else days[~universe.members(symbol, days)]
                if universe is not None and len(outside):
                    problems.append(
                        Problem(
                            inputs.place_of("companies"),
                            f"says that {symbol} is no member on {len(outside)} sessions that have an image in "
                            f"{self._run.config.store.path}, from {outside[0]} to {outside[-1]}",
                            "Correct its row; or, if it is right, draw this range again by force, which takes these "
                            "images out.",
                            companies=(symbol,),
                        )
                    )
                    days = days[universe.members(symbol, days)]
            if len(days):
                problems.append(
                    Problem(
                        self._run.config.inputs.place_of("prices" if self._run.config.inputs.prices else "enhanced"),
                        f"has no bar of {symbol} on {len(days)} sessions that have an image in "
                        f"{self._run.config.store.path}, from {days[0]} to {days[-1]}",
                        "Give the rows back; or, if they were wrong, draw this range again by force, which takes these "
                        "images out.",
                        companies=(symbol,),
                        table="prices",
                    )
                )
        if problems:
            raise InputError(problems)


def _between(days: Days, start: date | None, end: date | None) -> Days:
    if start is not None:
        days = days[days >= np.datetime64(start, "D")]
    if end is not None:
        days = days[days <= np.datetime64(end, "D")]
    return days


def take_out_lost_bars(run: Run, store: StoreWriter, symbol: str, start: date | None, end: date | None) -> None:
    """Make the sessions of a range whose bar is gone sessions without a bar: their images are no longer shown.

    Parameters
    ----------
    run
        Inputs and layout.
    store
        Store to write to.
    symbol
        Symbol whose sessions are looked at.
    start, end
        Range, both included; None is open.
    """
    days = _between(_Bars(run).lost(store, symbol), start, end)
    if len(days):
        store.mark_no_bar(symbol, np.searchsorted(store.state(symbol).days, days))
