"""What tests do with a registry of models: record a study that is done."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnex.config import Config
from finnex.store import ImageStore
from finnex.tracking import TrackedRun, recording
from finnex.training import TrainingResult

Trained = tuple[Config, ImageStore, TrainingResult]


@dataclass(frozen=True)
class Registry:
    """A server, and the folders behind it.

    Attributes
    ----------
    artifacts
        What it serves, as files.
    home
        The state folder of this process' FinNeX: its key lies there.
    """

    address: str
    artifacts: Path
    home: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def log_training(
    config: Config, store: ImageStore, result: TrainingResult, report: str, pictures: Any, uri: str,
    flow_run_id: str | None = None,
) -> TrackedRun:  # fmt: skip
    """Record a study that is done, as a resumed one is recorded again."""
    with recording(config, store, uri, flow_run_id=flow_run_id) as recorder:
        recorder.on_study_start(result.study)
        for member in result.members:
            recorder.on_member_start(member.member)
            for epoch in member.history:
                recorder.on_epoch(member.member, epoch)
            recorder.on_member_end(member)
        recorder.on_study_end(result)
        return recorder.finish(result, report, pictures)
