"""The specification's training face: `FinNeXCNNTrainer` and `training_config`, thin over the modules that do the work.

`docs/specification.md` says where every name of the specification lives, `docs/patches.md` what is said of patches.
"""

from __future__ import annotations

from finnex.cnn_training.parts import PatchPart, RandomSplitWarning
from finnex.cnn_training.patch_data import Patches, PatchMetadata
from finnex.cnn_training.plan import TrainingPlan, read_training_config, training_config
from finnex.cnn_training.trainer import FinNeXCNNTrainer, tell_epoch
from finnex.images.patch_description import MarketContext, generate_enhanced_patch_features
from finnex.images.patches import patch_intelligence_mapping

__all__ = [
    "FinNeXCNNTrainer",
    "MarketContext",
    "PatchMetadata",
    "PatchPart",
    "Patches",
    "RandomSplitWarning",
    "TrainingPlan",
    "generate_enhanced_patch_features",
    "patch_intelligence_mapping",
    "read_training_config",
    "tell_epoch",
    "training_config",
]
