"""Predictions tables whose model is right with a given chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.helpers.stores import sessions

CLASSES = ["p_sell", "p_hold", "p_buy"]


def answers(*codes: int) -> np.ndarray:
    """Probabilities whose largest is the given class."""
    return np.eye(3)[list(codes)] * 0.7 + 0.1


def table(model_right: float, n: int = 200, seed: int = 0) -> pd.DataFrame:
    """A predictions table in which the model is right with a given chance, the baselines with a third."""
    rng = np.random.default_rng(seed)
    frames = []
    labels = rng.integers(0, 3, 2 * n)
    for name, chance in (("cnn", model_right), ("majority", None), ("logistic_regression", 1 / 3)):
        if chance is None:
            given = np.ones(2 * n, dtype=int)
        else:
            given = np.where(rng.random(2 * n) < chance, labels, (labels + rng.integers(1, 3, 2 * n)) % 3)
        frame = pd.DataFrame(answers(*given), columns=CLASSES)
        frame["decision_date"] = np.tile(sessions(n), 2)
        frame["symbol"] = np.repeat(["AAA", "BBB"], n)
        frames.append(frame.assign(split="test", model=name, horizon=5, label=labels))
    return pd.concat(frames, ignore_index=True)
