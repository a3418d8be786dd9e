import math

import optuna
import pytest
from optuna.trial import TrialState

from medfit.study import cached_study, storage
from medfit.study.cached_study import CachedStudy


@pytest.fixture
def study(compose):
    with storage.quiet():
        return optuna.create_study(storage=storage.open_storage(compose("dataset=breast_cancer")), study_name="s")


def ask(study):
    with storage.quiet():
        return study.ask()


def test_it_reads_its_trials_once_in_a_while(study, compose, monkeypatch):
    monkeypatch.setattr(cached_study, "RECENT_S", math.inf)
    cached = CachedStudy(study)
    assert cached.get_trials() == []
    another = storage.load(compose("dataset=breast_cancer"), "s")
    another.tell(ask(another), 1.0)
    assert cached.get_trials() == [] and len(study.get_trials()) == 1
    monkeypatch.setattr(cached_study, "RECENT_S", 0.0)
    assert [trial.value for trial in cached.get_trials(states=(TrialState.COMPLETE,))] == [1.0]
    assert cached.get_trials(states=(TrialState.RUNNING,)) == []
