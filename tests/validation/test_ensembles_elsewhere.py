"""Validation elsewhere of the mean of an evaluation's trainings."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import medfit
from image_packages import MASKS
from medfit.config import instantiate
from medfit.evaluate import evaluate
from medfit.evaluation.divisions import divided
from medfit.training.parts import prepare
from medfit.validation import data, predictions
from small_data import IMAGES, SERIES, other_images, other_series, write_masks

NEW, TEST = "new patients", "development, test split"
SEEDS = ["evaluate.num_seeds=2", "evaluate.num_resamples=100"]
FOLDS = ["evaluate.num_seeds=1", "evaluate.num_folds=3", "evaluate.num_resamples=100"]


@pytest.fixture
def evaluated(compose, client):
    """Evaluates; returns the evaluation's run, and its config."""

    def made(*overrides):
        cfg = compose("regime=smoke", "tracking.models=true", *overrides)
        evaluate(cfg)
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(ids, "tags.kind = 'evaluation'")[0], cfg

    return made


@pytest.fixture
def of_table(evaluated, hospital):
    """Evaluates on one hospital's table."""
    fixed = ["dataset=table", f"dataset.path={hospital('own.csv', 0)}", "dataset.target=dx", "dataset.patient=mrn"]
    return partial(evaluated, *fixed, "regime.epochs=3")


def scores(found, patients_of, model=None):
    table = found.tables["scores"]
    table = table[table.patients_of == patients_of]
    return table[table.model == (model or table.model.iloc[0])].set_index("metric")


def read(client, run_id, name, folder):
    return pd.read_csv(client.download_artifacts(run_id, name, str(folder)))


def test_the_mean_of_seeds_is_scored_as_it_predicts_beside_its_own_test_scores(
    of_table, validated, hospital, client, output_dir, tmp_path
):
    run, _ = of_table("model=linear", *SEEDS)
    path = hospital("other.csv", 1, shift=1.0)
    found = validated(run, f"validate.data={path}")
    predicted = medfit.load_model(run.info.run_id, f"output_dir={output_dir}").predict(path)
    truth = pd.read_csv(path).dx == "ill"
    auroc = roc_auc_score(truth, predicted["probability/dx: ill"])
    assert scores(found, NEW, "linear (mean of 2)").estimate["auroc"] == pytest.approx(auroc, abs=1e-6)
    own = read(client, run.info.run_id, "evidence/ensemble.csv", tmp_path).set_index("metric").estimate
    then = scores(found, TEST).estimate
    assert then[own.index].to_numpy() == pytest.approx(own.to_numpy(), rel=1e-5)
    rates = found.tables["thresholds"].query("rate == 'sensitivity'").set_index("patients_of").estimate
    assert rates[NEW] == pytest.approx((predicted["decision/dx: ill"] == "yes")[truth].mean())
    assert set(rates.index) == {NEW, TEST} and "as at development" in set(found.tables["updating"].recalibration)
    assert {"prevalence", "logistic"} < set(found.tables["against"].baseline) and len(found.tables["membership"]) == 2
    assert {"crp", "outcome dx: ill"} < set(found.tables["differences"].column)
    made = client.get_run(found.run_id)
    assert made.data.tags["validation.run"] == run.info.run_id
    (model,) = (
        one for one in client.search_logged_models([run.info.experiment_id]) if one.source_run_id == run.info.run_id
    )
    assert "elsewhere/auroc" in {metric.key for metric in model.metrics}
    assert not any("is not known" in note for note in found.notes)
    again = validated(run, f"validate.data={hospital('own.csv', 0)}")
    assert again.opening == 1 and len(scores(again, TEST))


def test_of_folds_no_own_score_is_claimed_and_baselines_are_means_as_the_model_is(
    of_table, validated, hospital, output_dir
):
    run, cfg = of_table("model=linear", *FOLDS)
    path = hospital("other.csv", 1, shift=1.0)
    found = validated(run, f"validate.data={path}")
    model = medfit.load_model(run.info.run_id, f"output_dir={output_dir}")
    risk = model.predict(path)["probability/dx: ill"]
    truth = pd.read_csv(path).dx == "ill"
    assert scores(found, NEW).estimate["auroc"] == pytest.approx(roc_auc_score(truth, risk), abs=1e-6)
    assert set(found.tables["scores"].patients_of) == {NEW}
    assert sum("score of this mean is not known: each patient has taught" in note for note in found.notes) == 1
    new = data.load(model, data.settings(model, str(path), {}), []).prepared
    samples, risks = predictions.Samples(model, new), []
    for fold, single in enumerate(model.singles):
        x, y = prepare(divided(cfg, fold)).datamodule.arrays("train")
        logistic = LogisticRegression(max_iter=2000).fit(x.numpy(), y.numpy()[:, 0])
        risks.append(logistic.predict_proba(samples.of(single).data.tensors[0].numpy())[:, 1])
    brier = np.mean((np.mean(risks, axis=0) - truth) ** 2)
    assert scores(found, NEW, "logistic").estimate["brier"] == pytest.approx(brier, abs=1e-6)
    assert not np.allclose(risks[0], risks[1]) and len(found.tables["membership"]) == 2

    (path.parent / "own.csv").unlink()
    instantiate._load_dataset.cache_clear()
    kept = validated(run, f"validate.data={path}")
    assert any(note.startswith("of baselines only prevalence, logistic and no membership") for note in kept.notes)
    assert scores(kept, NEW, "logistic").estimate["brier"] == pytest.approx(brier, abs=1e-6)


def test_who_taught_any_fold_is_told_from_the_new_patients(of_table, validated, hospital, monkeypatch):
    from medfit.validation import membership

    run, cfg = of_table("model=linear", *FOLDS)
    sizes = []
    counted = membership.scores
    monkeypatch.setattr(membership, "scores", lambda then, *rest: sizes.append(len(then)) or counted(then, *rest))
    validated(run, f"validate.data={hospital('other.csv', 1)}")
    taught = {int(row) for fold in range(3) for row in prepare(divided(cfg, fold)).datamodule.rows["train"]}
    assert sizes == [len(taught)]


def test_rows_that_one_training_leaves_out_are_scored_by_none(of_table, compose, hospital, output_dir):
    run, _ = of_table("model=linear", *SEEDS)
    model = medfit.load_model(run.info.run_id, f"output_dir={output_dir}")

    def gaps(table):
        table.loc[:3, "crp"] = np.nan
        return table

    path = hospital("gaps.csv", 1, change=gaps)
    new = data.load(model, data.settings(model, str(path), {}), []).prepared
    assert len(predictions.Samples(model, new).rows) == 120
    model.singles[1].cfg.preprocessing.missing = "drop"
    assert predictions.Samples(model, new).rows.tolist() == list(range(4, 120))


@pytest.mark.parametrize(
    ("data_of", "other", "lines"),
    [
        (SERIES, other_series, ["model=cnn1d", "model.widths=[4]", "model.kernel_sizes=[5]"]),
        (IMAGES, other_images, ["model=resnet", "model.depth=10", "model.width=2"]),
    ],
    ids=["series", "images"],
)
def test_series_and_images_are_scored_as_they_are_predicted(
    evaluated, validated, output_dir, tmp_path, data_of, other, lines
):
    run, _ = evaluated(*data_of.write(tmp_path), *lines, *SEEDS)
    path, truth = other(tmp_path)
    found = validated(run, f"validate.data={path}")
    predicted = medfit.load_model(run.info.run_id, f"output_dir={output_dir}").predict(path)
    (risk,) = (predicted[name] for name in predicted if name.startswith("probability/"))
    assert scores(found, NEW).estimate["auroc"] == pytest.approx(roc_auc_score(truth, risk), abs=1e-6)
    assert len(scores(found, TEST)) and {"prevalence", "logistic"} < set(found.tables["scores"].model)


def dice_of_files(masks, model, images, out):
    """The mean Dice of the masks that are written for images, beside the true ones in the same order."""
    made = []
    for file, name in zip(masks, model.predict(images, out=out)["mask"], strict=True):
        truth, mask = np.asarray(Image.open(file)) == 1, np.asarray(Image.open(out / name)) == 1
        made.append(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))
    return np.mean(made)


def test_the_mean_of_masks_is_scored_as_it_is_written_at_development_and_elsewhere(
    evaluated, validated, client, output_dir, tmp_path
):
    run, cfg = evaluated(*write_masks(tmp_path / "own", 20), *MASKS, *SEEDS)
    model = medfit.load_model(run.info.run_id, f"output_dir={output_dir}")
    module = prepare(cfg).datamodule
    for split in ("val", "test"):
        files = [
            tmp_path / "own/masks" / module.dataset.file_names[row].rpartition("/")[2] for row in module.rows[split]
        ]
        images = [tmp_path / "own/images" / file.name for file in files]
        dice = dice_of_files(files, model, images, tmp_path / split)
        assert run.data.metrics[f"ensemble/{split}/dice"] == pytest.approx(dice, abs=1e-6)
    own = read(client, run.info.run_id, "evidence/ensemble.csv", tmp_path).set_index("metric").loc["dice"]
    assert own.estimate == pytest.approx(dice, abs=1e-6) and own.low <= own.estimate <= own.high
    assert own.low == pytest.approx(run.data.metrics["ensemble/test_low/dice"])
    stored = read(client, run.info.run_id, "predictions/test.csv", tmp_path)
    assert len(stored) == len(files) and not set(stored.patient.astype(str)) & {file.stem for file in files}

    found = validated(run, *write_masks(tmp_path / "other", 8, seed=1))
    assert scores(found, TEST).estimate["dice"] == pytest.approx(dice, abs=1e-6)
    others = sorted((tmp_path / "other/masks").glob("*.png"))
    elsewhere = dice_of_files(others, model, tmp_path / "other/images", tmp_path / "new")
    assert scores(found, NEW, "unet (mean of 2)").estimate["dice"] == pytest.approx(elsewhere, abs=1e-6)


def test_masks_of_folds_are_scored_elsewhere_without_baselines(evaluated, validated, tmp_path):
    run, _ = evaluated(*write_masks(tmp_path / "own", 12), *MASKS, *FOLDS)
    assert not [name for name in run.data.metrics if name.startswith("ensemble/")]
    found = validated(run, *write_masks(tmp_path / "other", 8, seed=1))
    assert set(found.tables["scores"].model) == {"unet (mean of 3)"} and set(found.tables["scores"].patients_of) == {
        NEW
    }
    assert any(note.startswith("no baselines: the development's patients were divided") for note in found.notes)
