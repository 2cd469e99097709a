"""Patches and their metadata, as sequences that compute and read when asked: a year of patches is 792 MB.

Both number patches image by image, row by row within an image. Both can be narrowed to some of them without copying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from finnex.datasets.image_source import Image, MegaImages
from finnex.patches.describe import ENHANCED_FIELDS, METADATA_FIELDS, PatchDescription, describe, regime_word
from finnex.patches.grid import PatchGrid, extract_patches
from finnex.patches.neighbors import spatial_neighbors

Rows = npt.NDArray[np.intp]
KEYS = (
    *METADATA_FIELDS, *(name for name in ENHANCED_FIELDS if name != "patch_section"),
    "symbol", "date", "label_end", "forward_return", "patch",
)  # fmt: skip
"""Keys of a patch's dictionary: nine metadata fields, the other twelve enhanced features, and which patch it is."""


class Patches:
    """Patches as an array of shape (patches, patch_px, patch_px, channel), cut out of their images when read.

    A number gives one patch, a slice or an array of numbers an array of them, `numpy.asarray` all. Neighbours in a row
    are read together from one image.

    Parameters
    ----------
    images
        Images to cut.
    patch_px
        Side of a patch in pixels; it divides height and width.
    rows
        Numbers of the patches, image by image; by default all.

    Examples
    --------
    >>> from finnex.cnn_training import FinNeXCNNTrainer
    >>> patches = Patches(FinNeXCNNTrainer("images.zarr").images, 32)
    >>> patches.shape, patches[0].shape, patches.take(np.arange(4)).shape
    ((3072, 32, 32, 3), (32, 32, 3), (4, 32, 32, 3))
    """

    def __init__(self, images: MegaImages, patch_px: int, rows: Rows | None = None) -> None:
        self.images, self.patch_px = images, patch_px
        _, height, width, channels = images.shape
        self.per_image = (height // patch_px) * (width // patch_px)
        self.rows = np.arange(len(images) * self.per_image) if rows is None else rows
        self.shape = (len(self.rows), patch_px, patch_px, channels)
        self.dtype = np.dtype(np.float32)
        self._last: tuple[int, Image] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int | np.integer) -> Image: ...
    @overload
    def __getitem__(self, key: slice | npt.NDArray[Any] | Sequence[int]) -> Image: ...
    def __getitem__(self, key: Any) -> Image:
        """Return one patch (patch_px, patch_px, channel), or some (n, patch_px, patch_px, channel)."""
        wanted = self.rows[key]
        if np.ndim(wanted) == 0:
            one: Image = self._cut(int(wanted) // self.per_image)[int(wanted) % self.per_image]
            return one
        found = np.empty((len(wanted), *self.shape[1:]), dtype=np.float32)
        image, patch = np.divmod(wanted, self.per_image)
        for number in np.unique(image):
            here = np.flatnonzero(image == number)
            found[here] = self._cut(int(number))[patch[here]]
        return found

    def __iter__(self) -> Iterator[Image]:
        return (self[position] for position in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read all."""
        if copy is False:
            raise ValueError("patches are cut out of their images, which copies them")
        return self[:] if dtype is None else self[:].astype(dtype)

    def take(self, positions: Rows) -> Patches:
        """Return some of them, not yet read.

        Parameters
        ----------
        positions
            (n,) positions among these patches.

        Returns
        -------
        Patches
            They, in that order.
        """
        return Patches(self.images, self.patch_px, self.rows[positions])

    def _cut(self, image: int) -> Image:
        if self._last is None or self._last[0] != image:
            self._last = (image, extract_patches(self.images.image(image), self.patch_px))
        return self._last[1]


class _Known:
    """Metadata of all patches of some images, computed once for all readers."""

    def __init__(self, images: MegaImages, grid: PatchGrid) -> None:
        self.images, self.grid = images, grid
        self._neighbors: dict[int, npt.NDArray[np.float32]] = {}

    @cached_property
    def description(self) -> PatchDescription:
        return describe(self.grid, self.images.panel, self.images.days)

    def neighbors(self, image: Rows, patch: Rows) -> npt.NDArray[np.float32]:
        """Return how alike patches and their neighbours are; only images that are asked for are read."""
        found = np.empty(len(image), dtype=np.float32)
        for one in np.unique(image).tolist():
            if one not in self._neighbors:
                self._neighbors[one] = spatial_neighbors(self.images.image(one)[None], self.grid.patch_px)[0]
            here = image == one
            found[here] = self._neighbors[one][patch[here]]
        return found

    def column(self, name: str, image: Rows, patch: Rows) -> npt.NDArray[Any]:
        """Return one key's values for patches of images."""
        if name in self._special:
            return self._special[name](image, patch)
        return self.description.columns[name][image, patch]

    @cached_property
    def _special(self) -> dict[str, Callable[[Rows, Rows], npt.NDArray[Any]]]:
        """Keys that the panel does not contain."""
        images, grid = self.images, self.grid
        unknown = np.full(len(images), np.datetime64("NaT"), dtype="datetime64[D]")
        ends = unknown if images.label_end is None else images.label_end
        sections = np.array([patch.section for patch in grid.patches])
        regimes = np.array([regime_word(code) for code in (-1, 0, 1, 2)])
        return {
            "symbol": lambda image, patch: np.full(len(image), images.symbol),
            "date": lambda image, patch: images.days[image],
            "label_end": lambda image, patch: ends[image],
            "forward_return": lambda image, patch: images.outcome[image],
            "patch": lambda image, patch: patch,
            "patch_section": lambda image, patch: sections[patch],
            "spatial_coordinates": lambda image, patch: np.stack(np.divmod(patch, grid.columns), axis=-1),
            "spatial_neighbors": self.neighbors,
            "regime_context": lambda image, patch: regimes[self.description.regime[image, patch].astype(int) + 1],
        }


class PatchMetadata(Sequence[Mapping[str, Any]]):
    """Metadata of each patch: a list of dictionaries to read, columns to compute with.

    `metadata[i]` is a dictionary with `KEYS`, NaN where not known; `metadata.column(name)` has that key of all;
    `metadata.to_frame()` is a table. docs/patches.md defines every number.

    Parameters
    ----------
    known
        Metadata of all patches of the images; use `of` to make one.
    rows
        Numbers of the patches, image by image.
    train_frequencies
        Shares of the classes in the training part of the same split, (classes,); None where nothing was split.
    temporal
        Whether the parts were cut in time; None where nothing was split.

    Attributes
    ----------
    train_frequencies
        Shares of the classes in the training part of the same split, (classes,); None where nothing was split.
    temporal
        Whether the parts were cut in time; None where nothing was split.

    Examples
    --------
    >>> from finnex.cnn_training import FinNeXCNNTrainer
    >>> trainer = FinNeXCNNTrainer("images.zarr")
    >>> metadata = PatchMetadata.of(trainer.images, trainer.grid)
    >>> len(metadata), str(metadata.column("date")[0]), metadata.column("patch")[:3].tolist()
    (3072, '2015-03-02', [0, 1, 2])
    >>> metadata.take(np.arange(2)).to_frame()["patch_section"].tolist()
    ['macro_economic', 'macro_economic']
    """

    def __init__(
        self, known: _Known, rows: Rows, *,
        train_frequencies: npt.NDArray[np.float64] | None = None, temporal: bool | None = None,
    ) -> None:  # fmt: skip
        self._known, self.rows = known, rows
        self.train_frequencies, self.temporal = train_frequencies, temporal

    @classmethod
    def of(cls, images: MegaImages, grid: PatchGrid) -> PatchMetadata:
        """Return the metadata of all patches.

        Parameters
        ----------
        images
            Images that the patches are of.
        grid
            Patches of their layout.

        Returns
        -------
        PatchMetadata
            One entry a patch, image by image.
        """
        return cls(_Known(images, grid), np.arange(len(images) * len(grid)))

    @property
    def grid(self) -> PatchGrid:
        """The patches' layout."""
        return self._known.grid

    @property
    def images(self) -> MegaImages:
        """The patches' images."""
        return self._known.images

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"PatchMetadata({len(self)} patches; keys: {', '.join(KEYS)})"

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one key's values of all patches.

        Parameters
        ----------
        name
            One of `KEYS`.

        Returns
        -------
        numpy.ndarray
            (patches,), and (patches, 2) of the coordinates; NaN, NaT or 'unknown' where not known.

        Raises
        ------
        KeyError
            There is no such key.
        """
        if name not in KEYS:
            raise KeyError(name)
        image, patch = np.divmod(self.rows, len(self.grid))
        return self._known.column(name, image, patch)

    def take(self, positions: Rows, **about: Any) -> PatchMetadata:
        """Return the metadata of some patches.

        Parameters
        ----------
        positions
            (n,) positions among these patches.
        **about
            `train_frequencies` and `temporal` of the new metadata.

        Returns
        -------
        PatchMetadata
            They, in that order.
        """
        return PatchMetadata(self._known, self.rows[positions], **about)

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> PatchMetadata: ...
    def __getitem__(self, key: int | slice) -> dict[str, Any] | PatchMetadata:
        """Return the dictionary of a patch, or the metadata of a slice of them."""
        if isinstance(key, slice):
            return self.take(np.arange(len(self))[key])
        one = self.take(np.array([range(len(self))[key]]))
        found: dict[str, Any] = {}
        for name in KEYS:
            value = one.column(name)[0]
            found[name] = tuple(value.tolist()) if name == "spatial_coordinates" else value.item()
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row a patch, the coordinates as patch_row and patch_column.

        Returns
        -------
        pandas.DataFrame
            Columns as `KEYS`.
        """
        columns = {name: self.column(name) for name in KEYS if name != "spatial_coordinates"}
        for name in ("date", "label_end"):
            columns[name] = columns[name].astype("datetime64[s]")
        row, column = self.column("spatial_coordinates").T
        return pd.DataFrame({**columns, "patch_row": row, "patch_column": column})
