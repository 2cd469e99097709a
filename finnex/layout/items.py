"""Keys and values of a layout file: what can be read is returned, what cannot is noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from finnex.errors import MOST_OF_A_KIND, nearest, repeated, shortened, shown

Item = Mapping[str, Any]
MOST_PX = 8192
"""Side of the largest canvas."""
MOST_VALUES = 1 << 26
"""Of a canvas over all its channels: one of that side and one channel, 85 of the bundled layouts'."""
MOST_TABLES = 512
"""Sections, and regions: 22 for each of the bundled layout's."""


class Items:
    """Reads keys and keeps a list of mistakes, each with its place and its remedy."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes

    def items(self, document: Item, key: str) -> list[Item]:
        """Return the tables under [[key]]; none where there are none."""
        found = document.get(key, [])
        if not found or not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            self.mistakes.append(f"the layout has no {key}s. Write each under [[{key}]].")
            return []
        if len(found) > MOST_TABLES:
            self.mistakes.append(f"the layout has {len(found)} {key}s, more than {MOST_TABLES}. Leave some out.")
            return []
        return found

    def only(self, item: Item, valid: Iterable[str], where: str) -> None:
        """Note every key that is not valid, with the nearest that is."""
        known = set(valid)
        self.mistakes += [
            f"{where}: unknown key '{shortened(key)}'. {nearest(key, known)}"
            for key in islice((key for key in item if key not in known), MOST_OF_A_KIND)
        ]

    def need(self, item: Item, key: str, where: str, kind: type, words: str) -> Any:
        """Return a key's value, None where it is missing or of another kind.

        Parameters
        ----------
        item
            A table of the layout.
        key
            Key that it must have.
        where
            Names the table in a mistake.
        kind
            Type that the value must have.
        words
            What to write, in a mistake.

        Returns
        -------
        Any
            The value, or None.
        """
        if key not in item:
            self.mistakes.append(f"{where}: key '{key}' is missing. Add it.")
        elif type(item[key]) is not kind:
            self.mistakes.append(f"{where}: {key} {shown(item[key])} is wrong. Write {words}.")
        else:
            return item[key]
        return None

    def count(self, canvas: Item, key: str) -> int | None:
        """Return a whole number from 1 to `MOST_PX`."""
        found: int | None = self.need(canvas, key, "canvas", int, "a whole number")
        if found is not None and not 1 <= found <= MOST_PX:
            self.mistakes.append(f"canvas: {key} {found} is outside 1 to {MOST_PX}. Correct it.")
            return None
        return found

    def words(self, item: Item, key: str, where: str, valid: Iterable[str]) -> tuple[str, ...]:
        """Return a list of different words, those that `valid` knows where it knows any.

        Parameters
        ----------
        item
            A table of the layout.
        key
            Key of the list; absent, the list is empty.
        where
            Names the table in a mistake.
        valid
            Words that are known; empty where any word will do.

        Returns
        -------
        tuple of str
            The words in the file's order.
        """
        found = item.get(key, [])
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            self.mistakes.append(f'{where}: {key} {shown(found)} is no list of words. Write it as ["word", ...].')
            return ()
        known = set(valid)
        for word in repeated(found):
            self.mistakes.append(f"{where}: '{shortened(word)}' appears twice in {key}. Keep one.")
        strange = [word for word in found if known and word not in known]
        self.mistakes += [
            f"{where}: {key[:-1]} '{shortened(word)}' is not in the catalogue. {nearest(word, known)}"
            for word in strange[:MOST_OF_A_KIND]
        ]
        return tuple(dict.fromkeys(word for word in found if not known or word in known))

    def span(self, item: Item, key: str, where: str) -> tuple[int, int] | None:
        """Return the half-open bounds of [first, last]."""
        bounds = self.need(item, key, where, list, "[first, last], both included")
        if bounds is None:
            return None
        if len(bounds) == 2 and all(type(bound) is int for bound in bounds) and 0 <= bounds[0] <= bounds[1] < MOST_PX:
            return bounds[0], bounds[1] + 1
        self.mistakes.append(
            f"{where}: {key} {shown(bounds)} is no span. Write [first, last], both included, below {MOST_PX}."
        )
        return None
