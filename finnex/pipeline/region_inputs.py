"""Which regions of a store's images are fed by its tables, and why the others show nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finnex.data.remarks import some
from finnex.errors import StoreCorrupt
from finnex.layout import Layout, stored_layout
from finnex.store import READY, ImageStore

NEWEST_SESSIONS = 20
REMEDY = "Add what is missing ([inputs] of finnex.toml, docs/inputs.md), or draw a layout without the region"


@dataclass(frozen=True)
class RegionInputs:
    """What is known of each region of a store's images.

    Attributes
    ----------
    names
        Regions, in the layout's order.
    known, newest
        Share of the region's pixels known over all sessions, and over the newest `NEWEST_SESSIONS`: mean of symbols.
    channels
        Channels of the images.
    layout
        As the store keeps it; None where it keeps none.
    given
        Tables that the newest builds read; None where the store does not say.
    lacks
        Table to what is missing in it; None where that is not known.
    valued
        Features with a value on a session that a published image shows, of any symbol.
    """

    names: tuple[str, ...]
    known: tuple[float, ...]
    newest: tuple[float, ...]
    channels: tuple[str, ...]
    layout: Layout | None
    given: frozenset[str] | None
    lacks: Mapping[str, str] | None
    valued: frozenset[str] = frozenset()

    def why(self, name: str) -> str:
        """Return why a region shows nothing on any session, with the remedy.

        '' where it shows something, and where it has something to show: then `fault` says what is at fault.
        """
        if self.known[self.names.index(name)] > 0 or not self._is_unfed(name):
            return ""
        return f"no session has a value to show: {self._cause(name)}. {REMEDY}"

    def why_empty(self, section: str, channel: str | None = None) -> str:
        """Return why a section, or its part of one channel, shows nothing on any session; '' as of `why`."""
        if self.layout is None:
            return ""
        own = [one.name for one in self.layout.regions if one.section == section and channel in (None, one.channel)]
        if not own or any(self.known[self.names.index(name)] > 0 or not self._is_unfed(name) for name in own):
            return ""
        causes: dict[str, list[str]] = {}
        for name in own:
            causes.setdefault(self._cause(name), []).append(name)
        words = "; ".join(f"{', '.join(names)}: {cause}" for cause, names in causes.items())
        return f"no session has a value to show of {words}. {REMEDY}"

    def without(self) -> str:
        """Return which regions show nothing, as the end of a sentence; '' where all show something."""
        own = [name for name, share in zip(self.names, self.known, strict=True) if share == 0]
        return f"; without input: {', '.join(own)}" if own else ""

    def fault(self, name: str) -> str:
        """Return what is at fault where a region shows nothing on any session and `why` has no reason."""
        if self._is_chart(name):
            return "no session has a value to show, and each of them has bars, which the region draws"
        if valued := self._valued(name):
            return f"no session has a value to show, and features of the region have values: {some(valued)}"
        return "no session has a value to show, and the tables that the region draws from lack nothing"

    def _is_chart(self, name: str) -> bool:
        """Return whether a region draws bars, which every published session has."""
        return self.layout is not None and not self.layout.region(name).features

    def _valued(self, name: str) -> list[str]:
        features = () if self.layout is None else self.layout.region(name).features
        return [one for one in features if one in self.valued]

    def _is_unfed(self, name: str) -> bool:
        """Return whether nothing feeds a region, by its features and by the tables that they are computed from.

        None of its features has a value that an image shows, and each table that it draws from is absent or lacks
        something, or that is not known.
        """
        if self._is_chart(name) or self._valued(name):
            return False
        if self.lacks is None:
            return True
        absent = set() if self.given is None else set(self._tables(name)) - self.given
        return all(one in absent or self.lacks.get(one) for one in self._tables(name))

    def _tables(self, name: str) -> tuple[str, ...]:
        """Return the tables of the features that a region draws; none where the store keeps no layout."""
        entries = {} if self.layout is None else {one.name: one.table for one in self.layout.catalogue.entries}
        features = () if self.layout is None else self.layout.region(name).features
        return tuple(dict.fromkeys(entries[one] for one in features if one in entries))

    def _cause(self, name: str) -> str:
        tables = self._tables(name)
        if not tables:
            return "no input table gives this region anything"
        return ", ".join(self._cause_of_table(table) for table in tables)

    def _cause_of_table(self, table: str) -> str:
        if self.lacks and self.lacks.get(table):
            return f"table {table} ({self.lacks[table]})"
        if self.given is not None and table not in self.given:
            return f"table {table} (the table is not given)"
        return f"table {table}"


def region_inputs(store: ImageStore, lacks: Mapping[str, str] | None = None) -> RegionInputs:
    """Return what is known of each region of a store's images.

    Parameters
    ----------
    store
        Store with a published session or more.
    lacks
        Table to what is missing in it, as `finnex.pipeline.lacking` says it; absent, that is not known.

    Returns
    -------
    RegionInputs
        Regions, their known shares, and the reasons of those that show nothing.
    """
    tables = [store.open_images(symbol)["coverage"] for symbol in store.symbols]
    tables = [table for table in tables if table.sizes["date"]]
    overall = np.mean([table.mean("date").to_numpy() for table in tables], axis=0)
    newest = np.mean([table[-NEWEST_SESSIONS:].mean("date").to_numpy() for table in tables], axis=0)
    record = store.record().inputs
    valued = frozenset[str]().union(*(valued_features(store, symbol) for symbol in store.symbols))
    return RegionInputs(
        names=tuple(str(name) for name in tables[0]["region"].to_numpy()),
        known=tuple(map(float, overall)),
        newest=tuple(map(float, newest)),
        channels=tuple(str(name) for name in store.open_images(store.symbols[0])["channel"].to_numpy()),
        layout=stored_layout(store.attrs) if str(store.attrs["layout_toml"]).strip() else None,
        given=frozenset(table for one in record for table in one.tables) | {"calendar"} if record else None,
        lacks=lacks,
        valued=valued,
    )


def valued_features(store: ImageStore, symbol: str) -> frozenset[str]:
    """Return the features of a symbol that have a value on a session that one of its published images shows.

    None of a symbol whose features cannot be read: the check of small arrays says so.
    """
    try:
        values = store.values(symbol, "feature_normalized")
    except StoreCorrupt:
        return frozenset()
    shown = shown_sessions(store.state(symbol).status == READY, int(store.attrs["lookback_sessions"]))
    known = ~np.isnan(values[: len(shown)][shown])
    names = store.open_sessions(symbol)["feature"].to_numpy()
    return frozenset(str(name) for name in names[known.any(axis=0)])


def shown_sessions(published: npt.NDArray[np.bool_], lookback: int) -> npt.NDArray[np.bool_]:
    """Return which sessions an image shows, by the sessions that have one: each shows its own and those before it.

    Parameters
    ----------
    published
        (sessions,) bool.
    lookback
        Sessions that an image shows.

    Examples
    --------
    >>> shown_sessions(np.array([False, False, True, False, False]), 2)
    array([False,  True,  True, False, False])
    """
    until = np.concatenate([[0], np.cumsum(published)])
    first = np.arange(len(published))
    found: npt.NDArray[np.bool_] = until[np.minimum(first + lookback, len(published))] > until[first]
    return found
