"""MLflow's server as an ASGI application, for the gate that is put before it."""

from __future__ import annotations

import os
from typing import Any


def mlflow_application() -> Any:
    """Return MLflow's application; it asks for a password where MLFLOW_AUTH_CONFIG_PATH is set.

    Imported late: MLflow reads its settings when it is imported.
    """
    if "MLFLOW_AUTH_CONFIG_PATH" in os.environ:
        from mlflow.server.auth import create_app  # noqa: PLC0415

        return create_app()
    from mlflow.server.fastapi_app import app  # noqa: PLC0415

    return app
