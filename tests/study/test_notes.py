import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from medfit.search import trials
from medfit.search.trials import Recent
from medfit.study import notes, storage
from medfit.study.notes import NotingStorage, flush
from medfit.tracking import process


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


def attrs(study):
    """The first trial's attributes, but for the process that took it."""
    found = study.trials[0].user_attrs
    assert found.pop("worker") == process.identity()
    return found


def test_what_is_noted_is_read_again_by_whoever_noted_it(study):
    trial = ask(study)
    trial.set_user_attr("run_id", "a")
    trial.report(0.5, 0)
    (found,) = study.get_trials()
    assert attrs(study) == {"run_id": "a"} and found.intermediate_values == {0: 0.5}


def test_others_read_it_once_it_is_flushed(study, other):
    trial = ask(study)
    trial.set_user_attr("run_id", "a")
    for step, value in enumerate([0.5, float("inf"), float("nan")]):
        trial.report(value, step)
    assert attrs(other()) == {} and other().trials[0].intermediate_values == {}
    flush(study)
    assert attrs(other()) == {"run_id": "a"}
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


def test_notes_of_a_trial_that_another_has_ended_are_dropped_and_those_of_the_next_written(study, other):
    trial = ask(study)
    trial.set_user_attr("run_id", "a")
    other().tell(0, state=TrialState.FAIL)
    ask(study).set_user_attr("run_id", "b")
    flush(study)
    assert [one.user_attrs.get("run_id") for one in other().trials] == [None, "b"]
    assert study.trials[0].state is TrialState.FAIL
    with pytest.raises(UpdateFinishedTrialError):
        trial.set_user_attr("run_id", "a")


def test_notes_that_can_not_be_written_are_told_once_and_never_written_later(study, other, monkeypatch):
    trial = ask(study)
    trial.set_user_attr("run_id", "a")

    def full(*args):
        raise StorageInternalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(notes, "write", full)
        with pytest.raises(StorageInternalError):
            flush(study)
    flush(study)
    assert attrs(other()) == {}


def test_a_trial_that_waited_is_the_process_s_that_takes_it(study, other):
    study.enqueue_trial({"x": 0.5}, user_attrs={"given": True})
    assert other().trials[0].state is TrialState.WAITING and "worker" not in other().trials[0].user_attrs
    trial = ask(study)
    assert attrs(other()) == attrs(study) == {"given": True}
    assert trial.suggest_float("x", 0, 1) == 0.5


NAMES = st.sampled_from(["a", "b", "c"])
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("attr"), NAMES, st.one_of(st.none(), st.integers(), st.lists(st.floats(allow_nan=False)))),
        st.tuples(st.just("param"), NAMES, st.none()),
        st.tuples(st.just("report"), st.integers(0, 3), st.floats(-1, 1)),
        st.tuples(st.just("flush"), st.none(), st.none()),
        st.tuples(st.just("read"), st.none(), st.none()),
    )
)


@given(st.lists(CHANGES, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_trials_are_the_same_as_in_optuna_s_own_storage(trials):
    def play(kind):
        with warnings.catch_warnings(), storage.quiet():
            warnings.simplefilter("ignore")  # a step that is reported twice
            study = optuna.create_study(
                storage=kind("sqlite:///:memory:"), sampler=optuna.samplers.RandomSampler(seed=0)
            )
            for changes in trials:
                trial = study.ask()
                for what, name, value in changes:
                    match what:
                        case "attr":
                            trial.set_user_attr(name, value)
                        case "param":
                            trial.suggest_float(name, 0, 1)
                        case "report":
                            trial.report(value, name)
                        case "flush":
                            flush(study)
                        case "read":
                            study.get_trials()
                yield [facts(one) for one in study.get_trials()]
                yield facts(study.tell(trial, 1.0))
            yield [facts(one) for one in study.get_trials()]

    def facts(trial):
        attrs = {key: value for key, value in trial.user_attrs.items() if key != "worker"}
        params = list(trial.params.items()), trial.distributions
        return trial.number, trial.state, trial.values, attrs, trial.system_attrs, params, trial.intermediate_values

    assert list(play(NotingStorage)) == list(play(RDBStorage))


def test_others_trials_are_read_beside_those_that_this_process_knows(study, other):
    first, theirs, mine = ask(study), other(), None
    their_trial = ask(theirs)
    their_trial.set_user_attr("run_id", "theirs")
    mine = ask(study)
    mine.set_user_attr("run_id", "mine")
    flush(theirs)
    assert [trial.user_attrs.get("run_id") for trial in study.trials] == [None, "theirs", "mine"]
    theirs.tell(their_trial, 2.0)
    study.tell(first, 1.0)
    assert [trial.value for trial in study.trials] == [1.0, 2.0, None]
    other().tell(mine.number, 3.0)
    assert [trial.value for trial in study.trials] == [1.0, 2.0, 3.0]


def test_a_trial_that_ended_is_what_others_read(study, other):
    trial = ask(study)
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 0)
    assert study.tell(trial, 1.0) == other().trials[0] == study.trials[0]


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
    monkeypatch.setattr(trials, "RECENT_S", 0.0)
    assert [trial.value for trial in recent.get_trials(states=(TrialState.COMPLETE,))] == [1.0]
    assert recent.get_trials(states=(TrialState.RUNNING,)) == []
