from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from medfit.data.datasets.records import Records
from medfit.explanations import table as table_module
from medfit.explanations.cases import Case, Question
from medfit.explanations.finished_run import frozen
from medfit.explanations.raw_table import RawTable
from medfit.explanations.table import Table
from medfit.training.parts import prepare

METHODS = Table.methods


class Mixed(Records):
    """Numbers, categories and a boolean, some of them missing; a target of all."""

    def __init__(self):
        rng = np.random.default_rng(0)
        x = pd.DataFrame(
            {
                "weight": rng.normal(70, 10, 120),
                "kind": rng.choice(["a", "b", "c_1"], 120),
                "kind_c": rng.choice([0.0, 1.0], 120),
                "flat": np.full(120, 3.0),
                "height": rng.normal(170, 8, 120),
            }
        )
        y = 0.5 * x.weight + 4 * (x.kind == "a") + 3 * x.kind_c - 0.2 * x.height
        x.loc[::9, "weight"], x.loc[::7, "kind"], x.loc[::8, "kind_c"] = np.nan, np.nan, np.nan
        kinds = dict.fromkeys(x, "numeric") | {"kind": "categorical", "kind_c": "boolean"}
        units = {"weight": "kg", "height": "cm", "score": "points"}
        about = {"name": "mixed", "task": "regression", "target_names": ["score"], "units": units}
        super().__init__(x=x, kinds=kinds, y=y.to_numpy(dtype=np.float32)[:, None], **about)


@pytest.fixture
def explained(compose, monkeypatch, output_dir):
    """Makes the explainer of a model with its first weights."""

    def make(*overrides, mixed=False, num_samples=12):
        overrides = ("dataset=diabetes", *overrides) if mixed else overrides
        cfg = compose(*overrides)
        if mixed:
            monkeypatch.setattr("medfit.training.parts.load_dataset", lambda _: Mixed())
        parts = prepare(cfg)
        finished = SimpleNamespace(
            cfg=cfg, parts=replace(parts, task=frozen(parts.task)), store=SimpleNamespace(folder=output_dir)
        )
        return Table(finished, "val", num_samples, 0)

    return make


def test_preprocessing_is_that_of_the_training_and_is_not_learnt_again(explained, monkeypatch):
    from medfit.data.preprocessing.table import TablePreprocessing

    fit, made = TablePreprocessing.fit, []
    monkeypatch.setattr(TablePreprocessing, "fit", lambda own, train: made.append(fit(own, train)) or made[-1])
    family = explained("preprocessing.pca=3", mixed=True)
    assert len(made) == 1
    assert family.raw.steps is made[0].steps


def asked(family, method):
    questions = family.questions()
    return np.stack(family.attribute(method, family.task, questions))


def linear_reference(family):
    """Weight x (x - mean) in the target's unit, by hand from the weights and the raw table."""
    x, train = family.dataset.x.to_numpy(dtype=float), family.train
    weight = family.task.model.layer.weight.numpy()[0] * float(family.task.std[0])
    return (weight / x[train].std(axis=0)) * (x[family.rows] - x[train].mean(axis=0))


LINEAR = ("dataset=diabetes", "model=linear")


@pytest.mark.parametrize("method", ["integrated_gradients", "feature_ablation"])
def test_of_a_linear_model_is_weight_times_difference_from_the_mean(explained, method):
    family = explained(*LINEAR)
    numeric = [i for i, is_numeric in enumerate(family.raw.numeric) if is_numeric]
    assert np.allclose(asked(family, method)[:, numeric], linear_reference(family)[:, numeric], atol=2e-3)


def test_shap_of_a_linear_model_is_weight_times_difference_from_the_backgrounds_mean(explained, monkeypatch):
    monkeypatch.setattr(table_module, "BACKGROUND", 10_000)
    family = explained(*LINEAR)
    assert np.allclose(asked(family, "shap"), linear_reference(family), atol=2e-3)


def test_shap_values_add_up_to_the_prediction(explained):
    family = explained("model=mlp", mixed=True)
    values = asked(family, "shap")
    base = family.told["shap"]["base"]["score"]
    preds = family._predict(family.task, family.raw.matrix[family.rows])
    assert np.allclose(values.sum(axis=1) + base, preds[:, 0], atol=1e-4)


@pytest.mark.parametrize("pca", ["null", "3"])
def test_integrated_gradients_add_up_through_the_preprocessing(explained, pca):
    family = explained("model=mlp", f"preprocessing.pca={pca}", "preprocessing.missing_indicator=true", mixed=True)
    values = asked(family, "integrated_gradients")
    assert values.shape == (12, 5)
    columns = family.raw.columns(family.raw.matrix)
    mean = family.raw.projection()(columns[family.train].mean(dim=0, keepdim=True))
    with torch.no_grad():
        expected = family.task(family.raw.projection()(columns[family.rows])) - family.task(mean)
    assert np.allclose(values.sum(axis=1), expected[:, 0].numpy(), atol=0.02 * float(family.task.std[0]))
    assert family.told["integrated_gradients"]["largest_convergence_delta"] < 0.02 * float(family.task.std[0])


def test_lime_finds_the_signs_of_a_linear_model(explained):
    family = explained(*LINEAR, num_samples=30)
    reference, found = linear_reference(family), asked(family, "lime")
    strong = np.abs(reference) > np.quantile(np.abs(reference), 0.8)
    assert (np.sign(found[strong]) == np.sign(reference[strong])).mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_gives_the_same_numbers(explained, method):
    family = explained("model=mlp", mixed=True, num_samples=3)
    assert np.array_equal(asked(family, method), asked(family, method))


@pytest.mark.parametrize("method", METHODS)
def test_all_targets_are_explained_by_the_features_own_names(explained, method):
    family = explained("dataset=heart_disease", "model=mlp", num_samples=3)
    table = family.summary(method, family.questions(), list(asked(family, method)))[".csv"]
    assert sorted(table.feature) == sorted(family.dataset.x.columns)
    assert set(table.target) == {"narrowed"}
    assert table.set_index("feature").unit["cholesterol"] == "mg/dl"
    assert table.set_index("feature").direction.isna()["thal"]
    assert table.mean_size.is_monotonic_decreasing


def test_globals_that_shap_draws_from_are_left_as_they_were(explained):
    family = explained(*LINEAR, num_samples=2)
    np.random.seed(3)
    expected = np.random.RandomState(3).random()
    asked(family, "shap")
    assert np.random.random() == expected


def test_agreement_is_told_between_each_two_methods(explained):
    family = explained(*LINEAR)
    found = {m: list(asked(family, m)) for m in ("integrated_gradients", "feature_ablation", "lime")}
    table = family.compare(family.questions(), found)["agreement.csv"]
    assert len(table) == 3
    assert table.rank_correlation[0] > 0.95


def test_a_case_shows_values_with_units_and_missing_cells(explained):
    family = explained("model=mlp", mixed=True)
    figure = family.case(Case(Question(0, 0), "why"), {"shap": np.arange(5.0)})
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert "weight = missing" in labels and "kind = missing" in labels
    assert f"height = {family.dataset.x.height[0]:.4g} cm" in labels


PREPROCESSING = [
    [],
    ["missing=constant", "missing_indicator=true"],
    ["missing=knn", "missing_indicator=true", "categories=ordinal"],
    ["missing=drop"],
    ["num_best=3", "scaling=quantile"],
    ["min_variance=0.1", "pca=0.9", "scaling=none"],
]


@pytest.fixture(params=PREPROCESSING, ids=lambda lines: " ".join(lines) or "default")
def prepared(request, compose):
    """A table, the samples that training saw, and the usable rows."""
    from medfit.config.instantiate import build

    cfg = compose("dataset=diabetes", *(f"preprocessing.{line}" for line in request.param))
    steps, dataset = build(cfg.preprocessing), Mixed()
    usable = np.flatnonzero(steps(dataset).usable())
    train = usable[: len(usable) // 2]
    fitted = steps(dataset).fit(train)
    return RawTable(dataset, fitted, train), fitted.apply(dataset)[usable], usable


def test_the_way_to_the_network_is_the_runs_own(prepared):
    raw, expected, usable = prepared
    assert torch.equal(raw.prepared(raw.matrix[usable]), expected)
    assert torch.allclose(raw.projection()(raw.columns(raw.matrix[usable])), expected, atol=1e-4)


def test_the_table_survives_the_matrix(prepared):
    raw, _, usable = prepared
    pd.testing.assert_frame_equal(raw.frame(raw.matrix[usable]), raw.x.iloc[usable].reset_index(drop=True))


def test_each_column_moves_with_the_feature_that_it_comes_from(prepared):
    raw, _, usable = prepared
    sources = raw.sources()
    rows = raw.matrix[usable]
    assert len(sources) == raw.columns(rows).shape[1]
    for place in range(len(raw.names)):
        moved = rows.copy()
        moved[:, place] = np.roll(rows[:, place], 1)
        changed = (raw.columns(moved) != raw.columns(rows)).any(dim=0).numpy()
        if "KNN" not in str(raw.steps):  # whose neighbours see the other features too
            assert not changed[sources != place].any()
        assert changed[sources == place].all() or raw.names[place] == "flat"
