import errno
import sqlite3
import threading
import time
import warnings
from contextlib import closing

import optuna
import pytest
from filelock import Timeout
from omegaconf import OmegaConf
from optuna.exceptions import ExperimentalWarning, StorageInternalError

from medfit import sweep
from medfit.errors import StoreError
from medfit.study import storage


@pytest.fixture
def address(tmp_path):
    return f"sqlite:///{tmp_path / 'studies.db'}"


def config_of(address, heartbeat_s=15):
    return OmegaConf.create({"sweep": {"storage": address, "heartbeat_s": heartbeat_s}})


def study_in(address):
    return optuna.create_study(storage=storage.open_storage(config_of(address)), study_name="s", load_if_exists=True)


def ask(study):
    with storage.quiet():
        return study.ask()


def age_heartbeats(address, seconds):
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as connection:
        connection.execute(f"UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-{seconds} seconds')")
        connection.commit()


def test_studies_lie_in_the_output_folder(compose, output_dir):
    assert storage.url(compose()) == f"sqlite:///{output_dir / 'optuna.db'}"


def test_studies_lie_where_the_config_says(compose, address):
    assert storage.url(compose(f"sweep.storage='{address}'")) == address


def test_a_sweep_keeps_its_study_where_the_config_says(compose, address, output_dir):
    sweep.sweep(compose("sweep=smoke", "regime=smoke", f"sweep.storage='{address}'", "sweep.num_trials=1"))
    (summary,) = optuna.get_all_study_summaries(address)
    assert summary.n_trials == 1
    assert not (output_dir / "optuna.db").exists()


def test_a_file_takes_readers_beside_a_writer(address):
    storage.open_storage(config_of(address))
    with closing(sqlite3.connect(address.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_new_file_is_opened_by_many_at_once(address):
    found, threads = [], []
    for _ in range(6):
        threads.append(threading.Thread(target=lambda: found.append(storage.open_storage(config_of(address)))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(found) == 6


def test_a_study_is_found_again(address, compose):
    study_in(address)
    study = storage.load(compose(f"sweep.storage='{address}'", "sweep/pruner=hyperband"), "s")
    assert isinstance(study.pruner, optuna.pruners.HyperbandPruner)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "postgresql+psycopg://medfit:secret@127.0.0.1:1/studies",
            "in 'postgresql+psycopg://medfit:***@127.0.0.1:1/studies' can't be used (connection failed",
        ),
        ("sqlite:////proc/none/studies.db", "in '/proc/none/studies.db' can't be used ("),
        ("studies.db", "in 'studies.db' can't be used (Could not parse SQLAlchemy URL"),
        ("none://host/studies", "in 'none://host/studies' can't be used (Can't load plugin"),
        ("firebird+none://medfit:secret@host/studies", "in 'firebird+none://medfit:***@host/studies' can't be used"),
        (
            "mssql+pymssql://medfit:secret@host/studies",
            "in 'mssql+pymssql://medfit:***@host/studies' can't be used (No mod",
        ),
    ],
    ids=["nobody answers", "no folder", "no address", "no such database", "no such driver", "driver is missing"],
)
def test_a_storage_that_cannot_be_used_is_told_in_a_line_without_its_password(address, words):
    with pytest.raises(StoreError) as caught:
        storage.open_storage(config_of(address))
    assert str(caught.value).startswith(f"sweep.storage: the studies {words}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_sweep_without_its_storage_trains_nothing(compose, client):
    with pytest.raises(StoreError, match="sweep.storage: the studies in"):
        sweep.sweep(compose("sweep=smoke", "sweep.storage='postgresql+psycopg://medfit@127.0.0.1:1/studies'"))
    assert not client.search_runs([e.experiment_id for e in client.search_experiments()])


def test_a_full_disk_is_told_as_such(address):
    with pytest.raises(StoreError, match=r"can't be used \(the disk is full\)"), storage.guarded(address):
        raise StorageInternalError("An exception is raised during the commit") from OSError(
            errno.ENOSPC, "No space left"
        )


def test_a_storages_own_error_is_told_by_its_cause(address):
    with pytest.raises(StoreError, match=r"can't be used \(database is locked\)"), storage.guarded(address):
        raise StorageInternalError("An exception is raised") from sqlite3.OperationalError("database is locked")


def test_another_error_is_none_of_the_storage(address):
    with pytest.raises(KeyError), storage.guarded(address):
        raise KeyError("a")


def test_one_process_at_a_time_holds_the_lock(address):
    with storage.lock(address), pytest.raises(Timeout):
        storage.lock(address).acquire(timeout=0.05)
    with storage.lock(address).acquire(timeout=0.05):
        pass


def test_a_trial_that_is_worked_on_is_not_silent(address):
    study = study_in(address)
    with storage.beating(study, ask(study)):
        assert storage.silent(study) == set()


def test_a_trial_without_a_sign_for_long_is_silent(address):
    study = study_in(address)
    first, second = ask(study), ask(study)
    with storage.beating(study, first):
        pass
    age_heartbeats(address, 15 * storage.GRACE + 1)
    with storage.beating(study, second):
        assert storage.silent(study) == {0}


def test_some_signs_may_be_missing(address):
    study = study_in(address)
    with storage.beating(study, ask(study)):
        pass
    age_heartbeats(address, 15 * storage.GRACE - 5)
    assert storage.silent(study) == set()


def test_signs_are_given_again_and_again(address):
    store = storage.open_storage(config_of(address, heartbeat_s=1))
    study = optuna.create_study(storage=store)
    with storage.beating(study, ask(study)):
        age_heartbeats(address, 60)
        assert storage.silent(study) == {0}
        deadline = time.monotonic() + 20
        while storage.silent(study) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert storage.silent(study) == set()


def test_a_storage_that_is_away_for_a_while_gets_signs_again(address, monkeypatch):
    study, calls = study_in(address), []
    trial = ask(study)

    def record(trial_id):
        calls.append(trial_id)
        if len(calls) == 2:
            raise StorageInternalError("away")

    monkeypatch.setattr(study._storage, "get_heartbeat_interval", lambda: 0.01)
    monkeypatch.setattr(study._storage, "record_heartbeat", record)
    with storage.beating(study, trial):
        deadline = time.monotonic() + 20
        while len(calls) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(calls) >= 4


def test_signs_end_with_the_trial(address):
    study = study_in(address)
    before = threading.active_count()
    with pytest.raises(KeyError), storage.beating(study, ask(study)):
        raise KeyError
    assert threading.active_count() == before


def test_only_optunas_words_for_developers_are_hidden():
    with storage.quiet():
        warnings.warn("experimental", ExperimentalWarning, stacklevel=1)
        warnings.warn("Heartbeat of storage is used", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)


def test_a_warm_up_for_epochs_leaves_folds_to_prune(compose):
    pruned = {}
    for folds in ("null", "5"):
        cfg = compose("dataset=breast_cancer", f"sweep.folds={folds}", "sweep.pruner.n_startup_trials=1")
        study = optuna.create_study(pruner=storage._pruner(cfg))
        for level in (0.0, 1.0):
            trial = study.ask()
            pruned[folds] = []
            for step in range(5):
                trial.report(level, step)
                pruned[folds].append(trial.should_prune())
            study.tell(trial, level)
    assert pruned == {"null": [False] * 5, "5": [False, False, True, True, True]}
