"""Files of the registry: what is uploaded is measured first, and what comes back must be exactly that.

Only files that a statement names are asked for, and they are written where this module says: a name, a link or a folder
in the artifact store cannot lead a download elsewhere. MLflow's own loaders are never called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnex.errors import ModelRefused, ServiceError, first_line
from finnex.training.saved_network import FileDigest

if TYPE_CHECKING:
    from mlflow import MlflowClient

NOT_THERE = {400, 404}
"""HTTP's: MLflow answers 400 for a name or a link that leads out of the artifact."""
GONE = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's codes for a run, model or path that is not there, or not allowed."""


def digests(folder: Path) -> dict[str, FileDigest]:
    """Return name and digest of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): FileDigest.of(path) for path in files}


class Artifacts:
    """The files below one address of the artifact store.

    Parameters
    ----------
    what
        Names it in an error.
    """

    def __init__(self, address: str, uri: str, what: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415

        self._repository: Any = get_artifact_repository(address, tracking_uri=uri)
        self._uri, self._what = uri, what

    @classmethod
    def of_model(cls, client: MlflowClient, uri: str, model_id: str) -> Artifacts:
        """Return those of a logged model."""
        with _reading(uri, model_id):
            return cls(str(client.get_logged_model(model_id).artifact_location), uri, f"its artifact {model_id}")

    @classmethod
    def of_run(cls, client: MlflowClient, uri: str, run_id: str) -> Artifacts:
        """Return those of a run."""
        with _reading(uri, run_id):
            return cls(str(client.get_run(run_id).info.artifact_uri), uri, f"its run {run_id}")

    def check_names(self, wanted: Mapping[str, FileDigest], *, alone: bool) -> None:
        """Compare the names and sizes that the store lists, without reading a file.

        Parameters
        ----------
        alone
            Whether there may be no other file.

        Raises
        ------
        ModelRefused
            A file is missing, too many, or of another size.
        """
        folders = {str(parent) for name in wanted for parent in Path(name).parents} - {"."}
        found: dict[str, int | None] = {}
        for folder in ("", *sorted(folders)):
            with _reading(self._uri, self._what):
                listed = self._repository.list_artifacts(folder or None)
            for entry in listed:
                name = str(entry.path)
                if alone and name not in (folders if entry.is_dir else wanted):
                    raise ModelRefused(f"{self._what} has {name!r}, which was not registered")
                if not entry.is_dir:
                    found[name] = entry.file_size
        for name, digest in wanted.items():
            if name not in found:
                raise ModelRefused(f"{self._what} lacks {name}, which was registered")
            if found[name] not in {None, digest.bytes}:
                raise ModelRefused(f"{name} of {self._what} has {found[name]} bytes, {digest.bytes} were registered")

    def fetch(self, wanted: Mapping[str, FileDigest], folder: Path) -> None:
        """Copy files into a folder that is empty; they are there only if their bytes are those that were registered.

        Raises
        ------
        ModelRefused
            A file's bytes are others.
        ServiceError
            The server does not return one.
        """
        for name, digest in wanted.items():
            with _reading(self._uri, self._what):
                self._repository.download_artifacts(name, str(folder))
            path = folder / name
            if path.is_symlink() or not path.is_file() or FileDigest.of(path) != digest:
                path.unlink(missing_ok=True)
                raise ModelRefused(f"the bytes of {name} of {self._what} are not those that were registered")


@contextmanager
def _reading(uri: str, what: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        if error.error_code in GONE:
            raise ModelRefused(f"{what} cannot be read ({first_line(error)})") from None
        raise _out_of_reach(uri, what, error) from None
    except OSError as error:  # of requests, and of storage that is opened directly
        if getattr(getattr(error, "response", None), "status_code", None) in NOT_THERE:
            raise ModelRefused(f"{what} cannot be read ({first_line(error)})") from None
        raise _out_of_reach(uri, what, error) from None


def _out_of_reach(uri: str, what: str, error: Exception) -> ServiceError:
    return ServiceError(f"MLflow at {uri} does not hand out {what}: {first_line(error)}. See the server's log.")
