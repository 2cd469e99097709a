"""Yahoo, FRED and the SEC on this machine: an HTTPS proxy with an authority of its own, and answers made by hand.

Programs reach it by HTTPS_PROXY and trust it by REQUESTS_CA_BUNDLE; nothing in them is replaced. It never connects to
another machine: a host that it does not know is refused.
"""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = (
    *("fc.yahoo.com", "query1.finance.yahoo.com", "query2.finance.yahoo.com", "guce.yahoo.com", "consent.yahoo.com"),
    *("api.stlouisfed.org", "www.sec.gov", "data.sec.gov"),
)


@dataclass
class Asked:
    """A request that arrived."""

    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


@dataclass
class Reply:
    """What is answered."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Answers = Callable[[Asked], Reply]


@dataclass
class Sites:
    """The running proxy."""

    port: int
    authority: Path
    answers: Answers
    asked: list[Asked] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Return the variables by which programs reach and trust it."""
        proxy, authority = f"http://127.0.0.1:{self.port}", str(self.authority)
        return {
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy),
            **dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), authority),
            "NO_PROXY": "",
            "no_proxy": "",
        }


def _certificates(folder: Path) -> Path:
    """Write an authority and a certificate of all hosts."""
    now = dt.datetime.now(dt.UTC)
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "FinNeX tests")])
    keys = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def signed(name: x509.Name, key: Any, *extensions: tuple[x509.ExtensionType, bool]) -> bytes:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(own).public_key(key)
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=2))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    (folder / "authority.pem").write_bytes(
        signed(own, keys[0].public_key(), (x509.BasicConstraints(ca=True, path_length=None), True))
    )
    host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
    names = x509.SubjectAlternativeName([x509.DNSName(one) for one in HOSTS])
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "hosts.pem").write_bytes(private + signed(host, keys[1].public_key(), (names, False)))
    return folder / "authority.pem"


class _Proxy(BaseHTTPRequestHandler):
    sites: Sites
    context: ssl.SSLContext
    host = ""

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if host not in HOSTS:
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        with suppress(OSError), self.context.wrap_socket(self.connection, server_side=True) as secure:
            inner = type("Inner", (_Inside,), {"sites": self.sites, "host": host})
            inner(secure, self.client_address, self.server)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Inside(BaseHTTPRequestHandler):
    sites: Sites
    host = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        asked = Asked(self.host, unquote(parts.path), query, dict(self.headers))
        self.sites.asked.append(asked)
        reply = self.sites.answers(asked)
        self.send_response(reply.status)
        fields = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))} | reply.headers
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def sites_running(folder: Path, answers: Answers) -> Iterator[Sites]:
    """Run the proxy on a free port for the length of the block."""
    authority = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hosts.pem")
    handler = type("Handler", (_Proxy,), {"context": context})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    sites = Sites(server.server_address[1], authority, answers)
    handler.sites = sites  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sites
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def as_json(document: object, status: int = 200) -> Reply:
    """Return a reply of JSON."""
    return Reply(json.dumps(document).encode(), status)
