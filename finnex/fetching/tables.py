"""The written tables: replaced whole, rows of other symbols kept, and a table that FinNeX did not write left alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import pandas as pd

from finnex.errors import FetchError
from finnex.fetching.archive import Archive
from finnex.files.replacing import replacing, sweep_drafts

MANIFEST: Final = "manifest.json"
KEYS: Final = {
    "prices": "symbol",
    "splits": "symbol",
    "dividends": "symbol",
    "macro": "series",
    "fundamentals": "symbol",
}
"""Table to the column by which its rows are replaced."""


class Folder:
    """A folder of tables that were fetched, with its manifest and its kept answers.

    Attributes
    ----------
    path
        The folder.
    archive
        Its kept answers, in `raw`.
    run
        What the last run was asked for, as `manifest.json` says; empty where there was none.
    days
        Source to the last closed session of its last run that was not cut short: kept answers are as of that day.

    Raises
    ------
    FetchError
        A table in it is not as FinNeX wrote it, or its manifest cannot be read. Nothing is changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archive = Archive(path / "raw")
        try:
            said: Any = json.loads((path / MANIFEST).read_bytes())
            self._hashes: dict[str, list[str]] = {str(name): list(known) for name, known in said["tables"].items()}
            self.run: dict[str, Any] = dict(said["run"])
            self.days = {str(name): date.fromisoformat(day) for name, day in said["days"].items()}
        except FileNotFoundError:
            self._hashes, self.run, self.days = {}, {}, {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise FetchError(
                f"{path / MANIFEST} cannot be read: it says which tables here are FinNeX's. Choose another folder with "
                "--to, or move this file and the tables away."
            ) from None
        for name in KEYS:
            self._refuse_others(name)
        sweep_drafts(path)

    def place(self, name: str) -> Path:
        """Return where a table is."""
        return self.path / f"{name}.csv"

    def _refuse_others(self, name: str) -> None:
        place = self.place(name)
        if not place.exists() and not place.is_symlink():
            return
        try:
            known = not place.is_symlink() and _digest(place.read_bytes()) in self._hashes.get(name, [])
        except OSError:
            known = False
        if not known:
            raise FetchError(
                f"{place} is not as `finnex fetch` wrote it, and is not overwritten. Choose another folder with --to, "
                "or move the file away."
            )

    def write(self, name: str, parts: Mapping[str, pd.DataFrame]) -> int:
        """Write a table: the given rows, and of the table that exists the rows of other symbols or series.

        Parameters
        ----------
        name
            Of `KEYS`.
        parts
            One or more symbols or series, each with all of its rows, which may be none.

        Returns
        -------
        int
            Rows of the table now.

        Raises
        ------
        FetchError
            The table was changed meanwhile, or the folder cannot be written. The table is as it was.
        """
        self._refuse_others(name)
        place, key = self.place(name), KEYS[name]
        rows = pd.concat(list(parts.values()), ignore_index=True).astype(object)
        text = rows.where(rows.notna(), "").map(_cell) if len(rows) else rows
        if place.exists():
            before = pd.read_csv(place, dtype=str, keep_default_na=False)
            text = pd.concat([before[~before[key].isin(list(parts))], text], ignore_index=True)
        text = text.sort_values(key, kind="stable", ignore_index=True)
        data = text.to_csv(index=False, lineterminator="\n").encode()
        try:
            # Both hashes are known before the table changes, so that a kill in between leaves it FinNeX's.
            self._hashes[name] = [*self._hashes.get(name, [])[-1:], _digest(data)]
            self.write_manifest()
            with replacing(place) as file:
                file.write(data)
        except OSError as error:
            raise FetchError(
                f"{place} cannot be written ({error.strerror}); it is as it was. Free the disk, or choose another "
                "folder with --to."
            ) from None
        return len(text)

    def keys_in(self, name: str, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return the wanted symbols or series that have rows in a table; none where it does not exist."""
        place, key = self.place(name), KEYS[name]
        if not place.exists():
            return ()
        there = set(pd.read_csv(place, usecols=[key], dtype=str, keep_default_na=False)[key])
        return tuple(one for one in wanted if one in there)

    def write_manifest(self, run: Mapping[str, Any] | None = None) -> None:
        """Write the manifest: what was asked, the hash of each table, every kept answer with its hash, time and terms.

        Parameters
        ----------
        run
            What this run was asked for; absent, that of the last run stays.
        """
        if run is not None:
            self.run = dict(run)
        answers = [vars(kept) for kept in self.archive.entries()]
        days = {name: day.isoformat() for name, day in self.days.items()}
        said = {"run": self.run, "days": days, "tables": self._hashes, "answers": answers}
        self.path.mkdir(parents=True, exist_ok=True)
        with replacing(self.path / MANIFEST) as file:
            file.write(json.dumps(said, indent=1).encode())


def _cell(value: object) -> str:
    return format(value, ".15g") if isinstance(value, float) else str(value)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
