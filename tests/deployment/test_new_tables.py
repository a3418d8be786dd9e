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


WORDS = ["None", "01", "1.50", "A", "ii", "7"]  # each means something else where the others are not beside it


@pytest.fixture
def of_words(compose, tmp_path):
    """What a finished model knows of a table with a column of such words, and of one whose levels are numbers."""
    path = tmp_path / "words.csv"
    rows = [f"{WORDS[i % 6]},{i % 3},{20 + i},{i % 2}" for i in range(60)]
    path.write_text("word,code,age,ill\n" + "\n".join(rows))
    kinds = ["dataset.kinds.code=categorical", "dataset.kinds.word=categorical"]
    cfg = compose("dataset=table", f"dataset.path={path}", "dataset.target=ill", *kinds)
    return new_tables.describe(load_dataset(cfg), np.arange(60), cfg)


def as_read(rows, about, tmp_path, ending):
    if ending == "frame":
        return new_tables.read(rows, about, None).x
    path = tmp_path / f"rows.{ending}"
    {"csv": rows.to_csv, "parquet": rows.to_parquet, "xlsx": rows.to_excel}[ending](path, index=False)
    return new_tables.read(path, about, None).x


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx", "frame"])
def test_a_row_alone_says_what_it_says_among_others(of_words, tmp_path, ending):
    rows = pd.DataFrame({"word": [*WORDS, "NA"], "code": ["0", "1", "2", "None", "", "NA", "1.0"], "age": 30})
    whole = as_read(rows, of_words, tmp_path, ending)
    assert whole["word"].tolist()[:6] == WORDS and pd.isna(whole["word"][6])
    assert whole["code"].fillna("-").tolist() == ["0", "1", "2", "-", "-", "-", "1"]
    alone = [as_read(rows.iloc[[row]], of_words, tmp_path, ending) for row in range(len(rows))]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), whole)


def test_a_level_is_known_by_its_number_if_no_other_is_that_number(of_words):
    words = pd.DataFrame({"word": [1, 1.5, 7.0, "2"], "code": ["0.0", 1, True, "x"], "age": 30})
    read = new_tables.read(words, of_words, None)
    assert read.x["word"].tolist() == ["01", "1.50", "7", "2"]
    assert [(one.column, one.rows.tolist()) for one in read.odd] == [
        ("word", [False, False, False, True]),
        ("code", [False, False, True, True]),
    ]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"age": ["inf"]}, "predict.data: 1 cells of column 'age' are infinite or beyond 1e+30 (first in data row 1)"),
        ({"age": [10**400]}, "predict.data: 1 cells of column 'age' are"),
        ({"age": [[4711]]}, "predict.data: column 'age' holds lists or mappings, not numbers or words"),
        ({"word": [{"a": 4711}]}, "predict.data: column 'word' holds lists or mappings, not numbers or words"),
    ],
)
def test_cells_that_no_network_takes_are_refused_without_their_values(of_words, cells, told):
    with pytest.raises(UserError) as error:
        new_tables.read(pd.DataFrame({"word": ["A"], "code": [0], "age": [30]} | cells), of_words, None)
    assert str(error.value).startswith(told) and "4711" not in str(error.value)


def test_two_columns_of_one_name_are_refused(of_words, file):
    with pytest.raises(UserError, match="^predict.data: there are two columns named 'age'"):
        new_tables.read(pd.DataFrame([["A", 0, 30, 31]], columns=["word", "code", "age", "age"]), of_words, None)
    with pytest.raises(UserError, match="^predict.data: '.*' has two columns named 'age'"):
        new_tables.read(file("word,code,age,age\nA,0,30,31\n"), of_words, None)


def test_a_feature_may_be_passed_on_too(training, file):
    new = new_tables.read(file(NEW), training(), ["mrn", "age"])
    assert new.identifiers["age"].tolist() == new.x["age"].tolist() == [30.5, 41.0]


def test_what_the_preprocessing_keeps_of_patients_is_told(training):
    assert training()["holds"] == []
    (knn,) = training("preprocessing.missing=knn")["holds"]
    (quantiles,) = training("preprocessing.scaling=quantile")["holds"]
    assert "all training rows" in knn and "a tenth as many as training rows, 10 to 1,000" in quantiles


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
