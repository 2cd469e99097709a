"""The catalogue: one row a feature, with what it means and how it becomes brightness."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields
from functools import cached_property

from finnex.data.normalize import NORMALIZERS, FeatureSpec, NormalizerName
from finnex.errors import LayoutError, nearest


@dataclass(frozen=True)
class CatalogueEntry(FeatureSpec):
    """A feature as people read it.

    Attributes
    ----------
    table
        The input table it comes from (`calendar` for what follows from the exchange's sessions).
    unit
        Unit of the original value.
    region
        The heat-map region whose row it is.
    source
        A book, a paper, TA-Lib's name or who publishes the series.
    meaning
        One line.
    """

    table: str
    unit: str
    region: str
    source: str
    meaning: str


@dataclass(frozen=True)
class Catalogue:
    """All features in the order of the file: the order of heat-map rows and of the panel's columns."""

    entries: tuple[CatalogueEntry, ...]
    text: str

    @cached_property
    def position(self) -> dict[str, int]:
        """Feature name to its column in the panel."""
        return {entry.name: column for column, entry in enumerate(self.entries)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(self.position)

    def of_region(self, region: str) -> tuple[str, ...]:
        """Return the features whose row is in the heat map `region`."""
        return tuple(entry.name for entry in self.entries if entry.region == region)

    def find(self, name: str) -> CatalogueEntry:
        """Return a feature by name.

        Raises
        ------
        LayoutError
            There is none; names the nearest.
        """
        if name not in self.position:
            raise LayoutError(f"the catalogue has no feature '{name}'. {nearest(name, self.position)}")
        return self.entries[self.position[name]]


def parse_catalogue(text: str, name: str = "catalogue.csv") -> Catalogue:
    """Read a catalogue from CSV text.

    Raises
    ------
    LayoutError
        With every row that is wrong.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = {field.name for field in fields(CatalogueEntry)}
    found = set(reader.fieldnames or ())
    if found != columns:
        missing, extra = sorted(columns - found), sorted(found - columns)
        raise LayoutError(
            f"{name}: columns missing: {missing or 'none'}, unknown: {extra or 'none'}. Use exactly {sorted(columns)}."
        )
    entries, problems, seen = [], [], set()
    for number, row in enumerate(reader, start=2):
        if None in row or None in row.values():
            problems.append(f"{name}, row {number}: not as many cells as the first line has. Give {len(columns)}.")
            continue
        try:
            entry = CatalogueEntry(
                name=row["name"], table=row["table"], unit=row["unit"], region=row["region"], source=row["source"],
                meaning=row["meaning"], normalizer=_normalizer(row["normalizer"]),
                low=float(row["low"]), high=float(row["high"]),
                window_sessions=int(row["window_sessions"] or 0), max_age_sessions=int(row["max_age_sessions"] or 0),
                orientation=int(row["orientation"]),
            )  # fmt: skip
        except (ValueError, LayoutError) as error:
            problems.append(f"{name}, row {number}: {error}")
            continue
        if entry.name in seen:
            problems.append(f"{name}, row {number}: feature '{entry.name}' stands twice. Keep one row.")
        seen.add(entry.name)
        entries.append(entry)
    if problems:
        raise LayoutError("\n".join(problems))
    return Catalogue(tuple(entries), text)


def _normalizer(word: str) -> NormalizerName:
    for name in NORMALIZERS:
        if word == name:
            return name
    raise ValueError(f"normalizer '{word}' is unknown. {nearest(word, NORMALIZERS)}")
