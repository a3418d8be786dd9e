"""Where studies are kept: a SQLite file, or a database server for several machines."""

import contextlib
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from omegaconf import DictConfig
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from medfit.config import folders
from medfit.config.instantiate import build
from medfit.config.overrides import without_passwords
from medfit.errors import StoreError, disk_full

POLL_S = 0.002  # between two tries of a lock that is held for a moment
LOCKED_S = 60  # to wait for another process that writes
LOCK = 0x6D6564666974  # "medfit", for a server's locks are numbers
GRACE = 4  # beats that may be missing


def url(cfg: DictConfig) -> str:
    """Returns the address of the studies."""
    return cfg.sweep.storage or f"sqlite:///{folders.output_dir(cfg) / 'optuna.db'}"


def open_storage(cfg: DictConfig) -> RDBStorage:
    """Returns the studies' storage, with its tables.

    Raises:
        StoreError: it can't be reached, read or written.
    """
    address = url(cfg)
    with guarded(address), lock(address), quiet():
        if path := _file(address):
            _write_ahead(path)
        for again in (True, True, False):
            try:
                return _storage(address, cfg.sweep.heartbeat_s)
            except Exception:  # two machines at once made the tables of a new database
                if not again or _file(address):
                    raise
                time.sleep(1)
    raise AssertionError


def load(
    cfg: DictConfig, name: str, store: RDBStorage | None = None, sampler: optuna.samplers.BaseSampler | None = None
) -> optuna.Study:
    """Returns a study that there is, with the config's pruner."""
    with guarded(url(cfg)), quiet():
        opened = store or open_storage(cfg)
        return optuna.load_study(study_name=name, storage=opened, sampler=sampler, pruner=_pruner(cfg))


@contextmanager
def guarded(address: str) -> Iterator[None]:
    """Tells a storage's own errors in a line."""
    from sqlalchemy.exc import SQLAlchemyError  # late: a quick start

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        cause = error.__cause__ or error
        what = "the disk is full" if disk_full(error) else str(cause).splitlines()[0][:200]
        where = _file(address) or without_passwords(address)
        raise StoreError(f"sweep.storage: the studies in '{where}' can't be used ({what})") from error


def lock(address: str) -> AbstractContextManager[object]:
    """Keeps other processes from the studies while several steps belong together."""
    path = _file(address)
    return FileLock(path.with_suffix(".lock"), poll_interval=POLL_S) if path else _server_lock(address)


@contextmanager
def quiet() -> Iterator[None]:
    """Hides Optuna's words for its developers: of what is experimental, and of heartbeats outside its own loop."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", ".*Heartbeat of storage.*")
        yield


@contextmanager
def beating(study: optuna.Study, trial: optuna.Trial) -> Iterator[None]:
    """Tells the storage now and then that a trial is worked on."""
    store, trial_id = of(study), id_of(study, trial.number)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(store.get_heartbeat_interval()):
            with contextlib.suppress(Exception):  # the storage may be away for a while
                store.record_heartbeat(trial_id)

    store.record_heartbeat(trial_id)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def silent(study: optuna.Study) -> set[int]:
    """Returns the numbers of the running trials that have given no sign for too long."""
    store = of(study)
    stale = set(store._get_stale_trial_ids(store.get_study_id_from_name(study.study_name)))  # no public way tells them
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return {trial.number for trial in running if id_of(study, trial.number) in stale}


def of(study: optuna.Study) -> Any:
    """Returns a study's storage, which Optuna has no public name for."""
    return study._storage


def id_of(study: optuna.Study, number: int) -> int:
    """Returns the name that a study's storage has for a trial."""
    store = of(study)
    return store.get_trial_id_from_study_id_trial_number(store.get_study_id_from_name(study.study_name), number)


def _pruner(cfg: DictConfig) -> optuna.pruners.BasePruner:
    """Returns the config's pruner; a warm-up that is meant for epochs takes half the folds at most."""
    warmup = cfg.sweep.pruner.get("n_warmup_steps")
    if not (cfg.sweep.folds and warmup):
        return build(cfg.sweep.pruner)
    return build(cfg.sweep.pruner, n_warmup_steps=min(warmup, cfg.sweep.folds // 2))


def _storage(address: str, heartbeat_s: int) -> RDBStorage:
    connect = {"timeout": LOCKED_S, "factory": _Connection} if _file(address) else {}
    return RDBStorage(
        address,
        heartbeat_interval=heartbeat_s,
        grace_period=GRACE * heartbeat_s,
        engine_kwargs={"connect_args": connect, "pool_pre_ping": not _file(address)},
    )


class _Connection(sqlite3.Connection):
    """Lets the system say when a write reaches the disk: a killed process loses none, a power cut perhaps the last."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def _server_lock(address: str) -> Iterator[None]:
    """Locks a PostgreSQL database for those who ask, from any machine; one that is lost in here keeps it a minute."""
    from sqlalchemy import NullPool, create_engine, text  # late: a quick start

    with create_engine(address, poolclass=NullPool).connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{LOCKED_S}s'"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{2 * LOCKED_S}s'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        yield


def _file(address: str) -> Path | None:
    """Returns the path of a SQLite file; None for a server, or for memory."""
    is_file = address.startswith("sqlite:///") and not address.endswith(":memory:")
    return Path(address.removeprefix("sqlite:///")) if is_file else None


def _write_ahead(path: Path) -> None:
    """Lets readers and a writer work side by side; a third quicker, too."""
    with contextlib.closing(sqlite3.connect(path, timeout=LOCKED_S)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
