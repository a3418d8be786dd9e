import csv

import numpy as np
import pytest

from medfit.data.datasets.heart_disease import FILE, HeartDisease

RANGES = {  # plausible at a bedside, in the column's unit
    "age": (18, 100),
    "rest SBP": (80, 220),
    "cholesterol": (100, 600),
    "max HR": (60, 220),
    "ST by exercise": (0, 10),
    "major vessels colored": (0, 3),
}


@pytest.fixture(scope="module")
def dataset():
    return HeartDisease()


@pytest.fixture(scope="module")
def lines():
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_303_patients_with_thirteen_features(dataset):
    assert dataset.x.shape == (303, 13) and len(np.unique(dataset.groups)) == 303


def test_a_vessel_is_narrowed_in_139_patients(dataset):
    assert np.bincount(dataset.y[:, 0].astype(int)).tolist() == [164, 139]


def test_six_cells_are_missing_in_two_columns(dataset):
    missing = dataset.x.isna().sum()
    assert missing[missing > 0].to_dict() == {"major vessels colored": 4, "thal": 2}


def test_every_row_is_the_files(dataset, lines):
    read = [
        {key: str(value) if isinstance(value, str) else value for key, value in row.items()}
        for row in dataset.x.to_dict("records")
    ]
    for row, line in zip(read, lines, strict=True):
        for name, value in row.items():
            if line[name] == "":
                assert value != value
            else:
                assert value == line[name] if isinstance(value, str) else value == float(line[name])


def test_every_target_is_the_files(dataset, lines):
    assert dataset.y[:, 0].tolist() == [float(line["diameter narrowing"]) for line in lines]


def test_the_target_is_no_feature(dataset):
    assert "diameter narrowing" not in dataset.x


@pytest.mark.parametrize("feature", RANGES)
def test_a_number_is_plausible(dataset, feature):
    assert dataset.kinds[feature] == "numeric" and dataset.x[feature].dropna().between(*RANGES[feature]).all()


@pytest.mark.parametrize(
    "feature, levels", [("gender", 2), ("chest pain", 4), ("rest ECG", 3), ("slope peak exc ST", 3), ("thal", 3)]
)
def test_words_are_categories(dataset, feature, levels):
    assert dataset.kinds[feature] == "categorical" and dataset.x[feature].nunique() == levels


@pytest.mark.parametrize("feature", ["fasting blood sugar > 120", "exerc ind ang"])
def test_yes_or_no_is_boolean(dataset, feature):
    assert dataset.kinds[feature] == "boolean" and set(dataset.x[feature]) == {0, 1}


def test_units_name_columns_that_exist(dataset):
    assert set(dataset.units) <= set(dataset.x) and dataset.units["rest SBP"] == "mmHg"


def test_a_lower_peak_heart_rate_goes_with_narrowing(dataset):
    rate = dataset.x["max HR"].groupby(dataset.y[:, 0]).mean()
    assert rate[0] == pytest.approx(158.4, abs=0.1) and rate[1] == pytest.approx(139.3, abs=0.1)
