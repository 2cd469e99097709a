"""Draw one session in memory: the image that a build would write, without a draft."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from finnex.errors import BuildError
from finnex.pipeline.drawing import Block, draw_block
from finnex.store import DraftTarget


@dataclass(frozen=True)
class _Kept(DraftTarget):
    """A target that keeps images in memory: a session is then drawn by the very code that fills a store."""

    images: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def write(self, index: int, image: npt.NDArray[np.float32]) -> tuple[str, int]:
        """Keep a copy: the canvas is drawn over."""
        self.images.append(image.copy())
        return "", 0


def draw_in_memory(block: Block, what: str) -> tuple[npt.NDArray[np.float32], tuple[float, ...]]:
    """Draw the first session of a block.

    Parameters
    ----------
    what
        Symbol and date, for the message.

    Returns
    -------
    image
        (y, x, channel) float32 in [0, 1], 0 where not known.
    coverage
        By region, in the layout's order, the share of its pixels that are known.

    Raises
    ------
    BuildError
        It could not be drawn.
    """
    kept = _Kept(**vars(block.target))
    receipt = draw_block(replace(block, target=kept))[0]
    if receipt.error:
        raise BuildError(f"the image of {what} could not be drawn: {receipt.error}.")
    return kept.images[0], receipt.coverage
