"""Where a store lies: a folder, or `s3://bucket/prefix`; both know their name, their parent and what lies in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from upath import UPath

from finnex.errors import ConfigError

StorePath = Path | UPath

S3_OPTIONS = {"use_listings_cache": False}
"""s3fs would answer from what it listed earlier, and a store is written by others."""

PLACES = "Give a folder, or s3://BUCKET/PREFIX"
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:::|:)")
"""Two letters or more: one letter and a colon are a drive."""
S3_SPELLINGS = {"s3", "s3a", "s3n"}
VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)
SECRET = re.compile(r"//[^/\s]*@")


def store_path(address: StorePath | str, root: Path | None = None) -> StorePath:
    """Return an address as a path: a `UPath` of s3://, else a `Path`.

    In a string, `~` and `$NAME` are expanded; a `Path` is taken as it is.

    Parameters
    ----------
    root
        Where a relative folder starts; absent, it stays relative.

    Raises
    ------
    ConfigError
        The address has another scheme, is misspelt, or names a variable that is not set.
    """
    text = str(address)
    if isinstance(address, Path):
        if (scheme := scheme_of(address)) is not None:
            meant = _meant(scheme, text.partition(":")[2])
            raise _refusal(text, f"is an address inside a Path, which becomes a folder '{scheme}:'", meant)
        return address if root is None else root / address
    if not text.strip():
        raise ConfigError(f"a store path is empty. {PLACES}.")
    if "\0" in text:
        raise _refusal(text, "holds a null character")
    literal, text = text, _expanded(text, root)
    bare = text.strip()
    scheme, rest = scheme_of(bare), bare.partition(":")[2]
    if scheme is None and "://" not in text:
        if text != text.lstrip():
            raise _refusal(text, "begins with a blank", bare)
        return _folder(text, literal, root)
    if scheme == "s3" and rest.startswith("//") and text == bare:
        return _bucket(text, rest[2:])
    raise _refusal(text, "is neither a folder nor an address in S3", _meant(scheme or "", rest))


def scheme_of(address: StorePath | str) -> str | None:
    """Return the scheme that an address begins with, in lower case; None for a folder.

    Also where a `Path` was made of one, which takes a slash away.
    """
    found = SCHEME.match(str(address))
    if found is None:
        return None
    scheme, rest = found[1].lower(), str(address)[found.end() :]
    return scheme if rest.startswith(("/", "\\")) or scheme in S3_SPELLINGS or found[0].endswith("::") else None


def _bucket(text: str, rest: str) -> UPath:
    bucket, _, prefix = rest.rstrip("/").partition("/")
    if "@" in bucket:
        raise _refusal(
            text, "must not hold a key or a password; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY do", f"s3://{rest}"
        )
    if not bucket:
        raise _refusal(text, "names no bucket")
    if {".", ".."} & set(prefix.split("/")):
        raise _refusal(text, "has a part '.' or '..', which S3 takes as a name")
    if "?versionId=" in prefix:
        raise _refusal(text, "names a version; a store is written, so it has none", f"s3://{rest.partition('?')[0]}")
    return UPath(f"s3://{bucket}/{prefix}", protocol=None, **S3_OPTIONS)


def _folder(text: str, literal: str, root: Path | None) -> Path:
    given, named = (Path(one) if root is None else root / one for one in (text, literal))
    if text != literal and (named / "zarr.json").exists():
        raise ConfigError(
            f"store path '{literal}' now means {given}, and an earlier version of FinNeX made a store in a folder of "
            f"that very name. Give its absolute path, {named.absolute()}, or move it to {given}."
        )
    return given


def _expanded(text: str, root: Path | None) -> str:
    """Return a path with `~` and `$NAME` expanded; where a variable is not set, only a folder of that name will do."""
    if text.startswith("~") and not Path(text).is_absolute():
        home = os.path.expanduser(text)  # noqa: PTH111  Path drops a second slash
        if home == text:
            account = text[1:].partition("/")[0]
            raise _refusal(text, f"names the home of an account, and there is no account '{account}'")
        text = home
    unset = [name for found in VARIABLE.finditer(text) if (name := found[1] or found[2] or "") not in os.environ]
    if not unset:
        return os.path.expandvars(text)
    if (Path(text) if root is None else root / text).exists():
        return text
    raise _refusal(text, f"names the environment variable {unset[0]}, which is not set; set it")


def _meant(scheme: str, rest: str) -> str:
    """Return the address that was probably meant; empty where no guess is good."""
    rest = SECRET.sub("//", rest)
    if scheme in S3_SPELLINGS and rest.strip("/"):
        return f"s3://{rest.lstrip('/').rstrip()}"
    if scheme == "file":
        return "/" + rest.removeprefix("//localhost").lstrip("/")
    return ""


def _refusal(text: str, why: str, meant: str = "") -> ConfigError:
    hint = f" Did you mean '{SECRET.sub('//', meant)}'?" if meant and meant != text else ""
    shown = SECRET.sub("//...@", text)
    return ConfigError(f"store path '{shown}' {why}.{hint} {PLACES}; a folder of this very name by its absolute path.")
