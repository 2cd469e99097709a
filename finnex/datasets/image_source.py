"""The images a trainer works on, from any source: a notebook's array, an image store, an exported folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from finnex.config import LabelSettings
from finnex.data.calendar import Days
from finnex.data.session_prices import SessionPrices
from finnex.datasets.stored_prices import stored_prices
from finnex.errors import LayoutError, StoreError, TrainingError
from finnex.layout import BUNDLED, Layout, load_layout, stored_layout
from finnex.patches.patch_panel import PatchPanel, decoded_panel
from finnex.store import ImageStore
from finnex.store_path import StorePath

Image = npt.NDArray[np.float32]
EXCHANGE = "XNYS"


@dataclass(frozen=True, eq=False)
class MegaImages:
    """Images of one symbol in order of time, with what is known of each.

    Attributes
    ----------
    origin
        Where they came from, for messages.
    read
        Gives an image by its position: (height, width, channel) float32 in [0, 1], 0 where not known.
    days
        Sessions, ascending, `datetime64[D]`.
    label
        int64: 0 sell, 1 hold, 2 buy, -1 where the outcome is not known.
    label_end
        `datetime64[D]`: when the outcome was known, NaT where it is not; None where unknown.
    outcome
        float32: simple return from entry to exit, NaN where not known.
    panel_source
        Gives the features behind the images where more is known than the images show; None to decode them.
    prices_source
        Gives the prices of the symbol's sessions; None where only images are known.
    version_source
        Gives the version of the store that the images are read from; None where there is none.
    """

    origin: str
    symbol: str
    exchange: str
    read: Callable[[int], Image]
    shape: tuple[int, int, int, int]
    days: Days
    label: npt.NDArray[np.int64]
    label_end: Days | None
    outcome: npt.NDArray[np.float32]
    label_kind: str
    horizon: int
    layout: Layout
    panel_source: Callable[[], PatchPanel] | None = None
    prices_source: Callable[[], SessionPrices] | None = None
    version_source: Callable[[], str] | None = None

    def __post_init__(self) -> None:
        """Refuse what no trainer can work with; the error lists all problems."""
        count, height, width, channels = self.shape
        layout = self.layout
        problems = []
        if (height, width, channels) != (layout.height, layout.width, len(layout.channels)):
            problems.append(
                f"images are {height} x {width} x {channels}, layout '{layout.name}' is {layout.height} x "
                f"{layout.width} x {len(layout.channels)}. Give the layout that they were drawn with"
            )
        for name, values in (("dates", self.days), ("labels", self.label), ("label ends", self.label_end)):
            if values is not None and len(values) != count:
                problems.append(f"there are {count} images and {len(values)} {name}. Give one for each image")
        if np.isnat(self.days).any() or (np.diff(self.days) <= np.timedelta64(0, "D")).any():
            problems.append("dates are not ascending, one image a session. Sort them")
        if len(strange := np.setdiff1d(self.label, [-1, 0, 1, 2])):
            problems.append(f"label {strange[0]} is none of 0 sell, 1 hold, 2 buy, -1 not known. Recode them")
        elif self.label_end is not None and len(self.label_end) == len(self.label) == len(self.days):
            known = self.label >= 0
            early = known & ~(self.label_end > self.days)
            if early.any():
                first = int(np.argmax(early))
                problems.append(
                    f"the label of {self.days[first]} ends on {self.label_end[first]}, which is not after it. "
                    "A label's end is the day on which its outcome was known"
                )
        if problems:
            raise TrainingError("\n".join(f"{self.origin}: {problem}." for problem in problems))

    def __len__(self) -> int:
        return self.shape[0]

    def image(self, position: int) -> Image:
        """Return an image.

        Raises
        ------
        TrainingError
            It holds what no mega-image holds.
        """
        found = np.asarray(self.read(position), dtype=np.float32)
        low, high = found.min(), found.max()
        if not (low >= 0 and high <= 1):
            raise TrainingError(
                f"{self.origin}: the image of {self.days[position]} has pixels from {low} to {high}; they lie in "
                "[0, 1], 0 where not known. Draw it again."
            )
        return found

    def take(self, positions: slice) -> MegaImages:
        """Return some of the images, in order of time; the features behind them stay those of all."""
        rows = np.arange(len(self))[positions]
        return replace(
            self, read=lambda position: self.read(int(rows[position])), shape=(len(rows), *self.shape[1:]),
            days=self.days[rows], label=self.label[rows], outcome=self.outcome[rows],
            label_end=None if self.label_end is None else self.label_end[rows], panel_source=lambda: self.panel,
        )  # fmt: skip

    @property
    def version(self) -> str:
        """Version of the data that images are read from; empty where it cannot change."""
        return "" if self.version_source is None else self.version_source()

    @cached_property
    def panel(self) -> PatchPanel:
        """Features behind the images."""
        if self.panel_source is not None:
            return self.panel_source()
        if self.layout.blending:
            raise LayoutError(
                f"{self.origin}: the images are blended, so their features cannot be read off them. "
                "Open the store they came from."
            )
        return decoded_panel(
            (self.image(position) for position in range(len(self))), self.days, self.layout, self.exchange
        )


def from_store(path: StorePath, symbol: str | None = None, labels: LabelSettings | None = None) -> MegaImages:
    """Return the published images of a symbol of a store, with one kind of label.

    Raises
    ------
    StoreError
        There is no store, or it has no such symbol.
    TrainingError
        It holds several symbols and none is named, no image, or no such label.
    """
    store, settings = ImageStore.open(path), labels or LabelSettings()
    if symbol is None and len(store.symbols) != 1:
        raise TrainingError(f"{path} holds {', '.join(store.symbols) or 'no symbol'}. Name one with symbol=.")
    name = symbol or store.symbols[0]
    data = store.open_images(name)
    if f"label_{settings.kind}" not in data or settings.horizon not in data["horizon"].to_numpy():
        raise TrainingError(
            f"{path}: {name} has no label '{settings.kind}' over {settings.horizon} sessions. "
            "Ask for one it has, or build it with these [labels]."
        )
    if data.sizes["date"] == 0:
        raise TrainingError(f"{path} has no published image of {name}. `finnex build` draws them.")
    days = data["date"].to_numpy().astype("datetime64[D]")
    at = data.sel(horizon=settings.horizon)
    array, positions = store.image_array(name), np.searchsorted(store.state(name).days, days)
    layout = stored_layout(store.attrs)

    return MegaImages(
        origin=f"{path}, {name}",
        symbol=name,
        exchange=str(store.attrs["exchange"]),
        read=lambda position: np.asarray(array[int(positions[position])], dtype=np.float32),
        shape=(len(days), layout.height, layout.width, len(layout.channels)),
        days=days,
        label=at[f"label_{settings.kind}"].to_numpy().astype(np.int64),
        label_end=at[f"label_end_{settings.kind}"].to_numpy().astype("datetime64[D]"),
        outcome=at[f"return_{settings.kind}"].to_numpy().astype(np.float32),
        label_kind=settings.kind,
        horizon=settings.horizon,
        layout=layout,
        panel_source=lambda: _stored_panel(store, name),
        prices_source=lambda: stored_prices(store, [name]),
        version_source=store.fingerprint,
    )


def from_array(images: xr.DataArray, layout: Layout | str | None = None) -> MegaImages:
    """Return what `create_mega_image_batch` returned, or any array of that form.

    The features come from the store that the images name in `attrs["store"]`, where it still is what they were read
    from; otherwise from the images.

    Raises
    ------
    TrainingError
        Dimensions, dates or labels are missing.
    LayoutError
        The layout of the images is not given.
    """
    wanted = ("date", "y", "x", "channel")
    if images.dims != wanted:
        raise TrainingError(f"mega_images has dimensions {images.dims}; they must be {wanted}. Transpose it.")
    missing = [name for name in ("date", "label") if name not in images.coords]
    if missing:
        raise TrainingError(
            f"mega_images carries no coordinate {' and no '.join(missing)}. "
            "Take the array that create_mega_image_batch returns, or assign one value an image."
        )
    days = images["date"].to_numpy().astype("datetime64[D]")
    store = _store_of(images)
    if isinstance(layout, str):
        layout = load_layout(layout)
    if layout is None:
        layout = stored_layout(store.attrs) if store is not None else _layout_by_hash(images)
    symbol = str(images.attrs.get("symbol", "unknown"))

    count = len(days)
    return MegaImages(
        origin="mega_images",
        symbol=symbol,
        exchange=EXCHANGE if store is None else str(store.attrs["exchange"]),
        read=lambda position: images[position].to_numpy(),
        shape=(count, images.sizes["y"], images.sizes["x"], images.sizes["channel"]),
        days=days,
        label=images["label"].to_numpy().astype(np.int64),
        label_end=images["label_end"].to_numpy().astype("datetime64[D]") if "label_end" in images.coords else None,
        outcome=images["forward_return"].to_numpy().astype(np.float32)
        if "forward_return" in images.coords
        else np.full(count, np.nan, dtype=np.float32),
        label_kind=str(images.attrs.get("label_kind", "unknown")),
        horizon=int(images.attrs.get("label_horizon_sessions", 0)),
        layout=layout,
        panel_source=None if store is None else lambda: _stored_panel(store, symbol),
        prices_source=None if store is None else lambda: stored_prices(store, [symbol]),
        version_source=None if store is None else store.fingerprint,
    )


def _stored_panel(store: ImageStore, symbol: str) -> PatchPanel:
    sessions = store.open_sessions(symbol)
    return PatchPanel(sessions["date"].to_numpy().astype("datetime64[D]"), sessions["feature_normalized"].to_numpy())


def _store_of(images: xr.DataArray) -> ImageStore | None:
    """Return the store that the images name as their source, where it exists and has their layout."""
    path = images.attrs.get("store")
    if path is None:
        return None
    try:
        store = ImageStore.open(str(path))
    except StoreError:
        return None
    return store if store.attrs["layout_hash"] == images.attrs.get("layout_hash") else None


def _layout_by_hash(images: xr.DataArray) -> Layout:
    for name in BUNDLED:
        if (found := load_layout(name)).hash == images.attrs.get("layout_hash"):
            return found
    raise LayoutError(
        "mega_images does not say which layout it was drawn with, and its store is gone. "
        f"Name it with layout=; bundled are {', '.join(sorted(BUNDLED))}."
    )
