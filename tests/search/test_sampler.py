import functools

import optuna
import pytest

from medfit.config.compose import compose
from medfit.config.instantiate import build
from medfit.search import trials
from medfit.search.sampler import EXHAUSTED, Resumable
from medfit.study import storage

SAMPLERS = ["tpe", "gp", "cmaes", "random", "grid", "qmc", "nsga2"]
NUM_TRIALS = 12


@functools.cache
def composed(name, seed):
    return compose(["experiment=", "dataset=breast_cancer", f"sweep/sampler={name}", f"seed={seed}"])


def make(name, seed=0):
    cfg = composed(name, seed)
    with storage.quiet():
        return Resumable(build(cfg.sweep.sampler), seed)


def suggest(trial, kind):
    if kind == "grid":
        return trial.suggest_int("n", 1, 6) + trial.suggest_categorical("c", [0.0, 0.5, 1.0])
    return trial.suggest_float("lr", 1e-4, 1, log=True) + trial.suggest_int("n", 1, 9) + trial.suggest_float("p", 0, 1)


def run(name, path, interruptions=(), seed=0):
    """Runs a study, opened anew for each trial; some trials are cut off and repeated. Returns the finished ones."""
    with storage.quiet():
        backend = optuna.storages.RDBStorage(f"sqlite:///{path}")
        optuna.create_study(storage=backend, study_name="s")
        while True:
            study = optuna.load_study(storage=backend, study_name="s", sampler=make(name, seed))
            ended = trials.done(study)
            if len(ended) == NUM_TRIALS:
                return [trial.params for trial in sorted(ended, key=lambda t: trials.place(t, study.trials))]
            trial = study.ask()
            value = suggest(trial, name)
            trial.set_user_attr("given", True)
            frozen = study.trials[trial.number]
            if trials.place(frozen, study.trials) in interruptions and "repeats" not in frozen.user_attrs:
                trials.repeat(study, frozen, study.trials)
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, value)


@pytest.mark.mostly_slow
@pytest.mark.parametrize("name", SAMPLERS)
def test_an_interrupted_study_proposes_what_an_uninterrupted_one_does(name, tmp_path):
    whole = run(name, tmp_path / "whole.db")
    broken = run(name, tmp_path / "broken.db", interruptions=(0, 3, 4, 10))
    assert broken == whole


@pytest.mark.slow
def test_another_seed_proposes_other_values(tmp_path):
    one, two = (run("random", tmp_path / f"{seed}.db", seed=seed) for seed in (0, 1))
    assert not {str(params) for params in one} & {str(params) for params in two}


def test_a_grid_that_is_exhausted_says_so(tmp_path):
    with storage.quiet():
        study = optuna.create_study(sampler=make("grid"))
        for number in range(18):
            assert EXHAUSTED not in study.user_attrs, number
            trial = study.ask()
            study.tell(trial, suggest(trial, "grid"))
    assert study.user_attrs[EXHAUSTED]
    assert len({str(trial.params) for trial in study.trials}) == 18
