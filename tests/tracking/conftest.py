"""A server of MLflow that tests switch off and on."""

import warnings
from collections.abc import Iterator
from importlib import import_module

import mlflow.server
import pytest

from mlflow_server import Server


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests: MLflow keeps its store for as long as the process lives."""
    folder = tmp_path_factory.mktemp("server")
    with warnings.catch_warnings(action="ignore"):
        import_module("mlflow.server.fastapi_app")  # a search does, and warns
    server = Server(folder)
    yield server
    server.off()


@pytest.fixture
def server(pages: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, switched on; its settings are the process's for this test alone."""
    monkeypatch.setenv(mlflow.server.BACKEND_STORE_URI_ENV_VAR, f"sqlite:///{pages.folder / 'server.db'}")
    monkeypatch.setenv(mlflow.server.ARTIFACT_ROOT_ENV_VAR, "mlflow-artifacts:/")
    monkeypatch.setenv(mlflow.server.ARTIFACTS_DESTINATION_ENV_VAR, str(pages.folder / "artifacts"))
    monkeypatch.setenv(mlflow.server.SERVE_ARTIFACTS_ENV_VAR, "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # its waits are MLflow's to test
    yield pages
    if not pages.is_on:
        pages.on()
