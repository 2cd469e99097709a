"""Progress of a flow run, as artifacts: the Prefect UI shows them, the terminal follows them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from uuid import UUID

from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact

from flows.prefect_api.patience import if_there, patiently

EVERY_SECONDS = 2.0
"""An update is one call to the server; more frequent ones would cost more than they show."""


class ProgressArtifact:
    """One progress artifact of the flow run that makes it.

    Parameters
    ----------
    key
        Lower case and dashes: under this name the UI keeps the history of all runs.
    """

    def __init__(self, key: str, text: str) -> None:
        made = patiently(lambda: create_progress_artifact(progress=0.0, key=key, description=text))
        assert isinstance(made, UUID)  # outside an event loop it is the id itself
        self._id = made
        self._updated = time.monotonic()

    def show(self, done: float, total: float, text: str) -> None:
        """Show `done` of `total`, unless it was shown less than two seconds ago."""
        if time.monotonic() - self._updated >= EVERY_SECONDS:
            self._update(100.0 * done / max(total, 1), text)

    def wait(self, text: str) -> None:
        """Show immediately what the run waits for: there is no other update until it has arrived."""
        self._update(0.0, text)

    def finish(self, text: str) -> None:
        """Show that everything is done."""
        self._update(100.0, text)

    def _update(self, percent: float, text: str) -> None:
        shown = round(min(percent, 100.0), 1)
        if_there(lambda: update_progress_artifact(self._id, progress=shown, description=text))
        self._updated = time.monotonic()


def publish_table(key: str, rows: Sequence[Mapping[str, object]], description: str) -> None:
    """Publish rows as a table artifact, every value as text or number; where there is none, as 'none'."""
    plain = [
        {
            name: value if isinstance(value, int | float) else "none" if value is None else str(value)
            for name, value in row.items()
        }
        for row in rows
    ]
    patiently(lambda: create_table_artifact(table=plain, key=key, description=description))
