from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfit.config import folders
from medfit.data.datasets.recurrence import SIZES_MM, Recurrence, size_class
from medfit.errors import UserError

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "survival"
real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the shared data lie beside the project on its own machines only"
)  # fmt: skip
THREE_YEARS = 1096  # days, rounded up
ROTTERDAM = "rownames,pid,year,age,meno,size,grade,nodes,pgr,er,hormon,chemo,rtime,recur,dtime,death"
FOLLOWED_IN_ROTTERDAM = {  # rtime, recur, dtime, death: recurrence or death within three years; None where not known
    (400, 1, 500, 1): 1,
    (1095, 1, 4000, 0): 1,
    (THREE_YEARS, 1, 4000, 1): 0,
    (1300, 0, 1300, 0): 0,
    (800, 0, 900, 1): 1,  # died, whatever was seen of recurrences
    (900, 0, 900, 0): None,
    (800, 0, 4000, 1): None,  # alive at three years, perhaps with a recurrence
    (1500, 0, 4000, 1): 0,
}
GBSG = "rownames,pid,age,meno,size,grade,nodes,pgr,er,hormon,rfstime,status"
TRIAL = {  # size, grade, rfstime, status: tumour size, grade 3, event
    (20, 1, 1838, 0): ("<=20", 0, 0),
    (21, 2, 403, 1): ("20-50", 0, 1),
    (50, 3, 1500, 0): ("20-50", 1, 0),
    (51, 3, THREE_YEARS, 1): (">50", 1, 0),
    (3, 2, 177, 0): None,
    (120, 2, 1095, 1): (">50", 0, 1),
}


def write(folder, cohort, header, rows):
    (folder / f"{cohort}.csv").write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Both files as R's package has them, of made-up patients."""
    sizes = ["<=20", "20-50", ">50"]
    rows = [
        (i, 100 + i, 1980 + i, 40 + i, i % 2, sizes[i % 3], 2 + i % 2, i, 10 * i, 20 * i, i % 2, 1 - i % 2, *follow_up)
        for i, follow_up in enumerate(FOLLOWED_IN_ROTTERDAM)
    ]
    write(tmp_path, "rotterdam", ROTTERDAM, rows)
    rows = [(i, 100 + i, 40 + i, i % 2, *given[:2], 1 + i, i, i, 0, *given[2:]) for i, given in enumerate(TRIAL)]
    write(tmp_path, "gbsg", GBSG, rows)
    return tmp_path


def test_an_event_within_three_years_is_told_and_who_was_followed_for_less_is_left_out_and_counted(folder):
    data = Recurrence("rotterdam", str(folder))
    assert data.y[:, 0].tolist() == [event for event in FOLLOWED_IN_ROTTERDAM.values() if event is not None]
    assert data.excluded == {"followed for less than 3 years, without recurrence or death": 2}
    assert data.target_names == ["recurrence or death within 3 years"]


def test_the_trials_sizes_and_grades_become_rotterdams(folder):
    data, expected = Recurrence("gbsg", str(folder)), [values for values in TRIAL.values() if values]
    got = zip(data.x["tumour size"], data.x["grade 3"], data.y[:, 0], strict=True)
    assert list(got) == expected
    assert data.excluded == {"followed for less than 3 years, without recurrence or death": 1}


def test_both_cohorts_have_the_same_features_and_targets_and_no_patient_in_common(folder):
    here, there = Recurrence("rotterdam", str(folder)), Recurrence("gbsg", str(folder))
    assert here.schema() == there.schema()
    assert here.x.dtypes.to_dict() == there.x.dtypes.to_dict()
    assert not set(here.groups) & set(there.groups)
    assert (here.name, there.name) == ("recurrence_rotterdam", "recurrence_gbsg")


def test_features_are_what_the_file_says_of_those_who_stay(folder):
    x = Recurrence("rotterdam", str(folder)).x
    assert x.iloc[-1].to_dict() == {
        "age": 47, "postmenopausal": 1, "tumour size": "20-50", "grade 3": 1, "positive nodes": 7,
        "progesterone receptor": 70, "oestrogen receptor": 140, "hormonal therapy": 1,
    }  # fmt: skip
    assert x["age"].tolist() == [40, 41, 42, 43, 44, 47]


def test_year_and_chemotherapy_are_facts_of_rotterdam_and_no_features(folder):
    data = Recurrence("rotterdam", str(folder))
    assert data.column("chemotherapy", "split.site").tolist() == [1, 0, 1, 0, 1, 0]
    assert data.column("year of surgery", "split.site").tolist() == [1980, 1981, 1982, 1983, 1984, 1987]
    assert list(Recurrence("gbsg", str(folder)).facts) == []


def test_another_horizon_is_another_question(folder):
    data = Recurrence("rotterdam", str(folder), horizon_years=2)
    assert data.y[:, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]  # all were followed for 730.5 days
    assert data.target_names == ["recurrence or death within 2 years"]
    assert data.excluded == {}
    assert Recurrence("gbsg", str(folder), horizon_years=1.5).target_names == ["recurrence or death within 1.5 years"]


def test_the_horizons_own_day_counts(tmp_path):
    rows = [(1, 1, 50, 1, 20, 2, 1, 0, 0, 0, 1461, 1), (2, 2, 50, 1, 20, 2, 1, 0, 0, 0, 1461, 0)]
    write(tmp_path, "gbsg", GBSG, rows)
    assert Recurrence("gbsg", str(tmp_path), horizon_years=4).y[:, 0].tolist() == [1, 0]  # 1461 days


@pytest.mark.parametrize("years", [0.4, 30])
def test_a_horizon_that_leaves_one_class_is_refused(folder, years):
    with pytest.raises(UserError, match=r"dataset.horizon_years: .* all are alike"):
        Recurrence("rotterdam", str(folder), horizon_years=years)


@given(st.lists(st.floats(0, 300), min_size=1))
def test_a_size_is_in_the_class_whose_bounds_hold_it(sizes):
    right = ["<=20" if size <= 20 else "20-50" if size <= 50 else ">50" for size in sizes]
    assert size_class(pd.Series(sizes)).tolist() == right


def test_a_missing_file_is_told_with_where_it_comes_from(tmp_path):
    with pytest.raises(UserError, match=r"dataset.path: there is no file '.*gbsg.csv'; .*recurrence_elsewhere"):
        Recurrence("gbsg", str(tmp_path))


def test_without_a_path_the_projects_own_data_are_read(folder, monkeypatch):
    monkeypatch.setattr(folders, "ROOT", folder / "project")
    (folder / "project" / "data").mkdir(parents=True)
    (folder / "project" / "data" / "survival").symlink_to(folder)
    assert len(Recurrence("rotterdam")) == 6


@pytest.mark.parametrize(
    ("cohort", "old", "new", "message"),
    [
        ("gbsg", "rfstime", "time", "has no column 'rfstime', which R's gbsg has"),
        ("rotterdam", "chemo", "cht", "has no column 'chemo'"),
        ("rotterdam", "<=20", "1", "column 'size' .* should hold <=20, 20-50, >50, as R's data do; 3 cells don't"),
        ("gbsg", ",20,1,", ",<=20,1,", "column 'size' .* should hold numbers of 0 or more.*; 1 cells"),
        ("gbsg", ",1838,0", ",1838,2", "column 'status' .* should hold 0, 1, .*; 1 cells"),
        ("gbsg", ",1838,0", ",,0", "column 'rfstime' .* should hold numbers of 0 or more.*; 1 cells"),
        ("gbsg", ",20,1,", ",20,4,", "column 'grade' .* should hold 1, 2, 3, .*; 1 cells"),
        ("gbsg", ",20,1,", ",20,,", "column 'grade' .* should hold 1, 2, 3, .*; 1 cells"),
        ("gbsg", "1,101,", "1,100,", "has patients twice"),
    ],
)
def test_a_file_that_is_not_as_rs_is_refused(folder, cohort, old, new, message):
    file = folder / f"{cohort}.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=f"^dataset.path: .*{message}") as refused:
        Recurrence(cohort, str(folder))
    assert "\n" not in str(refused.value)


@real
@pytest.mark.parametrize(
    ("cohort", "patients", "events", "left_out"), [("rotterdam", 2944, 922, 38), ("gbsg", 555, 224, 131)]
)
def test_the_real_cohorts_are_whole(cohort, patients, events, left_out):
    data = Recurrence(cohort, str(REAL))
    assert (len(data), int(data.y.sum()), *data.excluded.values()) == (patients, events, left_out)
    assert set(data.x["tumour size"]) == set(SIZES_MM)
    assert not data.x.isna().any(axis=None)


@real
def test_the_trials_outcome_is_as_its_own_column_has_it():
    table = pd.read_csv(REAL / "gbsg.csv")
    known = ((table["status"] == 1) & (table["rfstime"] < THREE_YEARS)) | (table["rfstime"] >= THREE_YEARS)
    data = Recurrence("gbsg", str(REAL))
    assert np.array_equal(data.x["age"], table["age"][known])
    assert np.array_equal(data.y[:, 0], (table["rfstime"] < THREE_YEARS)[known])
