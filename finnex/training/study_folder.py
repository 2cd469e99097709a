"""A study's folder: its identity, its finished parts, and its lock."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from upath import UPath

from finnex.config import Config
from finnex.errors import TrainingError, first_line
from finnex.files.replacing import replacing, sweep_drafts
from finnex.training.checkpoint import LAST, check_same, load_checkpoint, remove_checkpoint
from finnex.training.reports import EpochReport
from finnex.training.result import Member, MemberResult

STUDY, MEMBER, PREDICTIONS = "study.json", "member.json", "predictions.parquet"
LOCK = ".lock"
STUDY_KEYS, MEMBER_KEYS = ("identity", "finished"), ("history", "seconds", "in_memory")


def studies_root(config: Config) -> Path:
    """Return the folder of a store's studies: `training`, next to the store.

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
                f"the folder {path} cannot be made ({error.strerror}). Checkpoints are kept next to the store."
            ) from None
        return path
    raise TrainingError(f"{root} has a hundred studies of this second. Wait a moment.")


def unfinished_study(config: Config) -> Path:
    """Return the newest study that was begun, is not done, and is not being worked on.

    Raises
    ------
    TrainingError
        There is none.
    """
    root = studies_root(config)
    for path in sorted(root.glob(f"*/{STUDY}"), reverse=True):
        if not _read(path, STUDY_KEYS)["finished"] and not _busy(path.parent):
            return path.parent
    raise TrainingError(f"there is no interrupted training in {root} to resume. `finnex train` starts one.")


def _lock(folder: Path) -> FileLock:
    return FileLock(str(folder / LOCK))


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
        Another one is in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder).acquire(timeout=0)
    except Timeout:
        raise TrainingError(f"another process trains in {folder}. Wait for it to end, or stop it.") from None
    except OSError as error:
        raise TrainingError(
            f"{folder} cannot be the folder of a study ({error.strerror}). Name one that can be written to."
        ) from None
    with lock:
        yield


def _read(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or (missing := [key for key in keys if key not in found]):
            raise ValueError("it lacks " + ", ".join(missing if isinstance(found, dict) else keys))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path} cannot be used ({error}). Restore it, or remove its folder {path.parent}: what that holds is then "
            "trained again."
        ) from None
    return found


def check_study(folder: Path) -> None:
    """Read what a study keeps: its own file, those of its members, their checkpoints.

    Raises
    ------
    TrainingError
        One of them is damaged; with what to do.
    """
    if (folder / STUDY).exists():
        _read(folder / STUDY, STUDY_KEYS)
    for path in sorted(folder.rglob(MEMBER)):
        _read(path, MEMBER_KEYS)
    for path in sorted(folder.rglob(LAST)):
        load_checkpoint(path)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content, indent=2, default=str).encode())


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
    sweep_drafts(folder)
    if not resume:
        if path.exists():
            raise TrainingError(f"{folder} holds a study already. Resume it, or choose another folder.")
        if other := sorted(entry.name for entry in folder.iterdir() if entry.name != LOCK):
            raise TrainingError(f"{folder} holds '{other[0]}', which is no study's. Choose a new or an empty folder.")
        _write(path, {"identity": dict(identity), "begun": datetime.now(UTC).isoformat(), "finished": False})
        return
    if not path.exists():
        raise TrainingError(f"{folder} holds no study to resume. Train without resuming.")
    found = _read(path, STUDY_KEYS)
    if found["finished"]:
        raise TrainingError(f"the study in {folder} is done; there is nothing to resume. Train anew.")
    check_same(folder, found["identity"], json.loads(json.dumps(dict(identity), default=str)))


def finish(folder: Path) -> None:
    """Write down that a study is done."""
    path = folder / STUDY
    _write(path, _read(path, STUDY_KEYS) | {"finished": True})


@contextmanager
def until_recorded(folder: Path) -> Iterator[None]:
    """Leave a finished study open for `--resume` where the following step, its report or its record, does not finish.

    Resuming then trains nothing again: what is done is read and reported to observers.
    """
    try:
        yield
    except BaseException:
        path = folder / STUDY
        _write(path, _read(path, STUDY_KEYS) | {"finished": False})
        raise


def keep_table(path: Path, table: pd.DataFrame) -> None:
    """Write predictions; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        table.to_parquet(file, index=False)


def kept_table(path: Path) -> pd.DataFrame:
    """Read what `keep_table` wrote.

    Raises
    ------
    TrainingError
        The file is missing or damaged.
    """
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow raises what the damaged byte happens to break
        raise TrainingError(
            f"the predictions {path} cannot be read ({first_line(error)}). Restore the file, or remove its folder "
            f"{path.parent}: what that holds is then made again."
        ) from None


def keep_member(result: MemberResult) -> None:
    """Write down what a training came to; from then on it is done, and its last state is not needed."""
    folder = result.member.folder
    keep_table(folder / PREDICTIONS, result.predictions)
    history = [asdict(report) for report in result.history]
    _write(folder / MEMBER, {"history": history, "seconds": result.seconds, "in_memory": result.in_memory})
    remove_checkpoint(folder / LAST)


def done_member(member: Member) -> MemberResult | None:
    """Return what an earlier call came to; None where it is still to be trained.

    Raises
    ------
    TrainingError
        It was done, and a file of it is missing or damaged.
    """
    path = member.folder / MEMBER
    if not path.exists():
        return None
    found = _read(path, MEMBER_KEYS)
    try:
        history = tuple(EpochReport(**report) for report in found["history"])
    except TypeError as error:
        raise TrainingError(
            f"{path} was written by another version ({error}). Remove its folder {path.parent}: it is trained again."
        ) from None
    table = kept_table(member.folder / PREDICTIONS)
    result = MemberResult(member, history, table, found["seconds"], found["in_memory"])
    load_checkpoint(result.checkpoint)  # the report and the registry take the weights from there
    return result
