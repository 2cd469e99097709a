"""What a channel is worth: redundant and unused channels are told apart, as often as is promised and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from finnex.errors import TrainingError
from finnex.evaluation import describe_evaluation, evaluate_finnex_model
from finnex.evaluation.credit import MARGIN, Credit, credits_of, shapley, subsets
from tests.helpers.stores import sessions

RGB = ("red", "green", "blue")
Answers = Mapping[frozenset[str], np.ndarray]


def drawn(rng: np.random.Generator, n: int, used: str) -> tuple[Answers, np.ndarray]:
    """Return answers of a network by the channels that it is shown, and labels.

    Red tells the label in two of three sessions. `used`: 'both', green tells the same; 'one', green is noise that is
    not used; 'noise', green is noise that the network takes for a sign where red is not shown. Blue is never used.
    """
    labels = rng.integers(0, 3, n)
    told = np.where(rng.random(n) < 0.5, labels, rng.integers(0, 3, n))
    noise = rng.integers(0, 3, n)
    found = {}
    for some in subsets(RGB):
        if "red" in some or ("green" in some and used == "both"):
            said = told
        elif "green" in some and used == "noise":
            said = noise
        else:
            said = np.ones(n, dtype=np.int64)
        found[some] = np.eye(3)[said] * 0.5 + 1 / 6
    return found, labels


def uses(used: str, n: int, horizon: int, repeats: int) -> dict[str, Counter[str]]:
    rng = np.random.default_rng(7)
    found: dict[str, Counter[str]] = {name: Counter() for name in RGB}
    for _ in range(repeats):
        answers, labels = drawn(rng, n, used)
        for name, credit in credits_of(answers, labels, RGB, sessions(n), horizon).items():
            found[name][credit.use] += 1
    return found


def test_two_channels_that_each_suffice_are_redundant_and_lose_nothing() -> None:
    found = uses("both", 250, 1, 100)
    for name in ("red", "green"):
        assert found[name]["redundant"] >= 95  # a third of accuracy is seen in 250 sessions
        assert found[name]["not used"] == found[name]["needed"] == 0
    assert found["blue"] == {"not used": 100}
    answers, labels = drawn(np.random.default_rng(0), 250, "both")
    credit = credits_of(answers, labels, RGB, sessions(250), 1)
    assert credit["red"].drop.value == credit["green"].drop.value == 0
    assert credit["red"].share is not None
    assert credit["green"].share is not None
    assert credit["red"].share.value == credit["green"].share.value == pytest.approx(credit["red"].gain.value / 2)
    assert credit["red"].share.low is not None
    assert credit["red"].share.low > 0


def test_the_only_channel_that_tells_is_needed_and_the_unused_one_is_not_redundant() -> None:
    found = uses("one", 250, 1, 100)
    assert found["red"]["needed"] >= 95
    assert found["red"]["redundant"] == found["red"]["not used"] == 0
    assert found["green"] == found["blue"] == {"not used": 100}


@pytest.mark.parametrize(("n", "horizon"), [(250, 1), (250, 5)])
def test_noise_that_a_network_reads_is_called_redundant_no_more_often_than_promised(n: int, horizon: int) -> None:
    """Alone it changes answers, for nothing: 'redundant' or 'needed' would be an error of the one-sided 2.5 %."""
    repeats = 400
    found = uses("noise", n, horizon, repeats)["green"]
    wrong = found["redundant"] + found["needed"] + found["needed, partly redundant"]
    assert wrong <= repeats * 0.025 + 3 * np.sqrt(repeats * 0.025 * 0.975)
    assert found["open"] > 0.9 * repeats  # 250 sessions do not show that it is worth less than the margin


def test_too_few_sessions_support_no_word() -> None:
    answers, labels = drawn(np.random.default_rng(0), 40, "both")
    red = credits_of(answers, labels, RGB, sessions(40), 1)["red"]
    assert red.use == "open"
    assert red.words() == "open: no interval: 40 sessions, at least 60 are needed at horizon 1"


def test_no_change_of_a_class_supports_not_used_where_sessions_are_many_enough() -> None:
    """Probabilities move a little and no class does: at most 3 of n sessions would be another class."""

    def green(n: int, horizon: int) -> Credit:
        answers, labels = drawn(np.random.default_rng(0), n, "one")
        moved = {
            some: said + (0.001 * np.array([1, -1, 0]) if "green" in some else 0) for some, said in answers.items()
        }
        return credits_of(moved, labels, RGB, sessions(n), horizon)["green"]

    assert green(250, 1).most_changed == pytest.approx(3 / 250)
    assert green(250, 1).words() == f"not used: with it or without, accuracy differs by less than {MARGIN:g}"
    assert green(250, 5).use == "open"  # 50 labels that do not overlap


def test_shares_are_the_mean_over_all_orders_and_add_up() -> None:
    rng = np.random.default_rng(3)
    values = {some: rng.normal(size=20) for some in subsets(RGB)}
    found = shapley(values, RGB)
    for channel in RGB:
        added = [
            values[frozenset(order[: order.index(channel) + 1])] - values[frozenset(order[: order.index(channel)])]
            for order in permutations(RGB)
        ]
        np.testing.assert_allclose(found[channel], np.mean(added, axis=0))
    np.testing.assert_allclose(sum(found.values()), values[frozenset(RGB)] - values[frozenset()])


def test_many_channels_are_shown_one_less_and_alone_only() -> None:
    five = tuple("abcde")
    assert [len(some) for some in subsets(five)] == [5, *[4] * 5, *[1] * 5, 0]
    answers = {some: np.eye(3)[np.arange(90) % 3] for some in subsets(five)}
    credit = credits_of(answers, np.arange(90) % 3, five, sessions(90), 1)["a"]
    assert (credit.share, credit.use) == (None, "not used")


class ReadsEither(nn.Module):
    """Takes the class from the pixels of red, or of green where red is not shown; never looks at blue."""

    image_size = 512

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        red, green = x[:, 0, 0, 0], x[:, 1, 0, 0]
        value = torch.where(red > 0, red, green)
        logits = -40 * (value[:, None] - torch.tensor([0.25, 0.5, 0.75])) ** 2
        return torch.where(value[:, None] > 0, logits, torch.tensor([0.0, 1.0, 0.0])), torch.ones(len(x), 3, 4)


def shown(n: int, spoil: float | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 3, n))
    told = torch.where(torch.from_numpy(rng.random(n) < 0.7), labels, torch.from_numpy(rng.integers(0, 3, n)))
    for first in range(0, n, 10):
        some = slice(first, first + 10)
        images = (0.25 + 0.25 * told[some].float())[:, None, None, None].expand(-1, 3, 512, 512).clone()
        if spoil is not None:
            images[0, 0, 0, 0] = spoil
        yield images, labels[some]


def test_an_evaluation_says_redundant_where_a_drop_alone_shows_nothing() -> None:
    found: dict[str, Any] = evaluate_finnex_model(ReadsEither(), list(shown(120)), horizon=1)
    modal = found["cross_modal_performance"]
    for name in ("red", "green"):
        assert modal[name]["drop"]["value"] == 0
        assert modal[name]["use"] == "redundant"
        assert modal[name]["gain_alone"]["low"] > 0
        assert modal[name]["shapley"]["low"] > 0
    assert modal["blue"]["use"] == "not used"
    shares = sum(modal[name]["shapley"]["value"] for name in RGB)
    assert shares == pytest.approx(modal["all"]["accuracy"]["value"] - modal["all"]["accuracy_of_a_blank"])
    said = describe_evaluation(found)
    assert "without channel red: accuracy falls by 0.00" in said
    assert "redundant: it gives accuracy alone, and more than is lost without it" in said
    assert "with channel blue alone: accuracy" in said
    assert "not used: no answer depends on it" in said


def test_answers_that_are_no_numbers_are_not_evaluated() -> None:
    with pytest.raises(TrainingError, match="answers are no numbers for 1 of 10 samples"):
        evaluate_finnex_model(Passes(), list(shown(20, spoil=float("nan"))), horizon=1)


class Passes(ReadsEither):
    """Hands on what it is shown."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, 0, 0, :3], torch.ones(len(x), 3, 4)
