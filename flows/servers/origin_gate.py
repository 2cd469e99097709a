"""One gate before Prefect and MLflow.

`python -m flows.servers.origin_gate --host H --port P` is the Prefect server behind it; `mlflow server --app-name
finnex` (an entry point of this package) is MLflow behind it. Gate and server are one process: no port bypasses it.

Both servers answer every program of this machine. A web page open in a browser on it may therefore drive them: by a
plain POST, by a WebSocket, under a name of its own that it points at 127.0.0.1, or from another local port; and a
deployment runs a program. The gate passes a request only if it asks for this server by one of its names
and, where a browser sends it for a page, the page is this server's own.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.servers.access import NAMES, at_port

OWN_PAGE = {"same-origin", "none"}
"""Values of Sec-Fetch-Site for a page of the server, and for an address that a person typed."""
LOCALHOST = re.compile(r"localhost(:\d+)?")
MLFLOW_CLOSED = ("/ajax-api/3.0/mlflow/assistant", "/api/3.0/mlflow/assistant")
"""MLflow's assistant runs programs on this machine at the request of a page."""
SHOWN = 100
"""Characters of a header that a refusal repeats."""


class Gate:
    """ASGI middleware that refuses requests for another host, or for a page of another origin.

    Parameters
    ----------
    names
        `host:port` in lower case, the one for people first. A port may be left out where it is the scheme's own. Where
        the first is 127.0.0.1, a page that is opened as `localhost` is sent there.
    closed
        Paths that are refused, with all below them.
    """

    def __init__(self, app: ASGIApp, names: tuple[str, ...], closed: tuple[str, ...] = ()) -> None:
        self._app = app
        self._names = names
        self._closed = closed
        self._only_here = names[0].startswith("127.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[:SHOWN]})
        elif refusal is not None:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
        elif self._only_here and _is_visit(scope, headers) and LOCALHOST.fullmatch(headers["host"].lower()):
            # Another account may serve the same port of ::1, which a browser also calls localhost.
            where = f"http://{self._names[0]}{scope.get('raw_path', b'/').decode('latin-1')}"
            query = scope.get("query_string", b"").decode("latin-1")
            answer = RedirectResponse(f"{where}?{query}" if query else where)
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._names:
            return f"This server is not called '{', '.join(hosts)[:SHOWN]}'. Its names are listed in {NAMES}."
        path = re.sub("/+", "/", scope["path"])
        if any(path == one or path.startswith(f"{one}/") for one in self._closed):
            return f"{path[:SHOWN]} is closed."
        origins = headers.getlist("origin")
        if any(not self._is_own(origin.lower(), hosts[0]) for origin in origins):
            return f"A page of {', '.join(origins)[:SHOWN]} may not use this server."
        sites = headers.getlist("sec-fetch-site")
        if not origins and any(site not in OWN_PAGE for site in sites) and not _is_visit(scope, headers):
            return "A page of another site may not use this server."
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        """Return whether an origin is this server's; `localhost` only where it was asked for by that name."""
        name = origin.removeprefix("http://")
        return name != origin and name in self._names and (name == host or not LOCALHOST.fullmatch(name))


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser opens a page in a window, as a person does who follows a link."""
    return (
        scope["type"] == "http"
        and scope["method"] in {"GET", "HEAD"}
        and headers.getlist("sec-fetch-mode") == ["navigate"]
        and headers.getlist("sec-fetch-dest") == ["document"]
        and "origin" not in headers
    )


def server_names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list, in lower case, in their order."""
    return tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))


def mlflow_app() -> Any:
    """Return MLflow behind the gate: the entry point that `mlflow server --app-name finnex` starts.

    Raises
    ------
    KeyError
        FINNEX_SERVER_NAMES is not set.
    """
    from finnex.tracking.mlflow_application import mlflow_application  # noqa: PLC0415  Prefect's server needs none

    return Gate(mlflow_application(), server_names(os.environ[NAMES]), MLFLOW_CLOSED)


def main() -> None:
    """Run the Prefect server: API, UI, scheduler and all its services in this process."""
    from prefect.server.api.server import create_app  # noqa: PLC0415  MLflow's server needs none of it
    from prefect.settings import get_current_settings  # noqa: PLC0415

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
