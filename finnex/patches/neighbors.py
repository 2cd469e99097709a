"""How alike neighbouring patches are, from their pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from finnex.data.point_in_time import Floats
from finnex.patches.estimators import ratio
from finnex.patches.grid import extract_patches

LEAST_PX = 64  # pixels of a pair, of all channels, that are known in both patches


def spatial_neighbors(images: npt.NDArray[np.float32], patch_px: int) -> npt.NDArray[np.float32]:
    """Return each patch's mean correlation with its neighbours.

    Two patches are correlated (Pearson) over the pixels that are known in both, each channel about its own mean: a
    local measure of spatial association, as in Moran (1950) and Anselin (1995).

    Parameters
    ----------
    images
        (images, height, width, channel), 0 where not known.

    Returns
    -------
    numpy.ndarray
        (images, patches) float32 in [-1, 1]; NaN where no neighbour shares `LEAST_PX` known pixels and both moved.
    """
    count, height, width, _ = images.shape
    rows, columns = height // patch_px, width // patch_px
    total = np.zeros((count, rows, columns))
    pairs = np.zeros((count, rows, columns))
    for number, image in enumerate(images):  # one image at a time: 9 MB of working memory
        moments = _moments(extract_patches(image, patch_px).reshape(rows, columns, patch_px**2, -1))
        for first, second in (
            ((slice(None), slice(0, -1)), (slice(None), slice(1, None))),
            ((slice(0, -1), slice(None)), (slice(1, None), slice(None))),
        ):
            found = _correlation(moments[first], moments[second])
            known = ~np.isnan(found)
            for place in (first, second):
                total[(number, *place)] += np.where(known, found, 0.0)
                pairs[(number, *place)] += known
    return ratio(total, pairs, pairs > 0).reshape(count, rows * columns).astype(np.float32)


def _moments(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return value, square and knownness: (rows, columns, channel, 3, pixels), 0 where not known."""
    value = np.moveaxis(pixels, -1, 2)
    known = value > 0
    count = np.maximum(np.count_nonzero(known, axis=-1, keepdims=True), 1)
    mean = (value.sum(axis=-1, keepdims=True, dtype=np.float64) / count).astype(np.float32)
    centred = np.where(known, value - mean, np.float32(0))  # near 0, so that squares of even a flat patch keep digits
    return np.stack([centred, centred**2, known.astype(np.float32)], axis=3)


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> Floats:
    """Return the correlation of pairs of patches, over all channels, each about its own mean."""
    # One product of 3 x pixels by pixels x 3 for each pair and channel holds every sum over what both know.
    sums = (a @ np.swapaxes(b, -1, -2)).astype(np.float64)  # (..., channel, 3, 3)
    count = np.maximum(sums[..., 2, 2], 1.0)
    covariance = sums[..., 0, 0] - sums[..., 0, 2] * sums[..., 2, 0] / count
    variance_a = sums[..., 1, 2] - sums[..., 0, 2] ** 2 / count
    variance_b = sums[..., 2, 1] - sums[..., 2, 0] ** 2 / count
    together, alone_a, alone_b = (part.sum(axis=-1) for part in (covariance, variance_a, variance_b))
    known = (sums[..., 2, 2].sum(axis=-1) >= LEAST_PX) & (alone_a > 1e-3) & (alone_b > 1e-3)
    scale = np.sqrt(np.where(known, alone_a * alone_b, 1.0))
    return np.asarray(np.clip(ratio(together, scale, known), -1.0, 1.0))
