"""Days that a caller gives, in any form that Python has for them."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import pandas as pd

from finnex.errors import ConfigError


def read_days(given: Any, name: str) -> pd.DatetimeIndex:
    """Return one day, or an iterable of days, in order, each once; times of day and zones are left out.

    Raises
    ------
    ConfigError
        One is not a date.
    """
    values = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    days, wrong = [], []
    for value in values:
        try:
            day = pd.Timestamp(value)
        except (TypeError, ValueError):
            wrong.append(repr(value))
            continue
        if isinstance(value, Real) or pd.isna(day):  # a bare number would be nanoseconds since 1970
            wrong.append(repr(value))
        else:
            days.append(day.tz_localize(None).normalize())
    if wrong:
        words = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise ConfigError(f"{name}: {words} is not a date. Give dates such as '2015-03-31'.")
    return pd.DatetimeIndex(days).unique().sort_values()
