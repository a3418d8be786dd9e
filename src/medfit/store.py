"""The MLflow store and its runs: with :mod:`medfit.run`, the only place that writes to MLflow."""

import functools
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from omegaconf import DictConfig

from medfit import cache, config, process, provenance
from medfit.console import say
from medfit.errors import UserError
from medfit.outbox import Outbox
from medfit.run import Run, now_ms
from medfit.writes import guarded, perform, refused, trouble

if TYPE_CHECKING:
    import mlflow.entities

OPENING_S = 120  # to wait for another process that makes the database
PAGE = 1000  # runs in an answer
RUNNING = "attributes.status = 'RUNNING'"
PROCESS = "medfit.process"  # the tag that tells which process works on a run


_SENT_BY_OTHERS: set[str] = set()


def leave_sending_to_others(cfg: DictConfig) -> None:
    """Keeps what this process writes to a store's runs on disk from now on: another process sends it."""
    _SENT_BY_OTHERS.add(address(cfg))


def address(cfg: DictConfig) -> str:
    """Returns a store's address."""
    return cfg.tracking.uri or f"sqlite:///{config.output_dir(cfg) / 'mlflow.db'}"


class Store:
    """An MLflow store, opened and known to work; sends what was kept while a server was away.

    Raises:
        StoreError: it can't be reached, read or written.
    """

    def __init__(self, cfg: DictConfig) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves this machine
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        import mlflow  # noqa: F401

        for name in ("mlflow", "alembic"):  # after the import, which sets them itself
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):  # what fails is told by us
            logging.getLogger(name).setLevel(logging.CRITICAL)

        self.folder = config.output_dir(cfg)
        self.uri = address(cfg)
        self.local = self.uri.startswith("sqlite:")
        self.later = self.uri in _SENT_BY_OTHERS
        with self._guarded():
            self.client = self._open()
        self._outbox = Outbox(self.folder, self.uri, self.client)
        if not self.later and (sent := self.send_kept()):
            were, have = ("run that was", "has") if sent == 1 else ("runs that were", "have")
            say(f"{sent} {were} kept while the server was away {have} been sent")

    def experiment_id(self, name: str) -> str:
        """Returns the experiment's id; makes the experiment at its first run."""
        location = (self.folder / "artifacts" / name).as_uri() if self.local else None
        with self._guarded():
            return _experiment_id(self.client, name, location)

    def count(self, experiment_id: str, kind: str) -> int:
        """Returns how many runs of a kind an experiment has."""
        return len(self.runs_of(experiment_id, {"kind": kind}))

    def runs_of(self, experiment_id: str, tag_filter: Mapping[str, str]) -> "list[mlflow.entities.Run]":
        """Returns an experiment's runs that have some tags."""
        return self._search([experiment_id], " and ".join(f"tags.`{k}` = {_quoted(v)}" for k, v in tag_filter.items()))

    def find(self, run_id: str, where: str) -> "mlflow.entities.Run":
        """Returns a run.

        Args:
            run_id: Its id.
            where: The config path that names it, for the error.

        Raises:
            UserError: there is no such run.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            uri = config.without_passwords(self.uri)
            raise UserError(f"{where}: there is no run '{run_id}' in {uri}; medfit ui shows their ids") from error

    def artifact(self, run_id: str, name: str, folder: str, where: str) -> Path:
        """Returns an artifact of a run as a file in a folder.

        Raises:
            UserError: there is no such run, or it has no such artifact.
        """
        from mlflow.exceptions import MlflowException

        status = self.find(run_id, where).info.status.lower()
        try:
            return Path(self.client.download_artifacts(run_id, name, folder))
        except (MlflowException, OSError) as error:
            raise UserError(
                f"{where}: run {run_id} ({status}) has no {name}; it must be a training that came to its end"
            ) from error

    def running(self, experiment_id: str | None = None) -> "list[mlflow.entities.Run]":
        """Returns the runs, of an experiment or of all, that have not ended as far as the store knows."""
        self.send_kept()  # ends, among other things
        return self._search([experiment_id] if experiment_id else self._experiments(), RUNNING)

    def reopen(self, run_id: str | None) -> Run | None:
        """Returns a run that goes on, RUNNING again and this process's; None if the store has no such run."""
        if run_id is None:
            return None
        with self._guarded():
            if self._outbox.holds(run_id):
                self._outbox.send([run_id])  # its end may be in there
            try:
                self.client.set_tag(run_id, PROCESS, process.identity())  # first: nobody takes it for abandoned
                self.client.update_run(run_id, status="RUNNING")
                run = self.client.get_run(run_id)
                return Run(self, run_id, run.info.experiment_id, run.data.params)
            except trouble() as error:
                if refused(error):
                    return None
                raise

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
        """Returns a new run, RUNNING."""
        state = provenance.code()
        tags = {
            "mlflow.source.name": "medfit",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": state["commit"],
            "git.dirty": state["dirty"],
            PROCESS: process.identity(),
            **tags,
        }
        experiment_id = self.experiment_id(experiment)
        with self._guarded():
            run = self.client.create_run(experiment_id, tags=tags, run_name=name)
        return Run(self, run.info.run_id, experiment_id)

    def close(self, run_id: str, status: str, failure: str | None = None) -> None:
        """Ends a run that nobody works on any more as FINISHED, FAILED or KILLED."""
        if failure:
            self.write(run_id, "tag", ["failure", failure[:500]])
        self.write(run_id, "end", [status, now_ms()])

    def write(self, run_id: str, operation: str, payload: list[Any], files: Path = Path()) -> None:
        """Writes to a run as :func:`medfit.writes.perform` says; keeps it for later if a server is away."""
        with self._guarded():
            if self.later:
                self._outbox.keep(run_id, operation, payload, files)
            elif self.local:
                perform(self.client, run_id, operation, payload, files)
            else:
                self._outbox.write(run_id, operation, payload, files)

    def send_kept(self) -> int:
        """Sends what was kept while the server was away; returns how many runs it now has as a whole."""
        with self._guarded():
            return self._outbox.send(self._outbox.runs())

    def kept(self) -> int:
        """Returns of how many runs something still waits for the server."""
        return len(self._outbox.runs())

    def _open(self) -> Any:
        if not self.local:
            client = _client(self.uri)
            client.search_experiments(max_results=1)
            return client
        return _client(self.uri, _make_database(self.uri))

    def _search(self, experiment_ids: list[str], query: str) -> "list[mlflow.entities.Run]":
        return self._pages(
            lambda token: self.client.search_runs(experiment_ids, query, max_results=PAGE, page_token=token)
        )

    def _experiments(self) -> list[str]:
        found = self._pages(lambda token: self.client.search_experiments(max_results=PAGE, page_token=token))
        return [experiment.experiment_id for experiment in found]

    def _pages(self, ask: Callable[[str | None], Any]) -> list[Any]:
        with self._guarded():
            page = ask(None)
            found = list(page)
            while page.token:
                page = ask(page.token)
                found += page
        return found

    def _guarded(self) -> AbstractContextManager[None]:
        return guarded(f"tracking.uri: the store '{config.without_passwords(self.uri)}'")


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


@functools.lru_cache(maxsize=8)
def _client(uri: str, file: int | None = None) -> Any:
    """Returns MLflow's client, and for a database's file, told by its number, one that has opened it."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    if file is not None:
        client.search_experiments(max_results=1)
    return client


@functools.lru_cache(maxsize=64)
def _experiment_id(client: Any, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=location)
    except MlflowException as error:
        found = client.get_experiment_by_name(name)  # another process's, of this moment
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or not found:
            raise
        return found.experiment_id


def _make_database(uri: str) -> int:
    """Makes a SQLite database where there is none; returns the file's number on the disk, 0 for one in memory."""
    from sqlalchemy import make_url

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
    import mlflow

    name = f"mlflow-{mlflow.__version__}"
    if content := cache.read(name):
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
    cache.write(name, (folder / "empty.db").read_bytes())
    return folder / "mlflow.db"


def _make_tables(path: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
