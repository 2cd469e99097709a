"""A study's folder: what it is, what of it is done, and who works in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from upath import UPath

from finnex.config import Config
from finnex.errors import TrainingError
from finnex.training.checkpoint import check_same
from finnex.training.reports import EpochReport
from finnex.training.result import Member, MemberResult

STUDY, MEMBER, PREDICTIONS = "study.json", "member.json", "predictions.parquet"


def studies_root(config: Config) -> Path:
    """Return where the studies of a store lie: `training` beside it.

    Those of a store in a bucket lie in `$FINNEX_HOME/training`, else `~/.finnex/training`, by the store's address: a
    checkpoint is replaced by renaming, and a study locked by a file.
    """
    path = config.store.path
    if not isinstance(path, UPath):
        return path.parent / "training"
    home = Path(os.environ.get("FINNEX_HOME") or Path.home() / ".finnex").expanduser().resolve()
    return home / "training" / re.sub(r"[^A-Za-z0-9.-]+", "-", str(path))


def new_folder(config: Config) -> Path:
    """Make a folder named after the time, in UTC.

    Raises
    ------
    TrainingError
        It cannot be made.
    """
    root = studies_root(config)
    for number in range(1, 100):
        suffix = "" if number == 1 else f"-{number}"
        path = root / f"{datetime.now(UTC):%Y%m%d-%H%M%S}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise TrainingError(
                f"the folder {path} cannot be made ({error.strerror}). Checkpoints are kept beside the store."
            ) from None
        return path
    raise TrainingError(f"{root} has a hundred studies of this second. Wait a moment.")


def unfinished_study(config: Config) -> Path:
    """Return the newest study that was begun, is not done, and nobody is working on.

    Raises
    ------
    TrainingError
        There is none.
    """
    root = studies_root(config)
    for path in sorted(root.glob(f"*/{STUDY}"), reverse=True):
        if not _read(path)["finished"] and not _busy(path.parent):
            return path.parent
    raise TrainingError(f"there is no interrupted training in {root} to go on with. `finnex train` starts one.")


def _lock(folder: Path) -> FileLock:
    return FileLock(str(folder / ".lock"))


def _busy(folder: Path) -> bool:
    try:
        with _lock(folder).acquire(timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of a study.

    Raises
    ------
    TrainingError
        Another one is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = _lock(folder).acquire(timeout=0)
    except Timeout:
        raise TrainingError(f"another process trains in {folder}. Wait for it to end, or stop it.") from None
    with lock:
        yield


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). Restore it, or remove its folder.") from None
    return found


def _write(path: Path, content: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")
    draft.replace(path)


def begin(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Write down what a study is, or check that it still is what was written down.

    Parameters
    ----------
    identity
        Plain values: data, layout, and every setting that changes a number.

    Raises
    ------
    TrainingError
        The study to be resumed is another one, or done, or not there; or the folder of a new one is in use.
    """
    path = folder / STUDY
    if not resume:
        if path.exists():
            raise TrainingError(f"{folder} holds a study already. Resume it, or choose another folder.")
        _write(path, {"identity": dict(identity), "begun": datetime.now(UTC).isoformat(), "finished": False})
        return
    if not path.exists():
        raise TrainingError(f"{folder} holds no study to go on with. Train without resuming.")
    found = _read(path)
    if found["finished"]:
        raise TrainingError(f"the study in {folder} is done; there is nothing to go on with. Train anew.")
    check_same(folder, found["identity"], json.loads(json.dumps(dict(identity), default=str)))


def finish(folder: Path) -> None:
    """Write down that a study is done."""
    path = folder / STUDY
    _write(path, _read(path) | {"finished": True})


def keep_table(path: Path, table: pd.DataFrame) -> None:
    """Write predictions; the file is there when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    table.to_parquet(draft, index=False)
    draft.replace(path)


def keep_member(result: MemberResult) -> None:
    """Write down what a training came to; from then on it is done, and its last state is not needed."""
    folder = result.member.folder
    keep_table(folder / PREDICTIONS, result.predictions)
    history = [asdict(report) for report in result.history]
    _write(folder / MEMBER, {"history": history, "seconds": result.seconds, "in_memory": result.in_memory})
    (folder / "last.pt").unlink(missing_ok=True)


def done_member(member: Member) -> MemberResult | None:
    """Return what an earlier call came to; None where it is still to be trained."""
    path = member.folder / MEMBER
    if not path.exists():
        return None
    found = _read(path)
    history = tuple(EpochReport(**report) for report in found["history"])
    table = pd.read_parquet(member.folder / PREDICTIONS)
    return MemberResult(member, history, table, found["seconds"], found["in_memory"])
