"""From a store to trained models and their predictions: `train`."""

from finnex.training.network import load_network
from finnex.training.reports import EpochReport, OnProgress, Progress
from finnex.training.result import Member, MemberResult, Observer, Part, Study, TrainingResult
from finnex.training.study import train
from finnex.training.study_folder import unfinished_study, until_recorded

__all__ = [
    "EpochReport",
    "Member",
    "MemberResult",
    "Observer",
    "OnProgress",
    "Part",
    "Progress",
    "Study",
    "TrainingResult",
    "load_network",
    "train",
    "unfinished_study",
    "until_recorded",
]
