"""The one door to MLflow: studies are recorded while they run, models are registered, compared and promoted."""

from finnex.reporting.tracking.recorder import StudyRecorder, TrackedRun, recording
from finnex.reporting.tracking.registry import load_champion, models, promote

__all__ = ["StudyRecorder", "TrackedRun", "load_champion", "models", "promote", "recording"]
