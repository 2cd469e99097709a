"""Options features: what the options market expects of the symbol, where the inputs have its table.

A row carries a date without a time (vendors publish the day's options after the close), so it counts from the next
session on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from finnex.data.features.arithmetic import log, trailing_rank
from finnex.data.features.context import Context, Features
from finnex.data.names import OPTION_COLUMNS
from finnex.data.point_in_time import as_of

MAX_AGE = 5  # sessions


def options(context: Context) -> Features:
    """Return options features on all sessions, NaN where the table or a column is absent."""
    column = {name: _daily(context, name) for name in OPTION_COLUMNS}
    implied, later, skew = (column[name] for name in ("implied_volatility", "implied_volatility_90", "skew"))
    put_call, interest, flow = (column[name] for name in ("put_call", "put_call_open_interest", "net_flow"))
    log_implied = log(implied.where(implied > 0))
    realized = context.returns.rolling(20).std() * np.sqrt(252.0)
    found = {
        "option_implied": implied,
        "option_implied_rank_252": trailing_rank(implied),
        "option_implied_change_5": log_implied - log_implied.shift(5),
        "option_term_slope": log(later.where(later > 0)) - log_implied,
        "option_premium": implied - realized,
        "option_skew": skew,
        "option_skew_change_5": skew - skew.shift(5),
        "option_put_call": log(put_call.where(put_call > 0)),
        "option_put_call_5": log(put_call.where(put_call > 0)).rolling(5, min_periods=1).mean(),
        "option_put_call_interest": log(interest.where(interest > 0)),
        "option_flow": flow,
        "option_flow_5": flow.rolling(5, min_periods=1).mean(),
    }
    return {name: values.to_numpy(dtype="float64") for name, values in found.items()}


def _daily(context: Context, name: str) -> pd.Series[float]:
    rows = context.tables.of("options", context.symbol)
    if name not in rows.columns or rows.empty:
        return pd.Series(np.full(context.sessions, np.nan))
    known = context.calendar.first_session_after(rows["date"].to_numpy().astype("datetime64[D]"))
    return pd.Series(as_of(known, rows[name].to_numpy(dtype="float64"), context.sessions, MAX_AGE))
