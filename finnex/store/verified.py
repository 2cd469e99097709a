"""Which companies a build found whole or completed, and the state of their files then: what need not be read again.

The file is written when a build ends. A company whose files have the names, sizes and times of modification of then
(in a bucket: the ETags) is taken as whole without being read; any change of it, by a writer or by damage, shows.
Damage that leaves size and time alone is found by the scrub (`finnex.store.scrub`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from finnex.store.image_store import ImageStore
from finnex.store.journal import read_intent
from finnex.store.place import place_of
from finnex.store.sealed import seal, unseal
from finnex.store.zarr_metadata import FILE
from finnex.store_path import StorePath

VERIFIED = ".finnex/verified.json"


@dataclass(frozen=True)
class Verified:
    """A company as a build left it.

    Attributes
    ----------
    signature
        Of its files, of `signatures`.
    inputs
        Key of the inputs that all its sessions in the build's range were computed and drawn from; '' where the build
        checked its files only, or a session failed.
    sessions
        How many sessions of that range have their image.
    """

    signature: str
    inputs: str = ""
    sessions: int = 0


@dataclass(frozen=True)
class VerifiedStore:
    """All companies that the last build verified, by symbol, and the store's fingerprint after it."""

    companies: Mapping[str, Verified] = field(default_factory=dict)
    fingerprint: str = ""


_parsed: TypeAdapter[VerifiedStore] = TypeAdapter(VerifiedStore)


def read_verified(path: StorePath) -> VerifiedStore:
    """Return what the last build verified: nothing where the file is absent or damaged, as it can be done without."""
    found = place_of(str(path)).get(VERIFIED)
    try:
        return VerifiedStore() if found is None else _parsed.validate_python(unseal(found))
    except (ValueError, ValidationError):
        return VerifiedStore()


def write_verified(path: StorePath, verified: VerifiedStore) -> None:
    """Replace the file, where it says something else. Call under `finnex.store.writing`."""
    place, content = place_of(str(path)), seal(asdict(verified))
    if place.get(VERIFIED) != content:
        place.put(VERIFIED, content)
        place.sync()


def signatures(store: ImageStore, symbols: Iterable[str]) -> dict[str, str]:
    """Return of companies what changes when a file of theirs, their axis or the root's metadata does; '' if unknown."""
    place, companies = place_of(str(store.path)), store.record().companies
    root = zlib.crc32(place.get(FILE) or b"")
    found = {}
    for symbol, of_files in place.signatures([symbol for symbol in symbols if symbol in companies]).items():
        company = companies[symbol]
        axis = f"{company.sessions}-{company.generation}-{company.axis_crc}"
        found[symbol] = f"{of_files}-{axis}-{root}" if of_files else ""
    return found


@contextmanager
def still_verified(store: ImageStore, symbol: str) -> Iterator[None]:
    """Keep a company verified through a change that no build's work depends on, where it is verified before.

    Parameters
    ----------
    store
        The store that is changed.
    symbol
        The company.

    Yields
    ------
    None
        The change is made meanwhile.
    """
    before = read_verified(store.path)
    known = before.companies.get(symbol)
    kept = known is not None and signatures(store, [symbol])[symbol] == known.signature
    yield
    if known is not None and kept:
        now = replace(known, signature=signatures(store, [symbol])[symbol])
        write_verified(store.path, replace(before, companies={**before.companies, symbol: now}))


def whole_companies(store: ImageStore) -> frozenset[str]:
    """Return the companies whose files are as the last build left them; none while a change is interrupted."""
    known = read_verified(store.path).companies
    if not known or read_intent(place_of(str(store.path))) is not None:
        return frozenset()
    now = signatures(store, known)
    return frozenset(symbol for symbol, signature in now.items() if signature and signature == known[symbol].signature)
