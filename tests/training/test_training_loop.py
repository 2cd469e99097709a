"""The loop on a tiny network: it resumes to the same bits, stops where it must, and loses nothing."""

from __future__ import annotations

import math
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from finnex.config.training import AugmentationSettings, TrainingSettings
from finnex.datasets import Batch
from finnex.errors import TrainingError
from finnex.models.return_head import WithReturn
from finnex.training.answers import predict
from finnex.training.augment import make_augmentation
from finnex.training.checkpoint import BEST, LAST, _digest, load_checkpoint, save_checkpoint
from finnex.training.devices import make_accelerator, repeatable
from finnex.training.epoch_loop import fit, warmup_cosine
from finnex.training.interruption import Interruption
from finnex.training.objective import Objective, class_weights
from finnex.training.reports import EpochReport, Progress
from tests.helpers.planted import TinyBatches, TinyNetwork, tiny_samples

SAMPLES = tiny_samples(80)
TRAIN, VALIDATION = np.arange(56), np.arange(60, 80)
ABOUT = {"layout_hash": "0123", "fingerprint": "abcd", "training.learning_rate": 0.01}
ALTERED = AugmentationSettings(
    random_horizontal_flip=0.5, color_jitter=(0.1, 0.1, 0.1, 0.05), gaussian_noise=0.02, mixup_alpha=0.2
)
Weights = dict[str, torch.Tensor]


def settings(**given: Any) -> TrainingSettings:
    return TrainingSettings(**{"epochs": 3, "learning_rate": 0.01, "checkpoint_minutes": 60, "threads": 1, **given})


def run(
    folder: Path,
    given: TrainingSettings,
    *,
    altered: AugmentationSettings | None = None,
    about: dict[str, Any] | None = None,
    batches: Callable[[TinyBatches], Any] = lambda batches: batches,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
) -> tuple[list[EpochReport], Weights]:
    """Train a tiny network; return its history and the weights of its best epoch."""
    accelerator = make_accelerator(given)
    with repeatable(accelerator, 1):
        torch.manual_seed(given.seed)
        model: torch.nn.Module = TinyNetwork()
        if given.task == "class_and_return":
            model = WithReturn(model, 16)
        history = fit(
            accelerator, model, batches(TinyBatches(SAMPLES, TRAIN)), TinyBatches(SAMPLES, VALIDATION, shuffle=False),
            Objective(given, SAMPLES, TRAIN), given, folder, about=about or ABOUT,
            augment=make_augmentation(altered, 3) if altered else None,
            describe=lambda batch: f"rows {sorted(batch.rows.tolist())}", on_epoch=on_epoch, on_progress=on_progress,
        )  # fmt: skip
    return history, {name: value.clone() for name, value in model.state_dict().items()}


def same(one: tuple[list[EpochReport], Weights], other: tuple[list[EpochReport], Weights]) -> bool:
    """Tell whether two trainings agree bit for bit, but for the clock."""
    numbers = [
        [(r.epoch, r.loss, r.validation_loss, r.validation_accuracy, r.learning_rate, r.best) for r in history]
        for history, _ in (one, other)
    ]
    return numbers[0] == numbers[1] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


def at(epoch: int, batch: int, do: Callable[[], None]) -> Callable[[Progress], None]:
    """Return what does something once a batch is done, and nothing ever after."""
    done = []

    def watch(progress: Progress) -> None:
        if not done and progress.stage == "train" and (progress.epoch, progress.done) == (epoch, batch):
            done.append(True)
            do()

    return watch


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def kill() -> None:
    raise Killed


# ---- going on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (2, 4), (3, 7)])
def test_a_training_killed_in_mid_epoch_goes_on_to_the_same_bits(tmp_path: Path, epoch: int, batch: int) -> None:
    """With dropout, flips, jitter, noise and mixup; the state is the one of the batch before."""
    whole = run(tmp_path / "whole", settings(), altered=ALTERED)
    every_batch = settings(checkpoint_minutes=0)
    with pytest.raises(Killed):
        run(tmp_path / "broken", every_batch, altered=ALTERED, on_progress=at(epoch, batch, kill))
    before = load_checkpoint(tmp_path / "broken" / "last.safetensors") if (epoch, batch) != (1, 1) else None
    if before is not None:
        assert (before["standing"]["epoch"], before["standing"]["batch"]) == (epoch, batch - 1)
    assert same(run(tmp_path / "broken", every_batch, altered=ALTERED), whole)


def test_a_training_killed_long_after_its_last_checkpoint_repeats_what_is_missing(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", settings(), altered=ALTERED)
    with pytest.raises(Killed):
        run(tmp_path / "broken", settings(), altered=ALTERED, on_progress=at(3, 5, kill))
    steps: list[Progress] = []
    assert same(run(tmp_path / "broken", settings(), altered=ALTERED, on_progress=steps.append), whole)
    assert (steps[0].epoch, steps[0].done) == (3, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_checkpoint_of_the_batch_that_was_done(tmp_path: Path, number: signal.Signals) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", settings(), on_progress=at(2, 3, lambda: signal.raise_signal(number)))
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, earlier)
    standing = load_checkpoint(tmp_path / "broken" / "last.safetensors")["standing"]
    assert (standing["epoch"], standing["batch"]) == (2, 4)  # the one that was under way, whole
    assert same(run(tmp_path / "broken", settings()), run(tmp_path / "whole", settings()))


def test_ctrl_c_while_the_epoch_is_scored_waits_no_longer_than_a_batch(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, settings(), on_epoch=lambda report: signal.raise_signal(signal.SIGINT))
    standing = load_checkpoint(tmp_path / "last.safetensors")["standing"]
    assert (standing["epoch"], standing["batch"]) == (2, 1)


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        history, _ = run(tmp_path, settings(), on_progress=at(1, 2, lambda: signal.raise_signal(signal.SIGINT)))
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert len(history) == 3


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    first = run(tmp_path, settings())
    steps: list[Progress] = []
    told: list[EpochReport] = []
    assert same(run(tmp_path, settings(), on_progress=steps.append, on_epoch=told.append), first)
    assert (steps, told) == ([], first[0])


def test_two_runs_of_one_seed_are_the_same_and_another_seed_is_not(tmp_path: Path) -> None:
    one, other = (run(tmp_path / name, settings(), altered=ALTERED) for name in "ab")
    assert same(one, other)
    assert not same(one, run(tmp_path / "c", settings(seed=8), altered=ALTERED))


def test_training_leaves_torchs_random_state_and_threads_as_they_were(tmp_path: Path) -> None:
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    run(tmp_path, settings())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


# ---- what is refused ---------------------------------------------------------------------------------------------


def test_a_checkpoint_of_other_data_layout_or_settings_is_refused_with_all_that_differs(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, settings(checkpoint_minutes=0), on_progress=at(2, 3, kill))
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = {**ABOUT, "layout_hash": "4567", "fingerprint": "efgh"}
    with pytest.raises(TrainingError) as refused:
        run(tmp_path, settings(), about=other)
    assert "layout_hash: 0123 then, 4567 now" in str(refused.value)
    assert "fingerprint: abcd then, efgh now" in str(refused.value)
    assert "learning_rate" not in str(refused.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_no_bit_of_a_checkpoint_can_flip_unseen(tmp_path: Path) -> None:
    run(tmp_path, settings(epochs=1))
    path = tmp_path / "best.safetensors"
    good = path.read_bytes()
    held = load_checkpoint(path)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(good), 60):
        bad = bytearray(good)
        bad[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(bad)
        with pytest.raises(TrainingError, match="cannot be used"):
            load_checkpoint(path)
    path.write_bytes(good)
    assert all(torch.equal(load_checkpoint(path)["model"][name], value) for name, value in held["model"].items())


def as_an_earlier_version_wrote(path: Path) -> None:
    """Put torch's archive in the place of a checkpoint, with the name that it had."""
    content = load_checkpoint(path)
    torch.save({"format": 2, "digest": _digest(content), "content": content}, path.with_suffix(".pt"))
    path.unlink()


def test_a_training_that_an_earlier_version_began_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", settings(), altered=ALTERED)
    folder = tmp_path / "broken"
    with pytest.raises(Killed):
        run(folder, settings(checkpoint_minutes=0), altered=ALTERED, on_progress=at(2, 4, kill))
    for name in (BEST, LAST):
        as_an_earlier_version_wrote(folder / name)
    assert {path.name for path in folder.iterdir()} == {"best.pt", "last.pt"}
    assert same(run(folder, settings(), altered=ALTERED), whole)
    assert {path.name for path in folder.iterdir()} == {BEST, LAST}


def test_an_earlier_versions_weights_do_not_take_the_place_of_lost_newer_ones(tmp_path: Path) -> None:
    run(tmp_path, settings(epochs=1))
    as_an_earlier_version_wrote(tmp_path / BEST)
    save_checkpoint(tmp_path / BEST, {"epoch": 2})
    (tmp_path / BEST).unlink()
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / BEST)


@pytest.mark.parametrize(
    "content", [{"a": object()}, {"a": np.float32(1)}, {(1, 2): 3}, {"a": {1.5: 2}}, {"a": {1, 2}}]
)
def test_what_is_no_plain_value_is_not_written(tmp_path: Path, content: Any) -> None:
    with pytest.raises(TypeError, match=r"neither a (plain value|number)"):
        save_checkpoint(tmp_path / BEST, content)
    assert not (tmp_path / BEST).exists()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(content=st.dictionaries(st.text(), PLAIN))
@settings_of_hypothesis(max_examples=50, deadline=None)
def test_a_checkpoint_comes_back_as_it_was_down_to_the_kind_of_its_lists(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / BEST, content)
        assert repr(load_checkpoint(Path(folder) / BEST)) == repr(content)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_tensors_of_every_kind_come_back_bit_for_bit_and_shared_memory_is_no_obstacle(
    tmp_path: Path, kind: torch.dtype
) -> None:
    whole = torch.arange(12).reshape(3, 4).to(kind)
    content = {"whole": whole, "part": whole[1:], "turned": whole.T, "one": whole[0, 1], "none": whole[:0]}
    save_checkpoint(tmp_path / BEST, {"state": {0: content}})
    found = load_checkpoint(tmp_path / BEST)["state"][0]
    assert list(found) == list(content)
    assert all(torch.equal(found[name], value) and found[name].dtype == kind for name, value in content.items())


def test_a_cut_checkpoint_stops_the_resumption_and_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, settings(checkpoint_minutes=0), on_progress=at(2, 3, kill))
    path = tmp_path / "last.safetensors"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(
        TrainingError, match=r"last.safetensors cannot be used: .* Restore the file, or remove its folder"
    ):
        run(tmp_path, settings())
    assert path.stat().st_size == 900
    shutil.rmtree(tmp_path)
    assert same(run(tmp_path, settings()), run(tmp_path / "whole", settings()))


def test_a_lost_best_epoch_is_missed_before_hours_of_training(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path, settings(), on_progress=at(2, 3, kill))
    path = tmp_path / "best.safetensors"
    held = path.read_bytes()
    seen: list[Progress] = []
    for damage in (lambda: path.write_bytes(held[:900]), path.unlink):
        damage()
        with pytest.raises(TrainingError, match=r"best.safetensors.* remove its folder"):
            run(tmp_path, settings(), on_progress=seen.append)
    assert not seen
    path.write_bytes(held)
    assert same(run(tmp_path, settings()), run(tmp_path / "whole", settings()))


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"format": 2, "digest": "", "content": Trap()}, tmp_path / "bad.pt")
    with pytest.raises(TrainingError, match="cannot be used"):
        load_checkpoint(tmp_path / "bad.pt")
    assert not (tmp_path / "sprung").exists()


def test_another_networks_weights_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    run(tmp_path, settings(epochs=1))
    last = load_checkpoint(tmp_path / "last.safetensors")
    last["model"]["classify.weight"] = torch.zeros(2, 16)
    save_checkpoint(tmp_path / "last.safetensors", last)
    with pytest.raises(TrainingError, match=r"holds another network's weights: .*classify\.weight"):
        run(tmp_path, settings(epochs=1))
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_a_checkpoint_is_replaced_only_when_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "a.safetensors", {"weights": torch.ones(3), "score": math.pi})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("finnex.training.checkpoint.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(tmp_path / "a.safetensors", {"weights": torch.zeros(3), "score": 0.0})
    assert load_checkpoint(tmp_path / "a.safetensors")["score"] == math.pi


class Broken:
    """Batches of which one holds a pixel that is no number."""

    def __init__(self, batches: TinyBatches, row: int, value: float, from_epoch: int) -> None:
        self.batches, self.row, self.value, self.from_epoch = batches, row, value, from_epoch
        self.set_epoch = batches.set_epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            if self.row in batch.rows and self.batches.epoch >= self.from_epoch:
                batch.images[batch.rows == self.row] = self.value
            yield batch


def test_a_loss_that_is_not_a_number_stops_names_the_batch_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as stopped:
        run(tmp_path, settings(checkpoint_minutes=0), batches=lambda good: Broken(good, 17, math.nan, 2))
    words = str(stopped.value)
    assert "the loss became nan in epoch 2, batch" in words
    assert "17" in words.split("rows ")[1].split("]", maxsplit=1)[0]
    assert f"the best epoch so far, 1, is kept in {tmp_path / 'best.safetensors'}" in words
    last = load_checkpoint(tmp_path / "last.safetensors")
    assert last["standing"]["epoch"] == 2
    assert all(bool(torch.isfinite(value).all()) for value in last["model"].values())
    assert same(run(tmp_path, settings()), run(tmp_path / "whole", settings()))  # with the image mended it goes on


@pytest.mark.parametrize("strange", [math.nan, math.inf, 255.0])
def test_augmentation_does_not_make_strange_pixels_unknown_ones(tmp_path: Path, strange: float) -> None:
    """A mixture is 0 where an image is not above 0, as NaN is not: the loss would stay a number."""
    mixed = AugmentationSettings(mixup_alpha=0.4)
    with pytest.raises(TrainingError) as stopped:
        run(tmp_path, settings(), altered=mixed, batches=lambda good: Broken(good, 17, strange, 2))
    words = str(stopped.value)
    assert ("no finite numbers" if not math.isfinite(strange) else "reach from") in words
    assert "in epoch 2, batch" in words
    assert "17" in words.split("rows ")[1].split("]", maxsplit=1)[0]


def test_answers_that_are_no_numbers_stop_the_validation_and_name_the_samples(tmp_path: Path) -> None:
    accelerator = make_accelerator(settings())
    model, batches = TinyNetwork(), TinyBatches(SAMPLES, VALIDATION, shuffle=False)
    with pytest.raises(TrainingError, match=r"\d+ samples: \d+, .*: the network's answers are no numbers for 1 of"):
        predict(model, Broken(batches, int(VALIDATION[3]), math.nan, 0), accelerator)


def test_a_gradient_that_is_not_a_number_does_not_reach_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Objective.__call__

    def steep(self: Objective, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
        # A finite loss whose slope at its place is not: the root of 0.
        return real(self, outputs, targets) + (outputs[0] * 0).sum().abs().sqrt()

    monkeypatch.setattr(Objective, "__call__", steep)
    with pytest.raises(TrainingError, match=r"the gradient became nan in epoch 1, batch 1 of 7 \(rows"):
        run(tmp_path, settings())
    assert not (tmp_path / "last.safetensors").exists()


# ---- the step ----------------------------------------------------------------------------------------------------


def test_the_learning_rate_climbs_then_falls_to_nought(tmp_path: Path) -> None:
    factor = warmup_cosine(10, 110)
    rates = [factor(step) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 0.001
    history, _ = run(tmp_path, settings(warmup_epochs=1))
    assert [report.learning_rate for report in history] == [
        pytest.approx(0.01 * warmup_cosine(7, 21)(step)) for step in (6, 13, 20)
    ]


def test_no_step_follows_a_longer_gradient_than_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[float] = []
    real = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *given: Any, **named: Any) -> Any:
        found = [weight.grad.norm() for group in self.param_groups for weight in group["params"]]
        lengths.append(float(torch.stack(found).norm()))
        return real(self, *given, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    run(tmp_path / "free", settings(epochs=1, gradient_clip=1e6))
    free = list(lengths)
    lengths.clear()
    run(tmp_path / "clipped", settings(epochs=1, gradient_clip=0.05))
    assert min(free) > 0.05
    np.testing.assert_allclose(lengths, 0.05, rtol=1e-4)


def test_weights_decay_by_learning_rate_times_weight_decay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loshchilov and Hutter 2019: where nothing is learned, a weight loses that share of itself with every step."""
    monkeypatch.setattr(Objective, "__call__", lambda self, outputs, targets: (outputs[0] * 0).sum())
    _, before = run(tmp_path / "kept", settings(epochs=1, weight_decay=0.0))
    history, after = run(tmp_path / "decayed", settings(epochs=1, weight_decay=0.5))
    steps = 7
    rate = warmup_cosine(settings().warmup_epochs * steps, steps)
    left = math.prod(1 - 0.01 * rate(step) * 0.5 for step in range(steps))
    assert len(history) == 1
    assert left < 0.99
    for name, value in before.items():
        torch.testing.assert_close(after[name], value * left)


def test_balanced_weights_give_each_class_the_same_pull() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3).numpy()
    np.testing.assert_allclose(weights * np.bincount(labels), [10 / 3] * 3, rtol=1e-6)
    assert class_weights(np.array([0, 2, 2]), 3)[1] == 0


def test_the_loss_is_smoothed_weighted_cross_entropy_worked_by_hand() -> None:
    objective = Objective(settings(label_smoothing=0.3, class_weights="balanced"), SAMPLES, TRAIN)
    rows = np.array([0, 5])
    logits = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]])
    shares = 0.7 * np.eye(3)[SAMPLES.label[rows]] + 0.1
    weights = class_weights(SAMPLES.label[TRAIN], 3).numpy()
    by_hand = -(weights * shares * torch.log_softmax(logits, -1).numpy()).sum() / 2
    assert float(objective([logits], objective.targets(rows))) == pytest.approx(by_hand, rel=1e-6)


def test_the_return_is_learned_in_units_of_the_training_part(tmp_path: Path) -> None:
    given = settings(task="class_and_return", epochs=25, patience_epochs=25, return_weight=2.0)
    objective = Objective(given, SAMPLES, TRAIN)
    outcome = SAMPLES.outcome[TRAIN].astype(float)
    assert (objective.location, objective.scale) == (pytest.approx(outcome.mean()), pytest.approx(outcome.std()))
    targets = objective.targets(np.array([70]))
    assert float(targets[0, 3]) == pytest.approx((SAMPLES.outcome[70] - outcome.mean()) / outcome.std(), rel=1e-5)
    _, weights = run(tmp_path, given)
    model = WithReturn(TinyNetwork(), 16)
    model.load_state_dict(weights)
    said = predict(model, TinyBatches(SAMPLES, VALIDATION, shuffle=False), make_accelerator(given))
    assert np.corrcoef(said.returns, SAMPLES.outcome[said.rows])[0, 1] > 0.8


def test_training_stops_early_when_validation_no_longer_improves(tmp_path: Path) -> None:
    history, weights = run(tmp_path, settings(epochs=40, patience_epochs=3, learning_rate=0.3))
    assert len(history) < 40
    assert [report.best for report in history[-3:]] == [False] * 3
    assert history[-4].best
    held = load_checkpoint(tmp_path / "best.safetensors")
    assert held["report"]["epoch"] == history[-4].epoch
    assert all(torch.equal(weights[name], value) for name, value in held["model"].items())


def test_mixed_precision_trains_and_leaves_a_network_of_full_precision(tmp_path: Path) -> None:
    half, full = (run(tmp_path / kind, settings(precision=kind)) for kind in ("bfloat16", "float32"))
    assert not same(half, full)
    assert half[0][-1].loss == pytest.approx(full[0][-1].loss, rel=0.05)
    assert all(value.dtype == torch.float32 for value in half[1].values())


# ---- patches -----------------------------------------------------------------------------------------------------


class PatchNetwork(TinyNetwork):
    """Says which patch it was told, in its logits."""

    def forward(self, x: torch.Tensor, patch: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        logits, features = super().forward(x)
        assert patch is not None
        return torch.nn.functional.one_hot(patch % 3, 3).float() * 50 + 0 * logits, features


class PatchBatches(TinyBatches):
    """Every image four times, as four patches, spread over the batches."""

    def __iter__(self) -> Iterator[Batch]:
        rows = np.repeat(self.rows, 4)
        patches = torch.arange(4).repeat(len(self.rows))
        for own in np.array_split(np.random.default_rng(0).permutation(len(rows)), 5):
            at_rows = rows[own]
            labels = torch.from_numpy(self.labels[at_rows])
            yield Batch(self.images[at_rows], labels, at_rows, patches[own])


@pytest.mark.parametrize("network", [PatchNetwork(), WithReturn(PatchNetwork(), 16)])
def test_a_network_is_told_its_patch_and_a_session_gets_one_answer_of_all_its_patches(network: torch.nn.Module) -> None:
    said = predict(network, PatchBatches(SAMPLES, VALIDATION), make_accelerator(settings()))
    assert said.rows.tolist() == VALIDATION.tolist()
    # Patches 0 and 3 vote for class 0, patch 1 for class 1, patch 2 for class 2.
    np.testing.assert_allclose(said.probabilities, np.tile([0.5, 0.25, 0.25], (20, 1)), atol=1e-6)


def test_a_second_ctrl_c_goes_through_at_once_and_a_launchers_echo_of_the_first_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 100.5, 103.0])
    monkeypatch.setattr("finnex.training.interruption.monotonic", lambda: next(clock))
    held: list[bool] = []

    def press_three_times() -> None:
        with Interruption() as interruption:
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
                held.append(interruption.requested)

    with pytest.raises(KeyboardInterrupt):
        press_three_times()
    assert held == [True, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
