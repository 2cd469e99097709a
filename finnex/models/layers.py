"""The parts the networks are built of. Position is seen from the first layer on.

Small kernels and pooling that mix feature rows lose what a row means, and a network of them stays at chance
on rules that a table model reads easily. So `SessionStem` gives every row its own weights in one step, and
everything after it moves along time and across sections only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from finnex.data.normalize import NEUTRAL

SECTION_NAMES = ("macro", "behavioral", "fundamental")
IMAGE_PX = 512
ROWS = 171  # of a section; the last has 170 and one row of 'not known'
COLUMN_PX = 3  # the greatest width that divides a session drawn across the canvas (9 px) and across a third (3 px)
PARTS = 3  # regions are the canvas wide, or a third of it
STEPS = -(-IMAGE_PX // COLUMN_PX) // PARTS  # 57: the window's 56 sessions and the margin
ALIGNED_SESSIONS = 13  # how far apart two sections' movements are still compared directly


def session_columns(x: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Average columns of three pixels and centre them; exact, because no session is narrower or off this grid.

    Parameters
    ----------
    x
        Images (B, C, H, W), 0 where not known and [0.02, 1] elsewhere.
    dtype
        Of what is returned: the weights' that read it. Sums are in float32.

    Returns
    -------
    tuple of Tensor
        Values about 0, with 0 where not known, and the flags of what is known, both (B, C, H, ceil(W / 3)).
    """
    rest = x.shape[3] % COLUMN_PX
    end = x.shape[3] - rest
    # Every third pixel, added: a third of what pooling takes on images that lie plane by plane.
    columns = x[..., 0:end:COLUMN_PX].float()
    for first in range(1, COLUMN_PX):
        columns = columns + x[..., first:end:COLUMN_PX]
    columns = columns / COLUMN_PX  # (B, C, H, 170)
    if rest:
        columns = torch.cat([columns, x[..., -rest:].float().mean(-1, keepdim=True)], dim=-1)  # (B, C, H, 171)
    return centred(columns, dtype)


def centred(pixels: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return pixels about 0, with 0 where not known, and the flags of what is known, both of the same shape."""
    pixels = pixels.float()
    known = (pixels > 0).to(pixels.dtype)
    return ((pixels - NEUTRAL) * known * 2.0).to(dtype), known.to(dtype)


def split_sections(values: Tensor, known: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Cut `session_columns` into the macro, behavioral and fundamental section, each two of (B, C, 171, 171)."""
    missing = (0, 0, 0, len(SECTION_NAMES) * ROWS - IMAGE_PX)
    values, known = functional.pad(values, missing), functional.pad(known, missing)  # (B, C, 513, 171)
    rows = [slice(i * ROWS, (i + 1) * ROWS) for i in range(len(SECTION_NAMES))]
    return [(values[:, :, part], known[:, :, part]) for part in rows]


class SessionStem(nn.Module):
    """One vector per session from all rows, channels and thirds of a section: (B, C, R, 171) -> (B, 57, width).

    A region across the canvas draws a session in three columns, a region of a third in one. Both readings are
    laid over one axis of 57 steps (56 sessions and the margin), so that a session's features meet in one vector
    whichever region drew them.
    """

    def __init__(self, channels: int, rows: int, width: int) -> None:
        super().__init__()
        inputs = channels * (rows + 1)  # every row, and the share of rows that is known
        scale = math.sqrt((1 + PARTS) * inputs)
        self.whole = nn.Linear(inputs, width)
        self.parts = nn.ModuleList(nn.Linear(inputs, width, bias=False) for _ in range(PARTS))
        for linear in (self.whole, *self.parts):
            nn.init.uniform_(linear.weight, -1 / scale, 1 / scale)
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """Embed the sessions of one section."""
        share = known.mean(2, keepdim=True)  # (B, C, 1, 171)
        columns = torch.cat([values, share], dim=2).permute(0, 3, 2, 1).flatten(2)  # (B, 171, (R+1)*C)
        whole = self.whole(columns).unflatten(1, (-1, PARTS)).mean(2)  # (B, 57, width): the canvas' width
        thirds = columns.chunk(PARTS, dim=1)  # each (B, 57, (R+1)*C)
        parts = sum(linear(third) for linear, third in zip(self.parts, thirds, strict=True))  # (B, 57, width)
        return torch.as_tensor(self.norm(whole + parts))  # (B, 57, width)


class TemporalBlock(nn.Module):
    """A residual convolution along time, normalised per step: the batch's size has no influence."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Mix neighbouring sessions: (B, T, width) -> (B, T, width)."""
        mixed = self.mix(self.norm(x).transpose(1, 2)).transpose(1, 2)  # (B, T, width)
        return torch.as_tensor(x + self.dropout(self.out(functional.gelu(mixed))))


class Branch(nn.Module):
    """The sessions of one section at one receptive field in time.

    Parameters
    ----------
    kernel, dilations
        Each block adds `(kernel - 1) * dilation` sessions to the `receptive_field`.
    """

    def __init__(
        self, channels: int, rows: int, patch_px: int, steps: int, width: int, kernel: int,
        dilations: Sequence[int], dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.receptive_field = 1 + sum((kernel - 1) * dilation for dilation in dilations)
        self.stem = SessionStem(channels, rows, width)
        self.patch_stem = nn.Sequential(nn.Linear(channels * patch_px, width), nn.LayerNorm(width))
        self.position = nn.Parameter(torch.randn(steps, width) * 0.02)
        self.blocks = nn.Sequential(*(TemporalBlock(width, kernel, d, dropout) for d in dilations))

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """Read a section of whole images: (B, C, R, 171) -> (B, 57, width)."""
        return torch.as_tensor(self.blocks(self.stem(values, known) + self.position))

    def read_patches(self, values: Tensor) -> Tensor:
        """Read patches, column by column, every row with its own weights: (B, C, P, P) -> (B, P, width)."""
        columns = values.permute(0, 3, 1, 2).flatten(2)  # (B, P, C*P)
        return torch.as_tensor(self.blocks(self.patch_stem(columns) + self.position[-columns.shape[1] :]))


class SectionAlignment(nn.Module):
    """Lays the sections' sessions side by side and convolves them along time: (B, 3, T, width) -> (B, 3, T, width).

    A lead of a few sessions of one section over another is then one vector, independent of the place in the window.
    Attention alone memorises the training images of a lead-lag rule and stays at chance on new ones.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        joined = len(SECTION_NAMES) * width
        self.mix = nn.Conv1d(joined, joined, ALIGNED_SESSIONS, padding=ALIGNED_SESSIONS // 2)

    def forward(self, sections: Tensor) -> Tensor:
        """Compare sections around every session."""
        joined = sections.transpose(2, 3).flatten(1, 2)  # (B, 3*width, T)
        aligned = functional.gelu(self.mix(joined))  # (B, 3*width, T)
        return aligned.reshape(sections.transpose(2, 3).shape).transpose(2, 3)  # (B, 3, T, width)


class LeadLag(nn.Module):
    """How each pair of sections moves together, by lag: (B, 3, T, width) -> (B, 3, width).

    Every section is read as a few series; of each pair, and each lag up to 12 sessions either way, the mean product of
    their deviations is kept. That is the cross-covariance function of two series (Box and Jenkins 1970), whose peak
    says which one leads and by how much, wherever in the window it happens and whether they rise or fall.
    """

    def __init__(self, width: int, series: int = 16) -> None:
        super().__init__()
        lags = ALIGNED_SESSIONS - 1  # either way
        self.lags = lags
        self.read = nn.Linear(width, series)
        self.norm = nn.LayerNorm(series * (2 * lags + 1))
        self.out = nn.Linear(series * (2 * lags + 1), width)

    def covariances(self, sections: Tensor) -> Tensor:
        """Return mean products of each section's series and the next one's, the last's and the first's.

        Returns
        -------
        Tensor
            (B, 3, series, 25): in place `12 + lag` that of a section and of the next section `lag` sessions later.
        """
        series = self.read(sections)  # (B, 3, T, series)
        series = series - series.mean(2, keepdim=True)
        others = functional.pad(series.roll(-1, dims=1), (0, 0, self.lags, self.lags))  # (B, 3, T + 24, series)
        shifted = others.unfold(2, sections.shape[2], 1)  # (B, 3, 25, series, T)
        return torch.einsum("bstk,bslkt->bskl", series, shifted) / sections.shape[2]

    def forward(self, sections: Tensor) -> Tensor:
        """Sum up how each section and the next move together."""
        return torch.as_tensor(self.out(self.norm(self.covariances(sections).flatten(2))))  # (B, 3, width)


class CrossModalAttention(nn.Module):
    """Sessions of each section attend to sessions of all three; then each section is pooled into one vector.

    What a head of the attention prefers is a learned table over (section asking, section asked, lag in sessions):
    'sentiment two sessions before price' is one cell of it, independent of the place in the window.
    """

    def __init__(self, width: int, heads: int, steps: int, dropout: float) -> None:
        super().__init__()
        self.width, self.heads, self.steps = width, heads, steps
        self.align = SectionAlignment(width)
        self.lead_lag = LeadLag(width)
        self.section = nn.Parameter(torch.randn(len(SECTION_NAMES), width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.lag_preference = nn.Parameter(self._near_lags(heads, steps))  # (heads, 3, 3, 2*steps-1)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )
        self.weigh = nn.Linear(width, 1)
        self.sum_up = nn.Linear(5 * width, width)

    @staticmethod
    def _near_lags(heads: int, steps: int) -> Tensor:
        """Start each head at its own small lag, earlier and later in turn; training moves them."""
        lag = torch.arange(-(steps - 1), steps, dtype=torch.float32)
        centre = torch.tensor([(-1) ** h * ((h + 1) // 2) * 2.0 for h in range(heads)])
        preference = -(lag - centre[:, None]).abs() * 0.5
        return preference.clamp(min=-4.0)[:, None, None, :].repeat(1, 3, 3, 1)

    def _bias(self, steps: int) -> Tensor:
        place = torch.arange(steps, device=self.lag_preference.device)
        lag = place[:, None] - place[None, :] + self.steps - 1  # (T, T)
        table = self.lag_preference[:, :, :, lag]  # (heads, 3, 3, T, T)
        return table.permute(0, 1, 3, 2, 4).reshape(1, self.heads, 3 * steps, 3 * steps)

    def _tokens(self, sections: Tensor) -> tuple[Tensor, Tensor]:
        """Return the aligned sections (B, 3, T, width) and the tokens that attend to each other (B, 3T, width)."""
        aligned = self.align(sections)
        return aligned, (aligned + self.section[:, None]).flatten(1, 2)

    def _heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (B, heads, 3T, width/heads)."""
        qkv = self.qkv(self.norm(tokens)).unflatten(2, (3, self.heads, -1))  # (B, 3T, 3, heads, width/heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def attention(self, macro: Tensor, behavioral: Tensor, fundamental: Tensor) -> Tensor:
        """Return the attention weights (B, heads, 3T, 3T), rows summing to 1; a token is `section * T + session`."""
        _, tokens = self._tokens(torch.stack([macro, behavioral, fundamental], dim=1))
        q, k, _ = self._heads(tokens)
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + self._bias(macro.shape[1])
        return torch.as_tensor(scores.softmax(dim=-1))

    def forward(self, macro: Tensor, behavioral: Tensor, fundamental: Tensor) -> Tensor:
        """Attend across sections: three of (B, T, width) -> (B, 3, width)."""
        steps = macro.shape[1]
        sections = torch.stack([macro, behavioral, fundamental], dim=1)  # (B, 3, T, width)
        aligned, tokens = self._tokens(sections)
        q, k, v = self._heads(tokens)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(steps))  # (B, heads, 3T, D/heads)
        tokens = tokens + self.out(seen.transpose(1, 2).flatten(2))
        tokens = (tokens + self.mlp(tokens)).unflatten(1, (3, steps))  # (B, 3, T, D)
        weights = self.weigh(tokens).softmax(dim=2)  # (B, 3, T, 1)
        summary = [*session_summary(aligned), (weights * tokens).sum(2), self.lead_lag(sections)]  # each (B, 3, D)
        return torch.as_tensor(self.sum_up(torch.cat(summary, dim=-1)))  # (B, 3, D)


def session_summary(sessions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the greatest, the mean and the newest of sessions (..., T, width), each (..., width)."""
    return sessions.amax(-2), sessions.mean(-2), sessions[..., -2, :]  # the last step is the margin


class FusionLayer(nn.Module):
    """Joins the sections' vectors: (B, 3, width) -> (B, fused).

    The linear path parallel to the hidden layer decides whether a small network finds a rule before it memorises
    the images.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, outputs)
        self.hidden = nn.Sequential(
            nn.LayerNorm(inputs),
            nn.Linear(inputs, outputs),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(outputs, outputs),
        )

    def forward(self, attended: Tensor) -> Tensor:
        """Fuse the three sections."""
        joined = attended.flatten(1)  # (B, 3*width)
        return torch.as_tensor(self.straight(joined) + self.hidden(joined))


class ClassificationHead(nn.Module):
    """Class scores: (B, fused) -> (B, classes). Starts at equal odds, so that the first loss is ln(classes)."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, classes)
        nn.init.normal_(self.linear.weight, std=0.1 / math.sqrt(inputs))
        nn.init.zeros_(self.linear.bias)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits."""
        return torch.as_tensor(self.linear(fused))
