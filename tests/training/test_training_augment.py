"""Augmentation: what was not known stays unknown, values stay in range, and the same numbers give the same images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from finnex.config import parse_config
from finnex.config.training import AugmentationSettings
from finnex.errors import TrainingError
from finnex.training.augment import make_augmentation, mix

FLIPS = {"random_horizontal_flip": 1.0, "random_vertical_flip": 1.0}
TONES = [
    {"color_jitter": (0.4, 0.0, 0.0, 0.0)},
    {"color_jitter": (0.0, 0.4, 0.0, 0.0)},
    {"color_jitter": (0.0, 0.0, 0.4, 0.0)},
    {"color_jitter": (0.0, 0.0, 0.0, 0.3)},
    {"gaussian_noise": 0.3},
]


def pictures(n: int = 6) -> Tensor:
    """Images in [0.02, 1] with unknown areas of their own in every channel."""
    made = torch.Generator().manual_seed(5)
    images = 0.02 + 0.98 * torch.rand(n, 3, 16, 16, generator=made)
    images[torch.rand(n, 3, 16, 16, generator=made) < 0.3] = 0
    images[0, 1] = 0
    return images


def alter(images: Tensor, targets: Tensor | None = None, *, seed: int = 0, **given: Any) -> tuple[Tensor, Tensor]:
    augment = make_augmentation(AugmentationSettings(**given), 3)
    assert augment is not None
    torch.manual_seed(seed)
    return augment(images, torch.eye(3)[torch.arange(len(images)) % 3] if targets is None else targets)


@pytest.mark.parametrize("tone", TONES, ids=str)
def test_what_was_not_known_stays_unknown_and_what_was_known_stays_a_value(tone: dict[str, Any]) -> None:
    images = pictures()
    altered, _ = alter(images, **tone)
    assert not torch.equal(altered, images)
    assert torch.equal(altered == 0, images == 0)
    assert altered[images > 0].min() >= 0.02
    assert altered.max() <= 1


def test_all_at_once_keep_the_unknown_where_the_flips_have_put_it() -> None:
    images = pictures()
    altered, _ = alter(images, **FLIPS, color_jitter=(0.1, 0.1, 0.1, 0.05), gaussian_noise=0.1)
    assert torch.equal(altered == 0, images.flip(2, 3) == 0)


def test_flips_turn_time_and_rows_and_nothing_else() -> None:
    images = pictures()
    assert torch.equal(alter(images, random_horizontal_flip=1.0)[0], images.flip(3))
    assert torch.equal(alter(images, random_vertical_flip=1.0)[0], images.flip(2))
    some = alter(pictures(200), random_horizontal_flip=0.3)[0]
    turned = (some == pictures(200).flip(3)).flatten(1).all(1).float().mean()
    assert 0.2 < float(turned) < 0.4


def test_noise_has_the_spread_that_is_asked_for() -> None:
    flat = torch.full((4, 3, 32, 32), 0.5)
    assert float((alter(flat, gaussian_noise=0.02)[0] - 0.5).std()) == pytest.approx(0.02, rel=0.05)


def test_a_mixture_is_known_where_both_are_and_mixes_labels_in_the_same_share() -> None:
    images = pictures()
    targets = torch.cat([torch.eye(3).repeat(2, 1), torch.linspace(-1, 1, 6)[:, None]], dim=1)
    torch.manual_seed(3)
    mixed, mixed_targets = mix(images, targets, alpha=1.0)
    torch.manual_seed(3)
    shares = torch.distributions.Beta(1.0, 1.0).sample((6,))
    partners = torch.randperm(6)
    for k in range(6):
        a, b, share = images[k], images[partners[k]], shares[k]
        both = (a > 0) & (b > 0)
        assert torch.equal(mixed[k] > 0, both)
        torch.testing.assert_close(mixed[k][both], (share * a + (1 - share) * b)[both])
        torch.testing.assert_close(mixed_targets[k], share * targets[k] + (1 - share) * targets[partners[k]])
    torch.testing.assert_close(mixed_targets[:, :3].sum(1), torch.ones(6))


def test_shares_of_mixup_follow_its_alpha() -> None:
    """Beta(0.2, 0.2) lies at its ends, a variance of 1 / (4 (2 * 0.2 + 1)); an even draw would have 1 / 12."""
    ones, targets = torch.ones(4000, 1, 1, 1), torch.zeros(4000, 1)
    targets[::2] = 1
    torch.manual_seed(0)
    _, mixed = mix(ones, targets, alpha=0.2)
    differ = mixed[(mixed > 0) & (mixed < 1)]
    assert float(differ.var()) == pytest.approx(1 / (4 * 1.4), rel=0.06)


def test_one_seed_gives_one_image_and_another_seed_another() -> None:
    given: dict[str, Any] = {"color_jitter": (0.1, 0.1, 0.1, 0.05), "gaussian_noise": 0.02, "mixup_alpha": 0.2}
    one, again, other = (alter(pictures(), seed=seed, random_horizontal_flip=0.5, **given)[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_colours_of_other_than_three_channels_are_refused() -> None:
    with pytest.raises(TrainingError, match="these images have 4"):
        make_augmentation(AugmentationSettings(color_jitter=(0.1, 0, 0, 0)), 4)
    assert make_augmentation(AugmentationSettings(gaussian_noise=0.1), 4) is not None


def test_kornia_is_not_loaded_unless_images_are_altered() -> None:
    code = (
        "import sys; from finnex.training import train; from finnex.training.augment import make_augmentation;"
        "from finnex.config.training import AugmentationSettings as S;"
        "assert make_augmentation(S(), 3) is None; before = 'kornia' in sys.modules;"
        "make_augmentation(S(mixup_alpha=0.2, gaussian_noise=0.1), 3); print(before, 'kornia' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_specifications_preset_holds_its_values_and_given_keys_go_before_them(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").touch()

    def config(**sections: Any) -> Any:
        document = {"symbols": ["AAA"], "inputs": {"prices": "prices.csv"}, "store": {"path": "s.zarr"}}
        return parse_config(document | sections, tmp_path / "finnex.toml")

    whole = config(training={"preset": "specification"})
    training, altered = whole.training, whole.augmentation
    assert (training.batch_size, training.learning_rate, training.weight_decay) == (16, 1e-4, 1e-5)
    assert (training.epochs, training.warmup_epochs) == (100, 10)
    assert (training.train_fraction, training.validation_fraction) == (0.8, 0.1)
    assert (altered.random_horizontal_flip, altered.random_vertical_flip) == (0.5, 0.3)
    assert altered.color_jitter == (0.1, 0.1, 0.1, 0.05)
    assert (altered.gaussian_noise, altered.mixup_alpha) == (0.02, 0.2)

    own = config(training={"preset": "specification", "epochs": 3}, augmentation={"mixup_alpha": 0.0})
    assert (own.training.epochs, own.training.batch_size) == (3, 16)
    assert (own.augmentation.mixup_alpha, own.augmentation.gaussian_noise) == (0.0, 0.02)
    assert not config().augmentation.any
