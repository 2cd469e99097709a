"""What a model can do, and how sure that is: everything from predictions on sessions it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finnex.evaluation.metrics import ClassificationScores, classification_scores, confusion
from finnex.evaluation.scorecard import Scorecard, scorecard
from finnex.evaluation.trading_card import TradingCard, trading_card

if TYPE_CHECKING:
    from finnex.evaluation.describing import describe_evaluation
    from finnex.evaluation.finnex_model import evaluate_finnex_model

__all__ = [
    "ClassificationScores",
    "Scorecard",
    "TradingCard",
    "classification_scores",
    "confusion",
    "describe_evaluation",
    "evaluate_finnex_model",
    "scorecard",
    "trading_card",
]


def __getattr__(name: str) -> Any:
    """Import what asks a network only when it is wanted: torch takes a second, and reading scores needs none."""
    if name == "describe_evaluation":
        from finnex.evaluation.describing import describe_evaluation  # noqa: PLC0415

        return describe_evaluation
    if name == "evaluate_finnex_model":
        from finnex.evaluation.finnex_model import evaluate_finnex_model  # noqa: PLC0415

        return evaluate_finnex_model
    raise AttributeError(f"module 'finnex.evaluation' has no attribute '{name}'")
