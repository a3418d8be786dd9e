import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medfit.config.instantiate import load_dataset
from medfit.data.datasets.roles import infer_task
from medfit.data.datasets.table import Table, infer_kind
from medfit.errors import UserError

SECRET = "Zebedee-4711"
NUM_ROWS = 8


@pytest.fixture
def table(tmp_path):
    """Builds a table of ages, sexes and a binary target, with columns added or changed."""

    def built(columns=None, target="ill", **options):
        frame = pd.DataFrame({"age": np.arange(NUM_ROWS) + 0.5, "sex": ["f", "m"] * 4, "ill": [0, 1, 1, 0] * 2})
        path = tmp_path / "cohort.csv"
        frame.assign(**(columns or {})).to_csv(path, index=False)
        return Table(str(path), target, **options)

    return built


@pytest.fixture
def refusal(table):
    """Returns the words in which a table is refused."""

    def words(*args, **options):
        with pytest.raises(UserError) as error:
            table(*args, **options)
        return str(error.value)

    return words


def test_a_table_is_named_after_its_file(table):
    assert table().name == "cohort" and "cohort.csv" in table().source


def test_features_are_the_columns_left_over(table):
    assert list(table({"note": 1, "who": range(8)}, patient="who", exclude=["note"]).x) == ["age", "sex"]


def test_a_home_folder_is_expanded(table, tmp_path, monkeypatch):
    table()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(Table("~/cohort.csv", "ill")) == NUM_ROWS


def test_what_was_inferred_is_said(table, capsys):
    table({"who": list("aabbccdd"), "ill": [0, 1, 1, 0, 0, 1, 1, None]}, patient="who")
    said = capsys.readouterr().out
    assert "cohort.csv: 7 rows of 4 patients (1 more have no target); target ill: binary (ill)" in said
    assert "features: 1 numeric, 1 categorical" in said


@pytest.mark.parametrize(
    "columns, target, task, names",
    [
        ({"t": [0, 1] * 4}, "t", "binary", ["t"]),
        ({"t": [True, False] * 4}, "t", "binary", ["t"]),
        ({"t": ["well", "ill"] * 4}, "t", "binary", ["t: well"]),
        ({"t": [0.25, 0.5] * 4}, "t", "binary", ["t: 0.5"]),
        ({"t": [1, 2, 3, 3] * 2}, "t", "multiclass", ["1", "2", "3"]),
        ({"t": ["a", "b", "c", "c"] * 2}, "t", "multiclass", ["a", "b", "c"]),
        ({"t": [1.5, 2, 3, 3] * 2}, "t", "regression", ["t"]),
        ({"t": [0, 1] * 4, "u": ["y", "n"] * 4}, ["t", "u"], "multilabel", ["t", "u"]),
        ({"t": [0, 1] * 4, "u": np.arange(8) / 3}, ["t", "u"], "regression", ["t", "u"]),
    ],
)
def test_the_task_is_inferred(table, columns, target, task, names):
    made = table(columns, target)
    assert (made.task, made.target_names) == (task, names)


@pytest.mark.parametrize("num_values, task", [(2, "binary"), (3, "multiclass"), (10, "multiclass"), (11, "regression")])
def test_whole_numbers_are_classes_up_to_ten(num_values, task):
    assert infer_task(pd.DataFrame({"t": list(range(num_values)) * 2})) == task


def test_targets_that_are_neither_labels_nor_numbers_are_refused_by_name(refusal):
    message = refusal({"stage": [SECRET, "b", "c", "c"] * 2}, ["ill", "stage"])
    assert message.startswith("dataset.target: several targets must hold two values each (labels) or numbers;")
    assert message.endswith(": stage") and SECRET not in message


def test_a_target_of_numbers_but_for_a_word_is_refused(refusal):
    message = refusal({"dose": [1.5, 2, 3, SECRET, 4, 5, 6, 7]}, "dose")
    assert message == (
        "dataset.target: column 'dose' holds numbers but for 1 cells (first in data row 4); "
        "mend them, name the words in dataset.missing_values, or set dataset.target_kind=multiclass"
    )


def test_a_word_named_as_missing_leaves_numbers(table):
    made = table({"dose": [1.5, 2, 3, "unknown", 4, 5, 6, 7]}, "dose", missing_values=["unknown"])
    assert made.task == "regression" and len(made) == 7


def test_numbers_and_words_are_classes_if_the_user_says_so(table):
    made = table({"grade": [1, 1, 1, "x", 2, 2, 2, "x"]}, "grade", target_kind="multiclass")
    assert made.target_names == ["1", "2", "x"]


@pytest.mark.parametrize(
    "target_kind, target, words",
    [
        ("binary", ["ill", "age"], "binary takes one target column, not 2"),
        ("multiclass", ["ill", "age"], "multiclass takes one target column, not 2"),
        ("binary", "age", "binary needs two values in 'age', not 8"),
        ("multilabel", ["ill", "age"], "multilabel needs two values in 'age', not 8"),
        ("regression", "sex", "regression needs numbers in 'sex'"),
    ],
)
def test_a_target_kind_that_does_not_fit_is_refused(refusal, target_kind, target, words):
    assert refusal(target=target, target_kind=target_kind) == f"dataset.target_kind: {words}"


@pytest.mark.parametrize("target_kind", ["binary", "multiclass", "multilabel", "regression"])
def test_a_target_kind_that_fits_is_taken(table, target_kind):
    assert table(target_kind=target_kind).task == target_kind


def test_the_positive_value_is_the_users(table):
    assert table({"ill": ["well", "sick"] * 4}, positive="sick").y[:, 0].tolist() == [0, 1] * 4


def test_a_positive_value_that_is_not_there_is_refused(refusal):
    assert refusal({"ill": ["well", SECRET] * 4}, positive="sick") == "dataset.positive: 'ill' has no such value"


@pytest.mark.parametrize(
    "key, value, wrong, near",
    [
        ("target", "il", "il", "ill"),
        ("target", ["ill", "agee"], "agee", "age"),
        ("patient", "sexx", "sexx", "sex"),
        ("split", "sexx", "sexx", "sex"),
        ("exclude", ["agee"], "agee", "age"),
        ("kinds", {"agee": "numeric"}, "agee", "age"),
        ("units", {"agee": "years"}, "agee", "age"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_nearest(refusal, key, value, wrong, near):
    expected = f"dataset.{key}: there is no column '{wrong}'; did you mean '{near}'? (columns: age, sex, ill)"
    assert refusal(**{key: value}) == expected


def test_no_more_than_twelve_columns_are_told(refusal):
    message = refusal({f"c{number}": 0 for number in range(20)}, "nowhere")
    assert message.endswith("(columns: age, sex, ill, c0, c1, c2, c3, c4, c5, c6, c7, c8, ...)")


def test_no_target_is_refused(refusal):
    assert refusal(target=[]) == "dataset.target: name at least one column"


def test_rows_without_a_target_are_left_out(table):
    made = table({"ill": [0, None, 1, 0, 1, None, 1, 0]})
    assert len(made) == 6 and made.x["age"].tolist() == [0.5, 2.5, 3.5, 4.5, 6.5, 7.5]


def test_an_empty_target_is_refused(refusal):
    assert refusal({"ill": None}) == "dataset.target: column 'ill' is empty"


@pytest.mark.parametrize("constant", [1, SECRET])
def test_a_constant_target_is_refused(refusal, constant):
    assert refusal({"ill": constant}) == "dataset.target: column 'ill' is constant; there is nothing to learn"


def test_targets_never_known_together_are_refused(refusal):
    columns = {"t": [1, 2, 3, 4] + [None] * 4, "u": [None] * 4 + [1, 2, 3, 4]}
    assert refusal(columns, ["t", "u"]) == "dataset.target: column 't' is constant; there is nothing to learn"


@pytest.mark.parametrize("value", ["inf", "-inf", "1e39"])
def test_an_infinite_target_is_refused_with_its_row(refusal, value):
    message = refusal({"dose": [1.5, None, 3, 4, value, 5, 6, 7]}, "dose")
    assert message == (
        "dataset.target: column 'dose' holds a value that is infinite or too large (first in data row 5)"
    )


@pytest.mark.parametrize("value", ["inf", "-inf", "1e39"])
def test_an_infinite_feature_is_refused_with_its_row_in_the_file(refusal, value):
    columns = {"dose": [1, 2, 3, 4, value, 5, 6, 7], "ill": [None, None, 1, 0, 1, 0, 1, 0]}
    assert refusal(columns) == (
        "dataset: column 'dose' holds a value that is infinite or too large (first in data row 5)"
    )


@pytest.mark.parametrize(
    "cells, kind",
    [
        ([1.5, 2.0], "numeric"),
        ([1, 2], "numeric"),
        ([1, 0, None], "boolean"),
        ([True, False], "boolean"),
        (["yes", "No", None], "boolean"),
        (["TRUE", "false "], "boolean"),
        (["x", "y", "x"], "categorical"),
        (["1", "2.5", None], "numeric"),
        (["1" * 30, "2"], "numeric"),
        ([None, None], "numeric"),
    ],
)
def test_a_kind_is_inferred(cells, kind):
    assert infer_kind(pd.Series(cells, name="c")) == kind


def test_a_categorical_dtype_is_judged_by_what_it_holds():
    assert infer_kind(pd.Series(["x", "y", "x"], dtype="category", name="c")) == "categorical"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.date_range("2020-01-01", periods=3)),
        pd.Series(pd.date_range("2020-01-01", periods=3, tz="UTC")),
        pd.Series(pd.to_timedelta([1, 2, 3], unit="D")),
    ],
    ids=["dates", "with a time zone", "durations"],
)
def test_dates_are_refused_with_the_way_to_leave_them_out(column):
    message = "dataset: column 'seen' holds dates or times; leave it out with dataset.exclude=['seen'] or turn it"
    with pytest.raises(UserError, match=re.escape(message)):
        infer_kind(column.rename("seen"))


def test_lists_are_refused():
    with pytest.raises(UserError, match=r"^dataset: column 'trace' holds lists; leave it out with dataset.exclude="):
        infer_kind(pd.Series([[1, 2], [3]], name="trace"))


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_dates_of_a_binary_table_are_refused(tmp_path, suffix):
    frame = pd.DataFrame({"seen": pd.date_range("2020-01-01", periods=4), "ill": [0, 1, 1, 0]})
    path = tmp_path / f"table.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_excel(path, index=False)
    with pytest.raises(UserError, match=r"^dataset: column 'seen' holds dates or times"):
        Table(str(path), "ill")


def test_an_identifier_is_refused_as_a_feature(tmp_path):
    names = [f"{SECRET}-{number}" for number in range(30)]
    path = tmp_path / "table.csv"
    pd.DataFrame({"who": names, "ill": [0, 1, 1] * 10}).to_csv(path, index=False)
    with pytest.raises(UserError) as error:
        Table(str(path), "ill")
    assert str(error.value) == (
        "dataset: column 'who' holds 30 different words in 30 rows, as a name or number of a patient does; "
        "leave it out with dataset.exclude=['who'] or name it as dataset.patient"
    )


@pytest.mark.parametrize("levels, refused", [(20, False), (21, True)])
def test_many_words_are_an_identifier_only_if_they_hardly_repeat(levels, refused):
    column = pd.Series([f"w{number}" for number in range(levels)] + ["w0"] * 10, name="c")
    if refused:
        with pytest.raises(UserError, match="21 different words in 31 rows"):
            infer_kind(column)
    else:
        assert infer_kind(column) == "categorical"


def test_a_feature_of_numbers_but_for_a_word_is_refused(refusal):
    assert refusal({"dose": [1, 2, 3, 4, 5, SECRET, SECRET, 8]}) == (
        "dataset: column 'dose' holds numbers but for 2 cells (first in data row 6); mend them, "
        "name the words in dataset.missing_values, or set dataset.kinds.'dose'=categorical"
    )


def test_the_row_of_a_word_is_counted_in_the_file(refusal):
    columns = {"dose": [1, 2, 3, 4, 5, 6, SECRET, 8], "ill": [None, 0, None, 1, 0, 1, 0, 1]}
    assert "(first in data row 7)" in refusal(columns)


def test_numbers_and_words_are_categories_if_the_user_says_so(table):
    made = table({"dose": [1, 2, 3, 4, 5, 6, "x", 8]}, kinds={"dose": "categorical"})
    assert made.x["dose"].tolist() == ["1", "2", "3", "4", "5", "6", "x", "8"]


@pytest.mark.parametrize("kind", ["numeric", "boolean"])
def test_a_kind_that_does_not_fit_is_refused(refusal, kind):
    message = refusal({"sex": ["f", SECRET] * 4}, kinds={"sex": kind})
    assert message == f"dataset.kinds: 8 cells of column 'sex' are not {kind} (first in data row 1)"


def test_truths_become_nought_and_one_and_stay_missing(table):
    made = table({"smokes": ["yes", "no", "Yes", None, "NO", "true", "0", "1"]})
    np.testing.assert_array_equal(made.x["smokes"], [1, 0, 1, np.nan, 0, 1, 0, 1])


def test_missing_words_stay_missing(table):
    made = table({"sex": ["f", "?", "m", None, "f", "m", "f", "m"]})
    assert made.x["sex"].isna().tolist() == [False, True, False, True] + [False] * 4


def test_an_all_missing_column_is_refused(refusal):
    assert refusal({"dose": None}) == (
        "dataset: column 'dose' is all missing; leave it out with dataset.exclude=['dose']"
    )


def test_no_features_are_refused(refusal):
    assert refusal(exclude=["age", "sex"]) == "dataset: no feature columns are left"


def test_rows_of_one_patient_share_a_group(table):
    groups = table({"who": ["p1", "p1 ", "p2", "p3", "p3", "p3", "p4", "p4"]}, patient="who").groups
    assert groups.tolist() == ["p1", "p1", "p2", "p3", "p3", "p3", "p4", "p4"]


def test_a_patients_number_is_no_feature_and_no_part_of_the_schema(table):
    made = table({"who": [4711, 4711, 4712, 4713, 4714, 4715, 4716, 4717]}, patient="who")
    assert "who" not in made.x
    assert "who" not in str(made.schema())


def test_a_missing_patient_is_refused_with_the_row(refusal):
    columns = {"who": [SECRET, "b", "c", None, "e", "f", "g", "h"], "ill": [None, 1, 0, 1, 0, 1, 0, 1]}
    assert refusal(columns, patient="who") == "dataset.patient: column 'who' is missing in data row 4"


def test_words_for_splits_are_understood(table):
    words = ["train", "Training ", "VAL", "valid", "dev", "validation", "test", "holdout"]
    made = table({"part": words}, split="part")
    assert made.given_split.tolist() == ["train", "train", "val", "val", "val", "val", "test", "test"]


@pytest.mark.parametrize("odd", [SECRET, None])
def test_another_word_for_a_split_is_refused_with_the_row(refusal, odd):
    columns = {"part": ["train", "val", "test", odd, "train", "train", "train", "train"]}
    assert refusal(columns, split="part") == "dataset.split: column 'part', data row 4: expected train, val or test"


def test_neither_schema_nor_fingerprint_holds_a_cell_or_a_patient(table):
    made = table({"sex": [SECRET, "m"] * 4, "who": [f"P{4711 + n}" for n in range(8)]}, patient="who")
    told = str(made.schema()) + made.fingerprint()
    assert SECRET not in told and "P47" not in told and {c["name"] for c in made.schema()} == {"age", "sex", "ill"}


def test_what_is_said_holds_no_feature_and_no_patient(table, capsys):
    table({"sex": [SECRET, "m"] * 4, "who": [f"P{4711 + n}" for n in range(8)]}, patient="who")
    said = capsys.readouterr().out
    assert "8 patients" in said and SECRET not in said and "P47" not in said


def test_a_patients_new_name_leaves_the_fingerprint_alone(table):
    one, other = (table({"who": list(names)}, patient="who") for names in ("aabbccdd", "wwxxyyzz"))
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "xlsx"])
def test_every_format_gives_the_same_data_set(table, tmp_path, suffix):
    frame = pd.DataFrame({"age": [1.5, None, 3], "old": ["yes", "no", None], "sex": ["f", "m", "f"], "ill": [0, 1, 1]})
    path = tmp_path / f"table.{suffix}"
    match suffix:
        case "parquet":
            frame.to_parquet(path)
        case "xlsx":
            frame.to_excel(path, index=False)
        case _:
            frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    frame.to_csv(tmp_path / "plain.csv", index=False)
    assert Table(str(path), "ill").fingerprint() == Table(str(tmp_path / "plain.csv"), "ill").fingerprint()


def test_a_config_reads_the_table_and_infers_the_task(tmp_path, compose):
    path = tmp_path / "cohort.csv"
    pd.DataFrame({"age": [1.5, 2, 3, 4], "stage": ["a", "b", "c", "a"]}).to_csv(path, index=False)
    assert compose("dataset=table", f"dataset.path={path}", "dataset.target=stage").choices.task == "multiclass"


def test_a_mistake_in_the_table_reaches_the_user_as_one_line(tmp_path, compose):
    path = tmp_path / "cohort.csv"
    pd.DataFrame({"age": [1.5, 2, 3, 4], "stage": ["a", "b", "c", "a"]}).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"^dataset.target: there is no column 'stag'; did you mean 'stage'"):
        compose("dataset=table", f"dataset.path={path}", "dataset.target=stag")


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.one_of(st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=4)), min_size=4, max_size=12
    )
)
def test_a_column_of_any_cells_becomes_numbers_or_words_or_is_refused(tmp_path, cells):
    path = tmp_path / "any.csv"
    frame = pd.DataFrame({"c": pd.Series(cells, dtype=object), "ill": np.arange(len(cells)) % 2})
    frame.to_csv(path, index=False, errors="replace")
    try:
        made = Table(str(path), "ill")
    except UserError as error:
        assert str(error).startswith("dataset")
    else:
        words = made.kinds["c"] == "categorical"
        assert made.x["c"].dropna().map(lambda cell: isinstance(cell, str) if words else np.isfinite(cell)).all()


def test_columns_that_are_no_features_are_facts_that_can_be_asked_for(table):
    made = table({"site": list("aabbccdd")}, exclude=["site"])
    assert "site" not in made.x
    assert made.column("site", "x").tolist() == list("aabbccdd")
    assert made.column("sex", "x").tolist() == ["f", "m"] * 4


def test_facts_stay_beside_their_rows_when_rows_are_left_out(table):
    made = table({"site": list("aabbccdd"), "ill": [0, None, 1, 0, 0, 1, 1, 0]}, exclude=["site"])
    assert made.column("site", "x").tolist() == list("abbccdd")
    assert made.excluded == {"no target": 1}


def test_the_patient_can_not_be_asked_for(table):
    made = table({"patient": range(NUM_ROWS)}, patient="patient")
    with pytest.raises(UserError, match="evaluate: the data set has no column 'patient'"):
        made.column("patient", "evaluate")


def test_marks_for_missing_may_be_numbers_of_one_column_through_the_config(tmp_path, compose):
    path = tmp_path / "cohort.csv"
    pd.DataFrame({"age": [999, 40, 50, 60], "crp": [1.5, 999, -1, 3], "ill": [0, 1, 0, 1]}).to_csv(path, index=False)
    base = ["dataset=table", f"dataset.path={path}", "dataset.target=ill"]
    everywhere = load_dataset(compose(*base, "dataset.missing_values=[999,-1]")).x
    assert everywhere.isna().sum().to_dict() == {"age": 1, "crp": 2}
    each = load_dataset(compose(*base, "dataset.missing_in={age:[999],crp:[-1]}")).x
    assert each.isna().sum().to_dict() == {"age": 1, "crp": 1}
    with pytest.raises(UserError, match=r"^dataset.missing_in: there is no column 'agee'; did you mean 'age'"):
        compose(*base, "dataset.missing_in={agee:[999]}")


def test_marks_for_missing_are_suspected(table, capsys):
    table({"age": [20, 35, 50, 90, 999, 60, 70, 80]})
    assert "Warning: column 'age' holds 999 in 1 cells, far from all else" in capsys.readouterr().out


def test_numbers_in_words_are_refused_and_read_when_asked(table, refusal):
    cells = {"lab": ["<0.1", "0.2", "0.3", "0.4", "<0.1", "1", "2", "3"]}
    assert "read them with dataset.parse={lab:censored}" in refusal(cells)
    made = table(cells, parse={"lab": "censored"})
    assert made.x["lab"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.1, 1, 2, 3]
    assert made.kinds["lab below"] == "boolean" and made.x["lab below"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert table(cells, kinds={"lab": "categorical"}).kinds["lab"] == "categorical"


def test_a_unit_of_the_cells_is_the_columns_unless_one_is_given(table):
    cells = {"weight": [f"{n} kg" for n in range(60, 68)]}
    assert table(cells, parse={"weight": "number"}).units == {"weight": "kg"}
    assert table(cells, parse={"weight": "number"}, units={"weight": "kilogram"}).units == {"weight": "kilogram"}


def test_a_target_of_numbers_in_words_is_refused(refusal):
    assert refusal({"t": ["4,2", "3,1"] * 4}, "t").startswith(
        "dataset.target: column 't' holds numbers with a decimal comma"
    )


@pytest.mark.parametrize("fold_case, names", [(False, ["NO", "No", "Yes", "yes"]), (True, ["t: Yes"])])
def test_labels_that_differ_by_case_are_told_and_one_when_asked(table, fold_case, names, capsys):
    made = table({"t": ["Yes", "yes", "No", "No", "NO ", "Yes", "Yes", " yes"]}, "t", fold_case=fold_case)
    assert made.target_names == (names if not fold_case else made.target_names)
    assert made.task == ("binary" if fold_case else "multiclass")
    told = "column 't': 2 of its 4 values differ from another by case or spaces alone; dataset.fold_case=true"
    assert (told in capsys.readouterr().out) == (not fold_case)


def test_a_patient_keeps_its_case_when_words_are_folded(table):
    made = table({"who": ["a", "A", "b", "c", "d", "e", "f", "g"]}, patient="who", fold_case=True)
    assert len(np.unique(made.groups)) == 8


def test_a_rule_gives_the_target(table):
    made = table(target=None, target_rule="age > 3")
    assert (made.task, made.target_names, list(made.x)) == ("binary", ["age > 3"], ["sex", "ill"])
    assert made.y[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("options", [{"target": None}, {"target": "ill", "target_rule": "age > 3"}])
def test_a_target_and_a_rule_exclude_each_other(refusal, options):
    message = "dataset.target is needed: give dataset.target=... or dataset.target_rule=..., one of them"
    assert refusal(**options) == message


def test_a_time_to_an_event_is_refused_unless_it_is_meant(table, refusal, tmp_path):
    path = tmp_path / "s.csv"
    pd.DataFrame({"time": range(20), "event": [0, 1] * 10, "age": np.arange(20) / 3}).to_csv(path, index=False)
    for target in ("time", "event"):
        with pytest.raises(UserError, match=f"^dataset.target: '{target}' looks like part of a time to an event"):
            Table(str(path), target)
        assert list(Table(str(path), target, time_to_event="plain").x)
    assert list(Table(str(path), "event", exclude=["time"]).x) == ["age"]


def test_a_compressed_table_is_named_after_its_file(tmp_path):
    path = tmp_path / "cohort.2020.csv.gz"
    pd.DataFrame({"age": [1.5, 2, 3, 4], "ill": [0, 1, 0, 1]}).to_csv(path, index=False)
    assert Table(str(path), "ill").name == "cohort.2020"
