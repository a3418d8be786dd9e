"""MLflow's client, and the SQLite database that it opens."""

import functools
import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from medfit.config import file_cache

OPENING_S = 120  # to wait for another process that makes the database


@functools.cache
def import_mlflow() -> None:
    """Imports MLflow as we want it: patient, still, and with nothing that leaves this machine."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow  # noqa: F401

    for name in ("mlflow", "alembic"):  # after the import, which sets them itself
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):  # what fails is told by us
        logging.getLogger(name).setLevel(logging.CRITICAL)


@functools.lru_cache(maxsize=8)
def client(uri: str, file: int | None = None) -> Any:
    """Returns MLflow's client, and for a database's file, told by its number, one that has opened it."""
    from mlflow import MlflowClient  # late: a quick start

    made = MlflowClient(uri)
    if file is not None:
        made.search_experiments(max_results=1)
    return made


def make(uri: str) -> int:
    """Makes a SQLite database where there is none; returns the file's number on the disk, 0 for one in memory."""
    from sqlalchemy import make_url  # late: a quick start

    path = Path(make_url(uri).database or ":memory:")
    if path.name == ":memory:":
        return 0
    if not path.exists():
        _make_file(path)
    return path.stat().st_ino


def _make_file(path: Path) -> None:
    """Makes a database whole at once: one that is half made could never be opened."""
    making = path.parent / ".making"
    with FileLock(path.parent / ".store.lock", timeout=OPENING_S):
        if path.exists():  # by another process meanwhile
            return
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        with closing(sqlite3.connect(_filled(making))) as made:
            made.execute("VACUUM INTO ?", [str(making / "whole.db")])  # a copy that MLflow does not hold open
        with closing(sqlite3.connect(making / "whole.db")) as whole:
            whole.execute("PRAGMA journal_mode=WAL")  # several processes read and write side by side
        (making / "whole.db").rename(path)
        shutil.rmtree(making)


def _filled(folder: Path) -> Path:
    """Returns a database with MLflow's tables: a copy of those it made once for all, if they are what it expects."""
    import mlflow  # late: a quick start

    name = f"mlflow-{mlflow.__version__}"
    if content := file_cache.read(name):
        with suppress(Exception):  # they are broken
            (folder / "copied.db").write_bytes(content)
            _make_tables(folder / "copied.db")
            return folder / "copied.db"
    _make_tables(folder / "mlflow.db")
    with closing(sqlite3.connect(folder / "mlflow.db")) as made:
        made.execute("VACUUM INTO ?", [str(folder / "empty.db")])
    with closing(sqlite3.connect(folder / "empty.db")) as empty, empty:
        empty.execute("PRAGMA secure_delete=ON")
        empty.execute("DELETE FROM experiments")  # MLflow makes its first, which tells a folder, with each database
    file_cache.write(name, (folder / "empty.db").read_bytes())
    return folder / "mlflow.db"


def _make_tables(path: Path) -> None:
    from mlflow import MlflowClient  # late: a quick start

    MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
