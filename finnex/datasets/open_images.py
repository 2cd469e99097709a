"""Images from where they are: an array of the generator, a store, or an exported folder."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from finnex.config import LabelSettings
from finnex.datasets.exported_folder import IMAGES, from_folder
from finnex.datasets.image_source import MegaImages, from_array, from_store
from finnex.errors import TrainingError
from finnex.layout import Layout
from finnex.store import holds_a_store
from finnex.store_path import store_path


def open_images(
    given: xr.DataArray | str | Path, symbol: str | None, layout: Layout | str | None, labels: LabelSettings | None
) -> MegaImages:
    """Open labelled images of one symbol.

    Parameters
    ----------
    given
        What `create_mega_image_batch` returned, the path of a store, or an exported folder.
    symbol
        Which company of a store that holds several.
    layout
        Name or layout of images that do not name it.
    labels
        Kind and horizon of the labels of a store; None is the default label.

    Returns
    -------
    MegaImages
        The images with their dates, labels and layout; read when used.

    Raises
    ------
    TrainingError
        It is none of the three, or has no such labels.
    StoreError, LayoutError
        The store has no such symbol, or the layout is not that of the images.
    """
    if isinstance(given, xr.DataArray):
        return from_array(given, layout)
    if not isinstance(given, str | Path):
        raise TrainingError(
            f"mega_images is a {type(given).__name__}, which carries neither dates nor labels. Give the array that "
            "create_mega_image_batch returns, the path of a store, or an exported folder."
        )
    place = store_path(given)
    if holds_a_store(place):
        return from_store(place, symbol, labels)
    path = Path(str(place))
    if path.is_dir() and ((path / IMAGES).is_file() or not any(path.glob("*.zarr"))):
        return from_folder(path, layout)
    raise TrainingError(f"{given} is neither an image store nor a folder with {IMAGES}. Check the path.")
