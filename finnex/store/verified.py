"""Which companies a build found whole or completed, and the state of their files then: what need not be read again.

The file is written when a build ends. A company whose files have the names, sizes and times of modification of then
(in a bucket: the ETags) is taken as whole without being read; any change of it, by a writer or by damage, shows.
Damage that leaves size and time alone is found by the scrub (`finnex.store.scrub`).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from finnex.store.image_store import ImageStore
from finnex.store.journal import read_intent
from finnex.store.place import Place, place_of
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
        Of its files and of what the root record says of it, of `signatures`.
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
    """All companies that the last build verified, by symbol.

    Attributes
    ----------
    root
        crc32 of the root's metadata after the build.
    fingerprint
        Of the store after the build; '' where it is not known.
    """

    companies: Mapping[str, Verified] = field(default_factory=dict)
    root: int = -1
    fingerprint: str = ""


_parsed: TypeAdapter[VerifiedStore] = TypeAdapter(VerifiedStore)


def read_verified(path: StorePath) -> VerifiedStore:
    """Return what the last build verified: nothing where the file is absent or damaged, as it can be done without."""
    found = place_of(str(path)).get(VERIFIED)
    try:
        return VerifiedStore() if found is None else _parsed.validate_python(unseal(found))
    except (ValueError, ValidationError):
        return VerifiedStore()


def write_verified(path: StorePath, companies: Mapping[str, Verified], fingerprint: str) -> None:
    """Replace the file, where it says something else. Call under `finnex.store.writing`."""
    place = place_of(str(path))
    content = seal(asdict(VerifiedStore(companies, _root(place), fingerprint)))
    if place.get(VERIFIED) != content:
        place.put(VERIFIED, content)
        place.sync()


def signatures(store: ImageStore, symbols: Iterable[str]) -> dict[str, str]:
    """Return of companies what changes when a file of theirs does, or the root record of them; '' if unknown.

    How many predictions there are, and when where the inputs end was recorded, does not count.
    """
    place, record = place_of(str(store.path)), store.record()
    inputs = {
        symbol: repr((one.renderer, sorted(one.tables.items()))) for one in record.inputs for symbol in one.symbols
    }
    found = {}
    for symbol, of_files in place.signatures([one for one in symbols if one in record.companies]).items():
        company = record.companies[symbol]
        axis = (company.sessions, company.generation, company.axis_crc)
        said = repr((axis, sorted(company.quarantined.items()), inputs.get(symbol)))
        found[symbol] = f"{of_files}-{zlib.crc32(said.encode())}" if of_files else ""
    return found


def _root(place: Place) -> int:
    return zlib.crc32(place.get(FILE) or b"")


@contextmanager
def still_verified(store: ImageStore, symbols: Collection[str]) -> Iterator[None]:
    """Keep companies verified through a change that no build's work depends on, where they are verified before.

    Parameters
    ----------
    store
        The store that is changed.
    symbols
        All companies that it changes: the file is written as a whole.

    Yields
    ------
    None
        The change is made meanwhile.
    """
    verified = read_verified(store.path)
    known = verified.companies
    kept = whole_companies(store).intersection(symbols)
    yield
    if kept:
        now = {symbol: replace(known[symbol], signature=one) for symbol, one in signatures(store, kept).items()}
        write_verified(store.path, {**known, **now}, verified.fingerprint)  # which has no prediction in it


def whole_companies(store: ImageStore) -> frozenset[str]:
    """Return the companies whose files are as the last build left them; none while a change is interrupted."""
    place, verified = place_of(str(store.path)), read_verified(store.path)
    known = verified.companies
    if not known or verified.root != _root(place) or read_intent(place) is not None:
        return frozenset()
    now = signatures(store, known)
    return frozenset(symbol for symbol, signature in now.items() if signature and signature == known[symbol].signature)
