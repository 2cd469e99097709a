"""Whether there is a store at a path."""

from __future__ import annotations

from finnex.errors import StoreError
from finnex.store.place import place_of
from finnex.store.s3 import out_of_reach
from finnex.store_path import StorePath, store_path


def holds_a_store(path: StorePath | str) -> bool:
    """Return whether there is a store at a path.

    Raises
    ------
    ConfigError
        The path is neither a folder nor in a bucket.
    StoreError
        The place cannot be reached.
    """
    path = store_path(path)
    try:
        return place_of(str(path)).get("zarr.json") is not None
    except out_of_reach() as error:
        raise StoreError(f"{path} cannot be reached ({error}). Correct [store] path, or AWS's variables.") from None
