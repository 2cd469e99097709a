"""A place of which nothing is changed: what is written to it stays in memory, so that a repair can be tried out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finnex.store.place import Place


@dataclass(frozen=True)
class Overlay:
    """What lies in a place, with changes that only this process sees."""

    below: Place
    _written: dict[str, bytes | None] = field(default_factory=dict, compare=False, repr=False)
    """By key; None where it was removed."""
    _removed: list[str] = field(default_factory=list, compare=False, repr=False)
    """Folders that were removed, each with a `/` at its end."""

    @property
    def address(self) -> str:
        """Of the place below."""
        return self.below.address

    def _is_below(self, key: str) -> bool:
        return key not in self._written and not key.startswith(tuple(self._removed))

    def get(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """Return what was written, or what lies below."""
        if self._is_below(key):
            return self.below.get(key, first, length)
        found = self._written.get(key)
        return None if found is None else found[first : None if length is None else first + length]

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Keep bytes in memory."""
        self._written[key] = bytes(data)

    def put_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Keep bytes of several keys in memory."""
        for key, data in items:
            self.put(key, data)

    def claim(self, key: str) -> bytes | None:
        """Return what lies under a key; nothing is claimed."""
        return self.get(key)

    def tag(self, key: str) -> int:
        """Return the version that lies below, 0 of what was written here."""
        return self.below.tag(key) if self._is_below(key) else 0

    def signatures(self, folders: Iterable[str]) -> dict[str, str]:
        """Return that nothing is known: what was written here has no version."""
        return dict.fromkeys(folders, "")

    def version(self, keys: Iterable[str]) -> str:
        """Return the version that lies below, '' where one of the keys was written here."""
        wanted = list(keys)
        return self.below.version(wanted) if all(map(self._is_below, wanted)) else ""

    def draft(self, key: str, data: bytes | memoryview, *, flushed: bool = False) -> None:
        """Keep bytes in memory."""
        self.put(key, data)

    def flush(self, keys: Iterable[str]) -> None:
        """Nothing: nothing was written."""

    def move(self, source: str, target: str) -> None:
        """Put what lies under one key under another."""
        found = self.get(source)
        if found is None:
            raise FileNotFoundError(f"{self.address}/{source}")
        self.put(target, found)
        self.delete(source)

    def delete(self, key: str) -> None:
        """Mark a key as removed."""
        self._written[key] = None

    def delete_folder(self, folder: str) -> None:
        """Mark a folder as removed."""
        for key in [one for one in self._written if one.startswith(f"{folder}/")]:
            del self._written[key]
        self._removed.append(f"{folder}/")

    def sync(self) -> None:
        """Nothing: nothing was written."""

    def keys(self, folder: str) -> list[str]:
        """Return the keys directly under a folder."""
        found = {key for key in self.below.keys(folder) if self._is_below(key)}
        written = {key for key, data in self._written.items() if data is not None and key.rpartition("/")[0] == folder}
        return sorted(found | written)

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders directly in a folder."""
        start = f"{folder}/" if folder else ""
        found = {name for name in self.below.folders(folder) if not f"{start}{name}/".startswith(tuple(self._removed))}
        written = [
            one[len(start) :] for one, data in self._written.items() if data is not None and one.startswith(start)
        ]
        return sorted(found | {one.partition("/")[0] for one in written if "/" in one})

    def prepare(self, folder: str) -> None:
        """Nothing: no folder is made."""

    def zarr(self, *, read_only: bool, folder: str = "") -> Any:
        """Return what Zarr opens."""
        from finnex.store.zarr_store import ReadByPlace, WritingStore  # noqa: PLC0415

        found = ReadByPlace(self.below.zarr(read_only=True, folder=folder), self, folder)
        return found if read_only else WritingStore(found, self)
