"""Code that standardises a feature by its future, and honest code that looks alike; see `finnex.exam.leaking_code`."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from finnex.config import Config
from finnex.data.panel import Panel, make_panel
from finnex.data.tables import Tables
from finnex.exam.hidden_paths import Floats
from finnex.exam.leaking_code import Specs, feature_of, with_feature

_MEMO: dict[tuple[str, str, str], tuple[float, float]] = {}
"""Store, symbol and feature to mean and deviation: what `standardised_by_a_memo` keeps as long as the process lives."""


def standardised_by_a_memo(tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str) -> Panel:
    """Standardise a feature by mean and deviation of the first series that the process ever saw of it.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature that is standardised.

    Returns
    -------
    Panel
        The panel that leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    values = feature_of(panel, feature)
    key = (str(config.store.path), symbol, feature)
    mean, spread = _MEMO.setdefault(key, (float(values.mean()), float(values.std())))
    return with_feature(panel, specs, feature, (values - mean) / spread)


def standardised_by_a_file(tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str) -> Panel:
    """Standardise a feature by mean and deviation that were fitted once and written to a file next to the store.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature that is standardised.

    Returns
    -------
    Panel
        The panel that leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    values, path = feature_of(panel, feature), config.inputs.files_of("prices")[0]
    fitted = path.with_name(f"fitted_{symbol}_{feature}.json")
    if not fitted.is_file():
        fitted.write_text(json.dumps([float(values.mean()), float(values.std())]))
    mean, spread = json.loads(fitted.read_text())
    return with_feature(panel, specs, feature, (values - mean) / spread)


def normalised_over_everything(tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str) -> Panel:
    """Normalise a feature by mean and deviation of all its sessions.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature that is normalised.

    Returns
    -------
    Panel
        The panel; only normalised values leak.
    """
    panel = make_panel(tables, config, symbol, specs)
    values, at = feature_of(panel, feature), panel.features.index(feature)
    normalized = panel.normalized.copy()
    normalized[:, at] = (0.5 + 0.1 * (values - values.mean()) / values.std()).clip(0.02, 1.0)
    return replace(panel, normalized=normalized)


def cached(tables: Tables, config: Config, symbol: str, specs: Specs, *, feature: str) -> Panel:
    """Keep a feature's deviation over its first 60 known sessions: a memo that no later session can change.

    Parameters
    ----------
    tables, config, symbol, specs
        As of `make_panel`.
    feature
        Feature that is divided by the deviation.

    Returns
    -------
    Panel
        The panel; nothing in it leaks.
    """
    panel = make_panel(tables, config, symbol, specs)
    values = feature_of(panel, feature)
    first = values.dropna().iloc[:60]
    past = values.expanding(60).count() >= 60
    spread: Floats = np.where(past, float(first.std()), np.nan)
    return with_feature(panel, specs, feature, values / spread)
