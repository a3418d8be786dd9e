from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.data import leaks, repeats
from medfit.data.datasets.records import Records
from medfit.data.datasets.series import Series
from medfit.data.datasets.table import Table
from medfit.data.leaks import check, scan
from medfit.data.repeats import ID_NAME, PATIENT_NAME, agreement, levels
from medfit.data.splits import Split
from medfit.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def rng(seed=0):
    return np.random.default_rng(seed)


def repeated(num_patients=100, num_rows=5, noise=1.0, seed=0):
    """A table of patients with several rows each, in random order: features of noise, the outcome a coin a patient."""
    random = rng(seed)
    who = np.repeat(np.arange(num_patients), num_rows)
    own = random.normal(size=(num_patients, 6))
    x = pd.DataFrame(own[who] * (1 - noise) + noise * random.normal(size=(len(who), 6))).add_prefix("c")
    order = random.permutation(len(who))
    return x.iloc[order].reset_index(drop=True), who[order], (random.random(num_patients) < 0.5)[who[order]]


def records(x, y, kinds=None, task="binary", **more):
    y = np.asarray(y, dtype=np.float32)[:, None]
    return Records(name="made", x=x, y=y, task=task, target_names=["t"], kinds=kinds, **more)


def found(data):
    return scan(data, Split(stratify=False)(data)).findings


def about(line):
    return line.split("'")[1]


def test_a_forgotten_patients_number_is_named_although_it_repeats():
    x, who, y = repeated()
    numbers = rng(5).choice(10**6, 100, replace=False)[who] * 1.0
    assert found(records(x.assign(number=numbers), y)) == [
        "column 'number' looks like an identifier: 100 different values repeat in 500 rows and the rows of a value "
        "agree in the target; if it names patients, set dataset.patient='number'"
    ]
    assert found(records(x, y)) == []


def test_a_patients_number_that_is_named_as_patient_is_none():
    x, who, y = repeated()
    assert found(records(x, y, groups=who)) == []


@given(st.integers(0, 10**6), st.integers(2, 6), st.sampled_from(["binary", "regression"]))
@settings(max_examples=20, deadline=None)
def test_any_numbering_of_patients_is_found_and_noise_is_not(seed, num_rows, task):
    x, who, y = repeated(60, num_rows, seed=seed)
    y = y if task == "binary" else rng(seed + 1).normal(size=60)[who]
    numbers = rng(seed + 2).choice(10**5, 60, replace=False)
    [line] = found(records(x.assign(w=numbers[who] * 1.0), y, task=task))
    assert about(line) == "w"
    shuffled = rng(seed + 3).permutation(numbers[who]) * 1.0
    assert found(records(x.assign(w=shuffled), y, task=task)) == []


@pytest.mark.parametrize("name", ["patient_id", "MRN", "Subject", "SubjectID", "participant no", "id"])
def test_a_number_that_repeats_is_told_by_its_name_alone(name):
    x, who, _ = repeated()
    y = rng(3).random(500) < 0.5
    line = f"column '{name}' looks like an identifier: 100 different values repeat in 500 rows, by its name; "
    assert [message[: len(line)] for message in found(records(x.assign(**{name: who * 1.0}), y))] == [line]


@pytest.mark.parametrize("name", ["patient age", "subject weight", "acid", "lipid", "fluid", "steroid", "Case", "code"])
def test_a_measurement_is_not_told_by_its_name(name):
    assert not PATIENT_NAME.search(name) and not ID_NAME.search(name)


def test_words_that_name_patients_are_found():
    x, who, y = repeated()
    kinds = dict.fromkeys(x, "numeric") | {"w": "categorical"}
    lines = found(records(x.assign(w=np.char.add("Smith ", who.astype(str))), y, kinds))
    assert lines[0].startswith(
        "column 'w' looks like an identifier: 100 different values repeat in 500 rows and the rows"
    )
    assert "alone tells the target" in lines[1] and not any("Smith" in line for line in lines)


def test_a_number_within_which_covariates_agree_is_named():
    x, who, _ = repeated()
    y = rng(3).random(500) < 0.5
    x = x.assign(
        w=rng(5).permutation(100)[who] * 1.0, age=rng(6).normal(size=100)[who], sex=rng(7).integers(0, 2, 100)[who]
    )
    lines = found(records(x, y))
    assert about(lines[0]) == "w" and "the rows of a value agree in 'age', 'sex'" in lines[0]


def test_a_number_that_tells_the_target_smoothly_is_a_measurement():
    grade = rng(1).integers(0, 40, 400)
    x = pd.DataFrame(rng(2).normal(size=(400, 4))).add_prefix("c")
    assert found(records(x.assign(grade=grade * 1.0), grade + 4 * rng(3).normal(size=400), task="regression")) == []


def test_rows_that_agree_in_age_sex_and_target_are_patients():
    x, who, y = repeated(60, 8)
    x = x.assign(age=rng(6).integers(40, 80, 60)[who] * 1.0, sex=rng(7).integers(0, 2, 60)[who] * 1.0)
    random = records(x, rng(8).permutation(y))
    assert found(random) == []
    y = ((x.age * 7 + x.sex * 3) % 11 > 5).to_numpy()  # of age and sex alone, by no rule that a neighbour shares
    [line] = found(records(x, y))
    assert "agree in the target" in line


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_most_like_their_neighbours_in_the_file_are_patients(shuffle):
    x, who, y = repeated(60, 5, noise=0.1)
    order = rng(1).permutation(300) if shuffle else np.argsort(who)
    x, who, y = x.iloc[order], who[order], rng(2).random(300) < 0.5
    expected = [] if shuffle else ["of the rows are most like one beside them in the file (by chance 3%)"]
    lines = found(records(x, y))
    assert len(lines) == len(expected) and all(part in line for part, line in zip(expected, lines, strict=True))
    assert found(records(x, y, groups=who)) == []


def test_a_table_sorted_by_a_column_is_no_sign_of_patients():
    x = pd.DataFrame(rng(0).normal(size=(400, 4))).add_prefix("c").sort_values("c1")
    assert found(records(x, rng(1).random(400) < 0.5)) == []


def left_out(x, y, column, **more):
    return found(records(x, y, facts=pd.DataFrame({"patient_id": column}), **more))


def test_a_patients_column_that_is_left_out_and_no_patient_is_told():
    x, who, _ = repeated()
    y = rng(3).random(500) < 0.5
    assert left_out(x, y, who) == [
        "column 'patient_id' has no role, but repeats 100 values in 500 rows, which splits share; "
        "if it names patients, set dataset.patient='patient_id'"
    ]
    assert left_out(x, y, np.arange(500)) == []
    assert left_out(x, y, who, groups=who) == []


def test_a_patients_column_of_a_split_that_respects_it_is_fine():
    x, who, _ = repeated()
    given = np.array(["train", "val", "test"])[who % 3]
    assert left_out(x, rng(3).random(500) < 0.5, who, given_split=given) == []


def test_a_patients_column_beside_series_is_told_as_well():
    who = np.repeat(np.arange(50), 4)
    x, y = rng(1).normal(size=(200, 1, 40)).astype(np.float32), (rng(2).random((200, 1)) < 0.5).astype(np.float32)
    facts = pd.DataFrame({"subject": who})
    data = Series(name="made", x=x, channels=["c"], y=y, task="binary", target_names=["t"], facts=facts)
    [line] = found(data)
    assert line.startswith("column 'subject' has no role, but repeats 50 values in 200 rows")


@pytest.mark.parametrize("where", ["facts", "patient"])
def test_names_of_recordings_are_not_names_of_subjects(where):
    x, who, y = repeated(32, 6)
    turn = pd.Series(who).groupby(who).cumcount() + 1
    names = np.array([f"phon_S{subject:02}_{k}" for subject, k in zip(who, turn, strict=True)])
    more = {"groups": names} if where == "patient" else {"facts": pd.DataFrame({"name": names})}
    what = "dataset.patient" if where == "patient" else "column 'name'"
    [line] = found(records(x, y, **more))
    assert line.startswith(f"{what} holds 192 names of 32 subjects") and "phon" not in line
    unrelated = (
        {"groups": rng(4).permutation(names)}
        if where == "patient"
        else {"facts": pd.DataFrame({"name": rng(4).permutation(names)})}
    )
    assert found(records(x, y, **unrelated)) == []


def test_a_table_with_a_forgotten_patient_is_refused_in_strict_mode(tmp_path, monkeypatch):
    monkeypatch.setattr(leaks, "_SCANS", {})
    x, who, y = repeated()
    x.assign(patient_id=who + 1000, y=y * 1).to_csv(tmp_path / "t.csv", index=False)
    data = Table(str(tmp_path / "t.csv"), "y")
    with pytest.raises(UserError, match="^dataset.strict: column 'patient_id' looks like an identifier: 100 different"):
        check(data, Split()(data), "a", strict=True)
    named = Table(str(tmp_path / "t.csv"), "y", patient="patient_id")
    assert check(named, Split()(named), "a", strict=True).findings == []


def test_agreement_is_that_of_an_analysis_of_variance():
    codes, values = np.repeat(np.arange(40), 3), rng(1).normal(size=120)
    share, smooth = agreement(levels(codes), values)
    means = values.reshape(40, 3).mean(axis=1)
    within = ((values.reshape(40, 3) - means[:, None]) ** 2).sum() / 80
    assert share == pytest.approx(1 - within / values.var())
    assert smooth == pytest.approx(np.corrcoef(means[:-1], means[1:])[0, 1])


@pytest.mark.parametrize("codes, number", [(np.arange(60), None), (np.arange(60) // 2, 30), (np.arange(60) % 9, None)])
def test_levels_are_those_that_repeat(codes, number):
    made = levels(codes)
    assert (made and made.number) == number


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets that are not bundled are not there")
@pytest.mark.parametrize(
    "file, target, exclude",
    [("rotterdam", "death", ["pid"]), ("gbsg", "status", ["pid"]), ("actg175", "cens", ["pidnum"])],
)
def test_real_tables_of_a_row_a_patient_say_nothing_of_patients(file, target, exclude):
    table = pd.read_csv(SHARED / "survival" / f"{file}.csv").drop(columns=exclude, errors="ignore")
    y = table.pop(target)
    numbers = table.select_dtypes("number").astype(float)
    lines = found(records(numbers, y > y.min()))
    assert not [line for line in lines if "patient" in line], lines


def test_the_nearest_row_is_found_across_blocks(monkeypatch):
    monkeypatch.setattr(repeats, "BLOCK", 7)
    points = np.random.default_rng(0).normal(size=(40, 3))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert repeats._nearest(points).tolist() == apart.argmin(axis=1).tolist()


def test_columns_that_hardly_repeat_are_not_paired(monkeypatch):
    rng = np.random.default_rng(0)
    few, many = np.arange(60) % 4, rng.permutation(60)
    tried = []
    both = repeats._both
    monkeypatch.setattr(repeats, "_both", lambda a, b: tried.append((a.max(), b.max())) or both(a, b))
    cells = {name: repeats.Cells(codes, codes.astype(float), True) for name, codes in {"a": few, "b": many}.items()}
    assert list(repeats._of_two(cells, [few.astype(float)])) == []
    assert tried == []


def test_a_column_that_is_missing_in_all_rows_that_are_looked_at_is_no_trouble(recwarn):
    x = pd.DataFrame({"a": [np.nan] * 30 + [1.0], "b": np.arange(31.0)})
    data = SimpleNamespace(x=x, kinds={"a": "numeric", "b": "numeric"})
    assert np.isfinite(repeats._cells(data, "a", np.arange(30)).numbers).all()
    assert not recwarn.list
