import numpy as np
import pytest

from medfit.data.datasets.ecg5000 import CLASSES, ECG5000, FILE
from medfit.data.splits import Split


@pytest.fixture(scope="module")
def data():
    return ECG5000()


def test_there_are_5000_beats_of_one_channel_and_140_samples(data):
    assert data.x.shape == (5000, 1, 140) and data.x.dtype == np.float32


def test_classes_have_the_sizes_of_the_archive(data):
    sizes = dict(zip(data.target_names, np.bincount(data.y).tolist(), strict=True))
    assert sizes == {"normal": 2919, "R-on-T PVC": 1767, "PVC": 96, "supraventricular": 194, "unclassified": 24}


def test_targets_are_class_numbers_from_nought(data):
    assert data.task == "multiclass" and data.y.dtype == np.int64 and set(data.y.tolist()) == set(range(len(CLASSES)))


def test_the_official_split_has_500_training_and_4500_test_beats(data):
    assert data.given_split.tolist() == ["train"] * 500 + ["test"] * 4500


@pytest.mark.parametrize(("part", "rows"), [("train", slice(500)), ("test", slice(500, 5000))])
def test_a_part_of_the_split_has_its_beats_and_targets_from_the_file(data, part, rows):
    with np.load(FILE) as file:
        assert np.array_equal(data.x[rows, 0], file[f"x_{part}"])
        assert np.array_equal(data.y[rows], file[f"y_{part}"].astype(int) - 1)


def test_each_beat_has_mean_0(data):
    np.testing.assert_allclose(data.x.mean(axis=2), 0, atol=1e-6)


def test_each_beat_has_standard_deviation_1(data):
    np.testing.assert_allclose(data.x.std(axis=2, ddof=1), 1, atol=1e-4)


def test_no_value_is_missing(data):
    assert np.isfinite(data.x).all()


def test_the_sampling_rate_is_not_known(data):
    assert data.sampling_rate_hz is None


def test_the_schema_names_the_channel_and_the_classes(data):
    assert [column["name"] for column in data.schema()] == ["ecg", *CLASSES]


def test_validation_beats_are_taken_from_the_training_beats(data):
    rows = Split()(data)
    assert len(rows["train"]) == 400 and len(rows["val"]) == 100
    assert np.array_equal(np.sort(np.concatenate([rows["train"], rows["val"]])), np.arange(500))


def test_the_test_beats_are_the_official_ones(data):
    assert np.array_equal(Split()(data)["test"], np.arange(500, 5000))


def test_read_again_the_fingerprint_is_the_same(data):
    assert data.fingerprint() == ECG5000().fingerprint()


def test_the_source_names_archive_and_licence(data):
    assert "UCR archive 2018" in data.source and "ODC-By 1.0" in data.source
