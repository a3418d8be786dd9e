import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import log_loss, roc_auc_score

from medfit import evaluate
from medfit.__main__ import main
from medfit.deployment import logged
from medfit.deployment.ensemble import Ensemble
from medfit.errors import UserError
from medfit.register import register
from medfit.tracking.store import Store
from medfit.training.parts import prepare

SMALL = ["model=mlp", "regime=smoke", "evaluate.num_resamples=100", "tracking.models=true"]


def runs(client, kind):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, f"tags.kind = '{kind}'")


def models(client):
    """The logged models by the kind of their runs."""
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found = {}
    for model in client.search_logged_models(ids):
        found.setdefault(client.get_run(model.source_run_id).data.tags["kind"], []).append(model)
    return found


def stored(client, tmp_path, split, name):
    """A column of the stored predictions of each training."""
    tables = []
    for run in runs(client, "seed"):
        paths = client.download_artifacts(run.info.run_id, f"predictions/{split}.csv", str(tmp_path))
        tables.append(pd.read_csv(paths)[name].to_numpy())
    return tables


def test_seeds_are_a_model_whose_own_scores_are_measured(compose, client, output_dir, tmp_path, capsys):
    cfg = compose(*SMALL, "evaluate.num_seeds=2")
    found = evaluate.evaluate(cfg)
    logged_models, (parent,) = models(client), runs(client, "evaluation")
    assert {kind: len(own) for kind, own in logged_models.items()} == {"seed": 2, "evaluation": 1}
    for model in logged_models["seed"]:
        scores = {metric.key: metric.value for metric in model.metrics}
        own = client.get_run(model.source_run_id).data.metrics
        assert scores == {key: value for key, value in own.items() if key.startswith(("val/", "test/"))}
        assert model.status == "READY" and {"val/auroc", "test/auroc"} <= set(scores)

    module = prepare(cfg).datamodule
    rows = load_breast_cancer(as_frame=True).data.iloc[module.rows["test"]]
    mean = np.mean(stored(client, tmp_path, "test", "pred/malignant"), axis=0)
    ensemble = logged.load(Store(cfg), parent.info.run_id, "it")
    singles = [own["run_id"] for own in ensemble.about["members"]]
    assert set(singles) == {run.info.run_id for run in runs(client, "seed")}
    assert logged.load_single(Store(cfg), singles[1], "it").about["run_id"] == singles[1]
    with pytest.raises(UserError, match=f"^it: {parent.info.run_id} is made of several trainings, .* {singles[0]}, "):
        logged.load_single(Store(cfg), parent.info.run_id, "it")
    told = ensemble.predict(rows)
    assert told["probability/malignant"].to_numpy() == pytest.approx(mean, abs=1e-6)
    auroc = roc_auc_score(module.dataset.y[module.rows["test"], 0], mean)
    (model,) = logged_models["evaluation"]
    scores = {metric.key: metric.value for metric in model.metrics}
    assert scores["ensemble/test/auroc"] == pytest.approx(auroc)
    loss = log_loss(module.dataset.y[module.rows["test"], 0], mean)
    assert scores["ensemble/test/cross_entropy"] == pytest.approx(loss, rel=1e-5)
    assert loss < parent.data.metrics["test/cross_entropy"]  # the mean over trainings
    assert scores["ensemble/test_low/auroc"] < auroc <= scores["ensemble/test_high/auroc"] + 1e-9
    val = np.mean(stored(client, tmp_path, "val", "pred/malignant"), axis=0)
    val_auroc = roc_auc_score(module.dataset.y[module.rows["val"], 0], val)
    assert scores["ensemble/val/auroc"] == pytest.approx(val_auroc)
    assert all(key.startswith("ensemble/") for key in scores)
    assert "recalibrated/malignant" in told and "decision/malignant" in told and not ensemble.decisions.out_of_fold
    assert found.ensemble.startswith(f"of 2 trainings: auroc {auroc:.3g} (95 % interval ")

    register(compose(f"register.model={parent.info.run_id}", "register.name=masses", "register.alias=champion"))
    text = client.get_model_version("masses", 1).description
    assert "mean of 2 trainings" in text and "- test: 114 patients; malignant: " in text
    assert f"| auroc | {auroc:.3f} (" in text and "not known" not in text
    new = tmp_path / "new.csv"
    rows.to_csv(new, index=False)
    lines = [f"data={new}", f"out={tmp_path / 'p.csv'}", f"output_dir={output_dir}"]
    assert main(["predict", "models:/masses@champion", *lines]) == 0
    assert pd.read_csv(tmp_path / "p.csv")["probability/malignant"].to_numpy() == pytest.approx(mean, abs=1e-6)


@pytest.mark.slow
def test_folds_are_a_model_of_whose_own_scores_nothing_is_claimed(compose, client, tmp_path):
    cfg = compose(*SMALL, "dataset=diabetes", "evaluate.num_seeds=1", "evaluate.num_folds=3")
    found = evaluate.evaluate(cfg)
    (parent,) = runs(client, "evaluation")
    ensemble = logged.load(Store(cfg), parent.info.run_id, "it")
    assert len(ensemble.members) == 3 and len({own["split_sha256"] for own in ensemble.about["members"]}) == 3
    rows = load_diabetes(as_frame=True, scaled=False)
    told = ensemble.predict(rows.data)
    name = next(column for column in told if column.startswith("prediction/"))
    each = np.stack([member.predict(rows.data)[name] for member in ensemble.members])
    assert told[name].to_numpy() == pytest.approx(each.mean(axis=0), rel=1e-6)
    errors = np.concatenate(stored(client, tmp_path, "test", name.replace("prediction", "pred")))
    assert len(errors) == len(rows.data) and ensemble.decisions.out_of_fold
    assert ensemble.decisions.intervals_from == "test"
    width = told[name.replace("prediction", "high")] - told[name]
    assert width.to_numpy() == pytest.approx(next(iter(ensemble.decisions.half_widths.values())))
    (model,) = models(client)["evaluation"]
    assert not model.metrics and not [key for key in parent.data.metrics if key.startswith("ensemble/")]
    assert "own score is not known, as each patient has taught some of them" in found.ensemble
    register(compose(f"register.model={parent.info.run_id}", "register.name=progress"))
    text = client.get_model_version("progress", 1).description
    assert "**Its own score is not known**" in text and "mean of 3 trainings" in text
    assert "no recalibration" in text and "| mae |" in text and "114 samples" not in text


def test_one_training_is_no_ensemble_and_none_is_made_where_models_are_not_kept(compose, client, capsys, output_dir):
    one = evaluate.evaluate(compose(*SMALL, "evaluate.num_seeds=1"))
    assert one.ensemble == "" and {kind: len(own) for kind, own in models(client).items()} == {"seed": 1}
    (parent,) = runs(client, "evaluation")
    assert main(["predict", parent.info.run_id, "data=x.csv", f"output_dir={output_dir}"]) == 2
    assert "has no finished model; take one of its trainings" in capsys.readouterr().err
    none = evaluate.evaluate(compose(*SMALL, "evaluate.num_seeds=2", "seed=5", "tracking.models=false"))
    assert none.ensemble == "" and sum(map(len, models(client).values())) == 1


def test_where_a_trainings_model_is_gone_or_another_s_there_is_no_ensemble(compose, client, monkeypatch):
    cfg = compose(*SMALL, "evaluate.num_seeds=2")
    model_of = logged.model_of
    gone = iter(["m-1", None])
    monkeypatch.setattr(logged, "model_of", lambda *_: next(gone))
    assert evaluate.evaluate(cfg).ensemble == "none: 1 of 2 trainings have no finished model in the store"
    monkeypatch.setattr(logged, "model_of", model_of)

    def refuse(*_):
        raise UserError("they differ")

    monkeypatch.setattr(Ensemble, "of", refuse)
    assert evaluate.evaluate(cfg).ensemble == "none: they differ"
    assert set(models(client)) == {"seed"}
