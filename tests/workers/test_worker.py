import optuna
import pytest

from medfit.study import repair
from medfit.study.trial import TrialPlan
from medfit.workers import worker


def test_an_interruption_on_which_a_library_failed_hands_the_trial_back(compose, monkeypatch):
    def run_trial(*_):
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("clean-up")

    given_up = []
    monkeypatch.setattr("medfit.study.trial.run_trial", run_trial)
    monkeypatch.setattr(repair, "give_up", lambda study, trial, why, cfg: given_up.append((trial.number, why)))
    study = optuna.create_study()
    with pytest.raises(KeyboardInterrupt):
        worker._run(study, study.ask(), TrialPlan(compose("sweep=smoke"), {}, "0" * 32), lambda *_: None)
    assert given_up == [(0, worker.Reason(worker.INTERRUPTED, "again"))]
