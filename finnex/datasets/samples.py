"""What a store offers to learn from: published sessions whose outcome is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from finnex.config import LabelSettings
from finnex.config.images import ACROSS_THE_SECTION
from finnex.data.calendar import Days
from finnex.datasets.company_pins import Pin, StoreReading
from finnex.datasets.epoch_order import Rows
from finnex.datasets.panels import StoredPanels
from finnex.errors import TrainingError
from finnex.store import CLASS_WORDS, READY, CompanySurvey, Fingerprint, ImageStore

CLASSES = CLASS_WORDS
KEPT = ("label", "label_end", "return")
"""Arrays of a kind of label."""


@dataclass(frozen=True)
class Samples:
    """Labelled sessions of all symbols, in order of date, then symbol; all arrays of one length.

    Attributes
    ----------
    symbols
        Names that `symbol` counts into.
    index
        Position on the symbol's date axis, that is, the number of its image chunk.
    decision, entry, label_end
        Session of the image, session at whose open a position is taken, session in which the outcome was known.
    label
        0 sell, 1 hold, 2 buy.
    outcome
        Simple return from entry to exit.
    panels
        By symbol, normalised features of every session of its date axis, float32 (session, feature), NaN where
        not known. Those of a store are read when they are asked for.
    symbol
        Company, counting into `symbols`.
    reading
        What the store was when the samples were collected; None where they are of no store.

    Examples
    --------
    >>> from finnex.store import ImageStore
    >>> samples = labelled_samples(ImageStore.open("images.zarr"), LabelSettings())
    >>> len(samples), samples.features(np.arange(2), lags=(0, 1)).shape, len(samples.choose(np.arange(2)))
    (12, (2, 750), 2)
    """

    symbols: tuple[str, ...]
    symbol: npt.NDArray[np.intp]
    index: npt.NDArray[np.intp]
    decision: Days
    entry: Days
    label_end: Days
    label: npt.NDArray[np.int64]
    outcome: npt.NDArray[np.float32]
    panels: Sequence[npt.NDArray[np.float32]]
    reading: StoreReading | None = None

    def __len__(self) -> int:
        return len(self.label)

    def features(self, rows: Rows, lags: Sequence[int] = (0,)) -> npt.NDArray[np.float32]:
        """Return the features of some samples as they stood some sessions before: float32 (row, lag * feature).

        Parameters
        ----------
        rows
            (rows,) positions of samples.
        lags
            Sessions back on the symbol's axis, 0 or more. A session before its first row is NaN.

        Returns
        -------
        numpy.ndarray
            In [0.02, 1]; NaN where not known.
        """
        width = self.panels[0].shape[1]
        found = np.full((len(rows), len(lags), width), np.nan, dtype=np.float32)
        for number in np.unique(self.symbol[rows]).tolist():
            panel, mine = self.panels[number], np.flatnonzero(self.symbol[rows] == number)
            for place, lag in enumerate(lags):
                position = self.index[rows[mine]] - lag
                inside = position >= 0
                found[mine[inside], place] = panel[position[inside]]
        return found.reshape(len(rows), -1)

    def choose(self, rows: Rows) -> Samples:
        """Return these samples only, in the order of `rows`.

        Parameters
        ----------
        rows
            (rows,) positions of samples.

        Returns
        -------
        Samples
            They, with the panels of all symbols.
        """
        columns = ("symbol", "index", "decision", "entry", "label_end", "label", "outcome")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


def labelled_samples(store: ImageStore, labels: LabelSettings, symbols: tuple[str, ...] = ()) -> Samples:
    """Collect every published session whose label is known. Every company of the store is read once.

    Parameters
    ----------
    store
        Store to read from.
    labels
        Which label: kind and horizon.
    symbols
        Those to use; all of the store where none is given.

    Returns
    -------
    Samples
        In order of date, then symbol.

    Raises
    ------
    TrainingError
        The store holds no such label, or its labels were made with other settings.

    Examples
    --------
    >>> samples = labelled_samples(ImageStore.open("images.zarr"), LabelSettings(kind="price_movement", horizon=5))
    >>> samples.label.shape, str(samples.decision[0]), str(samples.label_end[0])
    ((12,), '2015-03-02', '2015-03-09')
    """
    names = tuple(sorted(symbols)) if symbols else tuple(store.symbols)
    number_of = {name: number for number, name in enumerate(names)}
    columns: dict[str, list[npt.NDArray[np.generic]]] = {}
    pins, versions = {}, {}
    sessions: Days = np.empty(0, dtype="datetime64[D]")
    digest, published = Fingerprint(store.attrs), 0
    for company in store.surveys():
        digest.add(company)
        versions[company.symbol] = company.version
        sessions = np.union1d(sessions, company.days)
        if company.symbol not in number_of:
            continue
        found = _labelled(store, company, labels)
        published += int(np.count_nonzero(company.status == READY))
        pins[company.symbol] = Pin.of(company, found["index"])
        columns.setdefault("symbol", []).append(np.full(len(found["index"]), number_of[company.symbol], dtype=np.intp))
        for key, values in found.items():
            columns.setdefault(key, []).append(values)
    if missing := [name for name in names if name not in versions]:
        store.state(missing[0])  # says that there is no such company
    joined = {key: np.concatenate(parts) for key, parts in columns.items()}
    if not joined or len(joined["label"]) == 0:
        raise TrainingError(
            f"{store.path} has {published} published sessions and no known label '{labels.kind}' over {labels.horizon} "
            "sessions. Build more sessions; the last ones wait for their outcome."
        )
    order = np.lexsort((joined["symbol"], joined["decision"]))
    reading = StoreReading(str(store.path), digest.hexdigest(), versions, pins, sessions)
    return Samples(
        symbols=names, panels=StoredPanels(store, names), reading=reading,
        **{key: values[order] for key, values in joined.items()},
    )  # fmt: skip


def _labelled(store: ImageStore, company: CompanySurvey, labels: LabelSettings) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a company's samples but `symbol`."""
    horizons = company.horizon.tolist()
    if f"label_{labels.kind}" not in company.outcomes or labels.horizon not in horizons:
        remedy = "Build the store with these [labels], or ask for one it has."
        if labels.kind in ACROSS_THE_SECTION:
            remedy = "Build it again with [inputs] companies, which adds them and draws no image again."
        raise TrainingError(
            f"{store.path}: {company.symbol} has no label '{labels.kind}' over {labels.horizon} sessions. {remedy}"
        )
    column = horizons.index(labels.horizon)
    label, end, outcome = (company.outcomes[f"{name}_{labels.kind}"][:, column] for name in KEPT)
    rows = np.flatnonzero((company.status == READY) & (label >= 0))
    return {
        "index": rows,
        "decision": company.days[rows],
        "entry": company.days[np.minimum(rows + 1, len(company.days) - 1)],
        "label_end": end[rows].astype("datetime64[D]"),
        "label": label[rows].astype(np.int64),
        "outcome": outcome[rows].astype(np.float32),
    }
