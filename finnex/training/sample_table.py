"""The samples of a training as a table for other programs: date, symbol, label, set, and the place of the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from finnex.config import Config
from finnex.datasets.samples import CLASSES, Samples
from finnex.datasets.splits import TimeSplit
from finnex.files.table_output import TableKind
from finnex.store import ImageStore
from finnex.training.study_samples import study_samples

SCHEMA = pa.schema(
    {
        "fold": pa.int32(), "date": pa.timestamp("ms"), "symbol": pa.string(), "set": pa.string(),
        "class": pa.string(), "label": pa.int8(), "return": pa.float32(), "entry": pa.timestamp("ms"),
        "label_end": pa.timestamp("ms"), "store": pa.string(), "array": pa.string(), "index": pa.int64(),
        "image_crc": pa.int64(),
    }
)  # fmt: skip
"""See docs/signals.md."""
SAMPLES = TableKind("samples", tuple(SCHEMA.names))
PURGED, THINNED = "purged", "thinned"


def sample_tables(config: Config, store: ImageStore) -> Iterator[pa.Table]:
    """Yield the samples and parts that a training with this configuration would use, one table a fold.

    A sample that lies before the test part and is purged from its part has the set 'purged', a training sample that
    `every_sessions` leaves out 'thinned'. One that the fold does not reach, before the rolling window or after the
    fold's test part, is left out.

    Parameters
    ----------
    config
        Labels, symbols, and the fractions, embargo and folds of the training.
    store
        Store to read from.

    Yields
    ------
    pyarrow.Table
        Of `SCHEMA`, in order of date, then symbol.

    Raises
    ------
    TrainingError
        Training would be refused: no such labels, too few sessions, one class only.
    """
    samples, splits = study_samples(config, store)
    crcs = [store.state(name).image_crc for name in samples.symbols]
    crc = np.array([crcs[number][index] for number, index in zip(samples.symbol, samples.index, strict=True)])
    place = str(store.path.absolute() if isinstance(store.path, Path) else store.path)
    for split in splits:
        parts = _sets(samples, split, config)
        rows = np.flatnonzero(parts != "")
        symbol = np.array(samples.symbols)[samples.symbol[rows]]
        frame = pd.DataFrame(
            {
                "fold": split.fold,
                "date": samples.decision[rows].astype("datetime64[ms]"),
                "symbol": symbol,
                "set": parts[rows],
                "class": np.array(CLASSES)[samples.label[rows]],
                "label": samples.label[rows],
                "return": samples.outcome[rows],
                "entry": samples.entry[rows].astype("datetime64[ms]"),
                "label_end": samples.label_end[rows].astype("datetime64[ms]"),
                "store": place,
                "array": [f"{name}/image" for name in symbol],
                "index": samples.index[rows],
                "image_crc": crc[rows].astype(np.int64),
            }
        )
        yield pa.Table.from_pandas(frame, SCHEMA, preserve_index=False).replace_schema_metadata()


def _sets(samples: Samples, split: TimeSplit, config: Config) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Return the set of every sample, empty where the fold does not reach it."""
    found = np.full(len(samples), "", dtype="U10")
    first = samples.decision[np.concatenate([split.train, split.thinned])].min()
    if config.training.window == "expanding":
        first = samples.decision.min()
    found[(samples.decision >= first) & (samples.decision < split.test_start)] = PURGED
    found[split.thinned] = THINNED
    for name, rows in split.parts().items():
        found[rows] = name
    return found
