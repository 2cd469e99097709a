"""What a notebook looks at: a store, its companies, and their published sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.errors import StoreError, nearest
from finnex.explain import PixelAnswer, explain
from finnex.images.decode import decode
from finnex.layout import Layout, stored_layout
from finnex.store import LABEL_WORDS, READY, ImageStore

if TYPE_CHECKING:
    import xarray as xr

MOST_NAMED = 8


@dataclass(frozen=True, eq=False)
class SessionView:
    """One published session of a company; a cell of a notebook shows its picture.

    Attributes
    ----------
    store
        The store of the image.
    symbol
        Symbol of the image.
    day
        Date of the session.

    Examples
    --------
    >>> session = finnex.open("images.zarr")["NVDA"]["2015-03-02"]
    >>> session.image.shape, session.image.dtype
    ((512, 512, 3), dtype('float32'))
    >>> str(session.labels.loc[5, "price_movement"])
    'hold'
    >>> round(float(session.features["rsi_14"]), 1)
    67.5
    >>> session.explain(0, 0)[0].feature
    'fear_greed'
    >>> session.decode().shape
    (56, 375)
    >>> session.picture()[1:4]
    b'PNG'
    """

    store: ImageStore
    symbol: str
    day: date

    @property
    def image(self) -> npt.NDArray[np.float32]:
        """(y, x, channel) float32 in [0, 1], 0 where not known; its bytes are checked.

        Raises
        ------
        StoreCorrupt
            The bytes on disk are not those that were published.
        """
        return self.store.image(self.symbol, np.datetime64(self.day, "D"))

    @property
    def labels(self) -> pd.DataFrame:
        """Labels by horizon in sessions (rows): for each kind its word and simple return; missing while unknown."""
        data = self._data()
        columns: dict[str, list[object]] = {}
        for name in sorted(map(str, data.data_vars)):
            if name.startswith("label_") and not name.startswith("label_end_"):
                kind = name.removeprefix("label_")
                columns[kind] = [LABEL_WORDS.get(int(code)) if code >= 0 else None for code in data[name].to_numpy()]
                columns[f"return_{kind}"] = data[f"return_{kind}"].to_numpy().tolist()
        return pd.DataFrame(columns, index=pd.Index(data["horizon"].to_numpy(), name="horizon_sessions"))

    @property
    def features(self) -> pd.Series[float]:
        """Original values of the session by feature, in the units of the catalogue; NaN where not known."""
        data = self._data()
        return pd.Series(data["feature_original"].to_numpy(), index=data["feature"].to_numpy(), name=str(self.day))

    def explain(self, row: int, column: int) -> list[PixelAnswer]:
        """Say what a pixel shows, one answer a channel: see `finnex.explain.explain`.

        Parameters
        ----------
        row, column
            The pixel, from 0 at the top left.

        Returns
        -------
        list of PixelAnswer
            One a channel, in the layout's order.

        Raises
        ------
        LayoutError
            The pixel lies outside the image.
        StoreError
            The image's bytes are damaged, or it was drawn from other values than those stored.
        """
        return explain(self.store, self.symbol, self.day, row, column)

    def decode(self) -> pd.DataFrame:
        """Read the normalised panel back from the pixels: lag in sessions (rows) by feature, in [0.02, 1] or NaN.

        Returns
        -------
        pandas.DataFrame
            float32, the window's sessions by feature; NaN where not known or drawn in no heat map.
        """
        weights = self._data()["region_weight"].to_numpy()
        return decode(self.image, self._layout(), weights)

    def picture(self, out: Path | None = None) -> bytes:
        """Return a PNG of the image, its channels and a legend of its regions; write it where `out` is given.

        Parameters
        ----------
        out
            PNG to write; None writes none.

        Returns
        -------
        bytes
            The PNG.

        Raises
        ------
        StoreCorrupt
            The bytes on disk are not those that were published.
        """
        from finnex.reporting.session import session_picture

        return session_picture(self.store, self.symbol, np.datetime64(self.day, "D"), out)

    def _repr_png_(self) -> bytes:
        return self.picture()

    def _layout(self) -> Layout:
        return stored_layout(self.store.attrs)

    def _data(self) -> xr.Dataset:
        return self.store.open_images(self.symbol).sel(date=np.datetime64(self.day, "ns"))


@dataclass(frozen=True, eq=False)
class CompanyView(Mapping[str, SessionView]):
    """The published sessions of a company, by date: `"2016-03-01"` or a `datetime.date`.

    Attributes
    ----------
    store
        The store of the company.
    symbol
        Symbol of the company.

    Examples
    --------
    >>> company = finnex.open("images.zarr")["NVDA"]
    >>> len(company.sessions), company["2015-03-02"].day
    (12, datetime.date(2015, 3, 2))
    >>> company.to_xarray()["image"].sizes["date"]
    12
    """

    store: ImageStore
    symbol: str

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Published sessions, ascending."""
        state = self.store.state(self.symbol)
        return pd.DatetimeIndex(state.days[state.status == READY], name="date")

    def __getitem__(self, day: str | date) -> SessionView:
        try:
            wanted = pd.Timestamp(day)
        except ValueError:
            raise StoreError(f"'{day}' is not a date. Write it as YYYY-MM-DD.") from None
        sessions = self.sessions
        if wanted not in sessions:
            at = int(sessions.searchsorted(wanted))
            near = ", ".join(str(one.date()) for one in sessions[max(0, at - 1) : at + 1])
            raise StoreError(
                f"{self.store.path} has no published image of {self.symbol} for {wanted.date()}. "
                + (f"Published next to it: {near}." if near else "It has none of this company; run `finnex build`.")
            )
        return SessionView(self.store, self.symbol, wanted.date())

    def __iter__(self) -> Iterator[str]:
        return iter(self.sessions.strftime("%Y-%m-%d"))

    def __len__(self) -> int:
        return len(self.sessions)

    def __contains__(self, day: object) -> bool:
        try:
            return pd.Timestamp(day) in self.sessions  # type: ignore[arg-type]
        except (ValueError, TypeError):
            return False

    def to_xarray(self) -> xr.Dataset:
        """Return images, features and labels of the published sessions as a lazy data set.

        Returns
        -------
        xarray.Dataset
            Dimensions date, y, x, channel, feature, region, horizon and class; arrays are read when used. NaN, or
            -1 of a label, where not known.
        """
        return self.store.open_images(self.symbol)

    def __repr__(self) -> str:
        sessions = self.sessions
        span = f", {sessions[0].date()} to {sessions[-1].date()}" if len(sessions) else ""
        return f"<{self.symbol}: {len(sessions)} published sessions{span}>"


@dataclass(frozen=True, eq=False)
class StoreView(Mapping[str, CompanyView]):
    """An image store by company: `store["NVDA"]["2016-03-01"].image`.

    Attributes
    ----------
    store
        The store itself.

    Examples
    --------
    >>> store = finnex.open("images.zarr")
    >>> store.symbols, len(store), store.layout.name
    (['NVDA'], 1, 'mega')
    >>> store["NVDA"]
    <NVDA: 12 published sessions, 2015-03-02 to 2015-03-17>
    """

    store: ImageStore

    @property
    def symbols(self) -> list[str]:
        """Companies of the store, sorted."""
        return sorted(self.store.symbols)

    @property
    def layout(self) -> Layout:
        """What the images show, as it travels with them."""
        return stored_layout(self.store.attrs)

    def __getitem__(self, symbol: str) -> CompanyView:
        if symbol not in self.store.symbols:
            raise StoreError(f"{self.store.path} has no company '{symbol}'. {nearest(symbol, self.symbols)}")
        return CompanyView(self.store, symbol)

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.store.symbols

    def _rows(self) -> list[tuple[str, int, str, str]]:
        rows = []
        for symbol in self.symbols[:MOST_NAMED]:
            sessions = self[symbol].sessions
            ends = [str(day.date()) for day in (*sessions[:1], *sessions[-1:])] or ["", ""]
            rows.append((symbol, len(sessions), ends[0], ends[1]))
        return rows

    def __repr__(self) -> str:
        lines = [f"<image store {self.store.path}, {len(self)} companies>"]
        lines += [f"  {symbol}: {count} sessions, {first} to {last}" for symbol, count, first, last in self._rows()]
        return "\n".join([*lines, *(["  ..."] if len(self) > MOST_NAMED else [])])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("symbol", "sessions", "first", "last"))
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(str(one))}</td>" for one in row) + "</tr>" for row in self._rows()
        )
        more = f"<p>and {len(self) - MOST_NAMED} more</p>" if len(self) > MOST_NAMED else ""
        return f"<p>image store {escape(str(self.store.path))}</p><table><tr>{head}</tr>{body}</table>{more}"
