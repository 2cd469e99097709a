"""The transformer: what its patches know, what its attention prefers, and whom its heads listen to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from finnex.datasets.part_batches import takes_whole_images
from finnex.errors import TrainingError
from finnex.models import FinNeXMultiScaleCNN, FinNeXViT
from finnex.models.layers import session_columns
from finnex.models.vit_layers import FinancialTransformerBlock, section_shares
from tests.helpers.planted import noise_images
from tests.helpers.stores import blank, paint

pytestmark = pytest.mark.usefixtures("fixed_seed")


def painted(section: str = "macro", row: int = 0, session: int = 10, third: int | None = None) -> torch.Tensor:
    values = np.full((12, 56), 0.5)
    values[row, session] = 1.0
    image = blank()
    paint(image, section, 0, values, third)
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def test_whole_images_give_class_scores_and_a_token_per_patch() -> None:
    logits, tokens = FinNeXViT(image_size=512, patch_size=32, num_classes=3, preset="small").eval()(noise_images(2))
    assert logits.shape == (2, 3)
    assert tokens.shape == (2, 256, 64)


@torch.no_grad()
def test_without_a_preset_the_network_has_the_sizes_of_the_specification() -> None:
    model = FinNeXViT(image_size=512, patch_size=32, num_classes=3).eval()
    assert len(model.transformer_blocks) == 12
    block = model.transformer_blocks[0]
    assert (block.qkv.in_features, block.heads, block.expand.out_features) == (768, 12, 4 * 768)
    assert sum(weight.numel() for weight in model.parameters()) == 113_938_000
    logits, tokens = model(noise_images(1))
    assert logits.shape == (1, 3)
    assert tokens.shape == (1, 256, 768)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "smal"}, "Did you mean 'small'"),
        ({"image_size": 256}, "image_size 256 does not fit"),
        ({"patch_size": 30}, "patch_size 30 does not fit; choose 16, 32 or 64"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        FinNeXViT(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("patch_size", [16, 64])
def test_patches_may_be_finer_or_coarser(patch_size: int) -> None:
    model = FinNeXViT(patch_size=patch_size, preset="small").eval()
    logits, tokens = model(noise_images(1))
    assert logits.shape == (1, 3)
    assert tokens.shape == (1, (512 // patch_size) ** 2, 64)


def test_the_answer_depends_on_which_row_and_which_session_moved() -> None:
    model = FinNeXViT(preset="small").eval()
    with torch.no_grad():
        answers = [model(painted(row=row, session=session))[0] for row, session in ((0, 10), (5, 10), (5, 50))]
        moved = [model(painted(row=row, session=session))[1].mean(1) for row, session in ((0, 10), (5, 10), (5, 50))]
    assert (answers[0] - answers[1]).abs().max() > 1e-5
    assert (answers[1] - answers[2]).abs().max() > 1e-5
    assert (moved[0] - moved[1]).abs().max() > 1e-4
    assert (moved[1] - moved[2]).abs().max() > 1e-4


def test_two_patches_of_the_same_pixels_are_different_tokens() -> None:
    """Equal images in all patches: rows, columns and sections still tell them apart, from the first layer on."""
    model = FinNeXViT(preset="small").eval()
    flat = torch.full((1, 3, 512, 512), 0.7)
    with torch.no_grad():
        tokens = model._embed(flat, None)[0][0].reshape(16, 16, -1)
        rows = model.patch_embedding(flat)[0][0].reshape(16, 16, -1)
    assert (tokens[1, 4] - tokens[1, 5]).abs().max() > 1e-3
    assert (rows[1, 4] - rows[2, 4]).abs().max() > 0.1  # weights of their own, before any position is added


def test_a_patch_row_belongs_to_the_sections_it_shows() -> None:
    shares = section_shares(32)
    torch.testing.assert_close(shares.sum(1), torch.ones(16))
    assert shares[0].tolist() == [1, 0, 0]
    assert shares[5].tolist() == pytest.approx([11 / 32, 21 / 32, 0])  # rows 160 to 191; the section ends after 170
    assert shares[15].tolist() == [0, 0, 1]


@pytest.mark.parametrize("third", [None, 0, 2])
def test_a_patch_hears_of_the_sessions_it_shows_and_of_no_distant_one(third: int | None) -> None:
    """Pixels apart, a patch takes from the stem its own sessions, however wide they are drawn."""
    embedding = FinNeXViT(preset="small").eval().patch_embedding
    matrix = embedding.sessions if third is None else embedding.third_sessions
    px, left = (9, 0) if third is None else (3, 171 * third)
    for session in (0, 20, 55):
        first, last = left + session * px, left + session * px + px - 1
        shown = set(torch.nonzero(matrix[:, session]).flatten().tolist())
        if third is None:
            assert shown == {first // 32, last // 32}
        else:  # every third has its own columns of patches for this session
            assert {first // 32, last // 32} <= shown
            assert all(min(abs(x // 3 % 57 - session) for x in range(32 * c, 32 * c + 32)) == 0 for c in shown)
    torch.testing.assert_close(matrix.sum(1), torch.ones(16))


def test_a_pair_of_sections_is_preferred_by_its_bias_and_no_other() -> None:
    block = FinancialTransformerBlock(width=32, heads=2, mlp_ratio=2.0, dropout=0.0).eval()
    shares = section_shares(32).repeat_interleave(16, dim=0)
    tokens = torch.randn(1, 256, 32)
    with torch.no_grad():
        before = block.attention(tokens, shares)
        block.section_bias[1, 0, 2] = 3.0  # head 1: macro looks at fundamental
        after = block.attention(tokens, shares)
    macro, behavioral, fundamental = slice(0, 5 * 16), slice(6 * 16, 10 * 16), slice(11 * 16, 256)
    torch.testing.assert_close(after[:, 0], before[:, 0])
    torch.testing.assert_close(after[:, 1, behavioral], before[:, 1, behavioral])
    odds = after[0, 1, macro, fundamental] / after[0, 1, macro, macro].sum(1, keepdim=True)
    odds_before = before[0, 1, macro, fundamental] / before[0, 1, macro, macro].sum(1, keepdim=True)
    torch.testing.assert_close(odds / odds_before, torch.full_like(odds, np.exp(3.0)), rtol=1e-3, atol=1e-3)


def test_the_bias_of_sections_is_learned() -> None:
    model = FinNeXViT(preset="small")
    for block in model.transformer_blocks:
        torch.nn.init.normal_(block.out.weight, std=0.1)
    model(noise_images(2))[0].square().sum().backward()
    assert all(block.section_bias.grad.abs().max() > 0 for block in model.transformer_blocks)


def test_the_regime_is_read_from_the_macro_section_alone() -> None:
    model = FinNeXViT(preset="small").eval()
    torch.nn.init.normal_(model.classification_head.gate.weight)

    def regime(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model.classification_head.regime(model._embed(x, None)[3])

    image = noise_images(1)
    other, macro = image.clone(), image.clone()
    other[:, :, 171:] = noise_images(1, seed=5)[:, :, 171:]
    macro[:, :, :171] = noise_images(1, seed=5)[:, :, :171]
    assert regime(image).shape == (1, 4)
    torch.testing.assert_close(regime(image).sum(1), torch.ones(1))
    torch.testing.assert_close(regime(other), regime(image), rtol=0, atol=0)
    assert (regime(macro) - regime(image)).abs().max() > 1e-3


def test_a_regime_changes_which_head_answers() -> None:
    head = FinNeXViT(preset="small").classification_head.eval()
    fused, macro = torch.randn(1, 128), torch.randn(1, 57, 64)
    with torch.no_grad():
        head.gate.weight.zero_()
        answers = []
        for regime in range(4):
            head.gate.bias.copy_(torch.where(torch.arange(4) == regime, 50.0, 0.0))
            answers.append(head(fused, macro))
        each = head.heads(fused).reshape(4, 3)
    torch.testing.assert_close(torch.cat(answers), each)


def test_a_lone_patch_is_read_with_the_weights_of_its_place() -> None:
    model = FinNeXViT(preset="small").eval()
    image = noise_images(1)
    image = image[..., ::8].repeat_interleave(8, dim=3)
    cells = image.unfold(2, 32, 32).unfold(3, 32, 32)  # (1, 3, 16, 16, 32, 32)
    numbers = torch.tensor([0, 37, 255])
    shown = torch.cat([cells[:, :, n // 16, n % 16] for n in numbers.tolist()])
    with torch.no_grad():
        told = model(shown, patch=numbers)[1]
        untold = model(shown)[1]
        swapped = model(shown, patch=numbers.flip(0))[1]
    assert told.shape == (3, 1, 64)
    assert (told - untold).abs().max() > 1e-3
    torch.testing.assert_close(told[1], swapped[1])
    assert (told[0] - swapped[0]).abs().max() > 1e-3


def test_a_patch_alone_and_in_its_image_has_the_same_pixels_read() -> None:
    embedding = FinNeXViT(preset="small").eval().patch_embedding
    image = blank()
    for channel in range(3):
        paint(image, "macro", channel, np.random.default_rng(channel).uniform(0, 1, (12, 56)))
    x = torch.from_numpy(image).permute(2, 0, 1)[None]
    with torch.no_grad():
        whole = embedding.norm(embedding._pixels(*session_columns(x)))[0, 2, 3]
        lone = embedding.read_patches(x[..., 64:96, 96:128], torch.tensor([2 * 16 + 3]))[0, 0]
    torch.testing.assert_close(whole, lone, atol=1e-4, rtol=1e-3)


def test_the_batch_around_an_image_does_not_change_its_answer() -> None:
    model = FinNeXViT(preset="small").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    images = noise_images(3)
    torch.testing.assert_close(model(images)[0][:1], model(images[:1])[0], atol=1e-5, rtol=1e-4)


def test_unknown_pixels_count_as_neutral_and_are_told_apart_from_it() -> None:
    model = FinNeXViT(preset="small").eval()
    neutral = torch.full((1, 3, 512, 512), 0.51)
    assert (model(neutral)[1] - model(torch.zeros_like(neutral))[1]).abs().max() > 1e-3


def test_the_notebook_face_gives_it_whole_images_and_the_cnn_patches() -> None:
    assert takes_whole_images(FinNeXViT(preset="small"))
    assert not takes_whole_images(FinNeXMultiScaleCNN(preset="small"))
