"""Models whose probabilities are right, on markets whose labels overlap and whose companies move together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, softmax

from benchmarks.coverage import classes, overlapping, persistent
from finnex.evaluation.session_answers import SessionAnswers
from tests.helpers.stores import sessions

Floats = npt.NDArray[np.float64]
BOUND = 0.43
"""Between the terciles of a standard normal."""


def right_probabilities(
    rng: np.random.Generator, n: int, horizon: int, companies: int, *, known: float = 0.5
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return probabilities (n x companies, 3) of a model that sees a part of each outcome, and the labels."""
    seen, rest = (overlapping(rng, n, horizon, companies) for _ in range(2))
    left = np.sqrt(1 - known**2)
    below, upto = (ndtr((bound - known * seen) / left).ravel() for bound in (-BOUND, BOUND))
    label = classes(known * seen + left * rest, BOUND).ravel()
    return np.stack([below, upto - below, 1 - upto], axis=1), label


def tempered(probabilities: Floats, power: float) -> Floats:
    """Return surer probabilities for a power above 1, less sure ones below."""
    return np.asarray(softmax(power * np.log(np.clip(probabilities, 1e-12, None)), axis=1))


def answered(
    probabilities: Floats, label: npt.NDArray[np.int64], companies: int, horizon: int, *, split: str = "test"
) -> SessionAnswers:
    """Return answers of rows that go session by session."""
    n = len(label) // companies
    return SessionAnswers(
        "cnn", split, horizon, np.zeros(len(label), dtype=np.int64), np.repeat(sessions(n), companies),
        np.tile([f"C{number:02}" for number in range(companies)], n), probabilities, label,
    )  # fmt: skip


def tabulated(
    probabilities: Floats, label: npt.NDArray[np.int64], companies: int, horizon: int, *, validation: int = 0,
    model: str = "cnn", fold: int = 0, start: str = "2015-01-02",
) -> pd.DataFrame:  # fmt: skip
    """Return a predictions table of rows that go session by session, the first sessions of them for validation."""
    n = len(label) // companies
    days = np.repeat(sessions(n, start), companies)
    frame = pd.DataFrame(probabilities, columns=["p_sell", "p_hold", "p_buy"])
    return frame.assign(
        decision_date=days.astype("datetime64[ms]"),
        symbol=np.tile([f"C{number:02}" for number in range(companies)], n),
        split=np.where(np.arange(len(label)) < validation * companies, "validation", "test"),
        fold=fold, seed=7, model=model, horizon=horizon, label=label,
    )  # fmt: skip


def guesses(
    rng: np.random.Generator, n: int, horizon: int, companies: int, *, memory: float = 0.9
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return persistent answers that know nothing, (n x companies, 3), with labels that overlap."""
    label = classes(overlapping(rng, n, horizon, companies)).ravel()
    said = classes(persistent(rng, n, companies, memory)).ravel()
    return np.eye(3)[said] * 0.4 + 0.2, label
