"""What Dask's configuration names as `preload`: its schedulers and workers then serve no web pages.

Their HTTP servers know no password and would tell every account of the machine what runs.
"""

from __future__ import annotations

from typing import Any


def dask_setup(server: Any) -> None:
    """Close the HTTP server of a scheduler or worker that has just started."""
    server.http_server.stop()
