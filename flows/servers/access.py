"""Access to the servers: on loopback any account of this machine, elsewhere only with the password."""

from __future__ import annotations

import base64
import ipaddress
import os
import socket

import psutil

from finnex.errors import ServiceError

LOOPBACK = "127.0.0.1"
USER = "finnex"
PASSWORD = "FINNEX_PASSWORD"
NAMES = "FINNEX_SERVER_NAMES"
"""Environment variable: `host:port` of every name the Prefect server may be asked for, separated by commas."""
SHORTEST_PASSWORD = 12
"""MLflow refuses shorter ones."""


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_everywhere(host: str) -> bool:
    """Return whether `host` means every address of this machine."""
    return host in {"0.0.0.0", "::"}


def server_password(host: str) -> str | None:
    """Return what both servers ask for, from the environment; None on loopback where it holds none.

    Raises
    ------
    ServiceError
        Others reach `host` and there is no password, or one that is too short.
    """
    given = os.environ.get(PASSWORD) or None
    if given is None and not is_loopback(host):
        raise ServiceError(
            f"other machines can reach {host}, so Prefect and MLflow need a password: a client that reaches them can "
            f"run programs here. Set {PASSWORD} to {SHORTEST_PASSWORD} characters or more, or leave --host away."
        )
    if given is not None and len(given) < SHORTEST_PASSWORD:
        raise ServiceError(f"{PASSWORD} is shorter than {SHORTEST_PASSWORD} characters. Choose a longer one.")
    return given


def authorization(user: str, password: str) -> dict[str, str]:
    """Return the HTTP header that carries a user's password."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def host_names(host: str) -> tuple[str, ...]:
    """Return the names under which a server that listens at `host` may be asked for, the best one first."""
    own = (LOOPBACK, "localhost")
    if is_loopback(host):
        return tuple(dict.fromkeys((host, *own)))
    if not is_everywhere(host):
        return (host, *own)
    addresses = [
        one.address
        for each in psutil.net_if_addrs().values()
        for one in each
        if one.family in {socket.AF_INET, socket.AF_INET6} and "%" not in one.address
    ]
    return tuple(dict.fromkeys((socket.gethostname(), socket.getfqdn(), *addresses, *own)))


def at_port(name: str, port: int) -> str:
    """Return `name:port` as written in an address; IPv6 in brackets."""
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
