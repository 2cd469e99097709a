"""A `preload` module of Dask's configuration: with it schedulers and workers serve no web pages.

Their HTTP servers have no password and would show every account of the machine what runs.
"""

from __future__ import annotations

from typing import Any


def dask_setup(server: Any) -> None:
    """Close the HTTP server of a scheduler or worker that has just started."""
    server.http_server.stop()
