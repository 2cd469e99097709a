"""The one door to MLflow: studies are recorded while they run, models are registered, compared and promoted."""

from finnex.tracking.recorder import StudyRecorder, TrackedRun, recording
from finnex.tracking.registry import champion_words, load_champion, models, promote

__all__ = ["StudyRecorder", "TrackedRun", "champion_words", "load_champion", "models", "promote", "recording"]
