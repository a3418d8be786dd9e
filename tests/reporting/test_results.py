"""``results.csv``: the same evaluation writes the same rows again, in the same places."""

import pandas as pd
import pytest

from medfit.reporting.results import joined


def table(*models, estimate=0.0, patients="test split"):
    rows = [
        {"patients_of": patients, "model": model, "metric": metric, "estimate": estimate}
        for model in models
        for metric in ("auroc", "brier")
    ]
    return pd.DataFrame(rows)


def models(results):
    return list(dict.fromkeys(results.model))


@pytest.fixture
def two():
    return joined(table("linear", "mean"), joined(table("mlp", "mean", estimate=1), pd.DataFrame()))


def test_a_new_model_comes_first_and_replaces_the_baselines(two):
    assert models(two) == ["linear", "mean", "mlp"] and two.estimate.tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("model", ["mlp", "linear"])
def test_an_evaluation_that_is_repeated_leaves_all_rows_in_their_places(two, model):
    again = joined(table(model, "mean", estimate=2), two)
    assert again[["model", "metric"]].values.tolist() == two[["model", "metric"]].values.tolist()
    assert set(again[again.model.isin([model, "mean"])].estimate) == {2}
    assert joined(table(model, "mean", estimate=2), again).equals(again)


def test_other_patients_are_other_rows(two):
    both = joined(table("mlp", "mean", patients="2 folds"), two)
    assert both.patients_of.tolist() == ["2 folds"] * 4 + ["test split"] * 6


def test_what_an_earlier_version_wrote_is_replaced():
    assert models(joined(table("mlp"), pd.DataFrame({"model": ["mlp"], "auroc": [0.5]}))) == ["mlp"]
