"""`evaluate_finnex_model`: what a trained network is worth, as the specification asks for it, on unseen sessions.

A session counts once, for any number of patches that voted on it. Every score is reported with the number of sessions
it was computed from, an interval where one can be given, and a baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import classification_report
from torch import nn

from finnex.config import TradingSettings
from finnex.datasets.samples import CLASSES
from finnex.errors import PricesUnknown, TrainingError, nearest
from finnex.evaluation.altered_inputs import ALL, Answered, Probabilities, answer
from finnex.evaluation.calibration_card import calibration_card
from finnex.evaluation.credit import credits_of
from finnex.evaluation.interval import Interval, mean_estimate
from finnex.evaluation.metrics import confusion
from finnex.evaluation.scorecard import PROBABILITIES, scorecard
from finnex.evaluation.sharpe_evidence import sharpe_evidence
from finnex.evaluation.trading import (
    Decisions,
    TradingPerformance,
    trade,
    trade_without_a_model,
)
from finnex.evaluation.unseen import Unseen, unseen
from finnex.layout import Layout
from finnex.training.answers import surprise
from finnex.training.training_plan import EVALUATION_METRICS

COSTS = TradingSettings()
FINANCIAL = ("sharpe_ratio", "max_drawdown", "win_rate", "volatility")


def evaluate_finnex_model(
    model: nn.Module,
    test_loader: Any,
    financial_metrics: bool = True,
    *,
    metrics: Sequence[str] | None = None,
    cost_bps: float = COSTS.cost_bps,
    borrow_fee_per_year: float = COSTS.borrow_fee_per_year,
    layout: Layout | str | None = None,
    dates: npt.NDArray[np.datetime64] | None = None,
    prices: pd.DataFrame | None = None,
    horizon: int | None = None,
    trial_ratios: Sequence[float | None] = (),
) -> dict[str, Any]:
    """Evaluate a network on sessions it has not been trained on.

    Parameters
    ----------
    model
        Returns (logits, attended features); it is given the patch's number where its forward takes `patch`.
    test_loader
        A part that `create_train_val_test_split` returned, the same as a plain (patches, labels, metadata), or a
        loader of whole images: (images (B, C, H, W), labels (B,)), in order of time.
    financial_metrics
        Whether to trade on the predictions: buy 1, hold 0, sell -1.
    metrics
        Names of `EVALUATION_METRICS` to give; all by default.
    cost_bps
        Paid on each amount that is bought or sold, in hundredths of a percent.
    borrow_fee_per_year
        Paid on what is sold short, a year, as a share of its value.
    layout, dates, prices, horizon
        What a loader does not contain: layout of its images, sessions of the images, the company's prices (date, open,
        close), and sessions that a label looks ahead. Without dates sessions count in the order in which they come;
        without prices there is no financial performance. Images of a store contain all four.
    trial_ratios
        Sharpe ratios a year of all models that were tried on these sessions, this one among them, None where one is not
        known: they deflate this one's. Absent, this is taken for the only one.

    Returns
    -------
    dict
        Plain numbers, lists, words and dictionaries. `ml_metrics`: scores, their interval, calibration, the majority
        class for comparison. `financial_performance`: by a daily simulation, net of costs, before them, of buying and
        holding and of equal parts, and how much the Sharpe ratio can be believed; None where it was not asked for.
        `attention_analysis`: what the network attends to, and what is lost without a section.
        `cross_modal_performance`: what is lost without a channel, what it gives alone, its Shapley value, and whether
        it is needed, redundant or not used.

    Raises
    ------
    TrainingError
        Nothing to evaluate on, arrays that do not fit each other, an unknown metric.

    Examples
    --------
    >>> import torch
    >>> class Undecided(torch.nn.Module):
    ...     def forward(self, images):
    ...         return torch.zeros(len(images), 3), torch.zeros(len(images), 1, 4)
    >>> loader = [(torch.zeros(2, 3, 512, 512), torch.tensor([0, 1]))]
    >>> found = evaluate_finnex_model(Undecided(), loader, financial_metrics=False, horizon=5)
    >>> found["ml_metrics"]["accuracy"]["value"], found["financial_performance"]
    (0.5, None)
    """
    if strange := [name for name in metrics or () if name not in EVALUATION_METRICS]:
        raise TrainingError(f"metrics: '{strange[0]}' is unknown. {nearest(strange[0], EVALUATION_METRICS)}")
    test = unseen(model, test_loader, layout=layout, dates=dates, prices=prices, horizon=horizon)
    answers = answer(model, test.samples, test.layout, test.patch_px)
    known = _Known(test, answers, type(model).__name__)
    wanted = tuple(metrics or EVALUATION_METRICS)
    costs = TradingSettings(cost_bps=cost_bps, borrow_fee_per_year=borrow_fee_per_year)
    return {
        "ml_metrics": _ml_metrics(known, wanted),
        "financial_performance": _financial_performance(known, wanted, costs, trial_ratios)
        if financial_metrics
        else None,
        "attention_analysis": _attention_analysis(known),
        "cross_modal_performance": _cross_modal_performance(known),
    }


class _Known:
    """Answers, and what is known of their sessions."""

    def __init__(self, test: Unseen, answers: Answered, model: str) -> None:
        self.test, self.answers, self.model = test, answers, model
        rows = answers.rows
        self.ordered = test.sessions.day is None
        if not self.ordered and (given := len(test.sessions.day if test.sessions.day is not None else ())) != len(rows):
            raise TrainingError(f"there are {len(rows)} test sessions and {given} dates. Give one for each.")
        counted = np.datetime64(0, "D") + rows
        self.day = counted if test.sessions.day is None else test.sessions.day[rows]
        self.symbol = np.full(len(rows), "unknown") if test.sessions.symbol is None else test.sessions.symbol[rows]

    def interval(self, values: npt.NDArray[np.floating], *, share: bool = False) -> dict[str, Any]:
        """Return the mean of one number a session with its 95 % interval."""
        return _interval(mean_estimate(values, self.day, self.test.sessions.horizon, share=share).interval())

    def right(self, way: str) -> npt.NDArray[np.float64]:
        """Return 1 where an answer was right, 0 where not."""
        return self._right(self.answers.probabilities[way])

    def _right(self, said: Probabilities) -> npt.NDArray[np.float64]:
        return np.asarray(said.argmax(axis=1) == self.answers.label, dtype=np.float64)

    def without(self, said: Probabilities) -> dict[str, Any]:
        """Return what is lost against seeing all where this is said; positive where seeing all is better."""
        every = self.answers.probabilities[ALL]
        right, label = self._right(said), self.answers.label
        return {
            "accuracy": float(right.mean()),
            "drop": self.interval(self.right(ALL) - right),
            "log_loss_rise": self.interval(surprise(said, label) - surprise(every, label)),
        }


def _interval(found: Interval) -> dict[str, Any]:
    bounds = {"value": found.value, "low": found.low, "high": found.high}
    return bounds | {"no_interval": found.reason} if found.reason else bounds


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
        "macro_averages": {
            "classes": [CLASSES[number] for number in scores.classes],
            "absent": [name for number, name in enumerate(CLASSES) if number not in scores.classes],
            "meaning": card.averaged(),
        },
        "cautions": _cautions(given, sessions.temporal),
        "calibration": calibration_card(table).lines[0].record(),
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
        "classification_report": _classification_report(label, probabilities, scores.classes),
    }
    return found | {name: value for name, value in offered.items() if name in wanted}


def _classification_report(label: npt.NDArray[np.int64], probabilities: Probabilities, present: Sequence[int]) -> str:
    """Return scikit-learn's table, over the classes that occur: its macro averages are then those of the scores."""
    said = probabilities.argmax(axis=1)
    names = [CLASSES[number] for number in present]
    table = str(classification_report(label, said, labels=present, target_names=names, zero_division=0.0))
    absent = [
        f"{name}: no session is labelled so, {int((said == number).sum())} are answered so; in no average\n"
        for number, name in enumerate(CLASSES)
        if number not in present
    ]
    return table + "".join(["\n", *absent] if absent else [])


def _cautions(given: npt.NDArray[np.integer], temporal: bool | None) -> list[str]:
    """Return the reasons not to rely on the scores."""
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


def _financial_performance(
    known: _Known, wanted: Sequence[str], settings: TradingSettings, trial_ratios: Sequence[float | None]
) -> dict[str, Any]:
    sessions = known.test.sessions
    if sessions.prices is None:
        return {"unavailable": f"prices are not known: {sessions.no_prices}"}
    positions = known.answers.probabilities[ALL].argmax(axis=1) - 1.0
    decisions = Decisions(known.day, known.symbol, positions, sessions.horizon)
    free = TradingSettings(cost_bps=0, borrow_fee_per_year=0)

    def record(found: TradingPerformance) -> dict[str, Any]:
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in found.record().items()
            if not any(name.startswith(figure) and figure not in wanted for figure in FINANCIAL)
        }

    try:
        own = trade(decisions, sessions.prices, settings)
        passive = trade_without_a_model(decisions, sessions.prices, settings)
        evidence = sharpe_evidence(
            own.course.returns[: own.course.active_sessions], sessions.horizon, trial_ratios,
            sessions_per_year=sessions.prices.sessions_per_year,
        )  # fmt: skip
        return {
            **record(own.performance),
            **({"sharpe_evidence": evidence.record()} if "sharpe_ratio" in wanted else {}),
            "cost_bps": settings.cost_bps,
            "borrow_fee_per_year": settings.borrow_fee_per_year,
            "sessions_per_year": sessions.prices.sessions_per_year,
            "horizon_sessions": sessions.horizon,
            "before_costs": record(trade(decisions, sessions.prices, free).performance),
            **{name: record(one.performance) for name, one in passive.items()},
        }
    except PricesUnknown as error:
        return {"unavailable": str(error)}


def _attention_analysis(known: _Known) -> dict[str, Any]:
    answers = known.answers
    sections = [section.name for section in known.test.layout.sections]
    own = {name: f"votes_of:{name}" for name in sections}
    return {
        "attended_share": dict(answers.attended),
        "attended_by": answers.attended_by,
        "section_occlusion": {
            name: known.without(answers.probabilities[f"without_section:{name}"]) for name in sections
        },
        "section_votes": {
            name: {"accuracy": known.interval(known.right(way), share=True)}
            for name, way in own.items()
            if way in answers.probabilities
        },
        "meaning": "attended_share says how long the attended vectors are, not what decides. Occlusion says what is "
        "lost when a section is not known, the rest staying as it is.",
    }


def _cross_modal_performance(known: _Known) -> dict[str, Any]:
    answers, channels = known.answers, known.test.layout.channels
    credit = credits_of(answers.channels, answers.label, channels, known.day, known.test.sessions.horizon)

    def alone(*some: str) -> float:
        return float((answers.channels[frozenset(some)].argmax(axis=1) == answers.label).mean())

    return {
        ALL: {
            "accuracy": known.interval(known.right(ALL), share=True),
            "accuracy_of_a_blank": alone(),
            "sessions": len(np.unique(known.day)),
        },
        **{
            name: {
                **known.without(answers.channels[frozenset(channels) - {name}]),
                "accuracy_alone": alone(name),
                "gain_alone": _interval(one.gain),
                "shapley": None if one.share is None else _interval(one.share),
                "use": one.use,
                "meaning": one.words(),
            }
            for name, one in credit.items()
        },
    }
