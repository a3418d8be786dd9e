import pytest

from medfit import sweep
from medfit.study import repair, trial
from medfit.tracking import provenance
from medfit.tracking.store import Store

FOLDS = ["dataset=heart_disease", "regime=smoke", "regime.epochs=1", "sweep/sampler=random", "sweep/pruner=none"]
FOLDS += ["sweep.folds=3", "sweep.num_trials=1"]


class Asked(list):
    def __init__(self):
        super().__init__()
        self.cut = set()


@pytest.fixture
def asked(monkeypatch):
    """Interrupts the trainings (trial, fold) that are put into ``asked.cut``; returns those that were asked for."""

    asked, plain = Asked(), trial.train

    def train(cfg, callbacks, tags, **others):
        asked.append((int(tags["trial"]), int(tags["fold"])))
        if asked[-1] in asked.cut:
            raise KeyboardInterrupt
        return plain(cfg, callbacks=callbacks, tags=tags, **others)

    monkeypatch.setattr(trial, "train", train)
    return asked


def interrupt(cfg, asked, *cut):
    asked.cut = set(cut)
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(cfg)
    asked.cut = set()


def folds_of(client, run_id):
    ids = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(ids, f"tags.kind = 'fold' AND tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted((run.data.tags["trial"], run.data.tags["fold"], run.info.status) for run in found)


def test_a_trial_that_is_repeated_takes_over_the_folds_that_were_finished_and_has_the_same_scores(
    compose, client, asked, tmp_path
):
    cfg = compose(*FOLDS)
    interrupt(cfg, asked, (0, 1))
    interrupt(cfg, asked, (1, 2))
    study = sweep.sweep(cfg)
    assert asked == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]
    last = study.trials[2]
    assert folds_of(client, last.user_attrs["run_id"]) == [("2", str(fold), "FINISHED") for fold in range(3)]
    assert folds_of(client, study.trials[0].user_attrs["run_id"]) == []
    whole = sweep.sweep(compose(*FOLDS, f"output_dir={tmp_path / 'whole'}"))
    assert last.user_attrs["scores"] == whole.trials[0].user_attrs["scores"]
    assert last.intermediate_values == whole.trials[0].intermediate_values
    assert repair.disagreements(study, Store(cfg)) == []


def test_folds_of_other_code_are_trained_again(compose, asked, monkeypatch):
    cfg = compose(*FOLDS, "sweep.accept_changes=true")
    interrupt(cfg, asked, (0, 1))
    monkeypatch.setattr(provenance, "source", lambda: "other")
    sweep.sweep(cfg)
    assert asked == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]


def test_a_fold_whose_run_was_deleted_is_trained_again(compose, client, asked):
    cfg = compose(*FOLDS)
    interrupt(cfg, asked, (0, 2))
    ids = [one.experiment_id for one in client.search_experiments()]
    (first,) = client.search_runs(ids, "tags.kind = 'fold' AND tags.fold = '0'")
    client.delete_run(first.info.run_id)
    sweep.sweep(cfg)
    assert asked == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]
