"""A TLS identity for one Dask cluster, and the folder of this account alone that holds it.

Dask executes code that any account of the machine sends to its ports. With TLS it accepts only clients with a
certificate of the cluster's own authority. The authority signs one certificate when a cluster starts; its key is never
written. `python -m flows.clusters.identity FOLDER` writes such an identity for the containers of `docker/compose.yaml`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import distributed
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from finnex.errors import ServiceError

PREFIX = "finnex-dask-"
FILES = ("ca.pem", "cert.pem", "key.pem")
SCRATCH = "dask-scratch-space"
"""The name of the folder that Dask makes for what does not fit into memory."""
TMPDIR = "Let TMPDIR name a folder that can be written."
LIFETIME = dt.timedelta(days=3650)
"""An identity ends with its cluster, or with the volume that holds it."""
CLOCK_SKEW = dt.timedelta(days=1)
"""The clocks of a queue's nodes may differ so much from ours."""


def make_identity(folder: Path) -> distributed.Security:
    """Make an authority and a certificate, leave them and the certificate's key in `folder`, readable by its owner.

    Returns
    -------
    distributed.Security
        For client, scheduler and workers; nothing goes unencrypted with it.

    Raises
    ------
    ServiceError
        The files cannot be written.
    """
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = PrivateFormat.PKCS8
    texts = (
        _certificate("FinNeX authority", authority, authority).public_bytes(Encoding.PEM),
        _certificate("FinNeX", own, authority).public_bytes(Encoding.PEM),
        own.private_bytes(Encoding.PEM, pem, NoEncryption()),
    )
    try:
        for name, text in zip(FILES, texts, strict=True):
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(text)
    except OSError as error:
        raise ServiceError(
            f"Dask's key cannot be written in {folder.parent} ({error.strerror}). Free space there, or start FinNeX "
            "with another TMPDIR; with [dask] workers = 0 it needs no key."
        ) from None
    return tls_identity(*(folder / name for name in FILES))


def tls_identity(ca: Path, certificate: Path, key: Path) -> distributed.Security:
    """Return the identity of three PEM files for client, scheduler and workers; nothing goes unencrypted with it."""
    mine, secret = str(certificate), str(key)
    return distributed.Security(
        tls_ca_file=str(ca), require_encryption=True, tls_client_cert=mine, tls_client_key=secret,
        tls_scheduler_cert=mine, tls_scheduler_key=secret, tls_worker_cert=mine, tls_worker_key=secret,
    )  # fmt: skip


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, authority: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.UTC)
    signer = authority.public_key()
    return (
        x509.CertificateBuilder(named("FinNeX authority"), named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=key is authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        .sign(authority, hashes.SHA256())
    )


@contextmanager
def private_folder(parent: Path, prefix: str = PREFIX, remedy: str = TMPDIR) -> Iterator[Path]:
    """Make a folder that no other account can enter, and remove it when the block ends.

    What processes that were killed left below `parent` is removed first. A process holds a lock (`flock`) on its
    folder for as long as it lives; where the file system has no locks, nothing is removed.

    Raises
    ------
    ServiceError
        No folder can be made in `parent`; the message ends with `remedy`.
    """
    _sweep(parent, prefix)
    path, held = _make(parent, prefix, remedy)
    try:
        yield path
    finally:
        _remove(path, held)
        os.close(held)


def temporary_folder() -> Path:
    """Return the folder for temporary files: TMPDIR, or the system's.

    Raises
    ------
    ServiceError
        None can be written.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise ServiceError(f"there is no folder for temporary files ({error.strerror}). {TMPDIR}") from None


def _make(parent: Path, prefix: str, remedy: str) -> tuple[Path, int]:
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))  # mode 700 for any umask
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise ServiceError(
                f"no folder can be made in {parent} ({error.strerror}), and Dask needs one for its key and its files. "
                f"{remedy}"
            ) from None
        with contextlib.suppress(BlockingIOError):
            _lock(held)
            if path.exists():
                return path, held
        os.close(held)  # another process swept it before it was locked


def _lock(held: int) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        pass


def _sweep(parent: Path, prefix: str) -> None:
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Where others may rename what is in `parent`, a name proves nothing: owner and contents do.
                if os.fstat(held).st_uid == os.geteuid() and _names(held) <= {*FILES, SCRATCH}:
                    _remove(path, held)
            finally:
                os.close(held)


def _names(held: int) -> set[str]:
    return set(os.listdir(held))


def _remove(path: Path, held: int) -> None:
    """Remove what a folder of ours holds through its open descriptor, so that no other can be put in its place."""
    with contextlib.suppress(OSError):
        for name in _names(held):
            if name == SCRATCH:
                shutil.rmtree(name, ignore_errors=True, dir_fd=held)
            else:
                os.unlink(name, dir_fd=held)
        path.rmdir()


def main() -> None:
    """Leave an identity in the folder of the command line, where there is none, or end with one sentence."""
    try:
        folder = Path(sys.argv[1])
        if not all((folder / name).is_file() for name in FILES):
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            make_identity(folder)
    except (IndexError, ServiceError) as error:
        sys.exit(f"no identity was made: {error}")


if __name__ == "__main__":
    main()
