"""What a recorded training is worth: everything that follows from its predictions, its trials and the bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.config import TradingSettings
from finnex.data.session_prices import SessionPrices
from finnex.datasets.stored_prices import stored_prices
from finnex.errors import TrainingError
from finnex.evaluation.abstention_card import AbstentionCard, abstention_card
from finnex.evaluation.breakdown import Breakdown, breakdown
from finnex.evaluation.calibration_card import CalibrationCard, calibration_card
from finnex.evaluation.cross_section import CrossSection, cross_section
from finnex.evaluation.overfitting import Overfitting, probability_of_overfitting
from finnex.evaluation.scorecard import Scorecard, scorecard
from finnex.evaluation.sharpe_evidence import SharpeEvidence, sharpe_evidence
from finnex.evaluation.temperature_card import TemperatureCard, temperature_card
from finnex.evaluation.trading_card import TradingCard, trading_card
from finnex.evaluation.trial_returns import LEAST_COMMON, TrialReturns, trial_returns
from finnex.store import LABEL_WORDS, ImageStore

TEST = "test"


@dataclass(frozen=True)
class StudyEvaluation:
    """A training, judged on its test sessions.

    Attributes
    ----------
    card
        Scores of the model and its baselines.
    trading
        What they would have earned.
    trials
        Trainings that were judged on dates of the test part, this one included.
    sharpe
        How much the model's Sharpe ratio can be believed after so many trials; None where prices are not known.
    overfitting
        Of the choice among the trials that can be compared; None where there is one trial, or prices are not known.
    compared
        Returns of these trials; None where prices are not known.
    section
        The model's scores as an order of companies; None where prices are not known.
    calibration, temperature, groups, abstention
        Whether the models claim as much as they know; what a temperature that is fitted on validation changes; scores
        by year, company and regime of the market; and what answering only where a model is sure would bring.
    """

    card: Scorecard
    trading: TradingCard
    trials: int
    sharpe: SharpeEvidence | None
    overfitting: Overfitting | None
    compared: TrialReturns | None
    section: CrossSection | None
    calibration: CalibrationCard
    temperature: TemperatureCard
    groups: Breakdown
    abstention: AbstentionCard

    def record(self) -> dict[str, Any]:
        """Return plain values, for JSON and trackers; None where there is no value.

        Returns
        -------
        dict[str, Any]
            `scores` and `trading`: a row a model; `sharpe_evidence` and `overfitting`; sentences.
        """
        return {
            "model": self.card.model,
            "sessions": self.card.sessions,
            "rows": self.card.rows,
            "first": str(self.card.first),
            "last": str(self.card.last),
            "scores": self.card.records(),
            "verdict": self.card.verdict(),
            "trading": self.trading.records(),
            "trading_notes": self.trading.words(),
            "trials": self.trials,
            "trials_compared": None if self.compared is None else self.compared.returns.shape[1],
            "sharpe_evidence": None if self.sharpe is None else self.sharpe.record(),
            "overfitting": None if self.overfitting is None else self.overfitting.record(),
            "cross_section": None if self.section is None else self.section.record(),
            "calibration": self.calibration.record(),
            "temperature": self.temperature.record(),
            "groups": self.groups.record(),
            "abstention": self.abstention.record(),
            "words": self.words(),
        }

    def words(self) -> list[str]:
        """Say what is known of the judged model, and what cannot be said: the sentences of all `sections`."""
        return [sentence for sentences in self.sections().values() for sentence in sentences]

    def sections(self) -> dict[str, list[str]]:
        """Return sentences on the judged model by what they are about.

        Returns
        -------
        dict of str to list of str
            Without what cannot be known where prices are not.
        """
        found = {
            "Calibration": [self.calibration.lines[0].words(), self.temperature.lines[0].words()],
            "Groups": self.groups.words(),
            "Answering less": self.abstention.lines[0].words(),
        }
        if self.sharpe is not None and self.section is not None:
            found["Sharpe ratio"] = [*self.sharpe.words(), *self._apart()]
            if self.overfitting is not None:
                found["Overfitting"] = self.overfitting.words()
            found["Cross-section"] = self.section.words()
        return found

    def _apart(self) -> list[str]:
        apart = 0 if self.compared is None else len(self.compared.apart)
        if not apart:
            return []
        return [
            f"{apart} other trial{'' if apart == 1 else 's'} made less than {LEAST_COMMON:.0%} of these decisions: "
            "counted, and not compared."
        ]


def evaluate_study(
    predictions: pd.DataFrame,
    store: ImageStore,
    settings: TradingSettings,
    *,
    trials: int = 1,
    others: Mapping[int, pd.DataFrame] | None = None,
    bars: pd.DataFrame | None = None,
) -> StudyEvaluation:
    """Judge a training on its test sessions.

    Parameters
    ----------
    predictions
        Of a training: columns of `finnex.training.predictions`, parts 'validation' and 'test'.
    store
        Store that it was trained on: it has the prices.
    settings
        Costs and borrow fee.
    trials
        Trainings that were judged on dates of its test part, this one included.
    others
        Test predictions of those of them that can be read, without this one, by a number.
    bars
        Columns symbol, date, close, volume of the inputs, for the value that is traded; absent, it is not known.

    Returns
    -------
    StudyEvaluation
        Without trading figures, and with the reason, where the store's prices are not known.

    Raises
    ------
    TrainingError
        The predictions are of another store, of no session, or of more than one model next to the baselines.
    """
    test = predictions[predictions["split"] == TEST]
    _check_labels(test, store)
    card, trading = scorecard(predictions), trading_card(predictions, store, settings)
    prices = None if trading.unavailable else stored_prices(store, sorted(set(test["symbol"])))
    answers = (
        calibration_card(predictions), temperature_card(predictions), breakdown(predictions, prices),
        abstention_card(predictions),
    )  # fmt: skip
    if prices is None:
        return StudyEvaluation(card, trading, trials, None, None, None, None, *answers)
    compared = trial_returns(test, others or {}, prices, settings)
    course = trading.courses[card.model]
    sharpe = sharpe_evidence(
        course.returns[: course.active_sessions], trading.horizon, compared.ratios, trials=trials,
        sessions_per_year=trading.sessions_per_year,
    )  # fmt: skip
    overfitting = probability_of_overfitting(compared.returns) if compared.returns.shape[1] > 1 else None
    value = None if bars is None else dollar_volume(bars, prices)
    section = cross_section(predictions, prices, settings, dollar_volume=value)
    return StudyEvaluation(card, trading, trials, sharpe, overfitting, compared, section, *answers)


def dollar_volume(bars: pd.DataFrame, prices: SessionPrices) -> npt.NDArray[np.float64]:
    """Return close times volume of bars on the sessions of prices.

    Parameters
    ----------
    bars
        Columns symbol, date, close, volume; other companies and dates are left out.
    prices
        Whose sessions and companies.

    Returns
    -------
    numpy.ndarray
        (sessions, companies), NaN where there is no bar.
    """
    days, symbols = bars["date"].to_numpy().astype("datetime64[D]"), bars["symbol"].to_numpy().astype(np.str_)
    session, company = prices.place(days, symbols)
    found, here = np.full(prices.close.shape, np.nan), (session >= 0) & (company >= 0)
    found[session[here], company[here]] = (bars["close"] * bars["volume"]).to_numpy(dtype=np.float64)[here]
    return found


def _check_labels(test: pd.DataFrame, store: ImageStore) -> None:
    """Raise where a label that was predicted is not the store's."""
    remedy = "Name the configuration of the store that it was trained on; after a correction of inputs, train again."
    for (symbol, kind, horizon), rows in test.groupby(["symbol", "label_kind", "horizon"]):
        if symbol not in store.symbols:
            raise TrainingError(f"{store.path} has no {symbol}, of which the training has predictions. {remedy}")
        data = store.open_sessions(str(symbol))
        days = data["date"].to_numpy().astype("datetime64[D]")
        asked = rows["decision_date"].to_numpy().astype("datetime64[D]")
        place = np.minimum(np.searchsorted(days, asked), len(days) - 1)
        if (absent := days[place] != asked).any():
            raise TrainingError(
                f"{store.path} has no session {asked[absent][0]} of {symbol}, which the training predicted. {remedy}"
            )
        stored = data[f"label_{kind}"].sel(horizon=horizon).to_numpy()[place]
        if (other := stored != rows["label"].to_numpy()).any():
            first = int(np.argmax(other))
            said, kept = (LABEL_WORDS[int(code)] for code in (rows["label"].iloc[first], stored[first]))
            raise TrainingError(
                f"the label of {symbol} on {asked[first]} is '{said}' in the predictions and '{kept}' in "
                f"{store.path}. {remedy}"
            )
