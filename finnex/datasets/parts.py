"""Training, validation and test part of a patch data set, cut between sessions, never between patches of one image."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finnex.data.calendar import Days
from finnex.datasets.patch_data import Patches, PatchMetadata, Rows
from finnex.datasets.samples import CLASSES
from finnex.datasets.splits import cut
from finnex.errors import TrainingError


class PatchPart(NamedTuple):
    """Some patches with their labels and metadata, in order of time; unpacks into the three.

    Attributes
    ----------
    patches
        (N, patch_px, patch_px, channel) float32 in [0, 1], 0 where not known.
    labels
        (N,) int64: 0 sell, 1 hold, 2 buy.
    metadata
        N dictionaries; docs/patches.md defines every number.

    Examples
    --------
    >>> part = PatchPart(np.zeros((1, 32, 32, 3)), np.array([2]), [{"patch": 0}])
    >>> patches, labels, metadata = part
    >>> int(labels[0])
    2
    """

    patches: Patches | npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    metadata: Sequence[Mapping[str, Any]]


class RandomSplitWarning(UserWarning):
    """Parts were cut at random dates: what is measured on them is no evidence."""


@dataclass(frozen=True)
class SessionsOf:
    """The sessions that patches come from.

    Attributes
    ----------
    session
        (patches,) counts into the other arrays.
    patch
        (patches,) number of the patch in its image.
    day, label_end, label, outcome, symbol
        (sessions,) in order of time, then symbol.
    """

    session: Rows
    patch: Rows
    day: Days
    label_end: Days
    label: npt.NDArray[np.int64]
    outcome: npt.NDArray[np.float64]
    symbol: npt.NDArray[np.str_]


def column(metadata: Sequence[Mapping[str, Any]], name: str, fallback: Any = None) -> npt.NDArray[Any]:
    """Return a key of all dictionaries as an array.

    Raises
    ------
    TrainingError
        A dictionary lacks the key, and there is no fallback.
    """
    if isinstance(metadata, PatchMetadata):
        return metadata.column(name)
    values = [entry.get(name, fallback) for entry in metadata]
    if fallback is None and any(value is None for value in values):
        position = next(i for i, value in enumerate(values) if value is None)
        raise TrainingError(
            f"patch_metadata[{position}] has no '{name}'. Use the metadata that create_patch_dataset returns."
        )
    return np.array(values)


def sessions_of(labels: npt.NDArray[np.integer], metadata: Sequence[Mapping[str, Any]]) -> SessionsOf:
    """Return the sessions behind patches.

    Raises
    ------
    TrainingError
        Labels and metadata do not fit each other, or patches of one session have different labels.
    """
    if len(labels) != len(metadata):
        raise TrainingError(f"there are {len(labels)} labels and {len(metadata)} metadata. Give one for each patch.")
    labels = np.asarray(labels, dtype=np.int64)
    day = column(metadata, "date").astype("datetime64[D]")
    end = column(metadata, "label_end", np.datetime64("NaT")).astype("datetime64[D]")
    symbol = column(metadata, "symbol", "unknown").astype(np.str_)
    outcome = column(metadata, "forward_return", np.nan).astype(np.float64)
    place = column(metadata, "spatial_coordinates").astype(np.intp).reshape(-1, 2)
    names, code = np.unique(symbol, return_inverse=True)
    key = day.astype("int64") * len(names) + code
    _, first, session = np.unique(key, return_index=True, return_inverse=True)
    if len(odd := np.flatnonzero(labels != labels[first][session])):
        raise TrainingError(
            f"patches of {symbol[odd[0]]} {day[odd[0]]} have different labels. A patch has the label of its session."
        )
    # Where metadata give no number, the given patches are taken to span the full width of the image.
    across = int(place[:, 1].max(initial=0)) + 1
    number = column(metadata, "patch", -1).astype(np.intp)
    return SessionsOf(
        session.astype(np.intp),
        np.where(number >= 0, number, place[:, 0] * across + place[:, 1]),
        day[first],
        end[first],
        np.asarray(labels[first], dtype=np.int64),
        outcome[first],
        symbol[first],
    )


def labelled_sessions_of(labels: npt.NDArray[np.integer], metadata: Sequence[Mapping[str, Any]]) -> SessionsOf:
    """Return the sessions behind patches whose labels are all known.

    Raises
    ------
    TrainingError
        As `sessions_of`, or a session's outcome is not known yet.
    """
    found = sessions_of(labels, metadata)
    if unknown := int((found.label < 0).sum()):
        day = found.day[np.argmax(found.label < 0)]
        raise TrainingError(
            f"{unknown} of {len(found.label)} sessions have no known label yet, such as {day}. "
            "Leave their patches out; create_train_val_test_split does."
        )
    return found


def split_parts(
    patches: Patches | npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    metadata: Sequence[Mapping[str, Any]],
    *,
    train_ratio: float,
    val_ratio: float,
    test_ratio: float,
    temporal_split: bool,
    embargo_sessions: int,
    seed: int,
) -> tuple[PatchPart, PatchPart, PatchPart]:
    """Return training, validation and test part; sessions without a known label are in none.

    Parameters
    ----------
    patches
        (N, patch_px, patch_px, channel) float32 in [0, 1].
    labels
        (N,) classes; -1 where not known.
    metadata
        N dictionaries; they name each patch's session and the end of its label.
    train_ratio, val_ratio, test_ratio
        Shares of the sessions whose label is known; above 0, and they add up to 1.
    temporal_split
        Whether parts are cut in time, purged; false cuts at random dates, and warns.
    embargo_sessions
        Sessions between the end of a part's last label and the next part.
    seed
        Of the random dates.

    Returns
    -------
    tuple
        The parts, in the order of the ratios.

    Raises
    ------
    TrainingError
        Ratios that do not add up to 1, too few sessions, or labels without their ends.
    """
    if len(patches) != len(labels):
        raise TrainingError(f"there are {len(patches)} patches and {len(labels)} labels. Give one for each patch.")
    ratios = {"train_ratio": train_ratio, "val_ratio": val_ratio, "test_ratio": test_ratio}
    if min(ratios.values()) <= 0 or abs(sum(ratios.values()) - 1) > 1e-9:
        words = ", ".join(f"{name} {value:g}" for name, value in ratios.items())
        raise TrainingError(f"{words} must be above 0 and add up to 1.")
    known = sessions_of(labels, metadata)
    usable = np.flatnonzero(known.label >= 0)
    days = np.unique(known.day[usable])
    at = round(len(days) * train_ratio), round(len(days) * (train_ratio + val_ratio))
    if not 0 < at[0] < at[1] < len(days):
        raise TrainingError(
            f"{len(days)} sessions with a known label are too few for {train_ratio:.0%}, {val_ratio:.0%} and "
            f"{test_ratio:.0%}. Draw more sessions, or change the ratios."
        )
    cut_by = _in_time if temporal_split else _at_random
    parts = cut_by(known, usable, days, at, embargo_sessions, seed)
    for name, sessions in zip(("training", "validation", "test"), parts, strict=True):
        if len(sessions) == 0:
            raise TrainingError(
                f"no session is left for {name}: {len(days)} labelled sessions from {days[0]} to {days[-1]}, embargo "
                f"{embargo_sessions}. Draw more sessions, shorten the label horizon, or lower embargo_sessions."
            )
    frequencies = np.bincount(known.label[parts[0]], minlength=len(CLASSES)) / len(parts[0])
    return (
        _part(patches, labels, metadata, known, parts[0], frequencies, temporal_split),
        _part(patches, labels, metadata, known, parts[1], frequencies, temporal_split),
        _part(patches, labels, metadata, known, parts[2], frequencies, temporal_split),
    )


def _in_time(
    known: SessionsOf, usable: Rows, days: Days, at: tuple[int, int], embargo_sessions: int, _: int
) -> tuple[Rows, Rows, Rows]:
    ends = known.label_end[usable]
    if np.isnat(ends).any():
        day = known.day[usable][np.argmax(np.isnat(ends))]
        raise TrainingError(
            f"the end of the label of {day} is not given, so labels that reach into the next part cannot be purged. "
            "Give the images a coordinate label_end."
        )
    found = cut(known.day[usable], ends, days, at[0], at[1], embargo_sessions)
    return usable[found.train], usable[found.validation], usable[found.test]


def _at_random(
    known: SessionsOf, usable: Rows, days: Days, at: tuple[int, int], _: int, seed: int
) -> tuple[Rows, Rows, Rows]:
    warnings.warn(
        "temporal_split=False cuts at random dates. Images of neighbouring sessions share all but one session, and "
        "labels overlap: what is tested on was nearly seen in training. No score of such a split is evidence.",
        RandomSplitWarning,
        stacklevel=4,
    )
    order = np.random.default_rng(seed).permutation(days)
    rank = np.empty(len(days), dtype=np.intp)
    rank[np.searchsorted(days, order)] = np.arange(len(days))
    mine = rank[np.searchsorted(days, known.day[usable])]
    return usable[mine < at[0]], usable[(mine >= at[0]) & (mine < at[1])], usable[mine >= at[1]]


def _part(
    patches: Patches | npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    metadata: Sequence[Mapping[str, Any]],
    known: SessionsOf,
    sessions: Rows,
    frequencies: npt.NDArray[np.float64],
    temporal: bool,
) -> PatchPart:
    rows = np.flatnonzero(np.isin(known.session, sessions))
    rows = rows[np.lexsort((known.patch[rows], known.session[rows]))]
    return PatchPart(
        patches.take(rows) if isinstance(patches, Patches) else patches[rows],
        np.asarray(labels, dtype=np.int64)[rows],
        metadata.take(rows, train_frequencies=frequencies, temporal=temporal)
        if isinstance(metadata, PatchMetadata)
        else [metadata[row] for row in rows.tolist()],
    )
