"""A trained network as other programs call it: whole images in, class probabilities out, one tensor each.

Both wrappers refuse with TrainingError what is no whole image of values in [0, 1], and give no probabilities of answers
that are no numbers; an empty batch has an empty answer.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from finnex.models.layers import IMAGE_PX
from finnex.models.network_inputs import check_answers, check_whole_images
from finnex.models.return_head import takes_patch


def probabilities(logits: Tensor) -> Tensor:
    """Return class probabilities of logits (B, classes), in float32 at least.

    Raises
    ------
    TrainingError
        A logit is no number: the largest of such is the first class, by chance.
    """
    check_answers(logits)
    return logits.softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))


class Probabilities(nn.Module):
    """Wraps a network that returns its logits first: (B, C, H, W) -> (B, classes), rows summing to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def samples(self, images: Tensor) -> tuple[Tensor, None]:
        """Return what the network reads of images (B, C, H, W): the images."""
        check_whole_images(images, IMAGE_PX)
        return images, None

    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities."""
        return probabilities(self.network(self.samples(images)[0])[0])


class PatchVotes(nn.Module):
    """Wraps a network that was trained on patches: every patch of an image votes, and the mean of them is the answer.

    Parameters
    ----------
    network
        Takes (B, C, patch_px, patch_px), and where its forward names one, the `patch` index.
    patch_px
        Side of a patch; patches are numbered row by row from the top left corner.
    """

    def __init__(self, network: nn.Module, patch_px: int) -> None:
        super().__init__()
        self.network, self.patch_px = network, patch_px
        self._takes_patch = takes_patch(network)
        self.eval()

    def samples(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network reads of images (B, C, H, W): their patches, image by image, and their numbers."""
        check_whole_images(images, IMAGE_PX)
        px = self.patch_px
        count, channels = images.shape[:2]
        cut = images.unfold(2, px, px).unfold(3, px, px).permute(0, 2, 3, 1, 4, 5)  # (B, rows, columns, C, px, px)
        each = cut.shape[1] * cut.shape[2]
        return cut.reshape(count * each, channels, px, px), torch.arange(each, device=images.device).repeat(count)

    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities: (B, C, H, W) -> (B, classes), rows summing to 1."""
        patches, numbers = self.samples(images)
        position: dict[str, Any] = {"patch": numbers} if self._takes_patch else {}
        votes = probabilities(self.network(patches, **position)[0])
        count, each = images.shape[0], (images.shape[2] // self.patch_px) * (images.shape[3] // self.patch_px)
        return votes.reshape(count, each, votes.shape[1]).mean(dim=1)


Exported = Probabilities | PatchVotes
