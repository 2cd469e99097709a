"""All labels of a company: those of its own bars and, where the universe is known, those across the section."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from finnex.config import Config
from finnex.config.images import ACROSS_THE_SECTION
from finnex.data.calendar import Days
from finnex.data.labels import KINDS, UNKNOWN, Labels, make_labels
from finnex.data.section_labels import section_labels
from finnex.data.tables import Tables
from finnex.data.universe import Mask


def label_kinds(tables: Tables) -> tuple[str, ...]:
    """Return the kinds of labels that the tables give: with a table of companies also those across the section."""
    return KINDS if tables.universe is None else (*KINDS, *ACROSS_THE_SECTION)


def membership(tables: Tables, symbol: str, days: Days) -> Mask:
    """Return at which days a company is a member of the universe: at all of them without a table of companies."""
    universe = tables.universe
    return np.ones(len(days), dtype=bool) if universe is None else universe.members(symbol, days)


def all_labels(tables: Tables, config: Config, symbol: str, bars: pd.DataFrame, days: Days) -> dict[str, Labels]:
    """Return a company's labels of every kind, unknown at sessions at which it is no member.

    Parameters
    ----------
    tables
        Prices of all members, and the table of companies where there is one.
    config
        Exchange and thresholds.
    symbol
        The company.
    bars
        Its traded sessions (open, high, low, close), indexed by session position.
    days
        (sessions,) its sessions.

    Returns
    -------
    dict of str to Labels
        By the kinds of `label_kinds`, each (sessions, horizons).
    """
    found = make_labels(bars, days, config.labels)
    if tables.universe is None:
        return found
    outside = ~membership(tables, symbol, days)[:, None]
    found = {
        kind: replace(
            one,
            label=np.where(outside, np.int8(UNKNOWN), one.label),
            outcome=np.where(outside, np.float32(np.nan), one.outcome),
            end=np.where(outside, np.datetime64("NaT", "D"), one.end),
        )
        for kind, one in found.items()
    }
    return found | section_labels(tables, config.exchange, symbol, bars, days, config.labels)
