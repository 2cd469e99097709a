"""What a store offers to learn from: published sessions whose outcome is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from finnex.config import LabelSettings
from finnex.data.calendar import Days
from finnex.datasets.epoch_order import Rows
from finnex.errors import TrainingError
from finnex.store import CLASS_WORDS, READY, ImageStore

CLASSES = CLASS_WORDS


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
        not known.
    symbol
        Company, counting into `symbols`.

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
    panels: tuple[npt.NDArray[np.float32], ...]

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
        for number, panel in enumerate(self.panels):
            mine = np.flatnonzero(self.symbol[rows] == number)
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
    """Collect every published session whose label is known.

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
    columns: dict[str, list[npt.NDArray[np.generic]]] = {}
    panels = []
    for number, name in enumerate(names):
        state = store.state(name)
        ready = np.flatnonzero(state.status == READY)
        data = store.open_images(name)
        panels.append(store.open_sessions(name)["feature_normalized"].to_numpy().astype(np.float32))
        if f"label_{labels.kind}" not in data or labels.horizon not in data["horizon"].to_numpy():
            raise TrainingError(
                f"{store.path}: {name} has no label '{labels.kind}' over {labels.horizon} sessions. "
                "Build the store with these [labels], or ask for one it has."
            )
        at = data.sel(horizon=labels.horizon)
        label = at[f"label_{labels.kind}"].to_numpy()
        known = np.flatnonzero(label >= 0)
        rows = ready[known]
        following = np.minimum(rows + 1, len(state.days) - 1)
        for key, values in {
            "symbol": np.full(len(rows), number, dtype=np.intp),
            "index": rows,
            "decision": state.days[rows],
            "entry": state.days[following],
            "label_end": at[f"label_end_{labels.kind}"].to_numpy()[known].astype("datetime64[D]"),
            "label": label[known].astype(np.int64),
            "outcome": at[f"return_{labels.kind}"].to_numpy()[known].astype(np.float32),
        }.items():
            columns.setdefault(key, []).append(values)
    joined = {key: np.concatenate(parts) for key, parts in columns.items()}
    if not joined or len(joined["label"]) == 0:
        published = sum(int(np.count_nonzero(store.state(name).status == READY)) for name in names)
        raise TrainingError(
            f"{store.path} has {published} published sessions and no known label '{labels.kind}' over {labels.horizon} "
            "sessions. Build more sessions; the last ones wait for their outcome."
        )
    order = np.lexsort((joined["symbol"], joined["decision"]))
    return Samples(symbols=names, panels=tuple(panels), **{key: values[order] for key, values in joined.items()})
