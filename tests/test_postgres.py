import optuna
import psycopg
import pytest
from mlflow import MlflowClient


def test_each_call_gives_an_empty_database_of_its_own(postgres):
    first, second = postgres(), postgres()
    assert first != second
    for url in (first, second):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE only_here (id int)")


def test_a_trial_makes_the_round_trip_through_optunas_tables(postgres):
    url = postgres()
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("lr", 1e-4, 1e-2, log=True), n_trials=2)
    again = optuna.load_study(study_name="s", storage=url)
    assert [t.params for t in again.trials] == [t.params for t in study.trials]
    assert again.best_value == max(t.params["lr"] for t in study.trials)


@pytest.mark.slow
def test_mlflows_store_keeps_a_run_there(postgres, tmp_path):
    client = MlflowClient(postgres())
    experiment = client.create_experiment("e", artifact_location=tmp_path.as_uri())
    run = client.create_run(experiment)
    client.log_metric(run.info.run_id, "val/auroc", 0.9, step=3)
    client.set_terminated(run.info.run_id)
    (found,) = client.search_runs([experiment], "metrics.`val/auroc` > 0.8")
    assert found.info.run_id == run.info.run_id
    (point,) = client.get_metric_history(run.info.run_id, "val/auroc")
    assert (point.step, point.value) == (3, 0.9)
