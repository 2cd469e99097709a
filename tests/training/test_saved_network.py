"""A saved network: the same answers, and no byte of it that runs, takes memory for nothing, or is another's."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from finnex.config import ModelSettings
from finnex.errors import ModelRefused, TrainingError
from finnex.models.exported import PatchVotes, Probabilities
from finnex.training.checkpoint import BEST, save_checkpoint
from finnex.training.network import ARCHITECTURES, MOST_CHANNELS, NetworkDescription, build_network, describe_network
from finnex.training.saved_network import ABOUT, WEIGHTS, FileDigest, _load_pyfunc, read_network, save_network

IMAGES = torch.rand(2, 3, 512, 512, generator=torch.Generator().manual_seed(0))


def checkpoint(path: Path, architecture: str, task: str, side_px: int) -> torch.nn.Module:
    """Write the checkpoint of an untrained network; return the network."""
    settings = ModelSettings.model_validate({"architecture": architecture})
    torch.manual_seed(1)
    network = build_network(settings, 3, task=task, side_px=side_px)
    about = describe_network(settings, 3, task=task, side_px=side_px)
    save_checkpoint(path, {"about": about, "model": network.state_dict(), "report": {}})
    return network


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("saved")
    checkpoint(root / BEST, "multiscale_cnn", "class", 512)
    save_network(root / "honest", root / BEST)
    return root / "honest"


@pytest.fixture
def folder(honest: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    copy = tmp_path / "network"
    copy.mkdir()
    for name in (ABOUT, WEIGHTS):
        (copy / name).write_bytes((honest / name).read_bytes())
    return copy


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the description, and let it name the weights in its folder."""
    about = json.loads((folder / ABOUT).read_text())
    about["weights"] = FileDigest.of(folder / WEIGHTS).model_dump()
    for key, value in changes.items():
        inner = about
        *way, last = key.split("__")
        for step in way:
            inner = inner[step]
        inner[last] = value
    (folder / ABOUT).write_text(json.dumps(about))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize(("task", "side_px"), [("class", 512), ("class_and_return", 512), ("class_and_return", 32)])
def test_a_saved_network_answers_as_the_trained_one_did(
    tmp_path: Path, architecture: str, task: str, side_px: int
) -> None:
    network = checkpoint(tmp_path / BEST, architecture, task, side_px)
    images = IMAGES if side_px == 512 else IMAGES[:1]  # of 256 patches each
    with torch.no_grad():
        expected = Probabilities(network)(images) if side_px == 512 else PatchVotes(network, 32)(images)
    save_network(tmp_path / "saved", tmp_path / BEST)
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {ABOUT, WEIGHTS}
    found = read_network(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(found(images), expected)
    asked = _load_pyfunc(str(tmp_path / "saved"))
    for given in (images.numpy(), {"images": images.numpy().astype(np.float64)}):
        np.testing.assert_array_equal(asked.predict(given), expected.numpy())


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("preset", ["small", "base"])
@pytest.mark.parametrize("task", ["class", "class_and_return"])
def test_what_a_description_asks_for_is_known_without_taking_memory(architecture: str, preset: str, task: str) -> None:
    description = NetworkDescription.model_validate(
        {"model": {"architecture": architecture, "preset": preset}, "channels": 3, "task": task, "side_px": 512}
    )
    with torch.device("meta"):
        wanted = description.build().state_dict()
    assert {weight.device.type for weight in wanted.values()} == {"meta"}
    if preset == "small":
        made = description.build().state_dict()
        assert {name: (one.shape, one.dtype) for name, one in made.items()} == {
            name: (one.shape, one.dtype) for name, one in wanted.items()
        }


def pickled(folder: Path, marker: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(Attack(marker)))
    rewrite(folder)


def archived(folder: Path, marker: Path) -> None:
    torch.save({"model": Attack(marker)}, folder / WEIGHTS)
    rewrite(folder)


class Attack:
    """What unpickling turns into a call."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._marker),)


@pytest.mark.parametrize("plant", [pickled, archived])
def test_weights_that_would_run_code_are_refused_and_do_not_run(
    folder: Path, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(folder, tmp_path / "it-ran")
    with pytest.raises(ModelRefused, match=r"weights\.safetensors"):
        read_network(folder)
    padded = (folder / WEIGHTS).read_bytes().ljust(4 * 1_232_856 + 4096, b"\0")  # as large as weights would be
    (folder / WEIGHTS).write_bytes(padded)
    rewrite(folder)
    with pytest.raises(ModelRefused, match=r"weights\.safetensors"):
        read_network(folder)
    assert not (tmp_path / "it-ran").exists()


def test_a_changed_byte_of_the_weights_is_refused(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(ModelRefused, match="are not those that were saved"):
        read_network(folder)


def test_the_refusal_says_what_to_do(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(TrainingError, match=r"^the model is refused: .*No such file.*train again: finnex train\.$"):
        read_network(folder)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("network__model__architecture", "os.system", "network.model.architecture"),
        ("network__model__preset", "huge", "network.model.preset"),
        ("network__model__module", "os", "network.model.module"),
        ("network__channels", 10**12, "network.channels"),
        ("network__channels", 0, "network.channels"),
        ("network__side_px", 10**6, "network.side_px"),
        ("network__task", "exec", "network.task"),
        ("format", 2, "format"),
        ("classes", ["sell", "buy"], "names the classes"),
        ("loader", "os", "loader"),
        ("weights__bytes", 1 << 60, "weights.bytes"),
        ("weights__bytes", 12, "has 12 bytes by its description"),
        ("network__model__preset", "base", "by its description, whose network has"),
        ("network__channels", MOST_CHANNELS, "by its description, whose network has"),
        ("network__model__architecture", "vit", "by its description, whose network has"),
    ],
)
def test_a_description_of_no_network_of_ours_is_refused(folder: Path, key: str, value: object, said: str) -> None:
    rewrite(folder, **{key: value})
    with pytest.raises(ModelRefused, match=said):
        read_network(folder)


@pytest.mark.parametrize("text", [b"", b"[" * 60_000, b"{}", b"\xff\xfe", b"null", b'{"format": 1}'])
def test_a_description_that_is_no_description_is_refused(folder: Path, text: bytes) -> None:
    (folder / ABOUT).write_bytes(text)
    with pytest.raises(ModelRefused, match=r"network\.json describes no network"):
        read_network(folder)


@pytest.mark.parametrize("name", [ABOUT, WEIGHTS])
@pytest.mark.parametrize(
    "make", [lambda path, kept: path.symlink_to(kept), lambda path, _: path.mkdir(), lambda path, _: os.mkfifo(path)]
)
def test_links_folders_and_pipes_are_no_files_of_a_network(
    folder: Path, tmp_path: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    (folder / name).rename(tmp_path / name)
    make(folder / name, tmp_path / name)
    with pytest.raises(ModelRefused, match=name):
        read_network(folder)


def other_shape(tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 2 and tensor.shape[0] != tensor.shape[1])
    tensors[name] = tensors[name].T.contiguous()


def other_type(tensors: dict[str, torch.Tensor]) -> None:
    name = next(iter(tensors))
    tensors[name] = tensors[name].view(torch.int32)


def other_name(tensors: dict[str, torch.Tensor]) -> None:
    tensors["__class__"] = tensors.pop(next(iter(tensors)))


@pytest.mark.parametrize("alter", [other_shape, other_type, other_name])
def test_another_networks_weights_are_refused(folder: Path, alter: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    alter(tensors)
    save_file(tensors, folder / WEIGHTS)
    rewrite(folder)
    with pytest.raises(ModelRefused, match="another network's weights"):
        read_network(folder)


HUGE = """
import json, resource, sys
from pathlib import Path
from finnex.errors import ModelRefused
from finnex.training.saved_network import ABOUT, ABOUT_BYTES, WEIGHTS, FileDigest, read_network

folder, before = Path(sys.argv[1]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
about = json.loads((folder / ABOUT).read_text())
size = (folder / WEIGHTS).stat().st_size
data = size - 8 - int.from_bytes((folder / WEIGHTS).read_bytes()[:8], "little")
names = about["network"]["model"]


def refused():
    try:
        read_network(folder)
    except ModelRefused as error:
        return str(error)
    raise SystemExit("it was loaded")


# The largest network that can be described.
about["network"] |= {"channels": 64, "model": names | {"architecture": "vit", "preset": "base"}}
(folder / ABOUT).write_text(json.dumps(about))
refused()
# A header that claims a tensor of terabytes, in a file of the right size; and a header as long as the file.
about["network"] |= {"channels": 3, "model": names}
header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode().ljust(4096)
for content in (
    len(header).to_bytes(8, "little") + header + bytes(data),
    (1 << 62).to_bytes(8, "little") + bytes(data + 4096),
    (data + 4088).to_bytes(8, "little") + b"[" * (data + 4088),
):
    (folder / WEIGHTS).write_bytes(content)
    about["weights"] = FileDigest.of(folder / WEIGHTS).model_dump()
    (folder / ABOUT).write_text(json.dumps(about))
    refused()
# Files of gigabytes: holes on the disk, that no reader may take into memory.
for name in (WEIGHTS, ABOUT):
    with (folder / name).open("ab") as file:
        file.truncate(8 << 30)
    refused()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_what_claims_to_be_enormous_is_refused_in_bounded_memory(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.run(
        [sys.executable, "-c", HUGE, str(folder)], capture_output=True, text=True, check=False, env=environment
    )
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) < 120  # MiB
