"""The one door to MLflow: studies are recorded while they run, models are registered, compared and promoted."""

from finnex.tracking.recorded_studies import RecordedStudy, keep_evaluation, recorded_study
from finnex.tracking.recorder import StudyRecorder, TrackedRun, recording
from finnex.tracking.registry import champion_words, load_champion, models, promote

__all__ = [
    "RecordedStudy",
    "StudyRecorder",
    "TrackedRun",
    "champion_words",
    "keep_evaluation",
    "load_champion",
    "models",
    "promote",
    "recorded_study",
    "recording",
]
