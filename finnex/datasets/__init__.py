"""Images and patches from a store, as a network takes them: pinned, shuffled by seed and epoch, read ahead."""

from finnex.datasets.batches import Batch, BatchSequence, ImageBatches
from finnex.datasets.loader import ReadAhead, load
from finnex.datasets.patch_batches import PatchBatches
from finnex.datasets.pinned import PinnedStore
from finnex.datasets.samples import Samples, labelled_samples

__all__ = [
    "Batch",
    "BatchSequence",
    "ImageBatches",
    "PatchBatches",
    "PinnedStore",
    "ReadAhead",
    "Samples",
    "labelled_samples",
    "load",
]
