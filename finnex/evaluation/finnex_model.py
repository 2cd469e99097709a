"""`evaluate_finnex_model`: what a trained network is worth, as the specification asks for it, on unseen sessions.

A session counts once, whatever the number of patches that voted on it. Every score has the number of sessions it was
computed from, an interval where one can be given, and a baseline beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import classification_report
from torch import nn

from finnex.cnn_training.plan import EVALUATION_METRICS
from finnex.errors import TrainingError, nearest
from finnex.evaluation.asking import ALL, Answered, Probabilities, answer
from finnex.evaluation.interval import Interval, mean_estimate
from finnex.evaluation.metrics import confusion
from finnex.evaluation.scorecard import PROBABILITIES, scorecard
from finnex.evaluation.trading import TradingPerformance, trading_performance
from finnex.evaluation.unseen import Unseen, unseen
from finnex.layout import Layout
from finnex.streaming.samples import CLASSES
from finnex.training.answers import surprise

FINANCIAL = ("sharpe_ratio", "max_drawdown", "win_rate", "volatility")


def evaluate_finnex_model(
    model: nn.Module,
    test_loader: Any,
    financial_metrics: bool = True,
    *,
    metrics: Sequence[str] | None = None,
    cost_bps: float = 5.0,
    layout: Layout | str | None = None,
    dates: npt.NDArray[np.datetime64] | None = None,
    returns: npt.NDArray[np.floating] | None = None,
    horizon: int | None = None,
) -> dict[str, Any]:
    """Evaluate a network on sessions it has not been trained on.

    Parameters
    ----------
    model
        Returns (logits, attended features); it is told which patch it sees where its forward takes `patch`.
    test_loader
        A part that `create_train_val_test_split` returned, the same as a plain (patches, labels, metadata), or a
        loader of whole images: (images (B, C, H, W), labels (B,)), in order of time.
    financial_metrics
        Whether to trade on the predictions: buy 1, hold 0, sell -1.
    metrics
        Names of `EVALUATION_METRICS` to give; all by default.
    cost_bps
        Paid on what is bought and on what is sold.
    layout, horizon, dates, returns
        What a loader does not tell: layout of its images, sessions that a label looks ahead, sessions of the images
        and the returns that followed. Without dates sessions count in the order in which they come; without returns
        there is no financial performance.

    Returns
    -------
    dict
        Plain numbers, lists, words and dictionaries. `ml_metrics`: scores, their interval, the majority class beside
        them. `financial_performance`: net of costs, beside buying every session; None where it was not asked for.
        `attention_analysis`: what the network attends to, and what is lost without a section.
        `cross_modal_performance`: what is lost without a channel.

    Raises
    ------
    TrainingError
        Nothing to evaluate on, arrays that do not fit each other, an unknown metric.
    """
    if strange := [name for name in metrics or () if name not in EVALUATION_METRICS]:
        raise TrainingError(f"metrics: '{strange[0]}' is unknown. {nearest(strange[0], EVALUATION_METRICS)}")
    test = unseen(model, test_loader, layout=layout, dates=dates, returns=returns, horizon=horizon)
    answers = answer(model, test.samples, test.layout, test.patch_px)
    known = _Known(test, answers, type(model).__name__)
    wanted = tuple(metrics or EVALUATION_METRICS)
    return {
        "ml_metrics": _ml_metrics(known, wanted),
        "financial_performance": _financial_performance(known, wanted, cost_bps) if financial_metrics else None,
        "attention_analysis": _attention_analysis(known),
        "cross_modal_performance": _cross_modal_performance(known),
    }


class _Known:
    """Answers beside what is known of their sessions."""

    def __init__(self, test: Unseen, answers: Answered, model: str) -> None:
        self.test, self.answers, self.model = test, answers, model
        rows = answers.rows
        self.ordered = test.sessions.day is None
        for name, values in (("dates", test.sessions.day), ("returns", test.sessions.outcome)):
            if values is not None and len(values) != len(rows):
                raise TrainingError(f"there are {len(rows)} test sessions and {len(values)} {name}. Give one for each.")
        counted = np.datetime64(0, "D") + rows
        self.day = counted if test.sessions.day is None else test.sessions.day[rows]
        self.symbol = np.full(len(rows), "unknown") if test.sessions.symbol is None else test.sessions.symbol[rows]
        self.outcome = None if test.sessions.outcome is None else test.sessions.outcome[rows]

    def interval(self, values: npt.NDArray[np.floating], *, share: bool = False) -> dict[str, Any]:
        """Return the mean of one number a session with its 95 % interval."""
        return _interval(mean_estimate(values, self.day, self.test.sessions.horizon, share=share).interval())

    def right(self, way: str) -> npt.NDArray[np.float64]:
        """Return 1 where an answer was right, 0 where not."""
        return np.asarray(self.answers.probabilities[way].argmax(axis=1) == self.answers.label, dtype=np.float64)

    def surprise(self, way: str) -> npt.NDArray[np.float64]:
        """Return the negative logarithm of the probability given to what happened."""
        return surprise(self.answers.probabilities[way], self.answers.label)

    def without(self, way: str) -> dict[str, Any]:
        """Return what one way of looking loses against seeing all; positive where seeing all is better."""
        return {
            "accuracy": float(self.right(way).mean()),
            "drop": self.interval(self.right(ALL) - self.right(way)),
            "log_loss_rise": self.interval(self.surprise(way) - self.surprise(ALL)),
        }


def _interval(found: Interval) -> dict[str, Any]:
    told = {"value": found.value, "low": found.low, "high": found.high}
    return told | {"no_interval": found.reason} if found.reason else told


def _ml_metrics(known: _Known, wanted: Sequence[str]) -> dict[str, Any]:
    answers, sessions = known.answers, known.test.sessions
    probabilities, label = answers.probabilities[ALL], answers.label
    given = np.bincount(probabilities.argmax(axis=1), minlength=len(CLASSES))
    counts = np.bincount(label, minlength=len(CLASSES)) / len(label)
    majority = counts if sessions.train_frequencies is None else sessions.train_frequencies
    table = pd.concat(
        [
            _predictions(known, known.model, probabilities),
            _predictions(known, "majority", np.tile(majority, (len(label), 1))),
        ]
    )
    card = scorecard(table)
    (judged, baseline), gap = card.lines, card.gaps["majority"]
    scores = judged.scores
    found: dict[str, Any] = {
        "sessions": card.sessions,
        "answers": card.rows,
        "first": None if known.ordered else str(card.first),
        "last": None if known.ordered else str(card.last),
        "votes_a_session": answers.votes_a_session,
        "majority": {
            "accuracy": baseline.scores.accuracy,
            "log_loss": baseline.scores.log_loss,
            "frequencies_from": "the test part, in hindsight" if sessions.train_frequencies is None else "training",
        },
        "best_constant_answer": {"class": CLASSES[int(counts.argmax())], "accuracy": float(counts.max())},
        "gap_to_majority": _interval(gap),
        "given": dict(zip(CLASSES, given.tolist(), strict=True)),
        "verdict": card.verdict(),
        "cautions": _cautions(given, sessions.temporal),
    }
    offered = {
        "accuracy": _interval(judged.accuracy),
        "balanced_accuracy": scores.balanced_accuracy,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1_score": scores.f1,
        "mcc": scores.mcc,
        "log_loss": _interval(judged.log_loss),
        "confusion_matrix": confusion(label, probabilities).tolist(),
        "classification_report": classification_report(
            label, probabilities.argmax(axis=1), labels=range(len(CLASSES)), target_names=CLASSES, zero_division=0.0
        ),
    }
    return found | {name: value for name, value in offered.items() if name in wanted}


def _cautions(given: npt.NDArray[np.integer], temporal: bool | None) -> list[str]:
    """Return what speaks against relying on the scores."""
    found = []
    if temporal is False:
        found.append("The parts were cut at random dates: neighbours of these sessions were trained on.")
    if np.count_nonzero(given) == 1:
        found.append(f"It answered '{CLASSES[int(given.argmax())]}' every time: a frequency was learnt, not a rule.")
    return found


def _predictions(known: _Known, model: str, probabilities: Probabilities) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "decision_date": known.day.astype("datetime64[s]"),
            "symbol": known.symbol,
            "split": "test",
            "model": model,
            "horizon": known.test.sessions.horizon,
            **dict(zip(PROBABILITIES, probabilities.T, strict=True)),
            "label": known.answers.label,
        }
    )


def _financial_performance(known: _Known, wanted: Sequence[str], cost_bps: float) -> dict[str, Any]:
    if known.outcome is None:
        return {"unavailable": "nobody said what returns followed; give returns=, one for each session"}
    horizon = known.test.sessions.horizon

    def performance(positions: npt.NDArray[np.floating], cost: float) -> dict[str, Any]:
        assert known.outcome is not None
        found: TradingPerformance = trading_performance(
            positions, known.outcome, known.day, horizon=horizon, cost_bps=cost
        )
        told = asdict(found) | {"sharpe_ratio": _interval(found.sharpe_ratio)}
        return {name: value for name, value in told.items() if name not in FINANCIAL or name in wanted}

    positions = known.answers.probabilities[ALL].argmax(axis=1) - 1.0
    return {
        **performance(positions, cost_bps),
        "cost_bps": cost_bps,
        "horizon_sessions": horizon,
        "before_costs": performance(positions, 0.0),
        "buy_every_session": performance(np.ones(len(positions)), cost_bps),
    }


def _attention_analysis(known: _Known) -> dict[str, Any]:
    answers = known.answers
    sections = [section.name for section in known.test.layout.sections]
    own = {name: f"votes_of:{name}" for name in sections}
    return {
        "attended_share": dict(answers.attended),
        "attended_by": answers.attended_by,
        "section_occlusion": {name: known.without(f"without_section:{name}") for name in sections},
        "section_votes": {
            name: {"accuracy": known.interval(known.right(way), share=True)}
            for name, way in own.items()
            if way in answers.probabilities
        },
        "meaning": "attended_share says how long the attended vectors are, not what decides. Occlusion says what is "
        "lost when a section is not known, the rest staying as it is.",
    }


def _cross_modal_performance(known: _Known) -> dict[str, Any]:
    channels = known.test.layout.channels
    return {
        ALL: {"accuracy": known.interval(known.right(ALL), share=True), "sessions": len(np.unique(known.day))},
        **{name: known.without(f"without_channel:{name}") for name in channels},
    }


def describe_evaluation(found: Mapping[str, Any]) -> str:
    """Say in a few lines what an evaluation found."""
    ml, money = found["ml_metrics"], found["financial_performance"]
    lines = [ml["verdict"], *(f"But: {caution}" for caution in ml["cautions"])]
    if "accuracy" in ml:
        best = ml["best_constant_answer"]
        lines.append(
            f"accuracy {_told(ml['accuracy'])} on {ml['sessions']} sessions; majority class "
            f"{ml['majority']['accuracy']:.2f} (frequencies from {ml['majority']['frequencies_from']}), always "
            f"'{best['class']}' {best['accuracy']:.2f}; answers: "
            + ", ".join(f"{name} {count}" for name, count in ml["given"].items())
        )
    if money is not None and "unavailable" in money:
        lines.append(f"no financial performance: {money['unavailable']}")
    elif money is not None:
        held = money["buy_every_session"]
        if money["trades"] == 0:
            lines.append("no trades: it answered hold every time")
        elif "sharpe_ratio" in money:
            lines.append(
                f"Sharpe ratio net of {money['cost_bps']:g} bps {_told(money['sharpe_ratio'])}, "
                f"buying every session {held['sharpe_ratio']['value']:.2f}; {money['trades']} trades"
            )
        if "max_drawdown" in money:
            lines.append(
                f"largest drawdown {money['max_drawdown']:.1%}, buying every session {held['max_drawdown']:.1%}"
            )
    drops = found["attention_analysis"]["section_occlusion"]
    lines += [_lost(f"section {name}", one) for name, one in drops.items()]
    modal = found["cross_modal_performance"]
    lines += [_lost(f"channel {name}", one) for name, one in modal.items() if name != ALL]
    return "\n".join(lines)


def _lost(what: str, one: Mapping[str, Any]) -> str:
    rise = _told(one["log_loss_rise"], ".3f")
    return f"without {what}: accuracy falls by {_told(one['drop'])}, log loss rises by {rise}"


def _told(interval: Mapping[str, Any], form: str = ".2f") -> str:
    found = Interval(interval["value"], interval["low"], interval["high"], interval.get("no_interval", ""))
    return found.words(form)
