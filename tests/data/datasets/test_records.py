import re

import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.records import Records, encode
from medfit.errors import UserError

SECRET = "Zebedee-4711"


def records(**changes):
    given = {
        "name": "made",
        "x": pd.DataFrame({"age": [30.0, 40.0, np.nan], "sex": ["f", "m", "f"]}),
        "y": np.array([[0.0], [1.0], [1.0]], dtype=np.float32),
        "task": "binary",
        "target_names": ["ill"],
        "kinds": {"age": "numeric", "sex": "categorical"},
        "units": {"age": "years"},
    }
    return Records(**{**given, **changes})


def test_the_length_is_the_number_of_rows():
    assert len(records()) == 3


def test_an_item_is_a_row_and_its_target():
    row, target = records()[1]
    assert row.to_dict() == {"age": 40.0, "sex": "m"} and target.tolist() == [1.0]


def test_without_groups_each_row_is_a_patient():
    assert len(set(records().groups.tolist())) == 3


def test_groups_are_kept():
    assert records(groups=np.array([5, 5, 6])).groups.tolist() == [5, 5, 6]


def test_rows_are_numbered_from_nought_whatever_the_index():
    x = pd.DataFrame({"age": [1.0, 2.0, 3.0]}, index=[7, 3, 9])
    assert records(x=x, kinds=None).x.index.tolist() == [0, 1, 2]


def test_without_kinds_all_features_are_numeric():
    assert records(x=pd.DataFrame({"a": [1.0, 2.0, 3.0]}), kinds=None).kinds == {"a": "numeric"}


def test_strata_of_a_binary_target_are_its_classes():
    assert records().strata.tolist() == [0, 1, 1]


def test_strata_of_a_multiclass_target_are_its_classes():
    y = np.array([2, 0, 1])
    assert records(y=y, task="multiclass", target_names=["a", "b", "c"]).strata.tolist() == [2, 0, 1]


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_targets_without_one_class_a_row_have_no_strata(task):
    assert records(task=task).strata is None


def test_the_schema_names_each_column_with_kind_role_and_unit():
    assert records().schema() == [
        {"name": "age", "kind": "numeric", "role": "feature", "unit": "years"},
        {"name": "sex", "kind": "categorical", "role": "feature", "unit": ""},
        {"name": "ill", "kind": "binary", "role": "target", "unit": ""},
    ]


def test_neither_schema_nor_fingerprint_holds_a_cell_or_a_patient():
    x = pd.DataFrame({"age": [30.0, 4711.0, 50.0], "sex": ["f", SECRET, "f"]})
    made = records(x=x, groups=np.array([SECRET, "b", "c"]))
    told = str(made.schema()) + made.fingerprint()
    assert SECRET not in told and "4711" not in str(made.schema())
    assert re.fullmatch("[0-9a-f]{64}", made.fingerprint())


def test_equal_data_have_equal_fingerprints():
    assert records().fingerprint() == records().fingerprint()


CHANGES = {
    "a cell": {"x": pd.DataFrame({"age": [31.0, 40.0, np.nan], "sex": ["f", "m", "f"]})},
    "a missing cell": {"x": pd.DataFrame({"age": [30.0, 40.0, 0.0], "sex": ["f", "m", "f"]})},
    "a word": {"x": pd.DataFrame({"age": [30.0, 40.0, np.nan], "sex": ["f", "m", "m"]})},
    "the order of rows": {"x": pd.DataFrame({"age": [40.0, 30.0, np.nan], "sex": ["m", "f", "f"]})},
    "a target": {"y": np.array([[1.0], [1.0], [0.0]], dtype=np.float32)},
    "a patient": {"groups": np.array([0, 0, 1])},
    "the given split": {"given_split": np.array(["train", "val", "test"])},
    "a name": {"target_names": ["sick"]},
    "a unit": {"units": {"age": "months"}},
}  # fmt: skip


def test_the_fingerprint_changes_with_a_kind():
    x = pd.DataFrame({"smokes": [1.0, 0.0, 1.0]})
    one, other = (records(x=x, kinds={"smokes": kind}) for kind in ("numeric", "boolean"))
    assert one.fingerprint() != other.fingerprint()


@pytest.mark.parametrize("what", CHANGES)
def test_the_fingerprint_changes_with(what):
    assert records(**CHANGES[what]).fingerprint() != records().fingerprint()


def test_the_fingerprint_tells_swapped_patients_apart():
    one, other = (records(groups=np.array(groups)) for groups in ([0, 0, 1], [0, 1, 1]))
    assert one.fingerprint() != other.fingerprint()


def test_no_features_are_refused():
    with pytest.raises(UserError, match=r"^dataset: no feature columns are left$"):
        records(x=pd.DataFrame(index=range(3)), kinds={})


def test_an_all_missing_feature_is_refused_with_the_way_to_leave_it_out():
    x = pd.DataFrame({"age": [np.nan] * 3})
    message = "dataset: column 'age' is all missing; leave it out with dataset.exclude=['age']"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        records(x=x, kinds=None)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_a_feature_beyond_a_float32_is_refused(value):
    x = pd.DataFrame({"age": [1.0, value, 2.0]})
    with pytest.raises(UserError, match=r"^dataset: column 'age' holds a value that is infinite or too large$"):
        records(x=x, kinds=None)


def test_words_in_a_numeric_feature_are_refused_without_telling_them():
    x = pd.DataFrame({"age": [1.0, SECRET, 2.0]})
    with pytest.raises(UserError, match=r"^dataset: column 'age' is not numeric$") as error:
        records(x=x, kinds=None)
    assert error.value.__suppress_context__


def test_a_regression_target_keeps_its_values_and_names():
    y, names = encode(pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4]}), "regression")
    assert y.dtype == np.float32 and y.tolist() == [[1.5, 3.0], [2.5, 4.0]] and names == ["a", "b"]


def test_multiclass_words_become_codes_in_alphabetical_order():
    y, names = encode(pd.DataFrame({"stage": ["late", "early", "mid", "early"]}), "multiclass")
    assert y.dtype == np.int64 and y.tolist() == [1, 0, 2, 0] and names == ["early", "late", "mid"]


def test_multiclass_numbers_keep_their_order():
    y, names = encode(pd.DataFrame({"grade": [10.0, 2.0, 9.0]}), "multiclass")
    assert y.tolist() == [2, 0, 1] and names == ["2", "9", "10"]


def test_multiclass_values_of_mixed_types_are_told_apart_as_words():
    y, names = encode(pd.DataFrame({"grade": pd.Series(["x", 1, 1.0, "y"], dtype=object)}), "multiclass")
    assert y.tolist() == [1, 0, 0, 2] and names == ["1", "x", "y"]


@pytest.mark.parametrize(
    "values, positive, expected, name",
    [
        ([0, 1, 1], None, [0, 1, 1], "ill"),
        ([0.0, 1.0, 1.0], None, [0, 1, 1], "ill"),
        ([False, True, True], None, [0, 1, 1], "ill"),
        (["no", "yes", "yes"], None, [0, 1, 1], "ill"),
        ([1, 2, 2], None, [0, 1, 1], "ill: 2"),
        ([1, 2, 2], 1, [1, 0, 0], "ill"),
        ([1.0, 2.0, 2.0], "1", [1, 0, 0], "ill"),
        (["benign", "malignant", "benign"], None, [0, 1, 0], "ill: malignant"),
        (["benign", "malignant", "benign"], "benign", [1, 0, 1], "ill: benign"),
        ([False, True, True], False, [1, 0, 0], "ill: False"),
        ([0, 1, 1], 0, [1, 0, 0], "ill: 0"),
    ],
)
def test_a_binary_target_is_one_where_it_is_positive(values, positive, expected, name):
    y, names = encode(pd.DataFrame({"ill": values}), "binary", positive)
    assert y.dtype == np.float32 and y.tolist() == [[value] for value in expected] and names == [name]


def test_multilabel_columns_are_encoded_each_by_itself():
    y, names = encode(pd.DataFrame({"a": [0, 1, 0], "b": ["yes", "no", "no"]}), "multilabel")
    assert y.dtype == np.float32 and y.tolist() == [[0, 1], [1, 0], [0, 0]] and names == ["a", "b"]


def test_a_positive_value_that_the_target_lacks_is_refused_without_telling_those_it_has():
    with pytest.raises(UserError, match=r"^dataset.positive: 'ill' has no such value$"):
        encode(pd.DataFrame({"ill": [SECRET, "well"]}), "binary", "sick")
