"""The prices that a store's labels were made from, read off its features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from finnex.data.calendar import Days
from finnex.data.session_prices import SessionPrices
from finnex.errors import PricesUnknown
from finnex.store import ImageStore

CLOSE_TO_CLOSE, OPEN_TO_CLOSE = "return_1", "return_intraday"
OUTCOMES = "return_price_movement"
TOLERANCE = 1e-5
"""Of an outcome, which is kept as float32."""
Floats = npt.NDArray[np.float64]


def stored_prices(store: ImageStore, symbols: Sequence[str]) -> SessionPrices:
    """Return the opens and closes of companies of a store, up to a factor for each company.

    Raises
    ------
    PricesUnknown
        The store's catalogue lacks the two features that say how prices moved, or they do not give the returns that
        the store keeps with its labels.
    """
    each = {name: _of_company(store, name) for name in symbols}
    days = np.unique(np.concatenate([days for days, _, _ in each.values()]))
    bars = np.full((2, len(days), len(each)), np.nan)
    for number, (own, opens, closes) in enumerate(each.values()):
        bars[:, np.searchsorted(days, own), number] = opens, closes
    traded = np.flatnonzero((~np.isnan(bars[1])).any(axis=1))
    if len(traded) == 0:
        raise PricesUnknown(f"{store.path}: no session has a bar. Build the store first.")
    known = slice(0, traded[-1] + 1)  # the calendar is laid out ahead
    return SessionPrices(days[known], tuple(each), bars[0, known], bars[1, known])


def _of_company(store: ImageStore, symbol: str) -> tuple[Days, Floats, Floats]:
    data = store.open_sessions(symbol)
    known = set(data["feature"].to_numpy().tolist())
    if missing := [name for name in (CLOSE_TO_CLOSE, OPEN_TO_CLOSE) if name not in known]:
        raise PricesUnknown(
            f"{store.path} does not keep the feature '{missing[0]}', from which prices are read. Build it with a "
            "catalogue that has it."
        )
    values = data["feature_original"].sel(feature=[CLOSE_TO_CLOSE, OPEN_TO_CLOSE]).to_numpy()
    change, within = values[:, 0], values[:, 1]
    bar = ~np.isnan(within)
    log_close = np.where(bar, np.nan_to_num(change).cumsum(), np.nan)
    opens, closes = np.exp(log_close - within), np.exp(log_close)
    days = data["date"].to_numpy().astype("datetime64[D]")
    _check(store, symbol, days, data, opens, closes)
    return days, opens, closes


def _check(store: ImageStore, symbol: str, days: Days, data: xr.Dataset, opens: Floats, closes: Floats) -> None:
    """Refuse prices that do not give the returns stored with the labels: other features may have replaced them."""
    last = int(np.flatnonzero(~np.isnan(closes)).max(initial=-1))
    outcomes = data[OUTCOMES].to_numpy().astype(np.float64)
    for column, horizon in enumerate(data["horizon"].to_numpy().tolist()):
        entered, left = opens[1 : len(days) - horizon + 1], closes[horizon:]
        kept = outcomes[: len(left), column]
        # A label may look further than the sessions that were drawn, whose features the store has.
        kept = np.where(np.arange(len(left)) + horizon <= last, kept, np.nan)
        wrong = ~np.isnan(kept) & ~(np.abs(left / entered - 1 - kept) <= TOLERANCE * (1 + np.abs(kept)))
        if wrong.any():
            raise PricesUnknown(
                f"{store.path}: the features '{CLOSE_TO_CLOSE}' and '{OPEN_TO_CLOSE}' of {symbol} do not give the "
                f"{horizon}-session return after {days[np.argmax(wrong)]} that the store keeps. Build the store anew, "
                "with these two features computed from prices."
            )
