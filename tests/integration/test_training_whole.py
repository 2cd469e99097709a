"""Whole trainings of the real network: killed and resumed, in two processes, on labels that mean nothing."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from finnex.config import Config
from finnex.evaluation.scorecard import PROBABILITIES
from finnex.pipeline import build
from finnex.store import ImageStore
from finnex.training import Progress, TrainingResult, load_network, train, unfinished_study
from finnex.training.checkpoint import load_checkpoint, save_checkpoint
from tests.helpers.planted import SYMBOLS, plant, planted_store
from tests.helpers.stores import make_config, make_store, sessions

pytestmark = pytest.mark.integration

SETTINGS: dict[str, Any] = {
    "epochs": 2, "train_fraction": 0.4, "validation_fraction": 0.2, "embargo_sessions": 2, "batch_size": 8,
    "baselines": ["majority", "boosted_trees"], "checkpoint_minutes": 0, "threads": 1,
}  # fmt: skip
PROGRAM = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {checkout!r})
from tests.helpers.stores import make_config
from finnex.store import ImageStore
from finnex.training import train

store = ImageStore.open(Path({store!r}))
config = make_config(store, Path({root!r}), **json.loads({settings!r}))
rank = os.environ.get("RANK", "")

def tell(at):
    if rank in ("", "0"):
        print(at.stage, at.epoch, at.done, flush=True)

result = train(config, store, on_progress=tell)
answer = {{
    "history": [[r.loss, r.validation_loss, r.validation_accuracy] for r in result.history],
    "predictions": result.predictions.to_csv(),
    "weights": [float(w.detach().double().sum()) for w in result.model.parameters()],
    "folder": str(result.study.folder),
}}
Path({root!r}, "answer" + rank + ".json").write_text(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ImageStore:
    return planted_store(tmp_path_factory.mktemp("whole") / "images.zarr", 70)


@pytest.fixture(scope="module")
def alone_and_told(
    store: ImageStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingResult, list[Progress]]:
    """One training without a break, in this process, and what it told."""
    root = tmp_path_factory.mktemp("alone")
    told: list[Progress] = []
    result = train(make_config(store, root, **SETTINGS), store, folder=root / "study", on_progress=told.append)
    return result, told


def program(store: ImageStore, root: Path, **given: Any) -> Path:
    """Write a script that trains and says what came of it."""
    text = PROGRAM.format(
        checkout=str(Path(__file__).parents[2]),
        store=str(store.path),
        root=str(root),
        settings=json.dumps(SETTINGS | given),
    )
    path = root / "program.py"
    path.write_text(text)
    return path


@pytest.mark.accept
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_killed_in_mid_epoch_is_gone_on_with_to_the_same_bits(
    store: ImageStore, alone_and_told: tuple[TrainingResult, list[Progress]], tmp_path: Path, number: signal.Signals
) -> None:
    config, (whole, _) = make_config(store, tmp_path, **SETTINGS), alone_and_told
    process = subprocess.Popen(
        [sys.executable, str(program(store, tmp_path))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == ["train", "2", "2"]:
            process.send_signal(number)
            break
    process.communicate(timeout=120)
    assert process.returncode != 0
    folder = unfinished_study(config)
    standing = load_checkpoint(folder / "multiscale_cnn-fold0-seed7" / "last.safetensors")["standing"]
    assert standing["epoch"] == 2
    assert standing["batch"] > 0
    steps: list[str] = []
    result = train(
        config,
        store,
        folder=folder,
        resume=True,
        on_progress=lambda at: steps.append(f"{at.stage} {at.epoch} {at.done}"),
    )
    assert f"train 2 {standing['batch']}" not in steps
    assert "train 1 1" not in steps
    pd.testing.assert_frame_equal(result.predictions, whole.predictions)
    assert [r.loss for r in result.history] == [r.loss for r in whole.history]
    for mine, its in zip(result.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, its)


@pytest.mark.accept
def test_two_processes_train_one_network_and_have_one_result(
    store: ImageStore, alone_and_told: tuple[TrainingResult, list[Progress]], tmp_path: Path
) -> None:
    """The command that uses several GPUs, on two processes of the CPU."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(program(store, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    one, other = (json.loads((tmp_path / f"answer{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    alone, told = alone_and_told
    alone_steps = [at for at in told if (at.stage, at.epoch) == ("train", 1)]
    # Every session is answered for once, though each process asked about half of them.
    rows = pd.read_csv(io.StringIO(one["predictions"]), index_col=0)
    assert (
        rows[["symbol", "model", "label"]].to_numpy().tolist()
        == alone.predictions[["symbol", "model", "label"]].to_numpy().tolist()
    )
    # Two processes make one step of their two batches: half the steps, other weights.
    steps = [line for line in done.stdout.splitlines() if line.startswith("train 1 ")]
    assert len(steps) in (len(alone_steps) // 2, math.ceil(len(alone_steps) / 2))
    assert one["history"][0][0] != alone.history[0].loss
    held = load_network(Path(one["folder"]) / "multiscale_cnn-fold0-seed7" / "best.safetensors")
    assert [float(w.detach().double().sum()) for w in held.parameters()] == one["weights"]


@pytest.mark.accept
def test_on_shuffled_labels_five_seeds_together_are_no_better_than_the_majority(tmp_path: Path) -> None:
    """The images carry labels that were shuffled: their rule is of no use, and nothing else may help.

    99.9 % of the sums of as many independent tosses lie in the interval. The seeds answer for the same sessions,
    so their mean is one answer per session.
    """
    days = 110
    true = {name: np.random.default_rng(n).choice(3, days, p=(0.3, 0.4, 0.3)) for n, name in enumerate(SYMBOLS)}
    shuffled = {name: np.random.default_rng(90 + n).permutation(label) for n, (name, label) in enumerate(true.items())}
    store = make_store(
        tmp_path / "s.zarr", sessions(days), lambda name, i: plant(name, i, int(true[name][i])), shuffled
    )
    config = make_config(
        store, tmp_path, epochs=3, seeds=5, train_fraction=0.35, validation_fraction=0.15, baselines=("majority",)
    )
    table = train(config, store).predictions
    tested = table[table["split"] == "test"]
    rate = tested[tested["model"] == "majority"]
    majority = float((rate[PROBABILITIES].to_numpy().argmax(axis=1) == rate["label"]).mean())
    own = tested[tested["model"] == "multiscale_cnn"]
    pooled = float((own[PROBABILITIES].to_numpy().argmax(axis=1) == own["label"]).mean())
    assert own["seed"].nunique() == 5
    assert len(rate) >= 100
    margin = 3.29 * math.sqrt(majority * (1 - majority) / len(rate))
    assert abs(pooled - majority) <= margin
    assert pooled < 0.6  # with the labels that the images carry it is above 0.95


@pytest.mark.accept
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_ends_the_command_with_what_to_do_next_and_resume_does_it(
    sample_config: Callable[..., Config], sample_inputs: dict[str, Path], tmp_path: Path, number: signal.Signals
) -> None:
    build(sample_config(end=date(2015, 6, 30)))
    inputs = "\n".join(f"{name} = {json.dumps(str(path))}" for name, path in sample_inputs.items())
    (tmp_path / "finnex.toml").write_text(
        f'symbols = ["NVDA"]\nstart = 2015-03-02\nend = 2015-06-30\n[inputs]\n{inputs}\n'
        'synthetic = ["sentiment", "fundamentals"]\n[store]\npath = "images.zarr"\n'
        "[training]\nepochs = 40\npatience_epochs = 40\nbatch_size = 8\n"
        "train_fraction = 0.5\nvalidation_fraction = 0.2\n"
        'embargo_sessions = 0\nbaselines = ["majority"]\ncheckpoint_minutes = 0\n'
    )
    environment = os.environ | {
        "FINNEX_HOME": str(tmp_path / "home")
    }  # each command starts an MLflow server of its own
    command = [sys.executable, "-m", "finnex.cli", "train", "--config", str(tmp_path / "finnex.toml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    member = "training/*/multiscale_cnn-fold0-seed7"
    while not list(tmp_path.glob(f"{member}/best.safetensors")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert f"finnex train --config {tmp_path / 'finnex.toml'} --resume continues" in " ".join(said.split())
    standing = load_checkpoint(next(tmp_path.glob(f"{member}/last.safetensors")))["standing"]
    assert standing["epoch"] < 40
    if number == signal.SIGTERM:  # what an operator's `kill` sends; resuming is the same
        return

    # To a quick end: the last epochs are said to be done.
    (study,) = tmp_path.glob("training/*/study.json")
    last = load_checkpoint(next(tmp_path.glob(f"{member}/last.safetensors")))
    last["standing"] |= {"epoch": 40, "batch": 0}
    save_checkpoint(next(tmp_path.glob(f"{member}/last.safetensors")), last)
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "version 1 of 'finnex'" in " ".join(done.stdout.split())
    assert json.loads(study.read_text())["finished"]
    history = json.loads(next(tmp_path.glob(f"{member}/member.json")).read_text())["history"]
    assert [report["epoch"] for report in history] == [*range(1, len(last["standing"]["history"]) + 1), 40]
    nothing = subprocess.run([*command, "--resume"], capture_output=True, text=True, env=environment, check=False)
    assert nothing.returncode == 2
    assert "there is no interrupted training" in nothing.stderr
