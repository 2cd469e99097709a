"""Where the state of a study lies: the databases, artifacts and logs behind its web pages and its registry."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = "state"
"""Name of the folder next to the configuration."""
HOME = "FINNEX_HOME"
REGISTRY = Path("mlflow") / "mlflow.db"


def earlier_state_folder() -> Path:
    """Return where earlier versions kept the state of every study: `~/.finnex`."""
    return Path.home() / ".finnex"


def state_folder(root: Path, given: Path | None = None) -> Path:
    """Return the one state folder of a study.

    `[state] path`; else `$FINNEX_HOME`; else `state` next to the configuration; else `~/.finnex`, where an earlier
    version kept a registry there and there is none next to the configuration.

    Parameters
    ----------
    root
        Folder of the configuration; relative paths start there.
    given
        `[state] path`.
    """
    if given is not None:
        return (root / given.expanduser()).resolve()
    if home := os.environ.get(HOME):
        return Path(home).expanduser().resolve()
    default, earlier = (root / DEFAULT).resolve(), earlier_state_folder().resolve()
    return earlier if is_earlier(default, earlier) else default


def is_earlier(default: Path, earlier: Path) -> bool:
    """Return whether only an earlier version's folder holds a registry."""
    return (earlier / REGISTRY).is_file() and not (default / REGISTRY).is_file()
