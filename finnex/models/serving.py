"""A trained network as others call it: images in, class probabilities out, one tensor each."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Probabilities(nn.Module):
    """Wraps a network that returns its logits first, for export: (B, C, H, W) -> (B, classes), rows summing to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities."""
        logits = self.network(images)[0]
        return torch.as_tensor(logits.softmax(dim=-1))
