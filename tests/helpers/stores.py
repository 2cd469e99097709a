"""Small stores with known contents: what the builder would publish, written by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finnex.config import HORIZONS, Config
from finnex.encoders.heatmap import bands
from finnex.store import NOT_A_DAY, DraftTarget, ImageStore, Publication, Receipt, StoreTemplate, StoreWriter

Image = npt.NDArray[np.float32]
SECTION_ROWS = {"macro": (0, 171), "behavioral": (171, 342), "fundamental": (342, 512)}
REGIONS = tuple(f"{section}_{channel}" for section in SECTION_ROWS for channel in ("red", "green", "blue"))
LABEL_SETTINGS = {"threshold_volatility": 0.5, "barrier_volatility": 1.0, "volatility_sessions": 63}


def sessions(n: int, start: str = "2015-01-02") -> npt.NDArray[np.datetime64]:
    """Return n weekdays."""
    return np.busday_offset(np.datetime64(start), np.arange(n), roll="forward")


def paint(image: Image, section: str, channel: int, values: npt.NDArray[np.floating], third: int | None = None) -> None:
    """Draw a heat map of (feature, 56) values in [0, 1] the way the renderer does: rows are features, oldest left."""
    top, bottom = SECTION_ROWS[section]
    px, left = (9, 0) if third is None else (3, 171 * third)
    drawn = bands(0.02 + 0.98 * np.asarray(values, dtype=np.float32).T, px, bottom - top)
    image[top:bottom, left : left + drawn.shape[1], channel] = drawn


def blank() -> Image:
    return np.zeros((512, 512, 3), dtype=np.float32)


PRICE_FEATURES = ("return_1", "return_intraday")


def feature_names(features: int) -> tuple[str, ...]:
    """Return names of features; with four or more, the last two say how prices moved."""
    priced = PRICE_FEATURES if features >= 4 else ()
    return (*(f"feature_{i}" for i in range(features - len(priced))), *priced)


def price_features(outcome: npt.NDArray[np.floating], horizon: int) -> npt.NDArray[np.float64]:
    """Return (session, 2) `PRICE_FEATURES` of closes that walk at random and opens that give the outcomes."""
    n = len(outcome)
    log_close = np.random.default_rng(n).normal(0, 0.01, n).cumsum()
    log_open = log_close.copy()
    known = np.flatnonzero(~np.isnan(outcome))
    log_open[known + 1] = log_close[known + horizon] - np.log1p(outcome[known])
    return np.stack([np.diff(log_close, prepend=np.nan), log_close - log_open], axis=1)


def template(synthetic: tuple[str, ...] = (), features: int = 6) -> StoreTemplate:
    return StoreTemplate(
        layout_name="test", layout_hash="0123abcd", layout_toml="", catalogue_csv="", lookback_sessions=56,
        shape=(512, 512, 3),
        channels=("red", "green", "blue"), regions=REGIONS, features=feature_names(features),
        horizons=HORIZONS, label_kinds=("price_movement", "triple_barrier"), label_settings=LABEL_SETTINGS,
        exchange="XNYS", synthetic_tables=synthetic,
    )  # fmt: skip


def make_store(
    path: Path,
    days: npt.NDArray[np.datetime64],
    images: Callable[[str, int], Image],
    labels: Mapping[str, npt.NDArray[np.integer]],
    *,
    features: Mapping[str, npt.NDArray[np.floating]] | None = None,
    horizon: int = 5,
    synthetic: tuple[str, ...] = (),
    unpublished: int = 0,
) -> ImageStore:
    """Publish `images(symbol, i)` for every day but the last `unpublished`, with one label kind at one horizon.

    Label -1 is unknown; the outcome ends `horizon` sessions later, so the last `horizon` labels become unknown.
    """
    width = next(iter(features.values())).shape[1] if features else 6
    made = template(synthetic, width)
    store = StoreWriter.prepare(path, made)
    column = HORIZONS.index(horizon)
    n = len(days)
    for symbol, wanted in labels.items():
        store.ensure_symbol(symbol, days, made)
        target = store.target(symbol, "test")
        failed = publish(store, symbol, [publish_one(target, i, images(symbol, i)) for i in range(n - unpublished)])
        assert not failed
        label = np.full((n, len(HORIZONS)), -1, dtype=np.int8)
        label[: n - horizon, column] = np.asarray(wanted)[: n - horizon]
        end = np.full((n, len(HORIZONS)), NOT_A_DAY)
        known = label[:, column] >= 0
        end[known, column] = days[np.flatnonzero(known) + horizon].astype("datetime64[D]").astype("int64")
        outcome = np.where(label < 0, np.nan, (label - 1) * 0.01).astype(np.float32)
        store.write_rows(symbol, "label_price_movement", 0, label)
        store.write_rows(symbol, "return_price_movement", 0, outcome)
        store.write_rows(symbol, "label_end_price_movement", 0, end)
        if width >= 4:
            original = np.full((n, width), np.nan)
            original[:, -2:] = price_features(outcome[:, column].astype(np.float64), horizon)
            store.write_rows(symbol, "feature_original", 0, original)
        noise = np.random.default_rng(len(symbol) + n).uniform(0.02, 1, (n, width))
        given = features[symbol] if features else noise
        store.write_rows(symbol, "feature_normalized", 0, np.asarray(given, dtype=np.float32))
    return ImageStore.open(path)


def publish(store: StoreWriter, symbol: str, receipts: Sequence[Receipt]) -> list[Receipt]:
    """Publish drafts at once; return those that could not be, each with its error."""
    publication = Publication(store, symbol)
    publication.add(receipts)
    return publication.finish()


def publish_one(target: DraftTarget, index: int, image: Image) -> Receipt:
    draft, crc = target.write(index, image)
    covered = [
        float((image[top:bottom, :, channel] > 0).mean())
        for top, bottom in SECTION_ROWS.values()
        for channel in range(3)
    ]
    return Receipt(index, index + 1, draft, crc, coverage=tuple(covered), weights=(1.0,) * len(covered))


def make_config(store: ImageStore, root: Path, **training: object) -> Config:
    """Return a configuration for a store that is already there."""
    settings = {"epochs": 3, "batch_size": 16, "warmup_epochs": 1, "embargo_sessions": 5, **training}
    return Config.model_validate(
        {
            "inputs": {"prices": root / "prices.csv"},
            "symbols": tuple(store.symbols),
            "store": {"path": store.path},
            "training": settings,
        }
    )
