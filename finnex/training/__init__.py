"""From a store to a trained model and its predictions: `train`."""

from finnex.training.loop import EpochReport, Progress
from finnex.training.session import Part, TrainingResult, train

__all__ = ["EpochReport", "Part", "Progress", "TrainingResult", "train"]
