"""`FinNeXMultiScaleCNN`: three sections, three receptive fields in time, one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from finnex.errors import TrainingError, nearest
from finnex.models.layers import (
    IMAGE_PX,
    ROWS,
    STEPS,
    Branch,
    ClassificationHead,
    CrossModalAttention,
    FusionLayer,
    centred,
    session_columns,
    split_sections,
)
from finnex.models.network_inputs import check_pixels


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

    The macro branch has the longest receptive field in time, the fundamental branch the shortest; attention
    then relates sessions of all three sections.

    Parameters
    ----------
    input_channels
        Channels of the image.
    num_classes
        Classes to distinguish; sell, hold, buy by default.
    patch_size
        Side of the patches that `forward` takes besides whole images.
    preset
        `base` has the sizes of the specification, `small` trains on two CPU cores in minutes.

    Raises
    ------
    TrainingError
        The preset is unknown, or `patch_size` is larger than the time axis has steps.

    Examples
    --------
    >>> import torch
    >>> network = FinNeXMultiScaleCNN(preset="small").eval()
    >>> logits, attended = network(torch.zeros(2, 3, 32, 32))
    >>> tuple(logits.shape), tuple(attended.shape)
    ((2, 3), (2, 3, 64))
    >>> tuple(network.attend(torch.zeros(2, 3, 32, 32)).shape)
    (2, 1, 4, 96, 96)
    """

    def __init__(
        self,
        input_channels: int = 3,
        num_classes: int = 3,
        patch_size: int = 32,
        preset: Literal["small", "base"] = "base",
    ) -> None:
        super().__init__()
        if preset not in PRESETS:
            raise TrainingError(f"model preset '{preset}' is unknown. {nearest(preset, PRESETS)}")
        if not 1 <= patch_size <= STEPS:
            raise TrainingError(f"patch_size {patch_size} does not fit; choose 1 to {STEPS} pixels.")
        size = PRESETS[preset]
        self.input_channels, self.patch_size = input_channels, patch_size
        common = (input_channels, ROWS, patch_size, STEPS, size.width)
        self.macro_branch = Branch(*common, kernel=5, dilations=(1, 2, 4), dropout=size.dropout)  # 29 sessions
        self.behavioral_branch = Branch(*common, kernel=3, dilations=(1, 2, 4), dropout=size.dropout)  # 15 sessions
        self.fundamental_branch = Branch(*common, kernel=3, dilations=(1, 1), dropout=size.dropout)  # 5 sessions
        # Position of a patch; initially zero, so that it is learned only from patches whose number is given.
        self.patch_position = nn.Parameter(torch.zeros((IMAGE_PX // patch_size) ** 2, size.width))
        self.cross_modal_attention = CrossModalAttention(size.width, size.heads, STEPS, size.dropout)
        self.fusion_layer = FusionLayer(3 * size.width, size.fused, size.dropout)
        self.classifier = ClassificationHead(size.fused, num_classes)

    def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Classify whole images or patches.

        Parameters
        ----------
        x
            (B, C, 512, 512) or (B, C, patch_size, patch_size), any float type, in [0, 1]; 0 is 'not known'.
            B may be 0.
        patch
            (B,) numbers of the patches, row by row from the top left corner; absent, a patch has no position.

        Returns
        -------
        tuple of Tensor
            Logits (B, classes) and the attended features of the three sections (B, 3, width).

        Raises
        ------
        TrainingError
            Images or patch numbers are of another shape, type or range, or no numbers.
        """
        attended = self.cross_modal_attention(*self._sections(x, patch))  # (B, 3, width)
        fused = self.fusion_layer(attended)  # (B, fused)
        return self.classifier(fused), attended

    def attend(self, x: Tensor, patch: Tensor | None = None) -> Tensor:
        """Return which session of which section attends to which.

        Parameters
        ----------
        x, patch
            As `forward` takes them.

        Returns
        -------
        Tensor
            (B, 1, heads, 3T, 3T) in [0, 1]: image, layer, head, token that looks, token looked at; rows sum to 1.
            Token `section * T + t` is session t, oldest first, of section macro, behavioral or fundamental. T is 57
            for whole images, whose last step is the margin, and `patch_size` for patches.
        """
        return torch.as_tensor(self.cross_modal_attention.attention(*self._sections(x, patch)))[:, None]

    def _sections(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Read images or patches: three of (B, T, width)."""
        check_pixels(x, patch, channels=self.input_channels, image_px=IMAGE_PX, patch_px=self.patch_size)
        branches = (self.macro_branch, self.behavioral_branch, self.fundamental_branch)
        if x.shape[-1] == self.patch_size:
            values = centred(x, self.patch_position.dtype)[0]  # (B, C, P, P)
            place = 0 if patch is None else self.patch_position[patch][:, None]  # (B, 1, width)
            macro, behavioral, fundamental = (branch.read_patches(values) + place for branch in branches)
        else:
            parts = split_sections(*session_columns(x, self.patch_position.dtype))
            macro, behavioral, fundamental = (branch(*part) for branch, part in zip(branches, parts, strict=True))
        return macro, behavioral, fundamental
