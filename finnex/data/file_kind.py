"""What a file is by its first bytes, whatever its name: text, Parquet, compressed text, or no table."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from finnex.data.table_file import refused

Kind = Literal["text", "parquet", "json"]
"""`json` is text that begins as JSON does."""
MAGIC_BYTES = 16
PARQUET, GZIP, BZIP2, XZ, ZIP = b"PAR1", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04"
AS_CSV = "Save it as CSV in UTF-8, or as Parquet."
STRANGE = {
    b"\xd0\xcf\x11\xe0": ("is an Excel workbook (.xls)", AS_CSV),
    b"\x28\xb5\x2f\xfd": ("is compressed with Zstandard", "Unpack it, or compress it with gzip."),
    b"SQLite format 3": ("is an SQLite database", "Export the table as CSV or Parquet."),
    b"%PDF": ("is a PDF document", AS_CSV),
    b"ARROW1": ("is an Arrow (Feather) file", "Write it as Parquet: DataFrame.to_parquet."),
    b"\x89HDF": ("is an HDF5 file", "Write the table as Parquet: DataFrame.to_parquet."),
    b"Obj\x01": ("is an Avro file", "Write the table as Parquet."),
    b"\x80\x04\x95": ("is a pickle, which FinNeX does not load: it can run code", "Write it as Parquet: to_parquet."),
    b"\x80\x05\x95": ("is a pickle, which FinNeX does not load: it can run code", "Write it as Parquet: to_parquet."),
}
"""First bytes of files that are no tables of ours: what they are, and the remedy."""
DAMAGED = (OSError, EOFError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What opening or unpacking a cut or damaged file raises; of a zip file whose flags are unknown too."""


def head_of(path: Path) -> bytes:
    """Return a file's first bytes as they are stored."""
    with path.open("rb") as file:
        return file.read(MAGIC_BYTES)


def kind_of(path: Path) -> Kind:
    """Return how a file is read.

    Raises
    ------
    InputError
        It is none of these; the message says what it is.
    OSError
        It cannot be read.
    """
    head = head_of(path)
    if head.startswith(PARQUET):
        return "parquet"
    for magic, (what, remedy) in STRANGE.items():
        if head.startswith(magic):
            raise refused(path, what, remedy)
    if head.startswith(ZIP):
        member_of(path)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise refused(
            path, "is a web page, not a table", "The source answered with a page (a limit or a login): fetch it again."
        )
    return "json" if start.startswith((b"{", b"[")) else "text"


def member_of(path: Path) -> str:
    """Return the name of the one table in a zip file.

    Raises
    ------
    InputError
        It is an Excel workbook, or holds no table or several.
    """
    with zipfile.ZipFile(path) as archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir()]
    if any(name.startswith("xl/") for name in names):
        raise refused(path, "is an Excel workbook (.xlsx)", AS_CSV)
    if len(names) != 1:
        raise refused(path, f"is a zip file of {len(names)} files", "Unpack it, and name the folder or the file.")
    return names[0]


def opened(path: Path) -> BinaryIO:
    """Open a file of text, unpacking gzip, bzip2, xz and a zip file of one table.

    Raises
    ------
    InputError
        See `kind_of`.
    OSError
        It cannot be read, or is no such file after all.
    """
    head = head_of(path)
    if head.startswith(GZIP):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if head.startswith(BZIP2):
        return bz2.open(path, "rb")  # type: ignore[return-value]
    if head.startswith(XZ):
        return lzma.open(path, "rb")  # type: ignore[return-value]
    if head.startswith(ZIP):
        name = member_of(path)
        archive = zipfile.ZipFile(path)
        return io.BufferedReader(_Member(archive.open(name), archive))
    return path.open("rb")


def compression_of(path: Path) -> str:
    """Return the word for how a file is compressed; '' where it is not."""
    head = head_of(path)
    found = {GZIP: "gzip", BZIP2: "bzip2", XZ: "xz", ZIP: "zip"}
    return next((word for magic, word in found.items() if head.startswith(magic)), "")


class _Member(io.RawIOBase):
    """A zip file's one member, which closes the archive with itself."""

    def __init__(self, member: object, archive: zipfile.ZipFile) -> None:
        self._member, self._archive = member, archive

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer with the next bytes."""
        count: int = self._member.readinto(buffer)  # type: ignore[attr-defined]
        return count

    def close(self) -> None:
        """Close member and archive."""
        if not self.closed:
            self._member.close()  # type: ignore[attr-defined]
            self._archive.close()
        super().close()
