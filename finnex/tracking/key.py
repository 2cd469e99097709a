"""The key of a state folder: what `train` seals a registered model with, and what is checked before one is loaded.

A program that may write into the registry can write tags and files there. The key is outside of it, in the state
folder, readable by its owner alone: without it no valid seal can be made.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

from filelock import FileLock

from finnex.config import Config
from finnex.config.state import state_folder
from finnex.errors import ServiceError

KEY_FILE = "model.key"
KEY_BYTES = 32


def key_file(config: Config) -> Path:
    """Return where the key of a study is: in the state folder of its configuration."""
    return (config.state.path or state_folder(Path.cwd())) / KEY_FILE


def read_key(path: Path) -> bytes | None:
    """Return the key; None where none was made yet.

    Raises
    ------
    ServiceError
        Other accounts may read or change it, or it is no key.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServiceError(f"the key {path} cannot be read ({error.strerror}). Restore the file.") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077 or about.st_uid not in {os.getuid(), 0}:
            raise ServiceError(
                f"the key {path} is open to other accounts (mode {stat.S_IMODE(about.st_mode):o}, owner "
                f"{about.st_uid}): they could seal models. chmod 600 it if no other account can have read it; "
                "otherwise remove it and train again: finnex train."
            )
        text = file.read(4 * KEY_BYTES)
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ServiceError(
            f"{path} holds no key of {KEY_BYTES} bytes. Restore the file, or remove it and train again: finnex train."
        )
    return key


def make_key(path: Path) -> bytes:
    """Return the key, made now where there is none.

    Raises
    ------
    ServiceError
        It cannot be read or written.
    """
    if (found := read_key(path)) is not None:
        return found
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(str(path.with_name(f".{KEY_FILE}.lock")), mode=0o600):
            if (found := read_key(path)) is not None:  # another training was faster
                return found
            key = secrets.token_bytes(KEY_BYTES)
            with tempfile.NamedTemporaryFile(  # of mode 600
                "w", dir=path.parent, prefix=f".{KEY_FILE}.", delete=False
            ) as draft:
                draft.write(key.hex() + "\n")
                draft.flush()
                os.fsync(draft.fileno())
            Path(draft.name).replace(path)
            return key
    except OSError as error:
        raise ServiceError(
            f"the key {path} cannot be written ({error.strerror}). Make {path.parent} a folder that you can write to."
        ) from None
