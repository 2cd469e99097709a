"""Random changes of training images, from kornia; a pixel that was 0, 'not known', stays 0.

Flips move zeros with their image. Changes of brightness would turn 'not known' into a value, and noise could
turn a value into 'not known': so after jitter and noise, values are kept within [0.02, 1] and the pixels that were
not known are set to 0 again. Saturation and hue mix the channels, so a pixel may take over from what another channel
knows at its place; it does so only where it was known itself. In a mixture a pixel is known where both images know
it: every value that is left is the mixture of two values, and none is one image's alone at full strength.

Everything random is drawn from torch's global generator, which the loop sets anew for every batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from finnex.config.training import AugmentationSettings
from finnex.data.normalize import FLOOR
from finnex.errors import TrainingError

Augment = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes images (B, C, H, W) and targets (B, T), both float32, and returns both altered."""


def make_augmentation(settings: AugmentationSettings, channels: int) -> Augment | None:
    """Return what alters a batch as the settings say; None where they say nothing.

    Raises
    ------
    TrainingError
        Colours are to be changed in images that have not three channels.
    """
    if not settings.any:
        return None
    if any(settings.color_jitter) and channels != 3:
        raise TrainingError(
            f"color_jitter in [augmentation] changes colours of three channels; these images have {channels}. "
            "Set it to [0, 0, 0, 0]."
        )
    import kornia.augmentation as kornia  # noqa: PLC0415  half a second, and only where images are altered

    brightness, contrast, saturation, hue = settings.color_jitter
    flips, tones = [], []
    if settings.random_horizontal_flip > 0:
        flips.append(kornia.RandomHorizontalFlip(p=settings.random_horizontal_flip))
    if settings.random_vertical_flip > 0:
        flips.append(kornia.RandomVerticalFlip(p=settings.random_vertical_flip))
    if any(settings.color_jitter):
        tones.append(kornia.ColorJitter(brightness, contrast, saturation, hue, p=1.0))
    if settings.gaussian_noise > 0:
        tones.append(kornia.RandomGaussianNoise(mean=0.0, std=settings.gaussian_noise, p=1.0))

    @torch.no_grad()
    def augment(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        for flip in flips:
            images = flip(images)
        known = images > 0
        for tone in tones:
            images = torch.where(known, tone(images).clamp(FLOOR, 1.0), 0.0)
        return mix(images, targets, settings.mixup_alpha) if settings.mixup_alpha > 0 else (images, targets)

    return augment


def mix(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix every image of a batch with another one, and their targets alike.

    Zhang et al., mixup: Beyond Empirical Risk Minimization (2018): one share per image, from Beta(alpha, alpha).
    kornia's own mixup draws shares evenly, which is the case alpha = 1 only.
    """
    shares = torch.distributions.Beta(alpha, alpha).sample((len(images),)).to(images)
    partners = torch.randperm(len(images)).to(images.device)
    share = shares[:, None, None, None]
    others = images[partners]
    mixed = torch.where((images > 0) & (others > 0), share * images + (1 - share) * others, 0.0)
    return mixed, shares[:, None] * targets + (1 - shares[:, None]) * targets[partners]
