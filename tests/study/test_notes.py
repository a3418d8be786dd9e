import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from medfit.study import notes, storage
from medfit.study.notes import NotingStorage, Recent, flush


@pytest.fixture
def study(compose):
    with storage.quiet():
        return optuna.create_study(storage=storage.open_storage(compose("dataset=breast_cancer")), study_name="s")


@pytest.fixture
def other(study, compose):
    """The study as another process sees it."""

    def load():
        return storage.load(compose("dataset=breast_cancer"), "s")

    return load


def ask(study):
    with storage.quiet():
        return study.ask()


def test_what_is_noted_is_read_again_by_whoever_noted_it(study):
    trial = ask(study)
    trial.set_user_attr("run_id", "a")
    trial.report(0.5, 0)
    (found,) = study.get_trials()
    assert found.user_attrs == {"run_id": "a"} and found.intermediate_values == {0: 0.5}


def test_others_read_it_once_it_is_flushed(study, other):
    trial = ask(study)
    trial.set_user_attr("run_id", "a")
    for step, value in enumerate([0.5, float("inf"), float("nan")]):
        trial.report(value, step)
    assert other().trials[0].user_attrs == {} and other().trials[0].intermediate_values == {}
    flush(study)
    assert other().trials[0].user_attrs == {"run_id": "a"}
    assert str(other().trials[0].intermediate_values) == "{0: 0.5, 1: inf, 2: nan}"


def test_notes_wait_no_longer_than_they_may(study, other, monkeypatch):
    trial = ask(study)
    monkeypatch.setattr(notes, "WAIT_S", 0.0)
    trial.report(0.5, 0)
    assert other().trials[0].intermediate_values == {0: 0.5}


def test_a_trial_that_ends_has_its_notes(study, other):
    trial = ask(study)
    trial.report(0.5, 0)
    study.tell(trial, 1.0)
    assert other().trials[0].intermediate_values == {0: 0.5}


def test_notes_of_a_trial_that_another_has_ended_are_refused_and_dropped(study, other):
    trial = ask(study)
    other().tell(0, state=TrialState.FAIL)
    trial.set_user_attr("run_id", "a")
    with pytest.raises(UpdateFinishedTrialError):
        flush(study)
    flush(study)
    trial.set_user_attr("run_id", "a")
    assert study.get_trials()[0].user_attrs == {}


def test_notes_that_can_not_be_written_are_told_once_and_never_written_later(study, other, monkeypatch):
    trial = ask(study)
    trial.set_user_attr("worker", "this one")

    def full(*args):
        raise StorageInternalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(NotingStorage, "_set_trial_attr_without_commit", full)
        with pytest.raises(StorageInternalError):
            study.get_trials()
    flush(study)
    assert other().trials[0].user_attrs == {}


def test_a_study_in_memory_has_nothing_to_flush():
    flush(optuna.create_study())


def test_a_process_that_is_killed_loses_no_committed_write(study):
    (mode,) = study._storage._backend.engine.connect().exec_driver_sql("PRAGMA synchronous").one()
    assert mode == 1  # NORMAL: with the log that is written ahead, safe but for a power cut


def test_a_recent_study_reads_its_trials_once_in_a_while(study, other, monkeypatch):
    recent = Recent(study)
    assert recent.get_trials() == []
    another = other()
    another.tell(ask(another), 1.0)
    assert recent.get_trials() == [] and len(study.get_trials()) == 1
    monkeypatch.setattr(notes, "RECENT_S", 0.0)
    assert [trial.value for trial in recent.get_trials(states=(TrialState.COMPLETE,))] == [1.0]
    assert recent.get_trials(states=(TrialState.RUNNING,)) == []
