"""`FinNeXMultiScaleCNN`: three sections, three receptive fields in time, one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from finnex.errors import TrainingError, nearest
from finnex.models.layers import (
    COLUMN_PX,
    PARTS,
    Branch,
    ClassificationHead,
    CrossModalAttention,
    FusionLayer,
    session_columns,
)

IMAGE_PX = 512
ROWS = 171  # of a section; the last has 170 and one row of 'not known'
STEPS = -(-IMAGE_PX // COLUMN_PX) // PARTS  # 57: the window's 56 sessions and the margin


@dataclass(frozen=True)
class Preset:
    """Sizes of a network: `base` has the specification's, `small` trains on two CPU cores in minutes."""

    width: int
    fused: int
    heads: int
    dropout: float


PRESETS = {"small": Preset(64, 128, 4, 0.1), "base": Preset(256, 512, 8, 0.1)}


class FinNeXMultiScaleCNN(nn.Module):
    """Multi-scale network over mega-images.

    The macro branch sees the longest stretch of time at once, the fundamental branch the shortest; attention
    then relates sessions of all three sections.

    Parameters
    ----------
    input_channels
        Channels of the image.
    num_classes
        Classes to tell apart; sell, hold, buy by default.
    patch_size
        Side of the patches that `forward` takes besides whole images.
    preset
        `small` or `base`.

    Raises
    ------
    TrainingError
        The preset is unknown, or `patch_size` is larger than the time axis has steps.
    """

    def __init__(
        self,
        input_channels: int = 3,
        num_classes: int = 3,
        patch_size: int = 32,
        preset: Literal["small", "base"] = "small",
    ) -> None:
        super().__init__()
        if preset not in PRESETS:
            raise TrainingError(f"model preset '{preset}' is unknown. {nearest(preset, PRESETS)}")
        if not 1 <= patch_size <= STEPS:
            raise TrainingError(f"patch_size {patch_size} does not fit; choose 1 to {STEPS} pixels.")
        size = PRESETS[preset]
        self.settings = {
            "input_channels": input_channels, "num_classes": num_classes, "patch_size": patch_size, "preset": preset,
        }  # fmt: skip
        self.patch_size = patch_size
        common = (input_channels, ROWS, patch_size, STEPS, size.width)
        self.macro_branch = Branch(*common, kernel=5, dilations=(1, 2, 4), dropout=size.dropout)  # 29 sessions
        self.behavioral_branch = Branch(*common, kernel=3, dilations=(1, 2, 4), dropout=size.dropout)  # 15 sessions
        self.fundamental_branch = Branch(*common, kernel=3, dilations=(1, 1), dropout=size.dropout)  # 5 sessions
        self.cross_modal_attention = CrossModalAttention(size.width, size.heads, STEPS, size.dropout)
        self.fusion_layer = FusionLayer(3 * size.width, size.fused, size.dropout)
        self.classifier = ClassificationHead(size.fused, num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Classify whole images or patches.

        Parameters
        ----------
        x
            (B, C, 512, 512) or (B, C, patch_size, patch_size), any float type; 0 is 'not known'.

        Returns
        -------
        tuple of Tensor
            Logits (B, classes) and the attended features of the three sections (B, 3, width).
        """
        branches = (self.macro_branch, self.behavioral_branch, self.fundamental_branch)
        if x.shape[-1] == self.patch_size and x.shape[-2] == self.patch_size:
            values = torch.where(x > 0, (x.float() - 0.51) * 2.0, 0.0)  # (B, C, P, P)
            macro, behavioral, fundamental = (branch.read_patches(values) for branch in branches)
        else:
            values, known = session_columns(x)  # (B, C, 512, 171)
            values = functional.pad(values, (0, 0, 0, 3 * ROWS - IMAGE_PX))  # (B, C, 513, 171)
            known = functional.pad(known, (0, 0, 0, 3 * ROWS - IMAGE_PX))
            rows = [slice(i * ROWS, (i + 1) * ROWS) for i in range(3)]
            macro, behavioral, fundamental = (
                branch(values[:, :, part], known[:, :, part]) for branch, part in zip(branches, rows, strict=True)
            )  # each (B, 57, width)
        attended = self.cross_modal_attention(macro, behavioral, fundamental)  # (B, 3, width)
        fused = self.fusion_layer(attended)  # (B, fused)
        return self.classifier(fused), attended
