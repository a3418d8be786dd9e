import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss

from medfit import compare, evaluate, train
from medfit.errors import UserError

SMALL = ["regime=smoke", "evaluate.num_seeds=2", "evaluate.num_resamples=100", "compare.num_resamples=200"]


def runs_of(client, kind):
    return client.search_runs([e.experiment_id for e in client.search_experiments()], f"tags.kind = '{kind}'")


def ids(runs):
    return "[" + ",".join(run.info.run_id for run in runs) + "]"


@pytest.mark.slow
def test_an_experiments_evaluation_is_compared_with_its_baselines(compose, client, capsys):
    evaluate.evaluate(compose(*SMALL))
    compare.main(compose(*SMALL, "compare.runs=[breast_cancer]"))
    shown = capsys.readouterr().out
    assert "mlp regime=smoke over logistic" in shown
    (run,) = runs_of(client, "comparison")
    files = {file.path for file in client.list_artifacts(run.info.run_id)} | {
        file.path for file in client.list_artifacts(run.info.run_id, "plots")
    }
    assert {"comparison.csv", "plots/gains.png"} <= files
    assert run.info.status == "FINISHED"


def test_a_pairs_gain_is_the_difference_of_the_scores(compose, client, tmp_path):
    for model in ("mlp", "linear"):
        train.train(compose("regime=smoke", f"model={model}"))
    runs = runs_of(client, "run")
    table = compare.compare(compose(*SMALL, f"compare.runs={ids(runs)}")).set_index("metric")
    scores = []
    for run in runs:
        path = client.download_artifacts(run.info.run_id, "predictions/val.csv", str(tmp_path))
        stored = pd.read_csv(path)
        scores.append(
            brier_score_loss(
                stored["target/benign" if "target/benign" in stored else stored.columns[1]], stored.iloc[:, 2]
            )
        )
    assert table.loc["brier", "gain"] == pytest.approx(scores[1] - scores[0], abs=1e-6)
    known = table.dropna(subset="p")  # the calibration error has none
    assert len(known) == len(table) - 1 and (known.p_holm >= known.p - 1e-12).all()


@pytest.mark.slow
def test_runs_that_never_saw_the_test_split_are_compared_on_validation_patients(compose, client, capsys):
    for model in ("mlp", "linear"):
        train.train(compose("regime=smoke", f"model={model}"))
    compare.compare(compose(*SMALL, f"compare.runs={ids(runs_of(client, 'run'))}"))
    assert "validation patients are compared" in capsys.readouterr().out


@pytest.mark.slow
def test_runs_of_other_patients_are_refused_and_it_is_said_how_they_differ(compose, client):
    for seed in (0, 1):
        train.train(compose("regime=smoke", f"split.seed={seed}"))
    with pytest.raises(UserError, match=r"the splits differ: \d+ patients were scored with both, \d+ with .* alone"):
        compare.compare(compose(*SMALL, f"compare.runs={ids(runs_of(client, 'run'))}"))


@pytest.mark.slow
def test_runs_of_other_tasks_are_refused(compose, client):
    for dataset in ("breast_cancer", "diabetes"):
        train.train(compose("regime=smoke", f"dataset={dataset}"))
    with pytest.raises(UserError, match="different tasks: binary, regression"):
        compare.compare(compose(*SMALL, f"compare.runs={ids(runs_of(client, 'run'))}"))


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ("[]", "compare.runs is needed"),
        ("[nosuchrun]", "compare.runs: there is no run 'nosuchrun'"),
        ("[breast_cancer]", "breast_cancer has not been evaluated"),
    ],
)
def test_what_can_not_be_compared_is_told(compose, client, runs, told):
    train.train(compose("regime=smoke"))
    with pytest.raises(UserError, match=told):
        compare.compare(compose(*SMALL, f"compare.runs={runs}"))


@pytest.mark.slow
def test_one_run_is_not_enough(compose, client):
    train.train(compose("regime=smoke"))
    with pytest.raises(UserError, match="at least two runs"):
        compare.compare(compose(*SMALL, f"compare.runs={ids(runs_of(client, 'run'))}"))


@pytest.mark.slow
def test_a_run_without_predictions_is_refused(compose, client):
    train.train(compose("regime=smoke"))
    (run,) = runs_of(client, "run")
    other = client.create_run(run.info.experiment_id, tags={"kind": "run", "task.targets": "binary"})
    with pytest.raises(UserError, match=f"{other.info.run_id} has stored no predictions"):
        compare.compare(compose(*SMALL, f"compare.runs={ids([run, other])}"))


@pytest.mark.slow
def test_a_metric_that_there_is_not_is_told(compose, client):
    for model in ("mlp", "linear"):
        train.train(compose("regime=smoke", f"model={model}"))
    with pytest.raises(UserError, match="there is no 'dice'"):
        compare.compare(compose(*SMALL, f"compare.runs={ids(runs_of(client, 'run'))}", "compare.metrics=[dice]"))


@pytest.mark.slow
def test_folds_are_compared_fold_by_fold(compose, client):
    folded = ["regime=smoke", "evaluate.num_seeds=1", "evaluate.num_folds=6", "evaluate.num_resamples=100"]
    evaluate.evaluate(compose(*folded))
    table = compare.compare(compose("compare.runs=[breast_cancer]", "compare.num_resamples=200"))
    row = table.query("metric == 'brier' and compared_with == 'prevalence'").iloc[0]
    assert np.isfinite(row.p_wilcoxon)
    assert row.p_wilcoxon == pytest.approx(2 / 2**6)  # the network wins each of six folds
