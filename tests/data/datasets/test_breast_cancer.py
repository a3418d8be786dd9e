import numpy as np
import pytest

from medfit.data.datasets.breast_cancer import BreastCancer

PUBLISHED_RANGES = {  # UCI's summary statistics
    "mean radius": (6.981, 28.11),
    "mean texture": (9.71, 39.28),
    "area error": (6.802, 542.2),
    "worst area": (185.2, 4254.0),
    "worst fractal dimension": (0.055, 0.208),
}


@pytest.fixture(scope="module")
def dataset():
    return BreastCancer()


def test_there_are_569_patients_with_30_features(dataset):
    assert dataset.x.shape == (569, 30) and len(np.unique(dataset.groups)) == 569


def test_malignant_is_positive_in_212_of_569(dataset):
    assert dataset.y.shape == (569, 1) and np.bincount(dataset.y[:, 0].astype(int)).tolist() == [357, 212]


def test_malignant_nuclei_are_larger(dataset):
    radius = dataset.x.groupby(dataset.y[:, 0])["mean radius"].mean()
    assert radius[1] == pytest.approx(17.46, abs=0.01) and radius[0] == pytest.approx(12.15, abs=0.01)


def test_no_cell_is_missing(dataset):
    assert not dataset.x.isna().any(axis=None)


@pytest.mark.parametrize("feature", PUBLISHED_RANGES)
def test_a_feature_has_its_published_range(dataset, feature):
    column = dataset.x[feature]
    assert (column.min(), column.max()) == pytest.approx(PUBLISHED_RANGES[feature], abs=6e-4)


def test_the_schema_has_thirty_numbers_and_a_binary_target(dataset):
    kinds = [(column["kind"], column["role"]) for column in dataset.schema()]
    assert kinds == [("numeric", "feature")] * 30 + [("binary", "target")]


def test_the_positive_class_is_named(dataset):
    assert dataset.target_names == ["malignant"]
