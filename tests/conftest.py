"""What all tests share: shapes and types checked at run time, and a fresh store for each test at the cost of a copy."""

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run side by side

from jaxtyping import install_import_hook

install_import_hook("medfit.models", "beartype.beartype")

import pytest  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from omegaconf import DictConfig  # noqa: E402

from medfit.config import folders  # noqa: E402
from medfit.config.compose import compose as compose_config  # noqa: E402

HEAD = """# @package _global_
defaults:
  - override /dataset: breast_cancer
  - override /model: mlp
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the first cases of a `mostly_slow` test to the fast tests."""
    seen = Counter[str]()
    for item in items:
        if mark := item.get_closest_marker("mostly_slow"):
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > mark.kwargs.get("fast", 1):
                item.add_marker("slow")


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: making one takes seconds, copying it milliseconds."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def output_dir(tmp_path: Path, store_template: Path) -> Path:
    """An output folder with an empty store."""
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(store_template, folder / "mlflow.db")
    return folder


@pytest.fixture
def client(output_dir: Path) -> MlflowClient:
    """Reads the test's store."""
    return MlflowClient(f"sqlite:///{output_dir / 'mlflow.db'}")


@pytest.fixture
def compose(output_dir: Path) -> Callable[..., DictConfig]:
    """Composes a config whose results go to the test's folder: no plots, models and worker processes unless asked for."""

    def composed(*overrides: str, experiment: str | None = None) -> DictConfig:
        fixed = [f"output_dir={output_dir}", "tracking.plots=false", "tracking.models=false", "sweep.workers=0"]
        return compose_config([f"experiment={experiment or ''}", *fixed, *overrides])

    return composed


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's experiments, which commands may write into."""
    folder = tmp_path / "experiments"
    shutil.copytree(folders.EXPERIMENTS, folder)
    monkeypatch.setattr(folders, "EXPERIMENTS", folder)
    return folder


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Lets this process and those it starts hear Ctrl-C, which the background jobs of a script ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def launch(interruptible: None) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts processes that hear Ctrl-C; none outlives the test."""
    with ExitStack() as stack:

        def begin(command: list[str], **options: Any) -> "subprocess.Popen[str]":
            process = stack.enter_context(subprocess.Popen(command, text=True, **options))
            stack.callback(process.kill)
            return process

        yield begin


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes an empty PostgreSQL database at each call and returns its URL; one server for the session."""
    from postgres import missing, serve

    if reason := missing():
        pytest.skip(reason)
    with serve() as server:
        yield server.database


@pytest.fixture
def write_experiment(experiments: Path, compose: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Writes an experiment's file, over biopsies and the MLP, and composes it."""

    def written(text: str, *overrides: str, name: str = "own") -> DictConfig:
        (experiments / name).mkdir(exist_ok=True)
        (experiments / name / "config.yaml").write_text(f"{HEAD}{text}\n")
        return compose(*overrides, experiment=name)

    return written
