"""No file that FinNeX reads can run code: what its source may not call, and attacks through every kind of file."""

from __future__ import annotations

import ast
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from finnex.cnn_training import FinNeXCNNTrainer
from finnex.data import parse
from finnex.datasets.exported_folder import IMAGES
from finnex.errors import TrainingError
from finnex.store import ImageStore
from finnex.tracking.server import silence
from finnex.training.checkpoint import BEST, load_checkpoint
from flows.servers.services import Door, flow_service, mlflow_server, prefect_server
from tests.helpers.stores import blank, make_store, sessions

ROOT = Path(__file__).parents[2]
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal", "runpy"}
UNSAFE_CALLS = {
    "read_pickle", "unsafe_load", "full_load", "load_model", "load_pyfunc", "read_hdf", "HDFStore", "exec_module",
    # torch.distributed and accelerate send Python objects as pickles, tensors as they are.
    "broadcast_object_list", "gather_object", "all_gather_object", "scatter_object_list", "recv_object_list",
}  # fmt: skip
TORCH_LOADERS = {"torch.load", "torch.jit.load", "torch.export.load", "torch.hub.load"}
OWN_FORK = ROOT / "finnex" / "audit" / "fresh.py"
"""Reads the answers of its own forks from an anonymous pipe: no file, and no other process can write to it."""
BARE_CALLS = {"eval", "exec", "compile", "__import__"}
WEIGHTS_ONLY = ROOT / "finnex" / "training" / "checkpoint.py"
"""Reads checkpoints that earlier versions wrote, with torch's restricted reader."""


def unsafe(source: str) -> list[str]:
    """Return what in a module could run code of a file that it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            names = [name for name in names if name.split(".")[0] in UNSAFE_MODULES][:1] + [
                alias.name for alias in node.names if alias.name in UNSAFE_CALLS
            ]
            found += [f"line {node.lineno}: import of {name}" for name in names]
            continue
        found += [f"line {node.lineno}: import of {name}" for name in names if name.split(".")[0] in UNSAFE_MODULES]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in BARE_CALLS or called.rsplit(".", 1)[-1] in UNSAFE_CALLS:
                found.append(f"line {node.lineno}: {called}")
            restricted = called == "torch.load" and given.get("weights_only") == "True"
            if called in TORCH_LOADERS and not restricted:
                found.append(f"line {node.lineno}: {called} without weights_only=True")
            if given.get("allow_pickle", "False") != "False":
                found.append(f"line {node.lineno}: {called} with allow_pickle")
            if called == "yaml.load":
                found.append(f"line {node.lineno}: yaml.load")
    return found


def test_no_source_calls_what_could_run_code_of_a_file() -> None:
    sources = sorted(path for room in ("finnex", "flows", "examples") for path in ROOT.glob(f"{room}/**/*.py"))
    assert len(sources) > 150
    found = {path: unsafe(path.read_text()) for path in sources}
    assert len(found.pop(OWN_FORK)) == 1  # the import; what it reads is the end of a pipe that it made
    assert {str(path): lines for path, lines in found.items() if lines} == {}
    assert [path for path in sources if "torch.load(" in path.read_text()] == [WEIGHTS_ONLY]


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from mlflow.pyfunc import load_model",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "torch.jit.load(p)",
        "torch.export.load(p)",
        "np.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=pickled)",
        "pd.read_pickle(p)",
        "mlflow.pytorch.load_model(uri)",
        "mlflow.pyfunc.load_model(uri)",
        "torch.distributed.broadcast_object_list(said)",
        "eval(text)",
        "exec(text)",
        "yaml.load(f, Loader=yaml.Loader)",
    ],
)
def test_a_line_that_could_run_code_is_noticed(line: str) -> None:
    assert len(unsafe(line)) == 1
    assert unsafe("torch.load(p, weights_only=True); model.eval(); np.load(p); yaml.safe_load(f); re.compile(x)") == []


@pytest.mark.parametrize("said", [None, "true", "1"])
def test_mlflow_unpickles_nowhere_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    name = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
    monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv(name, said)
    door = Door("127.0.0.1", 5000)
    for service in (
        mlflow_server(tmp_path, door), prefect_server(tmp_path, door), flow_service(tmp_path, door, door, None),
    ):  # fmt: skip
        assert service.environment[name] == "false", service.name
    with silence():
        from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION

        assert MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get() is False
    assert os.environ.get(name) == said


class Attack:
    """What unpickling turns into a call."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What an attack makes; that it works where something unpickles is checked here."""
    path = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Attack(path)))
    path.rmdir()
    return path


@pytest.mark.parametrize("name", ["best.pt", BEST])
def test_a_checkpoint_that_carries_code_is_refused_and_nothing_of_it_runs(
    tmp_path: Path, marker: Path, name: str
) -> None:
    content = {"format": 2, "digest": "", "content": {"model": torch.nn.Linear(2, 2).state_dict(), "x": Attack(marker)}}
    torch.save(content, tmp_path / name)
    with pytest.raises(TrainingError, match="cannot be used"):
        load_checkpoint(tmp_path / name)
    (tmp_path / name).write_bytes(pickle.dumps(Attack(marker)))
    with pytest.raises(TrainingError, match="cannot be used"):
        load_checkpoint(tmp_path / name)
    assert not marker.exists()


def test_an_exported_folder_with_pickled_arrays_is_refused(tmp_path: Path, marker: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in (IMAGES, "mega_images_dates.npy", "mega_images_labels.npy", "mega_images_label_ends.npy"):
        np.save(folder / name, np.array([Attack(marker)], dtype=object), allow_pickle=True)
    with pytest.raises(TrainingError, match=r"mega_images_full\.npy cannot be read \(.*Python objects"):
        FinNeXCNNTrainer(folder, layout="mega")
    assert not marker.exists()


def test_a_table_whose_schema_carries_a_pickle_is_read_as_what_it_holds(tmp_path: Path, marker: Path) -> None:
    days = np.busday_offset("2024-01-02", np.arange(5), roll="forward")
    frame = pd.DataFrame({"symbol": "AAA", "date": days.astype(str)})
    for name in ("open", "high", "low", "close", "volume"):
        frame[name] = 10.0
    table = pa.Table.from_pandas(frame, preserve_index=False)
    planted = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Attack(marker)),
    }
    place = table.schema.get_field_index("close")
    schema = table.schema.set(place, table.schema.field(place).with_metadata(planted))
    pyarrow.parquet.write_table(table.cast(schema), tmp_path / "prices.parquet")
    found = parse.read_text(tmp_path / "prices.parquet")
    assert found["close"].tolist() == ["10.0"] * 5
    assert not marker.exists()


def codec_that_unpickles(company: Path) -> None:
    """Name the codec in the metadata by which the company is read."""
    about = json.loads((company / "zarr.json").read_text())
    array = about["consolidated_metadata"]["metadata"]["status"]
    array["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}, *array["codecs"]]
    (company / "zarr.json").write_text(json.dumps(about))
    (company / "status" / "zarr.json").write_text(json.dumps(array))


def array_of_the_format_before(company: Path) -> None:
    """Put Zarr 2 in the place of Zarr 3: there the codec exists."""
    for path in company.rglob("zarr.json"):
        path.unlink()
    (company / ".zgroup").write_text('{"zarr_format": 2}')
    about = {
        "zarr_format": 2, "shape": [70], "chunks": [70], "dtype": "<i4", "fill_value": 0, "order": "C",
        "filters": None, "compressor": {"id": "pickle", "protocol": 5},
    }  # fmt: skip
    (company / "status" / ".zarray").write_text(json.dumps(about))
    (company / "status" / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": ["date"]}))


@pytest.mark.parametrize("plant", [codec_that_unpickles, array_of_the_format_before])
def test_a_store_whose_metadata_names_a_codec_that_unpickles_is_not_decoded(
    tmp_path: Path, marker: Path, plant: Callable[[Path], None]
) -> None:
    store = make_store(tmp_path / "s.zarr", sessions(70), lambda *_: blank(), {"AAA": np.arange(70) % 3})
    company = Path(str(store.path)) / "AAA"
    plant(company)
    for chunk in (company / "status" / "c" / "0", company / "status" / "0"):
        chunk.parent.mkdir(exist_ok=True)
        chunk.write_bytes(pickle.dumps(Attack(marker)))
    for read in (
        lambda: ImageStore.open(store.path).state("AAA"),
        lambda: ImageStore.open(store.path).open_images("AAA").load(),
    ):
        with pytest.raises(Exception, match=r"pickle|damaged"):
            read()
    assert not marker.exists()
