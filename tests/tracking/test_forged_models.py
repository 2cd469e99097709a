"""A program that writes into the registry cannot make FinNeX run code, or use a model that it did not train."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from finnex.cli import main
from finnex.config import Config, MlflowSettings
from finnex.errors import ModelRefused, ServiceError, TrainingError
from finnex.store import ImageStore
from finnex.tracking import load_champion, promote
from finnex.tracking.artifacts import Artifacts
from finnex.tracking.key import key_file, make_key
from finnex.tracking.nightly_predictions import predict_newest
from finnex.tracking.promotion_records import FORCED
from finnex.tracking.registry import CHALLENGER, CHAMPION
from finnex.tracking.seal import SEAL, STATEMENT, Statement, sealed
from finnex.tracking.server import silence
from finnex.training.saved_network import FileDigest
from tests.helpers.registered import Registry, Trained, log_training

pytest_plugins = ("tests.helpers.registry",)
pytestmark = pytest.mark.slow
NAME = "forged"


class Evil(torch.nn.Module):
    """A network whose unpickling makes a folder."""

    def __init__(self, marker: Path) -> None:
        super().__init__()
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@dataclass(frozen=True)
class Honest:
    """A registered model of FinNeX's own, version 1, and what an attacker of the registry has."""

    config: Config
    store: ImageStore
    address: str
    client: Any
    files: Path
    marker: Path

    @property
    def entry(self) -> Any:
        return self.client.get_model_version(NAME, "1")

    def upload(self, folder: Path) -> str:
        """Log a folder as a model of the honest one's run; return its address."""
        run = self.client.get_run(self.entry.run_id)
        made = self.client.create_logged_model(run.info.experiment_id, name="model", source_run_id=run.info.run_id)
        self.client.log_model_artifacts(made.model_id, str(folder))
        self.client.finalize_logged_model(made.model_id, "READY")
        return f"models:/{made.model_id}"

    def register(self, source: str, tags: dict[str, str]) -> str:
        """Register a version as any program that reaches the server can."""
        model_id = source.removeprefix("models:/")
        made = self.client.create_model_version(
            NAME, source=source, run_id=self.entry.run_id, tags=tags, model_id=model_id
        )
        return str(made.version)

    @contextmanager
    def speaking(self, *, champion: str, challenger: str) -> Iterator[None]:
        """Give the two titles to versions for a while."""
        self.client.set_registered_model_alias(NAME, CHAMPION, champion)
        self.client.set_registered_model_alias(NAME, CHALLENGER, challenger)
        try:
            yield
        finally:
            self.client.set_registered_model_alias(NAME, CHAMPION, "1")

    def refuses(self, version: str, said: str) -> None:
        """Check that no command uses a version under any title, in words with a remedy that works."""
        with self.speaking(champion=version, challenger=version):
            with pytest.raises(ModelRefused, match=rf"(?s)^version {version} of 'forged' is refused: .*{said}") as one:
                predict_newest(self.config, self.address, 1)
            assert "`finnex promote --force`" in str(one.value)
            with pytest.raises(ModelRefused, match=rf"(?s)^version {version} of 'forged' is refused: .*{said}") as two:
                promote(self.config, self.store, self.address)
            assert "Train again: `finnex train`" in str(two.value)
            with pytest.raises(ModelRefused, match=said):
                promote(self.config, self.store, self.address, version=int(version), force=True)
        assert not self.marker.exists()


@pytest.fixture(scope="module")
def registered(registry: Registry, small_study: Trained) -> tuple[Config, ImageStore]:
    config, store, result = small_study
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="forged", model=NAME)})
    log_training(config, store, result, "r", {}, registry.address)
    promote(config, store, registry.address, force=True)
    return config, store


@pytest.fixture
def honest(registry: Registry, registered: tuple[Config, ImageStore], client: Any, tmp_path: Path) -> Iterator[Honest]:
    entry = client.get_model_version(NAME, "1")
    model = client.get_logged_model(entry.source.removeprefix("models:/"))
    files = registry.artifacts / model.artifact_location.removeprefix("mlflow-artifacts:/")
    shutil.copytree(files, tmp_path / "before")
    yield Honest(*registered, registry.address, client, files, tmp_path / "it-ran")
    shutil.rmtree(files)
    shutil.copytree(tmp_path / "before", files)
    assert load_champion(*registered, registry.address).version.version == 1


# ---- versions that train did not register ------------------------------------------------------------------------


def pickled(folder: Path, marker: Path) -> None:
    """A PyTorch model as MLflow's own flavour pickles it."""
    import mlflow

    with silence():
        mlflow.pytorch.save_model(Evil(marker), str(folder), serialization_format="pickle", pip_requirements=[])


def loader_of_its_own(folder: Path, marker: Path) -> None:
    """A model that brings the module which loads it."""
    import mlflow

    code = folder.with_name("code") / "harmless_looking.py"
    code.parent.mkdir()
    code.write_text(f"import os\nos.mkdir({str(marker)!r})\ndef _load_pyfunc(path):\n    return None\n")
    with silence():
        mlflow.pyfunc.save_model(
            str(folder), loader_module="harmless_looking", code_paths=[str(code)], pip_requirements=[]
        )


ATTACKS = [(pickled, "pytorch"), (loader_of_its_own, "pyfunc")]


@pytest.mark.parametrize(("attack", "flavour"), ATTACKS)
@pytest.mark.parametrize("with_tags", ["none", "all of version 1"])
def test_what_another_program_registered_is_refused_and_does_not_run(
    honest: Honest, tmp_path: Path, attack: Callable[[Path, Path], None], flavour: str, with_tags: str
) -> None:
    attack(tmp_path / "model", honest.marker)
    source = honest.upload(tmp_path / "model")
    version = honest.register(source, {} if with_tags == "none" else dict(honest.entry.tags))
    honest.refuses(version, "it bears no seal" if with_tags == "none" else "its seal is that of another version")


@pytest.mark.parametrize(("attack", "flavour"), ATTACKS)
def test_the_same_artifacts_run_where_mlflow_loads_them(
    honest: Honest, tmp_path: Path, attack: Callable[[Path, Path], None], flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    attack(tmp_path / "model", honest.marker)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    load = {"pytorch": mlflow.pytorch.load_model, "pyfunc": mlflow.pyfunc.load_model}[flavour]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(Exception):  # what came out of it is no model; it has run by then
            load(str(tmp_path / "model"))
    assert honest.marker.exists()


def test_a_model_of_an_earlier_version_is_refused_and_the_rest_goes_on(honest: Honest, tmp_path: Path) -> None:
    import mlflow
    from mlflow.types import Schema, TensorSpec

    class Network(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(1, 2, 3))[:, None].repeat(1, 3)

    kind = np.dtype(np.float32)
    images, answers = Schema([TensorSpec(kind, (-1, 3, 512, 512))]), Schema([TensorSpec(kind, (-1, 3))])
    with silence(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            Network().eval(), str(tmp_path / "model"), input_example=torch.zeros((2, 3, 512, 512)),
            signature=mlflow.models.ModelSignature(images, answers), serialization_format="pt2", pip_requirements=[],
        )  # fmt: skip
    kept = {key: value for key, value in honest.entry.tags.items() if key not in {STATEMENT, SEAL}}
    version = honest.register(honest.upload(tmp_path / "model"), kept)
    honest.refuses(version, "it bears no seal of `finnex train`: an earlier version of FinNeX registered it")
    with honest.speaking(champion=version, challenger="1"):
        with pytest.raises(ModelRefused, match=r"`finnex promote --force` puts the challenger in its place"):
            promote(honest.config, honest.store, honest.address)
        decision, champion = promote(honest.config, honest.store, honest.address, force=True)
        assert (decision.promoted, champion.version) == (True, 1)
        assert decision.reason.startswith(f"Forced: champion in place of version {version}, without a comparison.")
        assert load_champion(honest.config, honest.store, honest.address).version.version == 1
        assert honest.client.get_model_version_by_alias(NAME, CHAMPION).version == "1"


def test_a_forged_statement_under_an_old_seal_is_refused(honest: Honest, tmp_path: Path) -> None:
    pickled(tmp_path / "model", honest.marker)
    source = honest.upload(tmp_path / "model")
    said = Statement.model_validate_json(honest.entry.tags[STATEMENT])
    files = {
        path.relative_to(tmp_path / "model").as_posix(): FileDigest.of(path)
        for path in (tmp_path / "model").rglob("*")
        if path.is_file()
    }
    forged = said.model_copy(update={"model_id": source.removeprefix("models:/"), "files": files})
    honest_seal = {SEAL: honest.entry.tags[SEAL]}
    version = honest.register(source, sealed(forged, b"the attacker's") | honest_seal)
    honest.refuses(version, "its seal is not of this state's key")
    version = honest.register(source, sealed(forged, b"the attacker's"))
    honest.refuses(version, "its seal is not of this state's key")


def test_a_version_sealed_in_another_state_is_refused_until_its_key_is_there(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = key_file(honest.config)
    monkeypatch.setenv("FINNEX_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(ModelRefused) as refused:
        load_champion(honest.config, honest.store, honest.address)
    assert f"put that state's model.key at {tmp_path / 'elsewhere' / 'model.key'}" in str(refused.value)
    make_key(key_file(honest.config))
    with pytest.raises(ModelRefused, match="its seal is not of this state's key"):
        load_champion(honest.config, honest.store, honest.address)
    shutil.copy2(theirs, key_file(honest.config))
    assert load_champion(honest.config, honest.store, honest.address).version.version == 1


# ---- files that are not those that train registered --------------------------------------------------------------


def changed_weights(files: Path, _: Path) -> None:
    path = files / "data" / "network" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 64
    path.write_bytes(data)


def another_loader(files: Path, marker: Path) -> None:
    path = files / "MLmodel"
    text = path.read_text()
    wanted = "loader_module: finnex.training.saved_network"
    assert wanted in text
    (files / "evil.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    path.write_text(text.replace(wanted, "loader_module: evil"))


def another_loader_of_the_same_length(files: Path, _: Path) -> None:
    path = files / "MLmodel"
    path.write_text(path.read_text().replace("finnex.training.saved_network", "finnex.training.saved_netw0rk"))


def a_pickle_more(files: Path, marker: Path) -> None:
    torch.save({"model": Evil(marker)}, files / "data" / "network" / "model.pth")


def a_folder_more(files: Path, marker: Path) -> None:
    (files / "code").mkdir()
    (files / "code" / "sitecustomize.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")


def one_file_less(files: Path, _: Path) -> None:
    (files / "requirements.txt").unlink()


def none_at_all(files: Path, _: Path) -> None:
    shutil.rmtree(files)
    files.mkdir()


def a_pickle_instead(files: Path, marker: Path) -> None:
    torch.save({"model": Evil(marker)}, files / "data" / "network" / "weights.safetensors")


def a_link_out(files: Path, marker: Path) -> None:
    secret = marker.with_name("secret")
    path = files / "data" / "network" / "network.json"
    secret.write_bytes(path.read_bytes()[::-1])
    path.unlink()
    path.symlink_to(secret)


def a_link_in_a_circle(files: Path, _: Path) -> None:
    (files / "data" / "more").symlink_to(files)


def a_folder_in_place_of_a_file(files: Path, _: Path) -> None:
    (files / "conda.yaml").unlink()
    (files / "conda.yaml").mkdir()
    (files / "conda.yaml" / "conda.yaml").write_text("x")


def a_file_in_place_of_a_folder(files: Path, _: Path) -> None:
    shutil.rmtree(files / "data" / "network")
    (files / "data" / "network").write_text("x")


def an_enormous_file(files: Path, _: Path) -> None:
    with (files / "data" / "network" / "network.json").open("ab") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (changed_weights, "the bytes of data/network/weights.safetensors .* are not those that were registered"),
        (another_loader, "has 'evil.py', which was not registered|MLmodel of .* bytes, .* were registered"),
        (another_loader_of_the_same_length, "the bytes of MLmodel .* are not those that were registered"),
        (a_pickle_more, "has 'data/network/model.pth', which was not registered"),
        (a_folder_more, "has 'code', which was not registered"),
        (one_file_less, "lacks requirements.txt, which was registered"),
        (none_at_all, "lacks MLmodel, which was registered"),
        (a_pickle_instead, "weights.safetensors of .* bytes, .* were registered"),
        (a_link_out, "Invalid path: resolved path is outside"),
        (a_link_in_a_circle, "has 'data/more', which was not registered"),
        (a_folder_in_place_of_a_file, "has 'conda.yaml', which was not registered"),
        (a_file_in_place_of_a_folder, "has 'data/network', which was not registered"),
        (an_enormous_file, "network.json of .* has 1099511627776 bytes"),
    ],
)
def test_altered_files_of_a_version_are_refused_and_none_of_them_runs(
    honest: Honest, alter: Callable[[Path, Path], None], said: str
) -> None:
    alter(honest.files, honest.marker)
    honest.refuses("1", said)


def test_altered_predictions_promote_no_model(honest: Honest, small_study: Trained, registry: Registry) -> None:
    config, store, result = small_study
    config = config.model_copy(update={"mlflow": MlflowSettings(experiment="forged", model="predictions")})
    for _ in range(2):
        tracked = log_training(config, store, result, "r", {}, registry.address)
        if tracked.version == 1:
            promote(config, store, registry.address, force=True)
    run = honest.client.get_run(tracked.run_id)
    path = registry.artifacts / run.info.artifact_uri.removeprefix("mlflow-artifacts:/") / "predictions.parquet"
    table = result.predictions.copy()
    table[["p_sell", "p_hold", "p_buy"]] = np.eye(3)[table["label"].clip(0)]
    table.to_parquet(path)
    with pytest.raises(ModelRefused, match=r"^version 2 of 'predictions' is refused: .*predictions\.parquet"):
        promote(config, store, registry.address)
    assert honest.client.get_model_version_by_alias("predictions", CHAMPION).version == "1"


# ---- a statement that is sealed, and still must not lead astray ---------------------------------------------------


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "data/../../evil", "a//b", ".hidden", "a\\b", "a b", ""])
def test_a_sealed_statement_cannot_name_a_file_outside_of_the_artifact(honest: Honest, name: str) -> None:
    said = Statement.model_validate_json(honest.entry.tags[STATEMENT])
    files = {**said.files, name: said.predictions}
    version = honest.register(
        honest.entry.source, sealed(said.model_copy(update={"files": files}), make_key(key_file(honest.config)))
    )
    honest.refuses(version, "another version of FinNeX registered it")


def test_a_sealed_network_that_this_version_does_not_know_is_refused(honest: Honest, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(honest.files, copy)
    about = copy / "data" / "network" / "network.json"
    about.write_text(about.read_text().replace('"multiscale_cnn"', '"os.system"'))
    source = honest.upload(copy)
    said = Statement.model_validate_json(honest.entry.tags[STATEMENT])
    said = said.model_copy(
        update={
            "model_id": source.removeprefix("models:/"),
            "files": {**said.files, "data/network/network.json": FileDigest.of(about)},
        }
    )
    version = honest.register(source, sealed(said, make_key(key_file(honest.config))))
    honest.refuses(version, "describes no network of this version")


class Listing:
    """What a server would have to list to lead a download astray: MLflow's own client already drops such names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def list_artifacts(self, _: str | None) -> list[Any]:
        from mlflow.entities import FileInfo

        return [FileInfo(name, False, 3) for name in self.names]


@pytest.mark.parametrize("name", ["../evil", "/etc/cron.d/evil", "data/../../evil", "MLmodel/../../evil"])
def test_a_listed_name_that_leads_elsewhere_is_refused_before_anything_is_asked_for(
    registry: Registry, name: str
) -> None:
    artifacts = Artifacts("mlflow-artifacts:/0/models/m-1/artifacts", registry.address, "its artifact m-1")
    artifacts._repository = Listing("MLmodel", name)
    wanted = {"MLmodel": FileDigest(sha256="0" * 64, bytes=3)}
    with pytest.raises(ModelRefused, match="which was not registered"):
        artifacts.check_names(wanted, alone=True)


# ---- the commands -------------------------------------------------------------------------------------------------


def test_the_commands_refuse_in_one_sentence_and_their_remedy_works(
    honest: Honest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.csv").touch()
    shutil.copytree(str(honest.store.path), tmp_path / "images.zarr")  # predictions are written into it
    file = tmp_path / "finnex.toml"
    file.write_text(
        f'symbols = ["AAA"]\n[inputs]\nprices = "prices.csv"\n[store]\npath = "images.zarr"\n'
        f'[mlflow]\nuri = "{honest.address}"\nmodel = "{NAME}"\n'
    )

    def finnex(command: str, *options: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main([command, "--config", str(file), *options])
        said = capsys.readouterr()
        return ended.value.code, " ".join((said.out + said.err).split())

    pickled(tmp_path / "model", honest.marker)
    version = honest.register(honest.upload(tmp_path / "model"), dict(honest.entry.tags))
    with honest.speaking(champion=version, challenger="1"):
        for command in ("predict", "promote"):
            code, said = finnex(command)
            assert (code, said.count("Traceback")) == (2, 0)
            assert f"finnex: version {version} of '{NAME}' is refused: its seal is that of another version" in said
            assert "finnex promote --force" in said
        code, said = finnex("promote", "--force", "--json")
        assert (code, '"champion": 1' in said, '"promoted": true' in said) == (0, True, True)
        code, said = finnex("predict", "--json")
        assert (code, '"predictions": [' in said) == (0, True)
    code, said = finnex("models", "--json")
    assert (code, f'"promotion": "{FORCED}"' in said, '"trial": 1' in said) == (0, True, True)
    assert "Refused: its seal is that of another version" in said
    assert finnex("promote", "--version", version)[0] == 2
    assert finnex("promote", "--version", "1") == (
        1, "Not promoted. Version 1 is the champion already. The champion is version 1 of 'forged'.",
    )  # fmt: skip
    assert not honest.marker.exists()


def test_a_version_that_is_not_there_is_said_to_be(honest: Honest) -> None:
    with pytest.raises(TrainingError, match="'forged' has no version 999"):
        promote(honest.config, honest.store, honest.address, version=999)


def test_an_earlier_version_is_put_back_by_its_number(honest: Honest, small_study: Trained) -> None:
    log_training(honest.config, honest.store, small_study[2], "r", {}, honest.address)
    newest = honest.client.get_model_version_by_alias(NAME, CHALLENGER).version
    decision, champion = promote(honest.config, honest.store, honest.address, force=True)
    assert (decision.promoted, str(champion.version)) == (True, newest)
    decision, champion = promote(honest.config, honest.store, honest.address, version=1, force=True)
    assert (decision.promoted, champion.version) == (True, 1)


def test_a_deleted_artifact_is_a_refusal(honest: Honest) -> None:
    shutil.rmtree(honest.files)
    honest.refuses("1", "lacks MLmodel, which was registered")
    honest.files.mkdir()  # the fixture puts it back


def test_a_server_that_fails_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    class Failing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Failing) as broken:
        Thread(target=broken.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{broken.server_port}"
        artifacts = Artifacts("mlflow-artifacts:/0/models/m-1/artifacts", uri, "its artifact m-1")
        with pytest.raises(ServiceError, match=r"does not hand out its artifact m-1: .*503"), silence():
            artifacts.check_names({}, alone=True)
        broken.shutdown()
