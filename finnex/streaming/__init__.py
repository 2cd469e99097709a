"""Images and patches from a store, as a network wants them: pinned, shuffled by seed and epoch, read ahead."""

from finnex.streaming.batches import Batch, BatchSequence, ImageBatches
from finnex.streaming.loader import ReadAhead, load
from finnex.streaming.patches import PatchBatches
from finnex.streaming.pinned import PinnedStore
from finnex.streaming.samples import Samples, labelled_samples

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
