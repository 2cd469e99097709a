"""The parts of `FinNeXViT`: patches embedded with their section and sessions, and attention with a bias per section.

A plain patch embedding with a learned position left a small transformer at chance: a patch of 32 pixels cuts across
three and a half sessions, and what two sections did one after the other is spread over patches that first have to find
each other. So every patch is also given what the stem read in the sessions that it shows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from finnex.models.layers import (
    COLUMN_PX,
    IMAGE_PX,
    PARTS,
    ROWS,
    SECTION_NAMES,
    STEPS,
    LeadLag,
    SectionAlignment,
    SessionStem,
    TemporalBlock,
    centred,
    session_columns,
    session_summary,
    split_sections,
)

CELL_PX = 8  # patches are read in steps of so many pixels along time
STEM_KERNEL = 5  # sessions
SECTIONS = len(SECTION_NAMES)


def section_shares(patch_px: int) -> Tensor:
    """Return which share of each row of patches lies in each section: (rows of patches, 3), rows summing to 1."""
    section = torch.arange(IMAGE_PX) // ROWS
    return functional.one_hot(section, SECTIONS).float().reshape(-1, patch_px, SECTIONS).mean(1)


def shares_of_columns(places: int, px: int) -> Tensor:
    """Return how much each of `places` areas of `px` pixels takes of each three-pixel column: (places, 171)."""
    column = torch.arange(IMAGE_PX) // COLUMN_PX
    columns = (IMAGE_PX - 1) // COLUMN_PX + 1  # said, not counted: a description is checked without any values
    return functional.one_hot(column, columns).float().reshape(places, px, columns).mean(1)


class FinancialPatchEmbedding(nn.Module):
    """Patches of an image, and what the stem read in the sessions they show: (B, C, 512, 512) -> (B, N, width).

    Every row of patches has weights of its own, because it shows features of its own; a patch is read row by row in
    steps of eight pixels. The stem spans a section's height, is aligned to sessions and convolved along time; then the
    sections are laid side by side. A patch takes from it the sessions it shows, of its own section.

    Parameters
    ----------
    stem_width
        Of the vectors the stem makes of sessions.
    """

    cells: Tensor
    columns: Tensor
    sessions: Tensor
    third_sessions: Tensor
    shares: Tensor

    def __init__(self, channels: int, patch_px: int, width: int, stem_width: int, dropout: float) -> None:
        super().__init__()
        self.patch_px, self.side = patch_px, IMAGE_PX // patch_px
        inputs = channels * (patch_px * (patch_px // CELL_PX) + 1)  # every cell, and the share that is known
        self.weight = nn.Parameter(torch.randn(self.side, inputs, width) / math.sqrt(inputs))
        self.norm = nn.LayerNorm(width)
        self.stems = nn.ModuleList(SessionStem(channels, ROWS, stem_width) for _ in range(SECTIONS))
        self.steps = nn.ModuleList(TemporalBlock(stem_width, STEM_KERNEL, 1, dropout) for _ in range(SECTIONS))
        self.place = nn.Parameter(torch.randn(STEPS, stem_width) * 0.02)
        self.align = SectionAlignment(stem_width)
        self.lead_lag = LeadLag(stem_width)
        self.whole = nn.Linear(stem_width, width)
        self.third = nn.Linear(stem_width, width, bias=False)
        columns = shares_of_columns(self.side, patch_px)  # (side, 171)
        self.register_buffer("cells", shares_of_columns(IMAGE_PX // CELL_PX, CELL_PX), persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        # A region across the canvas shows session t in columns 3t to 3t+2, one of a third in column t of its third.
        self.register_buffer("sessions", columns.reshape(-1, STEPS, PARTS).sum(2), persistent=False)
        self.register_buffer("third_sessions", columns.reshape(-1, PARTS, STEPS).sum(1), persistent=False)
        self.register_buffer("shares", section_shares(patch_px), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embed whole images.

        Returns
        -------
        tuple of Tensor
            Patches (B, N, width), the summary of the window (B, 12*stem_width), and the macro section's sessions
            before they met the others (B, 57, stem_width).
        """
        values, known = session_columns(x, self.weight.dtype)  # (B, C, 512, 171)
        sections = torch.stack(
            [
                steps(stem(*part) + self.place)
                for stem, steps, part in zip(self.stems, self.steps, split_sections(values, known), strict=True)
            ],
            dim=1,
        )  # (B, 3, 57, stem_width)
        aligned = self.align(sections)  # (B, 3, 57, stem_width)
        # (side, 57) @ (B, 3, 57, width) -> (B, 3, side, width): the sessions that a column of patches shows.
        shown = self.sessions @ self.whole(aligned) + self.third_sessions @ self.third(aligned)
        context = torch.einsum("rs,bscw->brcw", self.shares, shown)  # (B, side, side, width)
        window = torch.cat([*session_summary(aligned), self.lead_lag(sections)], dim=-1).flatten(
            1
        )  # (B, 12*stem_width)
        pixels = self._pixels(values, known)  # (B, side, side, width)
        return self.norm(pixels + context).flatten(1, 2), window, sections[:, 0]

    def _pixels(self, values: Tensor, known: Tensor) -> Tensor:
        """Read the patches of whole images (B, C, 512, 171) with their row's weights: (B, side, side, width)."""
        B, C = values.shape[:2]
        cells = values @ self.cells.T  # (B, C, 512, 64)
        cells = cells.reshape(
            B, C, self.side, self.patch_px, self.side, self.patch_px // CELL_PX
        )  # (B, C, row, px, column, cell)
        cells = cells.permute(2, 0, 4, 1, 3, 5).reshape(
            self.side, B * self.side, self.weight.shape[1] - C
        )  # (row, B*column, C*px*cell)
        share = (
            known.reshape(B, C, self.side, self.patch_px, known.shape[3]).mean(3) @ self.columns.T
        )  # (B, C, row, column)
        share = share.permute(2, 0, 3, 1).reshape(self.side, B * self.side, C)
        read = torch.bmm(torch.cat([cells, share], dim=-1), self.weight)  # (row, B*column, width)
        return read.reshape(self.side, B, self.side, read.shape[2]).transpose(0, 1)  # (B, row, column, width)

    def read_patches(self, x: Tensor, patch: Tensor | None) -> Tensor:
        """Embed single patches (B, C, P, P): (B, 1, width). Where their place is unknown, with the rows' mean weights.

        Parameters
        ----------
        patch
            Number of each patch in its image, counted along rows of patches (B,).
        """
        values, known = centred(x, self.weight.dtype)
        cells = (
            values.reshape(*values.shape[:3], self.patch_px // CELL_PX, CELL_PX).mean(4).flatten(1)
        )  # (B, C*P*cells)
        inputs = torch.cat([cells, known.mean((2, 3))], dim=-1)  # (B, inputs)
        if patch is None:
            read = inputs @ self.weight.mean(0)  # (B, width)
        else:
            every = torch.einsum("bi,riw->brw", inputs, self.weight)  # (B, rows, width)
            read = every[torch.arange(x.shape[0], device=x.device), patch // self.side]  # (B, width)
        return torch.as_tensor(self.norm(read))[:, None]


class SectorAwarePositionalEncoding(nn.Module):
    """Adds where a patch is: its row, its column, and the sections that its rows belong to."""

    shares: Tensor

    def __init__(self, patch_px: int, width: int) -> None:
        super().__init__()
        side = IMAGE_PX // patch_px
        self.row = nn.Parameter(torch.randn(side, 1, width) * 0.02)
        self.column = nn.Parameter(torch.randn(1, side, width) * 0.02)
        self.section = nn.Parameter(torch.randn(SECTIONS, width) * 0.02)
        self.register_buffer("shares", section_shares(patch_px), persistent=False)

    def table(self) -> Tensor:
        """Return the encoding of every patch, (N, width)."""
        return (self.row + self.column + (self.shares @ self.section)[:, None]).flatten(0, 1)

    def forward(self, tokens: Tensor, patch: Tensor | None = None) -> Tensor:
        """Encode all patches (B, N, width), or single ones (B, 1, width) by number; one of no number gets the mean."""
        table = self.table()
        if tokens.shape[1] == table.shape[0]:
            return tokens + table
        return tokens + (table.mean(0) if patch is None else table[patch][:, None])


class FinancialTransformerBlock(nn.Module):
    """A pre-norm transformer block whose heads prefer pairs of sections (Vaswani 2017; Xiong 2020).

    `section_bias[h, a, b]` is added to head h's score of a patch in section a that attends to one in section b, in
    units of the softmax. It enters as three further dimensions of queries and keys, not as a mask: the sum is the
    same, and the fast attention kernels, which take no gradient of a mask, can be used.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        hidden = int(width * mlp_ratio)
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.section_bias = nn.Parameter(torch.zeros(heads, SECTIONS, SECTIONS))
        self.mlp_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)
        for last in (self.out, self.contract):  # a block begins as the identity and leaves the stem's output unchanged
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def _heads(self, tokens: Tensor, shares: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        """Return queries and keys (B, heads, N, d+3), values (B, heads, N, d) and the scale of the scores."""
        B, N, D = tokens.shape
        qkv = self.qkv(self.attention_norm(tokens)).reshape(B, N, 3, self.heads, D // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, d)
        scale = 1 / math.sqrt(v.shape[-1])
        asks = (shares @ self.section_bias / scale).expand(tokens.shape[0], -1, -1, -1)  # (B, heads, N, 3)
        answers = shares.expand(tokens.shape[0], self.heads, -1, -1)  # (B, heads, N, 3)
        return torch.cat([q, asks], dim=-1), torch.cat([k, answers], dim=-1), v, scale

    def attention(self, tokens: Tensor, shares: Tensor) -> Tensor:
        """Return the attention weights (B, heads, N, N), query by key; rows sum to 1."""
        q, k, _, scale = self._heads(tokens, shares)
        return torch.as_tensor((q @ k.transpose(2, 3) * scale).softmax(dim=-1))

    def forward(self, tokens: Tensor, shares: Tensor) -> Tensor:
        """Apply attention, then the feed-forward layer: (B, N, width) -> (B, N, width).

        Parameters
        ----------
        shares
            Which share of each token lies in each section (N, 3).
        """
        q, k, v, scale = self._heads(tokens, shares)
        wide = functional.pad(v, (0, SECTIONS))  # the kernels want one size of head
        seen = functional.scaled_dot_product_attention(q, k, wide, scale=scale)[..., : v.shape[-1]]
        tokens = tokens + self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        thought = self.contract(functional.gelu(self.expand(self.mlp_norm(tokens))))
        return torch.as_tensor(tokens + self.dropout(thought))


class RegimeAwareClassifier(nn.Module):
    """One head per regime; the weights of the heads are computed from the macro section alone.

    Jacobs and others, Adaptive Mixtures of Local Experts (1991), with linear experts and a gate of its own input.
    """

    def __init__(self, features: int, macro_width: int, classes: int, regimes: int) -> None:
        super().__init__()
        self.gate = nn.Linear(macro_width, regimes)
        self.heads = nn.Linear(features, regimes * classes)
        nn.init.normal_(self.heads.weight, std=0.1 / math.sqrt(features))  # equal odds: the first loss is ln(classes)
        nn.init.zeros_(self.heads.bias)
        self.regimes = regimes

    def regime(self, macro: Tensor | None) -> Tensor:
        """Return the weights of the regimes from the macro section's sessions (B, T, macro_width): (B, regimes).

        A picture without a macro section, None, gets weights of no regime in particular (1, regimes).
        """
        scores = self.gate.bias[None] if macro is None else self.gate(macro.mean(1))
        return torch.as_tensor(scores.softmax(dim=-1))

    def forward(self, features: Tensor, macro: Tensor | None) -> Tensor:
        """Return logits: (B, features) and the macro section -> (B, classes)."""
        answers = self.heads(features).reshape(
            features.shape[0], self.regimes, self.heads.out_features // self.regimes
        )  # (B, regimes, classes)
        return torch.as_tensor((self.regime(macro)[:, :, None] * answers).sum(1))
