"""A second output of a network: the size of the return, in addition to its class."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn


class ReturnHead(nn.Module):
    """One number from a network's second output: (B, N, width) -> (B,). Starts at 0, the mean of what it learns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return predicted returns, in standard deviations about the training part's mean."""
        return torch.as_tensor(self.linear(features.mean(dim=1)).squeeze(-1))  # (B,)


class WithReturn(nn.Module):
    """A network that returns (logits, features), and a return head on its features.

    Parameters
    ----------
    network
        Takes images, and where its forward names one, a `patch` index.
    width
        Size of the last dimension of the features (B, N, width).
    """

    def __init__(self, network: nn.Module, width: int) -> None:
        super().__init__()
        self.network = network
        self.return_head = ReturnHead(width)
        self._takes_patch = takes_patch(network)

    def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (B, classes), features (B, N, width) and standardised returns (B,)."""
        position: dict[str, Any] = {"patch": patch} if self._takes_patch and patch is not None else {}
        logits, features = self.network(x, **position)
        return logits, features, self.return_head(features)


def takes_patch(network: nn.Module) -> bool:
    """Return whether a network's forward takes the index of its patch."""
    return "patch" in inspect.signature(type(network).forward).parameters
