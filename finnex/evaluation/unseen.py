"""What a notebook calls its test data, as samples of unseen sessions: a part of a patch data set, or a loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from finnex.data.session_prices import SessionPrices, session_prices
from finnex.datasets.image_source import MegaImages
from finnex.datasets.part_batches import takes_whole_images
from finnex.datasets.parts import PatchPart, labelled_sessions_of
from finnex.datasets.patch_data import PatchMetadata
from finnex.errors import PricesUnknown, TrainingError
from finnex.evaluation.altered_inputs import Sessions, Shown
from finnex.layout import Layout, load_layout
from finnex.patches.grid import join_patches

DEFAULT_LAYOUT = "mega"
UNNAMED = "unknown"


@dataclass(frozen=True)
class Unseen:
    """Samples with what is known of their sessions.

    Attributes
    ----------
    patch_px
        Side of the patches that vote; None where whole images are shown.
    """

    samples: Iterable[Shown]
    sessions: Sessions
    layout: Layout
    patch_px: int | None


def unseen(
    model: nn.Module,
    test: Any,
    *,
    layout: Layout | str | None = None,
    dates: npt.NDArray[np.datetime64] | None = None,
    prices: pd.DataFrame | None = None,
    horizon: int | None = None,
) -> Unseen:
    """Return samples of a part of a patch data set, of a triple of its three arrays, or of a loader of whole images.

    Parameters
    ----------
    model
        Network that will be asked: it decides whether whole images or patches are shown.
    test
        The test data, in one of the three forms.
    layout
        Needed where the test data does not name it; a loader's is the default layout.
    dates
        Of a loader's images, in its order.
    prices
        Columns date, open, close and, where there are several companies, symbol; by default those of the store that
        the images come from.
    horizon
        Needed where the test data does not name it.

    Returns
    -------
    Unseen
        Samples with their sessions, layout, prices and horizon.

    Raises
    ------
    TrainingError
        It is none of these, its arrays do not fit each other, or the horizon is given nowhere.
    InputError
        The prices cannot be used.
    """
    if isinstance(layout, str):
        layout = load_layout(layout)
    if isinstance(test, tuple) and len(test) == 3:
        return _of_patches(model, PatchPart(*test), layout, prices, horizon)
    if not isinstance(test, Iterable):
        raise TrainingError(
            f"test_loader is a {type(test).__name__}; give what create_train_val_test_split returns, or a loader of "
            "(images, labels)."
        )
    days = None if dates is None else np.asarray(dates).astype("datetime64[D]")
    if horizon is None:
        raise TrainingError(
            "a loader does not report how many sessions its labels look ahead. Give horizon=, as in [labels]."
        )
    known, symbol = None, None
    if days is not None and prices is not None:
        known = session_prices(prices if "symbol" in prices.columns else prices.assign(symbol=UNNAMED))
        if len(known.symbols) != 1:
            raise TrainingError(
                f"prices are of {len(known.symbols)} companies, and a loader does not report whose its images are. "
                "Give those of one company."
            )
        symbol = np.full(len(days), known.symbols[0])
    sessions = Sessions(days, symbol, horizon, known, "" if known else "a loader has none; give dates= and prices=")
    return Unseen(_of_loader(test), sessions, layout or load_layout(DEFAULT_LAYOUT), None)


def _prices(
    given: pd.DataFrame | None, images: MegaImages | None, symbols: npt.NDArray[np.str_]
) -> tuple[SessionPrices | None, str]:
    """Return prices, or why there are none."""
    if given is not None:
        if "symbol" not in given.columns and len(one := np.unique(symbols)) == 1:
            given = given.assign(symbol=str(one[0]))
        return session_prices(given), ""
    if images is None or images.prices_source is None:
        return None, "the images have none; give prices="
    try:
        return images.prices_source(), ""
    except PricesUnknown as error:
        return None, str(error)


def _of_patches(
    model: nn.Module, part: PatchPart, layout: Layout | None, prices: pd.DataFrame | None, horizon: int | None
) -> Unseen:
    patches, labels, metadata = part
    known = labelled_sessions_of(labels, metadata)
    px, about = int(patches.shape[1]), metadata if isinstance(metadata, PatchMetadata) else None
    images = None if about is None else about.images
    shown_layout = layout or (images.layout if images is not None else load_layout(DEFAULT_LAYOUT))
    count = (shown_layout.height // px) * (shown_layout.width // px)
    order = np.argsort(known.session, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(known.session[order])) + 1)
    whole = takes_whole_images(model)

    def samples() -> Iterator[Shown]:
        for group in groups:
            rows = group[np.argsort(known.patch[group], kind="stable")]
            session, pixels = known.session[rows], np.asarray(patches[rows], dtype=np.float32)
            label = known.label[session]
            if not whole:
                yield Shown(_channels_first(pixels), session, label, torch.from_numpy(known.patch[rows]))
                continue
            if len(rows) != count:
                raise TrainingError(
                    f"{type(model).__name__} takes whole images; of {known.day[session[0]]} there are {len(rows)} "
                    f"patches, not {count}. Give all patches of every session."
                )
            yield Shown(_channels_first(join_patches(pixels)[None]), session[:1], label[:1])

    found_horizon = horizon or (0 if images is None else images.horizon)
    if found_horizon < 1:
        raise TrainingError(
            "the test part does not report how many sessions its labels look ahead. Give horizon=, as in [labels]."
        )
    return Unseen(
        samples(),
        Sessions(
            known.day, known.symbol, found_horizon, *_prices(prices, images, known.symbol),
            None if about is None else about.train_frequencies, None if about is None else about.temporal,
        ),
        shown_layout,
        None if whole else px,
    )  # fmt: skip


def _of_loader(loader: Iterable[Any]) -> Iterator[Shown]:
    seen = 0
    for batch in loader:
        images, labels = (batch.images, batch.labels) if hasattr(batch, "images") else (batch[0], batch[1])
        if not isinstance(images, Tensor) or images.ndim != 4 or len(images) != len(labels):
            raise TrainingError(
                "a loader must give (images, labels), images as tensors (B, C, H, W) and a label for each."
            )
        rows = np.arange(seen, seen + len(images))
        seen += len(images)
        yield Shown(images, rows, np.asarray(labels, dtype=np.int64))


def _channels_first(pixels: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, 1)))  # (B, C, H, W)
