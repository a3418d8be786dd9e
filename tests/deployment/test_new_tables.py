import numpy as np
import pandas as pd
import pytest

from medfit.config.instantiate import load_dataset
from medfit.deployment import new_tables
from medfit.errors import UserError

TRAINING = "mrn;age;sex;crp;ill\n" + "\n".join(
    f"{i:03};{20 + i % 60},5;{'fm'[i % 2]};{'<' if i % 3 else ''}{i % 7},5;{i % 2}" for i in range(120)
)


@pytest.fixture
def training(compose, tmp_path):
    """What a finished model knows of the training table, after overrides."""
    path = tmp_path / "clinic.csv"
    path.write_text(TRAINING)

    def described(*overrides):
        fixed = ["dataset=table", f"dataset.path={path}", "dataset.target=ill", "dataset.patient=mrn"]
        cfg = compose(*fixed, "dataset.decimal=','", "dataset.parse={crp:censored}", *overrides)
        return new_tables.describe(load_dataset(cfg), np.arange(100), cfg)

    return described


@pytest.fixture
def file(tmp_path):
    def written(text, name="new.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


NEW = "mrn;crp;age;sex\n007;<0,5;30,5;f\n100;3;41;m\n"


def test_new_rows_are_read_as_the_training_rows_were(training, file):
    new = new_tables.read(file(NEW), training(), None)
    assert new.x.to_dict("list") == {
        "age": [30.5, 41.0],
        "sex": ["f", "m"],
        "crp": [0.5, 3.0],
        "crp below": [1.0, 0.0],
    }
    assert new.identifiers.to_dict("list") == {"mrn": ["007", "100"]}  # leading zeros are part of an identifier
    assert new.usable.all() and new.odd == []


def test_rows_of_a_frame_give_the_same(training, file):
    frame = pd.DataFrame({"mrn": ["007", "100"], "crp": ["<0,5", "3"], "age": [30.5, 41], "sex": ["f", "m "], "x": 1})
    new, same = new_tables.read(frame, training(), None), new_tables.read(file(NEW), training(), None)
    pd.testing.assert_frame_equal(new.x, same.x)
    pd.testing.assert_frame_equal(new.identifiers, same.identifiers)


def test_no_identifier_is_needed_and_others_may_be_given(training, file):
    assert new_tables.read(file("crp;age;sex\n3;41;m\n"), training(), None).identifiers.shape == (1, 0)
    new = new_tables.read(file("ward;no;crp;age;sex\n01;02;3;41;m\n"), training(), ["no", "ward"])
    assert new.identifiers.to_dict("list") == {"no": ["02"], "ward": ["01"]}


@pytest.mark.parametrize(
    ("text", "identifiers", "told"),
    [
        ("mrn;crp;sex\n1;3;m\n", None, "predict.data: there is no column 'age', which the model needs"),
        ("mrn;age;sex\n1;3;m\n", None, "predict.data: there is no column 'crp', 'crp below', which the model needs"),
        ("mrn;crp;age;sex\n1;3;old;m\n", None, "predict.data: 1 cells of column 'age' are not numeric"),
        (NEW, ["ward"], "predict.id: there is no column 'ward'"),
        ("mrn;crp;age;sex\n", None, "predict.data: '"),
        ("", None, "predict.data: '"),
        (
            "mrn;crp;age;sex\n1;3.5;4,5;m\n",
            None,
            "predict.data, read as the training data: dataset.decimal: column 'crp'",
        ),
        ("mrn;crp;age;sex\n1;high;4,5;m\n", None, "predict.data, read as the training data: dataset.parse: 1 cells"),
    ],
)
def test_what_the_model_cannot_take_is_told_in_a_line(training, file, text, identifiers, told):
    with pytest.raises(UserError) as error:
        new_tables.read(file(text), training(), identifiers)
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_told(training, tmp_path):
    with pytest.raises(UserError, match="^predict.data: there is no file"):
        new_tables.read(tmp_path / "none.csv", training(), None)
    with pytest.raises(UserError, match="^predict.data: there are no rows"):
        new_tables.read(pd.DataFrame({"age": []}), training(), None)


def test_a_limit_that_training_never_met_is_odd(training, file):
    new = new_tables.read(file("crp;age;sex\n>90;41;m\n3;;m\n"), training(), None)
    assert new.x["crp below"].tolist() == [0, 0] and new.x["crp"].tolist() == [90, 3]
    limit = new.odd[0]
    assert limit.column == "crp" and limit.what.startswith("a limit above") and limit.rows.tolist() == [True, False]


def test_another_unit_is_refused(compose, tmp_path, file):
    path = file("weight,ill\n" + "\n".join(f"{60 + i} kg,{i % 2}" for i in range(20)), "training.csv")
    lines = ["dataset=table", f"dataset.path={path}", "dataset.target=ill", "dataset.parse={weight:number}"]
    cfg = compose(*lines)
    about = new_tables.describe(load_dataset(cfg), np.arange(20), cfg)
    assert new_tables.read(file("weight\n70 kg\n"), about, None).x["weight"].tolist() == [70]
    with pytest.raises(UserError, match="'weight' is in lb, the training data in kg"):
        new_tables.read(file("weight\n150 lb\n"), about, None)


def test_rows_that_training_would_leave_out_are_not_usable(training, file):
    text = "crp;age;sex\n3;41;m\n3;;m\n"
    assert new_tables.read(file(text), training(), None).usable.tolist() == [True, True]
    assert new_tables.read(file(text), training("preprocessing.missing=drop"), None).usable.tolist() == [True, False]


def test_levels_in_another_case_are_known_if_training_folded_them(training, file):
    text = "crp;age;sex\n3;41;M\n"
    assert new_tables.read(file(text), training("dataset.fold_case=true"), None).odd == []
    (odd,) = new_tables.read(file(text), training(), None).odd
    assert odd.column == "sex"


def test_an_example_is_made_up_and_read_without_a_word(training):
    about = training()
    example = new_tables.example(about)
    assert example["sex"].tolist() == ["f", "m"] and example["crp below"].tolist() == [0.0, 1.0]
    known = {column["name"]: column for column in about["columns"]}
    assert known["age"]["low"] < example["age"][0] < known["age"]["high"]


def test_what_is_kept_holds_no_identifier_and_no_path(training, tmp_path):
    kept = str(training())
    assert str(tmp_path) not in kept and "'003'" not in kept
