"""The Prefect server behind a gate: `python -m flows.gate --host H --port P`.

Prefect answers whoever asks. A web page open in a browser on the same machine may therefore drive it: by a plain
POST, by a WebSocket, or under a name of its own that it points at 127.0.0.1; and a deployment is a program that
runs. The gate lets a request through only if it asks for this server by one of its names and, where it comes from
a web page, the page is this server's own.
"""

from __future__ import annotations

import argparse
import os
from urllib.parse import urlsplit

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import get_current_settings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.access import NAMES, at_port


class Gate:
    """ASGI middleware that refuses requests for another host, or from a page of another origin.

    Parameters
    ----------
    names
        `host:port` in lower case. A port may be left out where it is the scheme's own.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] not in {"http", "websocket"} or (refusal := self._refusal(Headers(scope=scope))) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        host = headers.get("host", "").lower()
        if host not in self._names:
            return f"This server is not called '{host[:100]}'. Its names stand in {NAMES}."
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin.lower()).netloc not in self._names:
            return f"A page of {origin[:100]} may not use this server."
        return None


def server_names(text: str) -> frozenset[str]:
    """Return the names of a comma-separated list."""
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def main() -> None:
    """Run the Prefect server: API, UI, scheduler and all its services in this process."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--host", required=True)
    options.add_argument("--port", type=int, required=True)
    given = options.parse_args()
    names = server_names(os.environ.get(NAMES, at_port(given.host, given.port)))
    settings = get_current_settings().server
    # Around the application, not in it: Prefect's own services call the application without coming from outside.
    uvicorn.run(
        Gate(create_app(final=True), names), host=given.host, port=given.port,
        log_level=settings.logging_level.lower(), access_log=False,
        timeout_keep_alive=settings.api.keepalive_timeout, ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
    )  # fmt: skip


if __name__ == "__main__":
    main()
