"""The leak scan of single columns: those that tell the target, and identifiers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from leaking_tables import coin, few, found, records, rng, table, thirds
from medfit.data.column_leaks import telling
from medfit.data.splits import Split
from medfit.evidence.associations import Area, RankCorrelation


def planted(y, noise=0.0, seed=4):
    return table().assign(marker=np.asarray(y, dtype=float) + noise * rng(seed).normal(size=len(y)))


@pytest.mark.parametrize("sign", [1, -1])
def test_column_that_tells_a_yes_or_no_is_named(sign):
    x = planted(coin(300), 0.05)
    x["marker"] *= sign
    assert found(records(x)) == ["column 'marker' alone tells the target (AUROC 1.000 on the training rows)"]


def test_strong_but_not_perfect_column_is_none_of_them():
    x = planted(coin(300), 0.4)
    area = roc_auc_score(coin(300), x.marker)
    assert 0.93 < area < 0.98
    assert found(records(x)) == []


@pytest.mark.parametrize(("swapped", "named"), [(8, True), (40, False)])
def test_column_that_tells_nearly_all_is_named_from_an_auroc_of_99_percent_on(swapped, named):
    y = np.arange(400) % 2 == 1
    x = table(400).assign(marker=np.where(y, 1.0, 0.0) + rng(3).random(400) / 2)
    cases = np.flatnonzero(y)[:swapped]
    x.loc[cases, "marker"] = 0.45  # above nine tenths of the others
    area = roc_auc_score(y, x.marker)
    assert (0.99 < area < 0.998) if named else area < 0.99
    (row,) = [*telling(records(x, y), np.arange(400)), None][:1]
    assert row == (f"column 'marker' alone tells the target (AUROC {area:.3f} on the training rows)" if named else None)


def test_column_that_is_missing_where_the_target_is_no_is_named():
    x = table()
    x.loc[~coin(300), "c2"] = np.nan
    assert found(records(x)) == [
        "where column 'c2' is missing alone tells the target (AUROC 1.000 on the training rows)"
    ]


def test_words_that_tell_the_target_are_named():
    words = np.where(coin(300), rng(1).choice(["a", "b"], 300), rng(2).choice(["c", "d"], 300))
    x = table(num_columns=3).assign(word=words)
    kinds = {"c0": "numeric", "c1": "numeric", "c2": "numeric", "word": "categorical"}
    assert found(records(x, kinds=kinds)) == ["column 'word' alone tells the target (AUROC 1.000 on the training rows)"]


def test_many_rare_words_tell_nothing():
    x = table(num_columns=2).assign(word=rng(1).integers(0, 150, 300).astype(str))
    kinds = {"c0": "numeric", "c1": "numeric", "word": "categorical"}
    assert found(records(x, kinds=kinds)) == []


def test_codes_in_any_order_are_found():
    x = table().assign(code=np.where(coin(300), rng(1).choice([2, 5], 300), rng(2).choice([1, 3, 9], 300)))
    assert found(records(x)) == ["column 'code' alone tells the target (AUROC 1.000 on the training rows)"]


def test_label_that_a_column_tells_is_named():
    y = np.stack([coin(300), coin(300, 1)], axis=1)
    x = planted(y[:, 1])
    data = records(x, y, "multilabel", names=["flutter", "block"])
    assert found(data) == ["column 'marker' alone tells 'block' (AUROC 1.000 on the training rows)"]


def test_column_that_tells_all_classes_is_named():
    y = rng(1).integers(0, 4, 300)
    data = records(planted(y, 0.05), y, "multiclass", names=list("abcd"))
    assert found(data) == ["column 'marker' alone tells the target (AUROC 1.000 on the training rows)"]


def test_column_that_tells_one_class_alone_is_none_of_them():
    y = rng(1).integers(0, 3, 300)
    assert found(records(planted(y == 0), y, "multiclass", names=list("abc"))) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_column_that_is_the_number_in_another_unit_is_named(sign):
    y = rng(1).gamma(2, 10, 300)
    x = table().assign(marker=sign * np.log(y))
    assert found(records(x, y, "regression")) == [
        "column 'marker' alone tells the target (rank correlation 1.000 on the training rows)"
    ]


def test_related_number_is_none_of_them():
    y = rng(1).normal(size=300)
    x = table().assign(marker=y + 0.3 * rng(2).normal(size=300))
    assert spearmanr(x.marker, y)[0] > 0.9
    assert found(records(x, y, "regression")) == []


def test_only_training_rows_are_asked():
    y, rows = coin(300), thirds(300)
    x = planted(y)
    x.loc[rows["train"], "marker"] = rng(1).normal(size=100)
    assert found(records(x, y)) == []


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_few_rows_prove_nothing(task):
    y = np.arange(24) % 2 if task == "binary" else rng(1).normal(size=24)
    assert found(records(table(24).assign(marker=y * 1.0), y, task)) == []


@given(st.integers(0, 10**6))
@few
def test_strength_is_scikit_learns_area(seed):
    values, truth = rng(seed).integers(0, 9, 60), coin(60, seed + 1)
    area = roc_auc_score(truth, values)
    assert Area().strength(values, truth, either=False) == pytest.approx(area)
    assert Area().strength(values, truth) == pytest.approx(max(area, 1 - area))


@given(st.integers(0, 10**6))
@few
def test_strength_of_numbers_is_scipys_rank_correlation(seed):
    values, truth = rng(seed).integers(0, 9, 60), rng(seed + 1).normal(size=60)
    assert RankCorrelation().strength(values, truth, either=False) == pytest.approx(spearmanr(values, truth)[0])


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (np.arange(7000, 7300), ", in row order"),
        (np.sort(rng(3).choice(10**6, 300, replace=False)), ", in row order"),
        (rng(3).permutation(300) + 5, ", consecutive numbers"),
    ],
)
def test_whole_numbers_of_patients_are_named(values, how):
    line = f"column 'x' looks like an identifier: 300 different values in 300 rows{how}"
    assert found(records(table().assign(x=values * 1.0))) == [line]


@pytest.mark.parametrize("name", ["id", "patient_id", "MRN", "record number", "Case"])
def test_scattered_numbers_are_identifiers_by_their_name(name):
    values = rng(3).choice(10**6, 300, replace=False) * 1.0
    line = f"column '{name}' looks like an identifier: 300 different values in 300 rows, by its name"
    assert found(records(table().assign(**{name: values}))) == [line]
    assert found(records(table().assign(platelets=values))) == []


@pytest.mark.parametrize(
    "name, values", [("age", rng(0).integers(20, 90, 300)), ("patient_id", rng(0).integers(1, 4, 300))]
)
def test_numbers_that_repeat_are_no_identifiers_but_by_name(name, values):
    assert found(records(table().assign(**{name: values * 1.0}))) == []


def test_number_that_is_the_same_in_all_rows_of_a_patient_is_named():
    groups = np.repeat(np.arange(100), 3)
    data = records(table().assign(number=rng(1).permutation(100)[groups] + 400.0), groups=groups)
    line = "column 'number' looks like an identifier: 100 different values in 100 rows, consecutive numbers"
    assert found(data, Split()(data)) == [line]
