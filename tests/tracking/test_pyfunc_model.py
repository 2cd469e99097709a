"""A saved model is MLflow's `python_function` without a pickle: it loads where those are forbidden."""

from __future__ import annotations

import math
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from finnex.config import ModelSettings
from finnex.datasets.samples import CLASSES
from finnex.errors import TrainingError
from finnex.models.exported import Probabilities
from finnex.tracking.entries import save_model
from finnex.tracking.server import silence
from finnex.training.checkpoint import BEST, save_checkpoint
from finnex.training.network import build_network, describe_network
from finnex.training.saved_network import _load_pyfunc

with silence():
    from mlflow.exceptions import MlflowException

IMAGES = torch.rand(2, 3, 512, 512, generator=torch.Generator().manual_seed(0)).numpy()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return build_network(ModelSettings(), 3, task="class", side_px=512)


@pytest.fixture(scope="module")
def artifact(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pyfunc")
    about = describe_network(ModelSettings(), 3, task="class", side_px=512)
    save_checkpoint(root / BEST, {"about": about, "model": network.state_dict(), "report": {}})
    result: Any = SimpleNamespace(image_shape=(512, 512, 3), chosen=SimpleNamespace(checkpoint=root / BEST))
    with silence():
        save_model(root / "model", result, CLASSES)
    return root / "model"


@pytest.fixture(scope="module")
def loaded(artifact: Path) -> Any:
    with pytest.MonkeyPatch.context() as environment, silence():
        environment.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        import mlflow

        return mlflow.pyfunc.load_model(str(artifact))


def executes(path: Path) -> bool:
    """Whether a file is a pickle, an archive that may hold some, or code."""
    data = path.read_bytes()
    if path.suffix in {".py", ".pyc", ".so", ".pkl", ".pickle", ".cloudpickle"} or zipfile.is_zipfile(path):
        return True
    return data[:1] == b"\x80" and data[1] <= pickle.HIGHEST_PROTOCOL and data.rstrip(b"\0").endswith(b".")


def test_no_file_of_a_saved_model_is_a_pickle_or_code(artifact: Path, tmp_path: Path) -> None:
    files = {path.relative_to(artifact).as_posix(): path for path in artifact.rglob("*") if path.is_file()}
    assert {"MLmodel", "data/network/network.json", "data/network/weights.safetensors"} <= set(files)
    assert [name for name, path in files.items() if executes(path)] == []
    assert "loader_module: finnex.training.saved_network" in files["MLmodel"].read_text()
    assert "pickle" not in files["MLmodel"].read_text()
    (tmp_path / "weights").write_bytes(pickle.dumps({"a": 1}))
    torch.save({"a": 1}, tmp_path / "archive")
    assert executes(tmp_path / "weights")
    assert executes(tmp_path / "archive")


def test_it_answers_as_the_network_does_where_pickles_are_forbidden(loaded: Any, network: torch.nn.Module) -> None:
    with torch.no_grad():
        expected = Probabilities(network)(torch.from_numpy(IMAGES)).numpy()
    np.testing.assert_array_equal(loaded.predict({"images": IMAGES}), expected)
    np.testing.assert_array_equal(loaded.predict(IMAGES), expected)
    assert loaded.predict({"images": IMAGES[:0]}).shape == (0, 3)


def with_pixel(value: float) -> Any:
    images = IMAGES.copy()
    images[1, 0, 5, 6] = value
    return images


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"images": with_pixel(math.nan)}, "the first in image 1, channel 0, row 5, column 6"),
        ({"images": with_pixel(math.inf)}, "no finite numbers"),
        ({"images": with_pixel(255.0)}, "reach from .* to 255; give values"),
        ({"images": (IMAGES > 0.5).astype(np.uint8)}, "of uint8; give floats"),
        ({"images": IMAGES.astype(np.complex64)}, "of complex64; give floats"),
        ({"images": np.full((1, 3, 512, 512), "0.5")}, "of <U3; give floats"),
        ({"images": IMAGES[0]}, r"shape \(3, 512, 512\); give"),
        ({"images": IMAGES[:, :1]}, r"shape \(2, 1, 512, 512\); give"),
        ({"images": IMAGES[..., :32, :32]}, r"shape \(2, 3, 32, 32\); give"),
        ({"pictures": IMAGES}, "asked about 'images'; given are 'pictures'"),
        ({}, "given are none"),
        (None, "of object; give floats"),
    ],
)
def test_garbage_is_refused_in_words_whether_mlflow_checks_the_signature_or_not(
    artifact: Path, loaded: Any, given: Any, words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        _load_pyfunc(str(artifact / "data" / "network")).predict(given)
    with pytest.raises((TrainingError, MlflowException)):  # which looks at types and shapes first
        loaded.predict(given)
