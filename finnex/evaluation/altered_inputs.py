"""What a network is shown of unseen sessions: everything, some channels only, or all but a section.

What is taken away becomes 0, 'not known': an input that the network has met in training wherever data was missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from finnex.config.training import TrainingSettings
from finnex.data.calendar import Days
from finnex.data.session_prices import SessionPrices
from finnex.errors import TrainingError
from finnex.evaluation.credit import Subset, subsets
from finnex.layout import Layout
from finnex.patches.grid import patch_grid
from finnex.training.answers import describe_rows
from finnex.training.devices import arithmetic_threads
from finnex.training.running import pool, run_network

ALL = "all"
NOTHING: Subset = frozenset()
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """A few samples of unseen sessions.

    Attributes
    ----------
    images
        (B, C, H, W) whole images or patches, 0 where not known.
    rows
        (B,) which session each belongs to.
    labels
        (B,) of the sessions.
    patches
        (B,) numbers of the patches; None for whole images.
    """

    images: Tensor
    rows: npt.NDArray[np.intp]
    labels: npt.NDArray[np.int64]
    patches: Tensor | None = None


@dataclass(frozen=True)
class Sessions:
    """What is known of the sessions that a network is asked about, by row.

    Attributes
    ----------
    day
        `datetime64[D]`; None where unknown: sessions then count in the order in which they come.
    prices
        Of all companies and sessions; None where they are not known.
    no_prices
        Why they are not, in words.
    train_frequencies
        Shares of the classes in the training part, (classes,); None where unknown.
    temporal
        Whether the parts were cut in time; None where unknown.
    """

    day: Days | None
    symbol: npt.NDArray[np.str_] | None
    horizon: int
    prices: SessionPrices | None = None
    no_prices: str = ""
    train_frequencies: npt.NDArray[np.float64] | None = None
    temporal: bool | None = None


@dataclass(frozen=True)
class Answered:
    """Predictions by session, under every alteration of the pixels.

    Attributes
    ----------
    label
        (sessions,).
    probabilities
        `ALL`, `without_section:NAME` and, of a network that votes by patch, `votes_of:NAME`, to (sessions, classes).
    channels
        By the channels that were shown, as `finnex.evaluation.credit.subsets` chooses them, (sessions, classes).
    rows
        Row of each session in `Sessions`.
    attended
        Mean share of each part in the length of what the network attends to; empty where its parts have no names.
    attended_by
        What the parts are: `branch` of the network, or `section` of the image.
    """

    label: npt.NDArray[np.int64]
    probabilities: Mapping[str, Probabilities]
    channels: Mapping[Subset, Probabilities]
    rows: npt.NDArray[np.intp]
    attended: Mapping[str, float]
    attended_by: str
    votes_a_session: float


@dataclass(frozen=True)
class _Altered(Shown):
    """Samples of which some pixels are taken away; `way` says which."""

    way: str | Subset = ALL


class _Ways:
    """The alterations of samples, each as a change of their pixels."""

    def __init__(self, layout: Layout, patch_px: int | None) -> None:
        self.layout, self.patch_px = layout, patch_px
        self.sections = [section.name for section in layout.sections]
        self.section_of = None if patch_px is None else torch.from_numpy(patch_grid(layout, patch_px).section_of)

    def of_all(self, samples: Iterable[Shown]) -> Iterator[_Altered]:
        """Yield every alteration of all samples, and at the end one that shows nothing: of each patch, if they are."""
        shown = None
        for shown in samples:
            _check(self.layout, self.patch_px, shown.images)
            for way, pixels in self._altered(shown):
                yield _Altered(pixels.float(), shown.rows, shown.labels, shown.patches, way)
        if shown is None:
            raise TrainingError("the test part holds no sample. Split again with a larger test_ratio.")
        numbers = None if self.section_of is None else torch.arange(len(self.section_of))
        none = np.arange(1 if numbers is None else len(numbers))
        yield _Altered(torch.zeros(len(none), *shown.images.shape[1:]), none, none, numbers, NOTHING)

    def _altered(self, shown: Shown) -> Iterator[tuple[str | Subset, Tensor]]:
        """Yield the name and the pixels of every alteration that changes them, except the one that shows nothing."""
        yield ALL, shown.images
        for some in subsets(self.layout.channels)[1:-1]:
            left = shown.images.clone()
            left[:, [number for number, channel in enumerate(self.layout.channels) if channel not in some]] = 0
            yield some, left
        if self.section_of is None:
            for section in self.layout.sections:
                left = shown.images.clone()
                left[:, :, slice(*section.rows)] = 0
                yield f"without_section:{section.name}", left

    def without_sections(
        self, seen: Probabilities, blank: Probabilities, patch: npt.NDArray[np.intp]
    ) -> Iterator[tuple[str, Probabilities]]:
        """Yield the votes of patches when those of a section show nothing: theirs are then the votes on a blank."""
        if self.section_of is not None:
            section = self.section_of.numpy()[patch]
            for number, name in enumerate(self.sections):
                yield f"without_section:{name}", np.where((section == number)[:, None], blank[patch], seen)


def _check(layout: Layout, patch_px: int | None, images: Tensor) -> None:
    side = (layout.height, layout.width) if patch_px is None else (patch_px, patch_px)
    if tuple(images.shape[1:]) != (len(layout.channels), *side):
        raise TrainingError(
            f"samples of shape {tuple(images.shape[1:])} are not of layout '{layout.name}', which makes them "
            f"{(len(layout.channels), *side)}. Give the images' layout with layout=."
        )


def answer(model: nn.Module, samples: Iterable[Shown], layout: Layout, patch_px: int | None) -> Answered:
    """Run a network on every alteration of samples; of any number of patches a session the mean of the votes counts.

    Parameters
    ----------
    model
        Network; it is put back into the mode it was in.
    samples
        Images or patches, (samples, channel, y, x) in [0, 1], with their rows and labels.
    layout
        Layout of the images: its sections and channels are left out in turn.
    patch_px
        Side of a patch in pixels; None where samples are whole images.

    Returns
    -------
    Answered
        Probabilities by session, under every alteration of the pixels.

    Raises
    ------
    TrainingError
        There is no sample, its channels are not the layout's, or an answer is no number.
    """
    ways = _Ways(layout, patch_px)
    threads = torch.get_num_threads()
    torch.set_num_threads(arithmetic_threads(TrainingSettings()))
    votes: dict[str | Subset, list[Probabilities]] = {}
    rows, labels, patches = [], [], []
    lengths: list[npt.NDArray[np.float64]] = []
    try:
        for said in run_network(model, ways.of_all(samples), describe_rows):
            shown = said.batch
            votes.setdefault(shown.way, []).append(said.probabilities)
            if shown.way == ALL:
                lengths.append(said.attended.cpu().double().norm(dim=-1).numpy())
                rows.append(shown.rows)
                labels.append(shown.labels)
                patches.append(np.full(len(shown.rows), -1) if shown.patches is None else shown.patches.numpy())
    finally:
        torch.set_num_threads(threads)
    row, label, patch = np.concatenate(rows), np.concatenate(labels), np.concatenate(patches)
    joined: dict[str | Subset, Probabilities] = {way: np.concatenate(parts) for way, parts in votes.items()}
    blank = joined[NOTHING]
    joined[NOTHING] = blank[np.zeros(len(row), dtype=np.intp) if ways.section_of is None else patch]
    joined |= dict(ways.without_sections(joined[ALL], blank, patch))
    pooled = {way: pool(row, each)[1] for way, each in joined.items() if isinstance(way, str)}
    channels = {some: pool(row, each)[1] for some, each in joined.items() if isinstance(some, frozenset)}
    channels[frozenset(layout.channels)] = pooled[ALL]
    if ways.section_of is not None:
        section = ways.section_of.numpy()[patch]
        for number, name in enumerate(ways.sections):
            if (own := section == number).any() and len(np.unique(row[own])) == len(np.unique(row)):
                pooled[f"votes_of:{name}"] = pool(row[own], joined[ALL][own])[1]
    sessions, first = np.unique(row, return_index=True)
    parts, by = _parts(model, lengths, ways, patch)
    return Answered(label[first], pooled, channels, sessions, parts, by, len(row) / len(sessions))


def _parts(
    model: nn.Module, lengths: list[npt.NDArray[np.float64]], ways: _Ways, patch: npt.NDArray[np.intp]
) -> tuple[dict[str, float], str]:
    """Return the mean share of the length of what is attended to, by the network's branches or by section."""
    found = np.concatenate(lengths)  # (samples, parts)
    if found.ndim != 2:
        return {}, ""
    share = (found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12)).mean(axis=0)
    branches = [name for name, _ in model.named_children() if name.endswith("_branch")]
    if len(branches) == len(share):
        return {name.removesuffix("_branch"): float(one) for name, one in zip(branches, share, strict=True)}, "branch"
    side = round(len(share) ** 0.5)
    if side**2 != len(share) or ways.layout.height % side:
        return {}, ""
    section = patch_grid(ways.layout, ways.layout.height // side).section_of
    return {name: float(share[section == number].sum()) for number, name in enumerate(ways.sections)}, "section"
