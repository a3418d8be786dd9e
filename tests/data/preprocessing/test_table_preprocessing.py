import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from medfit.data.datasets.records import Records
from medfit.data.preprocessing.table import TablePreprocessing
from medfit.errors import UserError

MISSING = ["drop", "mean", "median", "most_frequent", "constant", "knn"]
SCALING = ["standard", "min_max", "robust", "quantile", "none"]
KINDS = {"age": "numeric", "dose": "numeric", "old": "boolean", "sex": "categorical", "site": "categorical"}
NUM_ROWS, TRAIN = 40, np.arange(25)
SECRET = "Zebedee-4711"


def prepared_by(steps, rows):
    return steps.prepared(steps.fit(rows))


def frame(seed=0, num_rows=NUM_ROWS):
    """Features of each kind, of which all but age have missing cells."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {
            "age": rng.normal(50, 12, num_rows),
            "dose": rng.lognormal(1, 1, num_rows),
            "old": rng.integers(0, 2, num_rows).astype(float),
            "sex": rng.choice(["f", "m"], num_rows),
            "site": rng.choice(["a", "b", "c"], num_rows),
        }
    )
    for column in list(x)[1:]:
        x.loc[rng.random(num_rows) < 0.2, column] = np.nan
    return x


def records(x=None, task="binary", kinds=KINDS):
    x = frame() if x is None else x
    rng = np.random.default_rng(1)
    y = {
        "binary": lambda: rng.integers(0, 2, (len(x), 1)).astype(np.float32),
        "multiclass": lambda: rng.integers(0, 3, len(x)),
        "regression": lambda: (rng.normal(size=(len(x), 2)) * [1, 100]).astype(np.float32),
        "multilabel": lambda: rng.integers(0, 2, (len(x), 3)).astype(np.float32),
    }[task]()
    return Records(name="made", x=x, y=y, task=task, target_names=["t"], kinds={c: kinds[c] for c in x})


def numbers(values, task="regression"):
    """A data set of numeric features."""
    x = pd.DataFrame(values, dtype=float)
    return records(x, task, dict.fromkeys(x, "numeric"))


def transformed(data, train=TRAIN, **options):
    return prepared_by(TablePreprocessing(data, **options), train)[:][0].numpy()


@st.composite
def options(draw):
    """Settings of any combination."""
    return {
        "missing": draw(st.sampled_from(MISSING)),
        "missing_indicator": draw(st.booleans()),
        "scaling": draw(st.sampled_from(SCALING)),
        "categories": draw(st.sampled_from(["one_hot", "ordinal"])),
        "min_variance": draw(st.sampled_from([None, 0.0, 0.01])),
        "num_best": draw(st.sampled_from([None, 2, 3])),
        "pca": draw(st.sampled_from([None, 1, 2, 0.8])),
    }


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(options(), st.sampled_from(["binary", "multiclass", "multilabel", "regression"]), st.integers(1, 2**32 - 1))
def test_what_other_rows_hold_never_changes_the_training_rows(chosen, task, seed):
    mine, other = frame(), frame(seed)
    other[["age", "dose"]] *= 1e3
    other["site"] = other["site"].replace("a", "elsewhere")
    changed = pd.concat([mine.iloc[TRAIN], other.iloc[len(TRAIN) :]])
    one, two = records(mine, task), records(changed, task)
    two.y[len(TRAIN) :] = 1 - two.y[len(TRAIN) :]
    if task != "regression" and task != "multilabel":
        two.strata = np.where(np.arange(NUM_ROWS) < len(TRAIN), two.strata, 0)
    train = np.intersect1d(TRAIN, np.flatnonzero(TablePreprocessing(one, **chosen).usable()))
    before, after = transformed(one, train, **chosen), transformed(two, train, **chosen)
    np.testing.assert_array_equal(before[train], after[train])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(options(), st.sampled_from(["binary", "regression"]))
def test_a_row_is_transformed_alike_whatever_rows_are_beside_it(chosen, task):
    data, turned = records(task=task), frame()
    turned.iloc[len(TRAIN) :] = turned.iloc[len(TRAIN) :].iloc[::-1].to_numpy()
    train = np.intersect1d(TRAIN, np.flatnonzero(TablePreprocessing(data, **chosen).usable()))
    before, after = transformed(data, train, **chosen), transformed(records(turned, task), train, **chosen)
    np.testing.assert_allclose(before[len(TRAIN) :], after[len(TRAIN) :][::-1], rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(options(), st.sampled_from(["binary", "multiclass", "multilabel", "regression"]))
def test_every_usable_sample_becomes_finite_numbers(chosen, task):
    data = records(task=task)
    usable = np.flatnonzero(TablePreprocessing(data, **chosen).usable())
    made = prepared_by(TablePreprocessing(data, **chosen), np.intersect1d(TRAIN, usable))
    x, y = made[:]
    assert x.dtype.is_floating_point and len(x) == len(y) == NUM_ROWS and x[usable].isfinite().all()


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("scaling", SCALING)
def test_training_rows_teach_as_scikit_learn_does_on_them_alone(missing, scaling):
    x = frame()[["age", "dose"]]
    scaler = {
        "standard": StandardScaler(),
        "min_max": MinMaxScaler(),
        "robust": RobustScaler(),
        "quantile": QuantileTransformer(n_quantiles=10, output_distribution="normal"),
        "none": None,
    }[scaling]
    values = x.to_numpy()
    fill = {"drop": "median", "constant": "constant"}.get(missing, missing)
    if missing == "knn":
        values = scaler.fit(values[TRAIN]).transform(values) if scaler else values
        values = KNNImputer(n_neighbors=3).fit(values[TRAIN]).transform(values)
    else:
        values = SimpleImputer(strategy=fill, fill_value=7.0).fit(values[TRAIN]).transform(values)
        values = scaler.fit(values[TRAIN]).transform(values) if scaler else values
    made = transformed(records(x), missing=missing, scaling=scaling, missing_value=7.0, num_neighbours=3)
    np.testing.assert_allclose(made, values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("num_rows", "expected"),
    [(5, 5), (10, 10), (99, 10), (109, 10), (110, 11), (999, 99), (9_990, 999), (10_000, 1000)],
)
def test_quantiles_are_a_tenth_of_the_rows_ten_at_least_and_a_thousand_at_most(num_rows, expected):
    values = np.random.default_rng(0).lognormal(1, 1, (num_rows, 1))
    made = transformed(numbers(values), np.arange(num_rows), scaling="quantile")
    as_in = QuantileTransformer(n_quantiles=expected, output_distribution="normal").fit_transform(values)
    np.testing.assert_allclose(made, as_in, rtol=1e-5, atol=1e-6)


def test_quantiles_hold_no_column_whole_however_often_a_row_is_repeated():
    values = np.random.default_rng(0).lognormal(1, 1, (300, 1))
    fitted = TablePreprocessing(numbers(values), scaling="quantile").fit(np.repeat(np.arange(200), 9))
    held = fitted.steps[0].named_transformers_["numeric"][-1].quantiles_
    assert held.shape == (20, 1) and np.isin(values, held).sum() <= 20


@pytest.mark.parametrize(
    ("missing", "column", "held"), [("knn", "age", True), ("knn", "site", False), ("mean", "age", False)]
)
def test_rows_are_held_by_neighbours_of_numeric_columns_alone(missing, column, held):
    fitted = TablePreprocessing(records(frame()[[column]]), missing=missing, scaling="none").fit(TRAIN)
    assert (fitted.rows_held() is not None) is held


def test_standard_scaling_takes_mean_and_deviation_of_the_training_rows():
    made = transformed(numbers({"a": [1, 2, 3, 100]}), np.arange(3))
    np.testing.assert_allclose(made[:, 0], (np.array([1, 2, 3, 100]) - 2) / np.sqrt(2 / 3), rtol=1e-6)


@pytest.mark.parametrize(
    "missing, filled", [("mean", 4), ("median", 2), ("most_frequent", 1), ("constant", -5.0), ("knn", 4)]
)
def test_a_missing_number_is_filled_in_by_the_training_rows(missing, filled):
    data = numbers({"a": [1, 1, 3, 11, 1e6, np.nan]})
    made = transformed(data, np.arange(4), missing=missing, scaling="none", missing_value=-5.0)
    assert made[-1, 0] == filled


def test_near_neighbours_are_as_many_as_asked_for():
    data = numbers({"a": [0, 1, 10, 0.1], "b": [5, 7, 90, np.nan]})
    made = transformed(data, np.arange(3), missing="knn", num_neighbours=2, scaling="none")
    assert made[-1, 1] == 6


def test_a_missing_truth_is_filled_in_by_the_most_frequent_of_the_training_rows():
    data = records(pd.DataFrame({"old": [1, 1, 0, 0, 0, 0, np.nan]}))
    assert transformed(data, np.arange(3), missing="mean")[-1, 0] == 1


def test_a_missing_word_is_filled_in_by_the_most_frequent_of_the_training_rows():
    data = records(pd.DataFrame({"sex": ["m", "m", "f", "f", "f", "f", np.nan]}))
    np.testing.assert_array_equal(transformed(data, np.arange(3))[-1], [0, 1])


def test_a_missing_word_is_a_category_of_its_own_where_a_constant_is_asked_for():
    data = records(pd.DataFrame({"sex": ["m", np.nan, "f", "m", np.nan]}))
    made = transformed(data, np.arange(3), missing="constant")
    np.testing.assert_array_equal(made, [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_dropped_rows_are_those_with_a_missing_cell():
    usable = TablePreprocessing(records(), missing="drop").usable()
    np.testing.assert_array_equal(usable, [not any(map(pd.isna, row)) for row in frame().to_numpy()])


@pytest.mark.parametrize("missing", MISSING[1:])
def test_no_row_is_dropped_where_cells_are_filled_in(missing):
    assert TablePreprocessing(records(), missing=missing).usable().all()


def test_missing_cells_in_the_training_rows_are_marked_in_every_kind_of_column():
    x = frame()
    plain = transformed(records(x), scaling="none")
    marked = transformed(records(x), scaling="none", missing_indicator=True)
    assert marked.shape[1] == plain.shape[1] + 4
    columns = [tuple(column) for column in marked.T.astype(bool)]
    for column in ("dose", "old", "sex", "site"):
        assert tuple(x[column].isna()) in columns


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("column", ["dose", "old", "sex"])
def test_a_column_with_missing_cells_outside_the_training_rows_alone_is_not_marked(missing, column):
    x = frame()[[column]]
    train = np.flatnonzero(x[column].notna())
    marked, plain = (transformed(records(x), train, missing=missing, missing_indicator=m) for m in (True, False))
    assert marked.shape == plain.shape


def test_words_become_a_column_each():
    data = records(pd.DataFrame({"site": ["b", "a", "c", "a"]}))
    np.testing.assert_array_equal(transformed(data, np.arange(4)), [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]])


def test_words_become_numbers_in_alphabetical_order():
    data = records(pd.DataFrame({"site": ["b", "a", "c", "a"]}))
    np.testing.assert_array_equal(transformed(data, np.arange(4), categories="ordinal")[:, 0], [1, 0, 2, 0])


@pytest.mark.parametrize("categories, expected", [("one_hot", [0, 0]), ("ordinal", [-1])])
def test_a_word_unseen_in_the_training_rows_is_nought_or_minus_one(categories, expected):
    data = records(pd.DataFrame({"site": ["b", "a", "b", "elsewhere"]}))
    assert transformed(data, np.arange(3), categories=categories)[-1].tolist() == expected


def test_features_that_hardly_vary_in_the_training_rows_are_left_out():
    data = numbers({"a": [0, 0, 0.1, 99], "b": [0, 5, 10, 0]})
    made = transformed(data, np.arange(3), scaling="none", min_variance=0.01)
    np.testing.assert_array_equal(made, [[0], [5], [10], [0]])


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "multilabel"])
def test_the_best_features_are_those_of_an_f_test_on_the_training_rows(task):
    data = numbers(np.random.default_rng(3).normal(size=(NUM_ROWS, 8)), task)
    x, y = data.x.to_numpy()[TRAIN], data.y[TRAIN].astype(float)
    if task in ("regression", "multilabel"):
        scores = f_regression(x, StandardScaler().fit_transform(y).mean(axis=1))[0]
    else:
        scores = f_classif(x, y.ravel())[0]
    best = np.sort(np.argsort(scores)[-3:])
    made = transformed(data, scaling="none", num_best=3)
    np.testing.assert_allclose(made, data.x.to_numpy()[:, best], rtol=1e-6)


def test_the_best_features_of_words_and_numbers_are_those_of_scikit_learn():
    data = records()
    everything = transformed(data)
    kept = SelectKBest(f_classif, k=3).fit(everything[TRAIN], data.strata[TRAIN]).transform(everything)
    np.testing.assert_allclose(transformed(data, num_best=3), kept, rtol=1e-6)


@pytest.mark.parametrize("pca, num_components", [(2, 2), (0.5, None), (0.99, None)])
def test_components_are_those_of_scikit_learn_on_the_training_rows(pca, num_components):
    data = numbers(np.random.default_rng(3).normal(size=(NUM_ROWS, 6)) * [9, 5, 3, 1, 1, 1])
    values = data.x.to_numpy()
    expected = PCA(pca).fit(values[TRAIN]).transform(values)
    made = transformed(data, scaling="none", pca=pca)
    assert num_components in (None, made.shape[1])
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chosen", [{"num_best": 1}, {"pca": 1}, {"pca": 0.5}])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_feature_constant_in_the_training_rows_is_never_chosen(chosen, task):
    data = numbers({"same": [3.0] * 30 + [9.0] * 10, "a": np.arange(40)}, task)
    made = transformed(data, np.arange(30), **chosen)
    assert made.shape == (NUM_ROWS, 1) and abs(np.corrcoef(made[:, 0], np.arange(40))[0, 1]) == pytest.approx(1)


def test_a_feature_that_tells_the_target_entirely_is_chosen():
    data = numbers(np.random.default_rng(3).normal(size=(NUM_ROWS, 3)))
    data.x[1] = data.y[:, 0].astype(float)
    data.y = data.y[:, :1]
    np.testing.assert_allclose(transformed(data, scaling="none", num_best=1)[:, 0], data.x[1], rtol=1e-6)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "multilabel"])
def test_targets_pass_unchanged(task):
    data = records(task=task)
    np.testing.assert_array_equal(prepared_by(TablePreprocessing(data), TRAIN)[:][1].numpy(), data.y)


def test_repeated_training_rows_count_as_often_as_they_are_repeated():
    made = transformed(numbers({"a": [1, 5, 100]}), np.array([0, 0, 0, 1]), scaling="standard")
    assert made[0, 0] == pytest.approx((1 - 2) / np.sqrt(3))


def test_the_data_set_itself_is_left_alone():
    data = records()
    before = data.fingerprint()
    transformed(data, missing="knn", num_best=2, pca=1)
    assert data.fingerprint() == before


@pytest.mark.parametrize("column", list(KINDS))
def test_a_column_all_missing_in_the_training_rows_is_refused_by_name(column):
    x = frame()
    x.loc[TRAIN, column] = np.nan
    x.loc[NUM_ROWS - 1, column] = frame()[column].dropna().iloc[0]
    message = rf"^preprocessing: column '{column}' is all missing in the training rows; leave it out$"
    with pytest.raises(UserError, match=message):
        transformed(records(x))


@pytest.mark.parametrize(
    "chosen, words",
    [
        ({"num_best": 99}, r"\.num_best: k=99 is greater than n_features=8\.$"),
        ({"pca": 99}, r"\.pca: n_components=99 must be between 0 and min\(n_samples, n_features\)=8 "),
        ({"min_variance": 1e9}, r"\.min_variance: No feature in X meets the variance threshold"),
    ],
)
def test_more_than_there_is_to_keep_is_refused(chosen, words):
    with pytest.raises(UserError, match=f"^preprocessing{words}"):
        transformed(records(), **chosen)


def test_what_is_refused_holds_no_cell():
    x = frame()
    x["site"] = SECRET
    with pytest.raises(UserError) as error:
        transformed(records(x), num_best=99)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "override, path",
    [
        ("missing=zero", "missing"),
        ("scaling=log", "scaling"),
        ("categories=hash", "categories"),
        ("num_neighbours=0", "num_neighbours"),
        ("num_best=0", "num_best"),
        ("min_variance=-1", "min_variance"),
        ("pca=0", "pca"),
        ("pca=1.5", "pca"),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_config(compose, override, path):
    with pytest.raises(UserError, match=rf"^preprocessing\.{path}: "):
        compose(f"preprocessing.{override}")


def test_a_wrong_key_is_refused_by_the_config_with_the_nearest(compose):
    with pytest.raises(UserError, match=r"^unknown key 'preprocessing\.scalin'; did you mean 'preprocessing\.scaling'"):
        compose("preprocessing.scalin=none")
