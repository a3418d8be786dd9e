"""The numbers of runs, read from the tables that they keep."""

import pytest

from medfit.again import stored_numbers
from medfit.tracking.store import Store

TRIALS = """number,state,value_val/auroc,duration,params_model.widths,params_regime.optimizer.lr
0,COMPLETE,0.12345678901234567,0 days,"[64, 64]",1e-05
1,PRUNED,0.5,0 days,[8],
2,FAIL,,0 days,,
"""
TRAININGS = """model,patients,fold,seed,auroc,loss
mlp,test split,0,1.0,0.9,
logistic,test split,0,,0.8,0.5
"""
SCORES = """patients_of,model,metric,estimate,low,high,method,patients,opening
test split,mlp,auroc,0.9,,0.95,DeLong,114,2
"""


@pytest.fixture
def stored(compose, client, tmp_path):
    """A run with some files."""
    run = client.create_run(client.create_experiment("own", (tmp_path / "artifacts").as_uri()))

    def of(**files):
        for name, text in files.items():
            folder = {"scores": "evidence"}.get(name)
            client.log_text(run.info.run_id, text, f"{folder}/{name}.csv" if folder else f"{name}.csv")
        client.log_metric(run.info.run_id, "ensemble/test/auroc", 0.91)
        client.log_metric(run.info.run_id, "test/auroc", 0.9)
        return Store(compose()), client.get_run(run.info.run_id)

    return of


def test_trials_have_their_values_to_the_last_digit(stored):
    first, pruned, failed = stored_numbers.trials_of(*stored(trials=TRIALS))
    assert first.values == {"val/auroc": 0.12345678901234567}
    assert first.params == {"model.widths": "[64, 64]", "regime.optimizer.lr": 1e-05}
    assert (pruned.state, pruned.params) == ("PRUNED", {"model.widths": "[8]"})
    assert (failed.number, failed.values, failed.params) == (2, {}, {})


@pytest.mark.parametrize(("column", "name"), [("value", "value"), ("values_val/dice", "val/dice"), ("values_0", "0")])
def test_objectives_are_named_as_the_study_does(stored, column, name):
    (trial,) = stored_numbers.trials_of(*stored(trials=f"number,state,{column}\n0,COMPLETE,1\n"))
    assert trial.values == {name: 1.0}


def test_an_evaluation_has_each_score_estimate_and_end(stored):
    assert stored_numbers.of_evaluation(*stored(trainings=TRAININGS, scores=SCORES)) == {
        "mlp, patients_of test split, metric auroc: estimate": 0.9,
        "mlp, patients_of test split, metric auroc: high": 0.95,
        "mlp, fold 0, seed 1: auroc": 0.9,
        "logistic, fold 0: auroc": 0.8,
        "logistic, fold 0: loss": 0.5,
        "ensemble/test/auroc": 0.91,
    }


def test_an_evaluation_of_a_generator_has_no_estimates(stored):
    assert "mlp, fold 0, seed 1: auroc" in stored_numbers.of_evaluation(*stored(trainings=TRAININGS))
