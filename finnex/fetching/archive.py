"""Answers of sources, kept as they came: one file for the bytes, one that says what, when, from where and its hash.

An answer is found again by its request. Keys, crumbs and names of users are no part of a request here, so that none is
ever written.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import TypeAdapter, ValidationError

from finnex.errors import FetchError
from finnex.fetching.sources import Source
from finnex.files.replacing import replacing, sweep_drafts

SECRETS = frozenset({"api_key", "crumb"})
"""Parameters of requests that are never kept."""


@dataclass(frozen=True)
class Answer:
    """What a source answered: status, type and bytes, unpacked."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Kept:
    """What the archive says of an answer; the manifest lists these.

    Attributes
    ----------
    source, request
        Who was asked for what, without secrets.
    fetched_at
        Moment of the answer, UTC, ISO 8601.
    sha256, size
        Of the unpacked bytes.
    file
        The gzipped bytes, relative to the archive.
    """

    source: str
    request: str
    fetched_at: str
    status: int
    content_type: str
    sha256: str
    size: int
    file: str
    terms: str


_KEPT = TypeAdapter(Kept)


def request_of(url: str, parameters: Mapping[str, object] | None = None, *, as_of: str = "") -> str:
    """Return a request in its one written form: path and sorted parameters, no host, no secrets.

    Parameters
    ----------
    url
        Address, which may have parameters too.
    parameters
        Further ones.
    as_of
        Day until which the answer is wanted, where the address does not say it: a later day is another request.

    Returns
    -------
    str
        Such as ``/v8/finance/chart/ACME?interval=1d&range=1d``.

    Examples
    --------
    >>> request_of("https://example.org/a?b=1&api_key=secret", {"a": 2})
    '/a?a=2&b=1'
    """
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *((parameters or {}).items())]
    said = sorted((name, str(value)) for name, value in pairs if name not in SECRETS)
    if as_of:
        said.append(("as_of", as_of))
    return parts.path + (f"?{urlencode(said)}" if said else "")


class Archive:
    """The kept answers below a folder.

    Parameters
    ----------
    folder
        Made when the first answer is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for place in folder.glob("*/"):
            sweep_drafts(place)

    def find(self, source: Source, request: str) -> Answer | None:
        """Return the answer to a request, None where none is kept or its bytes are not those that were."""
        place = self._place(source, request)
        kept = self._read(place.with_suffix(".json"))
        if kept is None or (kept.source, kept.request) != (source.name, request):
            return None
        try:
            body = gzip.decompress(place.with_suffix(".gz").read_bytes())
        except (OSError, EOFError, ValueError):
            return None
        if hashlib.sha256(body).hexdigest() != kept.sha256:
            return None
        return Answer(kept.status, kept.content_type, body)

    def keep(self, source: Source, request: str, answer: Answer) -> None:
        """Write an answer: its bytes, then what is said of them, each whole or absent.

        Raises
        ------
        FetchError
            The folder cannot be written.
        """
        place = self._place(source, request).with_suffix(".gz")
        digest = hashlib.sha256(answer.body).hexdigest()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        file = place.relative_to(self.folder).as_posix()
        about = Kept(
            source.name, request, now, answer.status, answer.content_type, digest, len(answer.body), file, source.terms
        )
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as packed:
                packed.write(gzip.compress(answer.body, mtime=0))
            with replacing(place.with_suffix(".json")) as said:
                said.write(_KEPT.dump_json(about, indent=1))
        except OSError as error:
            raise FetchError(
                f"{place} cannot be written ({error.strerror}). Free the disk, or choose another folder with --to."
            ) from None

    def entries(self) -> list[Kept]:
        """Return what is kept, by source and request."""
        found = [kept for path in self.folder.glob("*/*.json") if (kept := self._read(path)) is not None]
        return sorted(found, key=lambda kept: (kept.source, kept.request))

    def _place(self, source: Source, request: str) -> Path:
        return self.folder / source.name / hashlib.sha256(request.encode()).hexdigest()[:32]

    @staticmethod
    def _read(path: Path) -> Kept | None:
        try:
            return _KEPT.validate_json(path.read_bytes(), strict=True)
        except (OSError, ValidationError):
            return None
