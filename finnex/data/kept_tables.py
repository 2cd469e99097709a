"""Tables that did not change are not parsed again: what was read and checked is kept under the hash of its files.

The key is of everything that the reading follows from: the content of every file, its path, as reports name it, how it
is read, the symbols of the run, the code and the libraries. Of a table with a problem nothing is kept: it is read
again, and says the same. The files, of `finnex.files.kept_files`, lie in `tables` of the state folder.
"""

from __future__ import annotations

import json
import locale
import os
import zoneinfo
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

import pandas as pd

from finnex.config import Config, Section
from finnex.data.code_digest import code_digest
from finnex.data.kept_frame import FORMAT, decoded, encoded
from finnex.data.reading import Reading
from finnex.data.table_reader import TableReader
from finnex.errors import Problem
from finnex.files.kept_files import KeptFiles, digest_of

FOLDER = "tables"
"""In the state folder."""
LEAST_BYTES = 1 << 16
"""Of a table's files together: a smaller table is read as fast as it is found."""
Files = Sequence[tuple[Path, Reading]]


@dataclass(frozen=True)
class Key:
    """What a table follows from, in short; '' where a file cannot be read, or where others say what it follows from.

    Attributes
    ----------
    text
        Digest.
    size
        Bytes of the files together.
    """

    text: str
    size: int

    @property
    def worth(self) -> bool:
        """Return whether to keep what follows from it."""
        return bool(self.text) and self.size >= LEAST_BYTES


class KeptTables:
    """Reads tables, each from what is kept of it where nothing changed.

    Parameters
    ----------
    config
        Its state folder keeps them; without one, nothing is kept.
    """

    def __init__(self, config: Config) -> None:
        state = config.state.path
        self._files = KeptFiles(None if state is None else state / FOLDER)
        self._keys: list[Key] = []

    def read(
        self, reader: TableReader, files: Files, problems: list[Problem], *, leave_out: bool = False
    ) -> pd.DataFrame:
        """Return the table of some files as `TableReader.read` does, with its remarks and its problems.

        Parameters
        ----------
        reader
            Of the table.
        files
            Path of each, and how it is read.
        problems
            List that problems are added to.
        leave_out
            Leave out all rows of companies that have a problem.

        Returns
        -------
        pandas.DataFrame
            The checked rows; the same whether they were kept or read.

        Raises
        ------
        InputError
            A file cannot be read at all.
        """
        key = key_of(reader, files, leave_out=leave_out)
        self._keys.append(key)
        if key.worth and (content := self._files.get(key.text)) is not None:
            kept = decoded(content)
            if kept is not None:
                return kept
        found: list[Problem] = []
        given = [(path, _as_given(reading)) for path, reading in files] if key.worth else files
        try:
            table = reader.read(files, found, leave_out=leave_out)
        finally:
            problems += found
        content = encoded(table) if key.worth and not found else None
        if content is not None and key_of(reader, given, leave_out=leave_out) == key:  # else it changed meanwhile
            self._files.put(key.text, content)
        return table

    def sentences(self) -> KeptSentences:
        """Return where to keep what is said of all tables that were read; to be asked for when they all are."""
        self._files.tidy()
        known = all(key.text for key in self._keys)
        size = sum(key.size for key in self._keys)
        text = digest_of("\n".join(key.text for key in self._keys).encode()) if known else ""
        return KeptSentences(self._files, Key(text, size))


@dataclass(frozen=True)
class KeptSentences:
    """Sentences that follow from tables and a configuration.

    Attributes
    ----------
    files
        Where they are kept.
    key
        Of the tables together.
    """

    files: KeptFiles
    key: Key

    def get(self, config: Config) -> list[str] | None:
        """Return the sentences that are kept; None where there are none."""
        content = self.files.get(self._key(config)) if self.key.worth else None
        with suppress(ValueError):
            found = None if content is None else json.loads(content)
            if isinstance(found, list) and all(isinstance(one, str) for one in found):
                return found
        return None

    def put(self, config: Config, sentences: Sequence[str]) -> None:
        """Keep sentences."""
        if self.key.worth:
            self.files.put(self._key(config), json.dumps(sentences).encode())
            self.files.tidy()

    def _key(self, config: Config) -> str:
        return digest_of(f"{self.key.text}\nsentences\n{config.model_dump_json()}".encode())


def key_of(reader: TableReader, files: Files, *, leave_out: bool) -> Key:
    """Return the key of a table; the contents decide, not sizes and times of the files."""
    words, size = _Words(), 0
    part = f"{reader.part.__module__}.{reader.part.__qualname__}"
    about = [FORMAT, code_digest(), reader.table, part, leave_out, locale.setlocale(locale.LC_TIME)]
    digest = blake2b(repr(about).encode(), digest_size=16)
    try:
        for path, reading in files:
            with path.open("rb") as file:
                content = file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
                size += os.fstat(file.fileno()).st_size
            digest.update(repr([str(path), content, words.of_reading(reading)]).encode())
    except OSError:
        return Key("", 0)
    return Key(digest.hexdigest(), size)


class _Words:
    """What readings say, in words; what the files of a table share is put into words once."""

    def __init__(self) -> None:
        self._shared: dict[int, str] = {}
        self._zones: dict[str | None, str] = {}

    def of_reading(self, reading: Reading) -> str:
        named = [(field.name, self._of(getattr(reading, field.name))) for field in fields(reading)]
        zone = reading.zone
        if zone not in self._zones:
            self._zones[zone] = _rules_of(zone)
        return repr([*named, zone, self._zones[zone]])

    def _of(self, value: Any) -> str:
        if not isinstance(value, frozenset | Section):
            return repr(value)
        if id(value) not in self._shared:  # the readings keep it alive
            text = repr(sorted(value)) if isinstance(value, frozenset) else value.model_dump_json(exclude={"files"})
            self._shared[id(value)] = digest_of(text.encode())
        return self._shared[id(value)]


def _rules_of(zone: str | None) -> str:
    """Return a digest of the system's rules of a zone, which are no library's; '' where it has none."""
    for folder in zoneinfo.TZPATH if zone else ():
        with suppress(OSError):
            return digest_of((Path(folder) / str(zone)).read_bytes())
    return ""


def _as_given(reading: Reading) -> Reading:
    """Return a reading as it is before the file is read, which fills some of its fields."""
    return Reading(**{field.name: getattr(reading, field.name) for field in fields(reading)})
