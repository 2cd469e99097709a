"""The catalogue: one row a feature, with what it means and how it becomes brightness."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice

from finnex.data.normalize import NORMALIZERS, FeatureSpec, NormalizerName
from finnex.errors import LONGEST_SENTENCE, LayoutError, nearest, repeated, shortened, shown
from finnex.layout.direction import COLUMN, UNSTATED, Direction, bundled_directions, read_direction

MOST_ENTRIES, LONGEST_NAME = 8192, 200
"""Features: no canvas has more rows. Characters of a name: it is a coordinate of every store."""


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
    direction
        What brighter means: more `bullish`, more `stress`, or, for `none`, neither.
    """

    table: str
    unit: str
    region: str
    source: str
    meaning: str
    direction: Direction


@dataclass(frozen=True)
class Catalogue:
    """All features in the order of the file: the order of heat-map rows and of the panel's columns.

    Attributes
    ----------
    text
        The file as it was read.
    unstated
        Features whose direction is not known: the file has no column `direction`, and they are not bundled.
    """

    entries: tuple[CatalogueEntry, ...]
    text: str
    unstated: tuple[str, ...] = ()

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

    A text without the column `direction` is of an earlier version: features of bundled names have the bundled
    catalogue's direction, others have none and are `unstated`.

    Raises
    ------
    LayoutError
        With every row that is wrong.
    """
    columns = {field.name for field in fields(CatalogueEntry)}
    try:
        reader = csv.DictReader(io.StringIO(text))
        found = list(reader.fieldnames or ())
        rows = list(islice(reader, MOST_ENTRIES + 1))
    except csv.Error as error:
        raise LayoutError(f"{name} is no CSV file: {error}. Close every quotation mark.") from None
    if len(rows) > MOST_ENTRIES:
        raise LayoutError(f"{name}: has more than {MOST_ENTRIES} rows. An image has no room for so many features.")
    if not any(one.strip().lower() == COLUMN for one in found):
        columns.remove(COLUMN)
    if sorted(found) != sorted(columns):
        missing, extra = sorted(columns - set(found)), sorted(set(found) - columns) + repeated(found)
        raise LayoutError(
            f"{name}: columns missing: {shown(missing) if missing else 'none'}, unknown or twice: "
            f"{shown(extra) if extra else 'none'}. Use exactly {', '.join(sorted(columns))}."
        )
    entries, problems, seen = [], [], dict[str, None]()
    for number, row in enumerate(rows, start=2):
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
                direction=read_direction(row[COLUMN]) if COLUMN in columns
                else bundled_directions().get(row["name"], UNSTATED),
            )  # fmt: skip
        except (ValueError, LayoutError) as error:
            problems.append(f"{name}, row {number}: {shortened(error, LONGEST_SENTENCE)}")
            continue
        if len(entry.name) > LONGEST_NAME or not entry.name.isprintable() or not entry.name.strip():
            problems.append(
                f"{name}, row {number}: {shown(entry.name)} is no name. Use 1 to {LONGEST_NAME} characters."
            )
        if entry.name in seen:
            problems.append(f"{name}, row {number}: feature '{shortened(entry.name)}' appears twice. Keep one row.")
        seen[entry.name] = None
        entries.append(entry)
    if problems:
        raise LayoutError("\n".join(problems))
    unstated = () if COLUMN in columns else tuple(name for name in seen if name not in bundled_directions())
    return Catalogue(tuple(entries), text, unstated)


def _normalizer(word: str) -> NormalizerName:
    for name in NORMALIZERS:
        if word == name:
            return name
    raise ValueError(f"normalizer '{shortened(word)}' is unknown. {nearest(word, NORMALIZERS)}")
