"""The end of a run that left companies out: completed, under a name that an automation can wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed

from finnex.data.bad_companies import BadCompany, rows_of, sentences, title
from flows.deploy.automations import WITH_WARNINGS
from flows.prefect_api.progress import publish_table

LEFT_OUT = "left-out-companies"
"""Key of the table artifact."""


def tell_bad(bad: Sequence[BadCompany]) -> None:
    """Say which companies a run leaves out and why: in its log, and as a table of companies, problems and remedies."""
    if bad:
        get_run_logger().warning("\n".join([title(bad), *sentences(bad)]))
        publish_table(LEFT_OUT, rows_of(bad), title(bad))


def ending(bad: Sequence[BadCompany]) -> State[Any]:
    """Return the state in which a flow ends that did all that it could.

    Parameters
    ----------
    bad
        Companies that were left out.

    Returns
    -------
    State
        Completed; by another name where companies were left out, so that the event of its end has that name too.
    """
    return Completed(name=WITH_WARNINGS, message=title(bad)) if bad else Completed()
