import math

import optuna
import pytest

from medfit.study import reports, storage
from medfit.study.cached_study import CachedStudy
from medfit.study.reports import ReportBuffer


@pytest.fixture
def study(compose):
    with storage.quiet():
        return optuna.create_study(storage=storage.open_storage(compose("dataset=breast_cancer")), study_name="s")


def buffered(study):
    with storage.quiet():
        trial = study.ask()
    trial.storage = ReportBuffer(trial.storage)
    return trial


def stored(study):
    return study.trials[0].intermediate_values


def test_reports_are_stored_as_a_whole_when_the_trial_ends(study):
    trial = buffered(study)
    for epoch, score in enumerate([0.5, math.inf, 0.25]):
        trial.report(score, epoch)
    assert stored(study) == {}
    trial.storage.flush()
    assert stored(study) == {2: 0.25}
    study.tell(trial, 1.0)
    assert CachedStudy(study).get_trials()[0].intermediate_values == {0: 0.5, 1: math.inf, 2: 0.25}


def test_others_see_now_and_then_how_far_a_trial_has_come(study, monkeypatch):
    trial = buffered(study)
    trial.report(0.5, 0)
    monkeypatch.setattr(reports, "PAUSE_S", -1.0)
    trial.report(0.25, 1)
    assert stored(study) == {1: 0.25}


def test_a_trial_that_reports_nothing_stores_nothing(study):
    trial = buffered(study)
    trial.storage.flush()
    assert study.trials[0].user_attrs == {} and stored(study) == {}


def test_a_pruned_trial_has_its_last_report_as_value(study):
    trial = buffered(study)
    for epoch in range(3):
        trial.report(float(epoch), epoch)
    trial.storage.flush()
    assert study.tell(trial, state=optuna.trial.TrialState.PRUNED).value == 2.0


def test_a_trial_of_a_study_of_before_has_the_reports_that_it_has(study):
    with storage.quiet():
        trial = study.ask()
    trial.report(0.5, 0)
    study.tell(trial, 1.0)
    assert CachedStudy(study).get_trials()[0].intermediate_values == {0: 0.5}


PRUNERS = {
    "median": {"n_startup_trials": 1},
    "patient": {"wrapped_pruner": optuna.pruners.PercentilePruner(25.0, n_startup_trials=1), "patience": 1},
    "hyperband": {"max_resource": 9},
    "successive_halving": {},
}


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_decides_as_it_does_of_reports_that_are_stored_at_once(name):
    def decisions(buffers):
        with storage.quiet():
            pruner = getattr(optuna.pruners, f"{name.title().replace('_', '')}Pruner")(**PRUNERS[name])
            study = optuna.create_study(pruner=pruner, study_name="s")
            for number in range(12):
                trial = study.ask()
                if buffers:
                    trial.storage, trial.study = ReportBuffer(trial.storage), CachedStudy(study)
                for epoch in range(9):
                    trial.report((number * 7) % 5 + (epoch * 3) % 4 / 10, epoch)
                    yield trial.should_prune()
                if buffers:
                    trial.storage.flush()
                study.tell(trial, float(number))

    found = list(decisions(buffers=True))
    assert found == list(decisions(buffers=False))
    assert any(found)
