"""`FinNeXViT`: patches of a mega-image that attend to each other, each with an embedding of its section."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from finnex.errors import TrainingError, nearest
from finnex.models.layers import IMAGE_PX, FusionLayer
from finnex.models.network_inputs import check_pixels
from finnex.models.vit_layers import (
    CELL_PX,
    SECTIONS,
    FinancialPatchEmbedding,
    FinancialTransformerBlock,
    RegimeAwareClassifier,
    SectorAwarePositionalEncoding,
    section_shares,
)

PERIODS = 4  # the window's quarters, in which tokens are pooled
REGIMES = 4


@dataclass(frozen=True)
class Preset:
    """Sizes of a transformer: `base` has the specification's, `small` trains on two CPU cores in minutes."""

    width: int
    depth: int
    heads: int
    mlp_ratio: float
    stem_width: int
    fused: int
    dropout: float


PRESETS = {
    "small": Preset(width=64, depth=3, heads=2, mlp_ratio=2.0, stem_width=64, fused=128, dropout=0.1),
    "base": Preset(width=768, depth=12, heads=12, mlp_ratio=4.0, stem_width=256, fused=512, dropout=0.1),
}


class FinNeXViT(nn.Module):
    """Vision transformer over mega-images (Dosovitskiy 2021), with a stem aligned to sessions and a regime's heads.

    The head reads the tokens, averaged by section and quarter of the window, and the stem's summary of the window:
    through it a rule in time is found before the transformer has memorised the training images.

    Parameters
    ----------
    image_size
        Side of the images; 512, which sections and session widths are cut for.
    patch_size
        Side of a patch: 16, 32 or 64.
    num_classes
        Classes to distinguish; sell, hold, buy by default.
    preset
        `base` has the sizes of the specification, `small` trains on two CPU cores in minutes.
    input_channels
        Channels of the image.

    Attributes
    ----------
    pooling, sections, nowhere
        Constants that follow from the sizes; they are not saved with the weights.

    Raises
    ------
    TrainingError
        The preset is unknown, or the sizes do not fit.

    Examples
    --------
    >>> import torch
    >>> network = FinNeXViT(preset="small").eval()
    >>> logits, tokens = network(torch.zeros(2, 3, 32, 32))
    >>> tuple(logits.shape), tuple(tokens.shape)
    ((2, 3), (2, 1, 64))
    >>> tuple(network.attend(torch.zeros(2, 3, 32, 32)).shape)
    (2, 3, 2, 1, 1)
    """

    pooling: Tensor
    sections: Tensor
    nowhere: Tensor

    def __init__(
        self,
        image_size: int = 512,
        patch_size: int = 32,
        num_classes: int = 3,
        preset: Literal["small", "base"] = "base",
        input_channels: int = 3,
    ) -> None:
        super().__init__()
        if preset not in PRESETS:
            raise TrainingError(f"model preset '{preset}' is unknown. {nearest(preset, PRESETS)}")
        if image_size != IMAGE_PX:
            raise TrainingError(f"image_size {image_size} does not fit: sections are cut for {IMAGE_PX} pixels.")
        if patch_size not in (2 * CELL_PX, 4 * CELL_PX, 8 * CELL_PX):
            raise TrainingError(f"patch_size {patch_size} does not fit; choose 16, 32 or 64 pixels.")
        size = PRESETS[preset]
        self.input_channels, self.image_size, self.patch_size = input_channels, image_size, patch_size
        self.side = image_size // patch_size
        self.patch_embedding = FinancialPatchEmbedding(
            input_channels, patch_size, size.width, size.stem_width, size.dropout
        )
        self.positional_encoding = SectorAwarePositionalEncoding(patch_size, size.width)
        self.transformer_blocks = nn.ModuleList(
            FinancialTransformerBlock(size.width, size.heads, size.mlp_ratio, size.dropout) for _ in range(size.depth)
        )
        self.norm = nn.LayerNorm(size.width)
        self.fusion_layer = FusionLayer(SECTIONS * PERIODS * size.width, size.fused, size.dropout)
        self.window = FusionLayer(4 * SECTIONS * size.stem_width, size.fused, size.dropout)
        self.classification_head = RegimeAwareClassifier(size.fused, size.stem_width, num_classes, REGIMES)
        shares = section_shares(patch_size)
        self.register_buffer("pooling", (shares / shares.sum(0)).T.contiguous(), persistent=False)  # (3, side)
        sections = shares.repeat_interleave(self.side, dim=0)  # (N, 3)
        self.register_buffer("sections", sections, persistent=False)
        self.register_buffer("nowhere", torch.full((1, SECTIONS), 1 / SECTIONS), persistent=False)

    def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Classify whole images or single patches.

        Parameters
        ----------
        x
            (B, C, 512, 512) or (B, C, patch_size, patch_size), any float type, in [0, 1]; 0 is 'not known'.
            B may be 0.
        patch
            Number of each single patch in its image, 0 at the top left, counted along rows (B,).

        Returns
        -------
        tuple of Tensor
            Logits (B, classes) and tokens (B, N, width): N patches of an image along rows, or the one shown.

        Raises
        ------
        TrainingError
            Images or patch numbers are of another shape, type or range, or no numbers.
        """
        tokens, shares, window, macro = self._embed(x, patch)
        for block in self.transformer_blocks:
            tokens = block(tokens, shares)
        tokens = self.norm(tokens)  # (B, N, width)
        fused = self.fusion_layer(self._pool(tokens)) + self.window(window)  # (B, fused)
        return self.classification_head(fused, macro), tokens

    def attend(self, x: Tensor, patch: Tensor | None = None) -> Tensor:
        """Return which patch attends to which.

        Parameters
        ----------
        x, patch
            As `forward` takes them.

        Returns
        -------
        Tensor
            (B, layers, heads, N, N) in [0, 1]: image, block, head, patch that looks, patch looked at; rows sum to 1.
            Patch `row * 16 + column` (of 32 pixels) shows the pixels from (32 row, 32 column) on.
        """
        tokens, shares, _, _ = self._embed(x, patch)
        maps = []
        for block in cast("Iterable[FinancialTransformerBlock]", self.transformer_blocks):
            maps.append(block.attention(tokens, shares))
            tokens = block(tokens, shares)
        return torch.stack(maps, dim=1)

    def _embed(self, x: Tensor, patch: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return tokens, their sections (N, 3), the window's summary and the macro section's sessions.

        A lone patch belongs to no section more than to another, and there is no window to sum up.
        """
        check_pixels(x, patch, channels=self.input_channels, image_px=self.image_size, patch_px=self.patch_size)
        if x.shape[-1] == self.patch_size:
            read = self.patch_embedding.read_patches(x, patch)
            window = read.new_zeros(x.shape[0], self.window.straight.in_features)
            return self.positional_encoding(read, patch), self.nowhere, window, None
        read, window, macro = self.patch_embedding(x)
        return self.positional_encoding(read), self.sections, window, macro

    def _pool(self, tokens: Tensor) -> Tensor:
        """Average tokens in the quarters of the window and the sections: (B, N, width) -> (B, 12*width)."""
        if tokens.shape[1] == 1:
            return tokens.expand(-1, SECTIONS * PERIODS, -1).flatten(1)
        B, _, D = tokens.shape
        grid = tokens.reshape(B, self.side, PERIODS, self.side // PERIODS, D).mean(3)  # (B, rows, quarters, width)
        return torch.einsum("sr,brqw->bsqw", self.pooling, grid).flatten(1)
