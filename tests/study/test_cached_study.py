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
    cached = CachedStudy(study)
    assert cached.get_trials() == []
    another = storage.load(compose("dataset=breast_cancer"), "s")
    another.tell(ask(another), 1.0)
    assert cached.get_trials() == [] and len(study.get_trials()) == 1
    monkeypatch.setattr(cached_study, "RECENT_S", 0.0)
    assert [trial.value for trial in cached.get_trials(states=(TrialState.COMPLETE,))] == [1.0]
    assert cached.get_trials(states=(TrialState.RUNNING,)) == []


@pytest.mark.parametrize("pruner", ["median", "percentile", "hyperband", "successive_halving", "none"])
def test_a_pruner_that_asks_it_decides_as_one_that_asks_the_study(pruner):
    kinds = {
        "median": optuna.pruners.MedianPruner(n_startup_trials=1),
        "percentile": optuna.pruners.PercentilePruner(25.0, n_startup_trials=1),
        "hyperband": optuna.pruners.HyperbandPruner(max_resource=9),
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner(),
        "none": optuna.pruners.NopPruner(),
    }

    def decisions(view):
        study = optuna.create_study(pruner=kinds[pruner], study_name="s")
        for number in range(12):
            trial = ask(study)
            trial.study = view(study)
            for epoch in range(9):
                trial.report((number * 7) % 5 + epoch / 10, epoch)
                yield trial.should_prune()
            study.tell(trial, float(number))

    found = list(decisions(CachedStudy))
    assert found == list(decisions(lambda study: study))
    assert any(found) == (pruner != "none")
