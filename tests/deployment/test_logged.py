import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from sklearn.datasets import load_breast_cancer

import medfit
from medfit.__main__ import main
from medfit.deployment import logged
from medfit.errors import UserError
from medfit.sweep import sweep
from medfit.tracking.run import create_run
from medfit.tracking.store import Store
from medfit.train import train
from medfit.training.parts import prepare

SMALL = ["regime=smoke", "tracking.models=true"]


@pytest.fixture
def rows():
    """The default experiment's rows, with identifiers."""
    x = load_breast_cancer(as_frame=True).data
    x.insert(0, "mrn", [f"{row:04}" for row in range(len(x))])
    return x


def runs(client, kind):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, f"tags.kind = '{kind}'", max_results=100)


def models(client):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_logged_models(ids))


def stored(client, run_id, tmp_path):
    return pd.read_csv(client.download_artifacts(run_id, "predictions/val.csv", str(tmp_path)))


def test_a_training_logs_its_finished_model_with_its_scores(compose, client, output_dir, tmp_path, rows):
    train(compose("model=mlp", *SMALL))
    (run,), (model,) = runs(client, "run"), models(client)
    assert (model.status, model.source_run_id, model.model_type) == ("READY", run.info.run_id, "binary")
    scores = {metric.key: metric.value for metric in model.metrics}
    assert scores == {key: value for key, value in run.data.metrics.items() if key.startswith("val/")}
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert model.params == run.data.params and model.params["seed"] == "0"
    (used,) = run.inputs.dataset_inputs
    assert {(m.dataset_name, m.dataset_digest) for m in model.metrics} == {(used.dataset.name, used.dataset.digest)}
    new, out = tmp_path / "new.csv", tmp_path / "p.csv"
    rows.to_csv(new, index=False)
    lines = [f"data={new}", f"out={out}", "id=mrn", f"output_dir={output_dir}"]
    assert main(["predict", run.info.run_id, *lines]) == 0
    table = pd.read_csv(out, dtype={"mrn": str})
    assert table["row"].tolist() == list(range(1, 570)) and table["mrn"].tolist() == rows["mrn"].tolist()
    then = stored(client, run.info.run_id, tmp_path)["pred/malignant"]
    assert pd.Series(table["probability/malignant"].round(5)).isin(then.round(5)).sum() >= len(then)
    assert main(["predict", f"models:/{model.model_id}", *lines]) == 0
    assert pd.read_csv(out, dtype={"mrn": str}).equals(table)


def test_what_is_logged_predicts_as_the_training_did_with_dropout_and_batch_normalisation(
    compose, client, tmp_path, rows
):
    cfg = compose("model=mlp", "model.normalisation=batch", "model.dropout=0.5", *SMALL)
    train(cfg)
    (model,) = models(client)
    val = prepare(cfg).datamodule.rows["val"]
    told = logged.load(Store(cfg), model.source_run_id, "it").predict(rows.iloc[val])["probability/malignant"]
    then = stored(client, model.source_run_id, tmp_path)["pred/malignant"]
    assert told.to_numpy() == pytest.approx(then.to_numpy(), abs=1e-6)


@pytest.mark.slow
def test_a_sweep_logs_the_model_of_its_best_trial_alone(compose, client, tmp_path, rows):
    cfg = compose("sweep=smoke", "sweep.num_trials=3", *SMALL)
    study = sweep(cfg)
    (model,) = models(client)
    assert model.source_run_id == study.best_trial.user_attrs["run_id"] and model.metrics
    best = stored(client, model.source_run_id, tmp_path)["pred/malignant"]
    told = logged.load(Store(cfg), model.source_run_id, "predict.model").predict(rows)
    assert told["probability/malignant"].round(5).isin(best.round(5)).sum() >= len(best)
    other = next(run for run in runs(client, "trial") if run.info.run_id != model.source_run_id)
    with pytest.raises(UserError, match=r"^it: run \w+ \(trial, finished\) has no finished model; of a sweep's trials"):
        logged.load(Store(cfg), other.info.run_id, "it")
    sweep(cfg)  # goes on with a study that has all its trials
    assert len(models(client)) == 1


@pytest.mark.slow
def test_a_sweep_with_folds_logs_the_mean_of_its_best_trials_folds_alone(compose, client, tmp_path, rows):
    cfg = compose("sweep=smoke", "sweep.num_trials=2", "sweep.folds=2", "sweep/pruner=none", *SMALL)
    study = sweep(cfg)
    (model,) = models(client)
    assert model.source_run_id == study.best_trial.user_attrs["run_id"] and not model.metrics
    ids = [
        run.info.run_id for run in runs(client, "fold") if run.data.tags["mlflow.parentRunId"] == model.source_run_id
    ]
    found = logged.load(Store(cfg), model.source_run_id, "it")
    assert {own["run_id"] for own in found.about["members"]} == set(ids) and len(ids) == 2
    assert found.decisions.out_of_fold and not found.decisions.lines and found.decisions.thresholds
    for member in found.members:
        then = stored(client, member.about["run_id"], tmp_path)["pred/malignant"]
        again = member.predict(rows)["probability/malignant"]
        assert again.round(5).isin(then.round(5)).sum() >= len(then)
    each = [member.predict(rows)["probability/malignant"] for member in found.members]
    assert found.predict(rows)["probability/malignant"].to_numpy() == pytest.approx(sum(each).to_numpy() / 2, abs=1e-6)
    sweep(cfg)  # goes on with a study that has all its trials
    assert len(models(client)) == 1


def test_a_registered_model_is_found_by_its_alias_and_its_version(compose, client, rows):
    cfg = compose("model=linear", *SMALL)
    train(cfg)
    (model,) = models(client)
    client.create_registered_model("masses")
    version = client.create_model_version("masses", model.artifact_location)
    client.set_registered_model_alias("masses", "champion", version.version)
    found = [logged.load(Store(cfg), f"models:/masses{end}", "it").about for end in ("@champion", "/1")]
    assert found[0] == found[1] and found[0]["run_id"] == model.source_run_id
    for address in ("models:/masses@challenger", "models:/masses/2", "models:/none/1", "models:/none"):
        with pytest.raises(UserError, match=rf"^it: no model is registered as {address}"):
            logged.load(Store(cfg), address, "it")


def test_what_is_no_finished_model_is_told_in_a_line(compose, client, output_dir, capsys):
    train(compose("model=linear", "regime=smoke"))
    (run,) = runs(client, "run")
    for arguments, told in (
        ([run.info.run_id, "data=x.csv"], "(run, finished) has no finished model"),
        (["nonesuch", "data=x.csv"], "predict.model: there is no run 'nonesuch'"),
        ([run.info.run_id], "predict.data is needed"),
        (["data=x.csv"], "predict.model is needed"),
        (["models:/m-123", "data=x.csv"], "predict.model: the files of model m-123 are not there"),
        ([run.info.run_id, "data=x.csv", "out=none/p.csv"], "predict.out: there is no folder 'none'"),
    ):
        assert main(["predict", *arguments, f"output_dir={output_dir}"]) == 2
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "status", "tags", "lines", "why"),
    [
        ("run", "FAILED", {}, [], "(run, failed) has no finished model; a training that came to its end has one"),
        ("trial", "KILLED", {}, [], "a training that came to its end has one"),
        ("trial", "FINISHED", {}, [], "of a sweep's trials the best alone has one, when the sweep has ended"),
        ("sweep", "FINISHED", {}, [], "(sweep, finished) has no finished model; take one of its trainings"),
        ("evaluation", "FINISHED", {}, [], "take one of its trainings: medfit ui shows their ids"),
        ("run", "FINISHED", {}, ["tracking.models=false"], "it was trained with tracking.models=false, or before"),
        ("seed", "FINISHED", {"no_model": "column 'name' holds names"}, [], "; column 'name' holds names"),
        (
            "run",
            "FINISHED",
            {"task.targets": "generation"},
            ["dataset=pneumonia_mnist", "model=gan", "tracking.models=true"],
            "it learnt generation, which predicts nothing of a sample; see medfit sample",
        ),
    ],
)
def test_a_run_without_a_model_says_why(compose, output_dir, kind, status, tags, lines, why):
    cfg = compose(*lines)
    store = Store(cfg)
    run = create_run(store, "why", "a run", {"kind": kind, **tags})
    run.log_files({"config.yaml": OmegaConf.to_yaml(cfg)})
    run.end(status)
    with pytest.raises(UserError) as error:
        logged.load(store, run.id, "predict.model")
    assert str(error.value).startswith(f"predict.model: run {run.id} (") and why in str(error.value)
    assert "\n" not in str(error.value)


def test_no_model_lists_what_single_patients_have(compose, client, output_dir, tmp_path, capsys):
    names = [f"name{row // 2}" for row in range(80)]  # two rows a patient
    table = pd.DataFrame({"mrn": np.arange(80) // 2, "name": names, "sex": ["f", "m"] * 40, "ill": [0, 0, 1, 1] * 20})
    table.to_csv(tmp_path / "clinic.csv", index=False)
    lines = ["dataset=table", f"dataset.path={tmp_path / 'clinic.csv'}", "dataset.target=ill", "dataset.patient=mrn"]
    train(compose("model=linear", *SMALL, *lines, "dataset.kinds.name=categorical"))
    assert models(client) == []
    assert (
        "Note: no finished model is kept: column 'name' holds names, free text or the like" in capsys.readouterr().out
    )
    (run,) = runs(client, "run")
    assert main(["predict", run.info.run_id, "data=x.csv", f"output_dir={output_dir}"]) == 2
    assert "has no finished model; column 'name' holds names" in capsys.readouterr().err


@pytest.fixture
def neighbours(tmp_path):
    """Overrides for a table whose missing cells are filled by the neighbours of a row."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"mrn": np.arange(80), "age": rng.normal(60, 9, 80), "ill": [0, 0, 1, 1] * 20})
    table.to_csv(tmp_path / "clinic.csv", index=False)
    own = [f"dataset.path={tmp_path / 'clinic.csv'}", "dataset.target=ill", "dataset.patient=mrn"]
    return ["model=linear", *SMALL, "dataset=table", *own, "preprocessing.missing=knn"]


def test_no_model_holds_the_training_patients_rows_unless_that_is_asked_for(
    compose, client, output_dir, neighbours, capsys
):
    train(compose(*neighbours))
    assert models(client) == []
    why = (
        "its files would hold the numeric columns of all training rows (preprocessing.missing=knn); if they may, set "
        "tracking.patients_in_models=true"
    )
    assert f"Note: no finished model is kept: {why}." in capsys.readouterr().out.replace("\n", " ")
    (run,) = runs(client, "run")
    for command in ("predict", "validate"):
        assert main([command, run.info.run_id, "data=x.csv", f"output_dir={output_dir}"]) == 2
        assert f"has no finished model; {why}" in capsys.readouterr().err
    train(compose(*neighbours, "tracking.patients_in_models=true"))
    assert len(models(client)) == 1
    assert "hold the numeric columns of all training rows (preprocessing.missing=knn)" in capsys.readouterr().out


@pytest.mark.parametrize("folds", [[], ["sweep.folds=2", "sweep/pruner=none"]], ids=["one training", "folds"])
def test_a_sweep_says_why_its_best_trial_has_no_model(compose, client, output_dir, neighbours, folds, capsys):
    study = sweep(compose(*neighbours, "sweep=smoke", "sweep.num_trials=1", *folds))
    assert models(client) == []
    assert "no finished model is kept: its files would hold the numeric columns" in capsys.readouterr().out
    run_id = study.best_trial.user_attrs["run_id"]
    assert main(["predict", run_id, "data=x.csv", f"output_dir={output_dir}"]) == 2
    assert "set tracking.patients_in_models=true" in capsys.readouterr().err


def test_a_sweep_says_what_its_best_trials_model_holds(compose, client, neighbours, capsys):
    sweep(compose(*neighbours, "preprocessing.missing=median", "preprocessing.scaling=min_max", "sweep=smoke",
                  "sweep.num_trials=1"))  # fmt: skip
    assert len(models(client)) == 1
    assert "Note: the files of this finished model hold the least and the greatest value" in capsys.readouterr().out


def test_a_model_may_have_neighbours_where_no_numeric_column_has_rows_to_hold(compose, client, tmp_path):
    table = pd.DataFrame(
        {"sex": ["f", "m"] * 40, "stage": ["I", "I", "II"] * 26 + ["I", "II"], "ill": [0, 0, 1, 1] * 20}
    )
    table.to_csv(tmp_path / "clinic.csv", index=False)
    lines = ["dataset=table", f"dataset.path={tmp_path / 'clinic.csv'}", "dataset.target=ill"]
    train(compose("model=linear", *SMALL, *lines, "preprocessing.missing=knn"))
    assert len(models(client)) == 1


def test_a_model_loads_by_a_python_call_from_a_folder_and_from_the_store(compose, client, output_dir, tmp_path, rows):
    cfg = compose("model=linear", *SMALL)
    train(cfg)
    (model,) = models(client)
    store = medfit.load_model(model.source_run_id, f"output_dir={output_dir}").predict(rows)
    folder = next((output_dir / "artifacts").rglob("model.json")).parent
    assert medfit.load_model(str(folder)).predict(rows).equals(store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no finished model of medfit"):
        medfit.load_model(str(tmp_path / "empty"))
