"""What a model can do, and how sure that is: everything from one predictions table."""

from finnex.evaluation.metrics import ClassificationScores, classification_scores, confusion
from finnex.evaluation.scorecard import Scorecard, scorecard

__all__ = ["ClassificationScores", "Scorecard", "classification_scores", "confusion", "scorecard"]
