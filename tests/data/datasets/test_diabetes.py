import numpy as np
import pytest

from medfit.data.datasets.diabetes import Diabetes


@pytest.fixture(scope="module")
def dataset():
    return Diabetes()


def test_there_are_442_patients_with_ten_features(dataset):
    assert dataset.x.shape == (442, 10) and len(np.unique(dataset.groups)) == 442


def test_the_progression_has_its_published_range_and_mean(dataset):
    assert dataset.y.shape == (442, 1) and (dataset.y.min(), dataset.y.max()) == (25, 346)
    assert dataset.y.mean() == pytest.approx(152.13, abs=0.01)


def test_no_cell_is_missing(dataset):
    assert not dataset.x.isna().any(axis=None)


def test_the_first_row_is_as_published(dataset):
    assert dataset.x.iloc[0].tolist() == [59, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87] and dataset.y[0, 0] == 151


@pytest.mark.parametrize("feature, low, high", [("age", 19, 79), ("bmi", 18, 42.2), ("bp", 62, 133)])
def test_a_feature_is_in_its_unit_and_not_scaled(dataset, feature, low, high):
    assert (dataset.x[feature].min(), dataset.x[feature].max()) == (low, high)


def test_units_are_told_where_they_are_known(dataset):
    units = {column["name"]: column["unit"] for column in dataset.schema() if column["unit"]}
    assert units == {"age": "years", "bmi": "kg/m2", "bp": "mmHg"}


def test_a_higher_body_mass_index_goes_with_more_progression(dataset):
    assert np.corrcoef(dataset.x["bmi"], dataset.y[:, 0])[0, 1] == pytest.approx(0.586, abs=0.001)
