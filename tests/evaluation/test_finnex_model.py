"""`evaluate_finnex_model` counts sessions, puts a baseline beside every score, and finds what a network looks at."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from finnex.cnn_training import FinNeXCNNTrainer, PatchPart
from finnex.errors import TrainingError
from finnex.evaluation import describe_evaluation, evaluate_finnex_model
from finnex.training.training_plan import EVALUATION_METRICS
from tests.helpers.planted_patches import planted

FEW = "no interval: 18 sessions, at least 60 are needed at horizon 5"
KEYS = {"ml_metrics", "financial_performance", "attention_analysis", "cross_modal_performance"}


class Reads(nn.Module):
    """Reads the planted rule: the mean of the known red pixels, in macro patches or rows; other patches are unsure."""

    def __init__(self, channel: int = 0, macro: int = 20, sure: float = 60.0) -> None:
        super().__init__()
        self.macro_branch, self.behavioral_branch, self.fundamental_branch = (nn.Identity() for _ in range(3))
        self.channel, self.macro, self.sure = channel, macro, sure
        self.asked = 0

    def read(self, pixels: Tensor) -> Tensor:
        """Scores from pixels (B, n); a blank is unsure."""
        known = (pixels > 0).sum(dim=1).clamp(min=1)
        mean = pixels.sum(dim=1) / known - 0.5
        blank = (pixels > 0).sum(dim=1) == 0
        scores = -self.sure * (mean[:, None] - torch.tensor([-0.1, 0.0, 0.1])) ** 2 * 10
        return torch.where(blank[:, None], torch.zeros(3), scores)

    def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.asked += len(x)
        rows = x[:, self.channel] if patch is not None else x[:, self.channel, :160]
        logits = self.read(rows.flatten(1))
        if patch is not None:
            logits = torch.where((patch < self.macro)[:, None], logits, torch.zeros(3))
        attended = torch.tensor([3.0, 1.0, 0.0])[None, :, None].expand(len(x), 3, 4)
        return logits, attended


@pytest.fixture(scope="module")
def trainer() -> FinNeXCNNTrainer:
    return planted(60, px=128)


@pytest.fixture(scope="module")
def test_part(trainer: FinNeXCNNTrainer) -> PatchPart:
    return trainer.create_train_val_test_split(
        *trainer.create_patch_dataset(), train_ratio=0.4, val_ratio=0.3, test_ratio=0.3, embargo_sessions=0
    )[2]


@pytest.fixture(scope="module")
def found(test_part: PatchPart) -> dict[str, Any]:
    return evaluate_finnex_model(Reads(macro=4), test_part)


def test_a_network_that_knows_is_found_to_know(found: dict[str, Any]) -> None:
    assert set(found) == KEYS
    ml = found["ml_metrics"]
    assert ml["accuracy"] == {"value": 1.0, "low": None, "high": None, "no_interval": FEW}
    assert ml["f1_score"] == ml["precision"] == ml["recall"] == 1.0
    assert np.array(ml["confusion_matrix"]).sum() == ml["sessions"] == 18
    assert np.trace(ml["confusion_matrix"]) == 18
    assert "buy" in ml["classification_report"]
    assert ml["gap_to_majority"]["value"] > 0.3
    assert ml["verdict"] == f"On 18 unseen sessions nothing can be said of Reads and its baselines ({FEW})."
    assert sum(ml["given"].values()) == 18
    assert ml["cautions"] == []
    assert (ml["first"], ml["votes_a_session"]) == ("2015-03-03", 16.0)


def test_a_session_counts_once_however_many_patches_vote(trainer: FinNeXCNNTrainer, test_part: PatchPart) -> None:
    finer = planted(60, px=64)
    part = finer.create_train_val_test_split(
        *finer.create_patch_dataset(), train_ratio=0.4, val_ratio=0.3, test_ratio=0.3, embargo_sessions=0
    )[2]
    unsure = Reads(macro=2, sure=0.5)
    coarse, fine = evaluate_finnex_model(unsure, test_part), evaluate_finnex_model(Reads(macro=8, sure=0.5), part)
    assert coarse["ml_metrics"]["sessions"] == fine["ml_metrics"]["sessions"] == 18
    assert coarse["ml_metrics"]["votes_a_session"] * 4 == fine["ml_metrics"]["votes_a_session"]
    for one in (coarse, fine):
        assert one["ml_metrics"]["gap_to_majority"]["no_interval"] == FEW


def test_what_the_rule_lies_in_is_what_is_missed(found: dict[str, Any]) -> None:
    modal, sections = found["cross_modal_performance"], found["attention_analysis"]["section_occlusion"]
    assert set(modal) == {"all", "red", "green", "blue"}
    assert modal["all"]["accuracy"]["value"] == 1
    assert modal["red"]["drop"]["value"] > 0.3
    assert modal["red"]["log_loss_rise"]["value"] > 0
    assert modal["red"]["shapley"]["value"] == modal["red"]["drop"]["value"] == modal["red"]["gain_alone"]["value"]
    assert modal["red"]["meaning"] == f"open: {FEW}"
    assert [modal[name]["meaning"] for name in ("green", "blue")] == ["not used: no answer depends on it"] * 2
    for name in ("green", "blue"):
        assert modal[name]["drop"]["value"] == 0
    assert sections["macro_economic"]["drop"]["value"] > 0.3
    assert (
        sections["behavioral_technical"]["drop"]["value"] == sections["fundamental_competitive"]["drop"]["value"] == 0
    )
    votes = found["attention_analysis"]["section_votes"]
    assert votes["macro_economic"]["accuracy"]["value"] == 1
    assert votes["fundamental_competitive"]["accuracy"]["value"] < 0.7


def test_what_is_attended_to_is_told_by_the_networks_parts(found: dict[str, Any], test_part: PatchPart) -> None:
    attention = found["attention_analysis"]
    assert attention["attended_by"] == "branch"
    assert attention["attended_share"] == pytest.approx({"macro": 0.75, "behavioral": 0.25, "fundamental": 0.0})

    class Tokens(Reads):
        """One token a patch of 32 pixels, as a transformer has them; attends to the last row of patches only."""

        image_size = 512

        def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor]:
            logits, _ = super().forward(x)
            tokens = torch.zeros(len(x), 256, 4)
            tokens[:, 240:] = 1
            return logits, tokens

    whole = evaluate_finnex_model(Tokens(), test_part)
    assert whole["attention_analysis"]["attended_by"] == "section"
    share = whole["attention_analysis"]["attended_share"]
    assert share == pytest.approx({"macro_economic": 0, "behavioral_technical": 0, "fundamental_competitive": 1})
    assert whole["ml_metrics"]["accuracy"]["value"] == 1
    assert whole["ml_metrics"]["votes_a_session"] == 1
    assert whole["attention_analysis"]["section_votes"] == {}
    assert whole["attention_analysis"]["section_occlusion"]["macro_economic"]["drop"]["value"] > 0.3


def test_the_same_part_as_plain_arrays_gives_the_same_answer(found: dict[str, Any], test_part: PatchPart) -> None:
    names = ("date", "label_end", "symbol", "forward_return", "spatial_coordinates")
    columns = [test_part.metadata.column(name) for name in names]  # type: ignore[attr-defined]
    entries = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    plain = (np.asarray(test_part.patches), test_part.labels, entries)
    prices = test_part.metadata.images.prices_source()  # type: ignore[attr-defined]
    bars = pd.DataFrame({"date": prices.days, "open": prices.open[:, 0], "close": prices.close[:, 0]})
    other = evaluate_finnex_model(Reads(macro=4), plain, horizon=5, prices=bars)
    assert other["cross_modal_performance"] == found["cross_modal_performance"]
    assert other["financial_performance"] == found["financial_performance"]
    assert other["ml_metrics"]["majority"]["frequencies_from"] == "the test part, in hindsight"
    assert found["ml_metrics"]["majority"]["frequencies_from"] == "training"
    mixed = np.random.default_rng(0).permutation(len(plain[1]))
    shuffled = (plain[0][mixed], plain[1][mixed], [plain[2][one] for one in mixed])
    assert evaluate_finnex_model(Reads(macro=4), shuffled, horizon=5, prices=bars) == other
    with pytest.raises(TrainingError, match=r"does not report how many sessions its labels look ahead. Give horizon="):
        evaluate_finnex_model(Reads(macro=4), plain)
    untold = evaluate_finnex_model(Reads(macro=4), plain, horizon=5)
    assert untold["financial_performance"] == {
        "unavailable": "prices are not known: the images have none; give prices="
    }


def test_a_loader_of_images_is_evaluated_with_what_is_said_of_it(trainer: FinNeXCNNTrainer) -> None:
    images = torch.from_numpy(np.stack([np.moveaxis(trainer.images.image(i), -1, 0) for i in range(12)]))
    loader = DataLoader(TensorDataset(images, torch.from_numpy(trainer.labels[:12])), batch_size=8)
    with pytest.raises(TrainingError, match=r"a loader does not report how many sessions .* Give horizon="):
        evaluate_finnex_model(Reads(), loader)
    bare = evaluate_finnex_model(Reads(), loader, horizon=5)
    assert bare["ml_metrics"]["accuracy"]["value"] == 1
    assert bare["ml_metrics"]["first"] is None
    assert "unavailable" in bare["financial_performance"]
    assert "no financial performance" in describe_evaluation(bare)
    assert trainer.images.prices_source is not None
    prices = trainer.images.prices_source()
    bars = pd.DataFrame({"date": prices.days, "open": prices.open[:, 0], "close": prices.close[:, 0]})
    told = evaluate_finnex_model(Reads(), loader, dates=trainer.images.days[:12], prices=bars, horizon=5)
    assert told["ml_metrics"]["first"] == "2015-01-02"
    assert told["financial_performance"]["win_rate"] == 1
    assert evaluate_finnex_model(Reads(), loader, horizon=5, financial_metrics=False)["financial_performance"] is None
    with pytest.raises(TrainingError, match="12 test sessions and 11 dates"):
        evaluate_finnex_model(Reads(), loader, dates=trainer.images.days[:11], horizon=5)


def test_only_the_metrics_that_are_asked_for_are_given(test_part: PatchPart) -> None:
    found = evaluate_finnex_model(Reads(macro=4), test_part, metrics=["accuracy", "sharpe_ratio"])
    assert not {"f1_score", "confusion_matrix"} & set(found["ml_metrics"])
    assert {"accuracy", "sessions", "majority", "gap_to_majority"} <= set(found["ml_metrics"])
    assert "sharpe_ratio" in found["financial_performance"]
    assert not {"max_drawdown", "win_rate"} & set(found["financial_performance"])
    every = evaluate_finnex_model(Reads(macro=4), test_part)
    assert set(EVALUATION_METRICS) <= set(every["ml_metrics"]) | set(every["financial_performance"])
    with pytest.raises(TrainingError, match=r"metrics: 'acuracy' is unknown. Did you mean 'accuracy'"):
        evaluate_finnex_model(Reads(), test_part, metrics=["acuracy"])


def test_macro_scores_say_which_classes_they_average(test_part: PatchPart, found: dict[str, Any]) -> None:
    assert found["ml_metrics"]["macro_averages"]["classes"] == ["sell", "hold", "buy"]
    assert "F1 1.00. Balanced accuracy, precision, recall and F1 are means over sell, hold and buy." in (
        describe_evaluation(found)
    )
    patches, labels, metadata = test_part
    two = np.where(np.asarray(labels) == 1, 2, labels)  # no session is 'hold', which is still answered
    ml = evaluate_finnex_model(Reads(macro=4), (patches, two, metadata))["ml_metrics"]
    assert (ml["macro_averages"]["classes"], ml["macro_averages"]["absent"]) == (["sell", "buy"], ["hold"])
    report = ml["classification_report"]
    assert f"hold: no session is labelled so, {ml['given']['hold']} are answered so; in no average" in report
    (macro,) = [line.split() for line in report.splitlines() if line.strip().startswith("macro avg")]
    assert macro[2:5] == [f"{ml[name]:.2f}" for name in ("precision", "recall", "f1_score")]


def test_random_dates_carry_their_caution_into_the_evaluation(trainer: FinNeXCNNTrainer) -> None:
    with pytest.warns(UserWarning, match="random dates"):
        parts = trainer.create_train_val_test_split(*trainer.create_patch_dataset(), temporal_split=False)
    found = evaluate_finnex_model(Reads(macro=4), parts[2])
    assert "neighbours of these sessions were trained on" in found["ml_metrics"]["cautions"][0]
    assert "neighbours" in describe_evaluation(found)


def test_a_network_of_one_answer_is_told_as_that(test_part: PatchPart) -> None:
    class Holds(Reads):
        def forward(self, x: Tensor, patch: Tensor | None = None) -> tuple[Tensor, Tensor]:
            _, attended = super().forward(x, patch)
            return torch.tensor([0.0, 1.0, 0.0]).expand(len(x), 3), attended

    found = evaluate_finnex_model(Holds(), test_part)
    assert found["ml_metrics"]["given"] == {"sell": 0, "hold": 18, "buy": 0}
    assert "It answered 'hold' every time" in found["ml_metrics"]["cautions"][-1]
    assert found["ml_metrics"]["best_constant_answer"]["accuracy"] >= found["ml_metrics"]["accuracy"]["value"]
    assert found["financial_performance"]["trades"] == 0
    assert "no trades" in describe_evaluation(found)


def test_an_evaluation_is_plain_and_can_be_told(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    said = describe_evaluation(found)
    assert f"accuracy 1.00 ({FEW}) on 18 sessions" in said
    assert "without channel red: accuracy falls by" in said
    assert "Sharpe ratio net of 5 bps" in said


def test_asking_leaves_a_network_as_it_was(test_part: PatchPart) -> None:
    model = Reads(macro=4).train()
    evaluate_finnex_model(model, test_part)
    assert model.training


def test_what_is_no_test_data_is_refused(test_part: PatchPart) -> None:
    patches, labels, metadata = test_part
    with pytest.raises(TrainingError, match="test_loader is a int"):
        evaluate_finnex_model(Reads(), 5)
    with pytest.raises(TrainingError, match="the test part holds no sample"):
        evaluate_finnex_model(Reads(), [], horizon=5)
    with pytest.raises(TrainingError, match="a loader must give"):
        evaluate_finnex_model(Reads(), [(torch.zeros(2, 3), torch.zeros(2))], horizon=5)
    with pytest.raises(TrainingError, match=r"samples of shape \(3, 256, 256\) are not of layout 'mega'"):
        evaluate_finnex_model(Reads(), [(torch.zeros(2, 3, 256, 256), torch.zeros(2))], horizon=5)
    with pytest.raises(TrainingError, match=r"\d+ of \d+ sessions have no known label yet"):
        evaluate_finnex_model(Reads(), (patches, np.full_like(labels, -1), metadata))
    whole = Reads()
    whole.image_size = 512  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="takes whole images; of 2015-03-03 there are 10 patches, not 16"):
        evaluate_finnex_model(whole, (patches[:10], labels[:10], metadata[:10]))
