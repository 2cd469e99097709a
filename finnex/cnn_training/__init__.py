"""The specification's training face: `FinNeXCNNTrainer` and `training_config`, thin over the modules that do the work.

`docs/specification.md` says where every name of the specification lives, `docs/patches.md` what is said of patches.
"""

from __future__ import annotations

from finnex.cnn_training.trainer import FinNeXCNNTrainer
from finnex.datasets.parts import PatchPart, RandomSplitWarning
from finnex.datasets.patch_data import Patches, PatchMetadata
from finnex.patches.describe import MarketContext, generate_enhanced_patch_features
from finnex.patches.grid import patch_intelligence_mapping
from finnex.training.reports import tell_epoch
from finnex.training.training_plan import TrainingPlan, read_training_config, training_config

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
