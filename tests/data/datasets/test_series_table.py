import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.series_table import SeriesTable
from medfit.errors import UserError

NUM_ROWS, LENGTH = 12, 6


@pytest.fixture
def frame():
    values = np.arange(NUM_ROWS * LENGTH, dtype=float).reshape(NUM_ROWS, LENGTH)
    table = pd.DataFrame(values, columns=[f"t{i}" for i in range(LENGTH)])
    return table.assign(who=[f"p{i // 2}" for i in range(NUM_ROWS)], outcome=[0, 1] * (NUM_ROWS // 2))


@pytest.fixture
def file(frame, tmp_path):
    frame.to_csv(tmp_path / "beats.csv", index=False)
    return str(tmp_path / "beats.csv")


def test_each_row_is_a_series_in_the_order_of_its_columns(file, frame):
    data = SeriesTable(file, "outcome", patient="who")
    assert data.x.shape == (NUM_ROWS, 1, LENGTH)
    assert np.array_equal(data.x[:, 0], frame.iloc[:, :LENGTH].to_numpy(dtype=np.float32))
    assert data.groups.tolist() == frame.who.tolist()
    assert (data.task, data.name) == ("binary", "beats")


def test_channels_stand_one_after_another(file):
    data = SeriesTable(file, "outcome", patient="who", channels=["ecg", "ppg"], units={"ecg": "mV"})
    assert data.x[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert data.schema()[0] == {"name": "ecg", "kind": "signal", "role": "feature", "unit": "mV"}


def test_a_file_of_the_ucr_archive_has_no_header(tmp_path):
    (tmp_path / "Beats_TRAIN.tsv").write_text("1\t0.5\t0.25\n2\t1.5\t1.25\n3\t2.5\t2.25\n")
    data = SeriesTable(str(tmp_path / "Beats_TRAIN.tsv"), "0", header=False)
    assert data.x[:, 0].tolist() == [[0.5, 0.25], [1.5, 1.25], [2.5, 2.25]]
    assert (data.task, data.target_names) == ("multiclass", ["1", "2", "3"])


def test_an_arff_file_is_read(tmp_path):
    text = "@relation beats\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute class {ill,well}\n@data\n"
    (tmp_path / "beats.arff").write_text(text + "0.5,0.25,ill\n1.5,?,well\n2.5,2.25,ill\n")
    data = SeriesTable(str(tmp_path / "beats.arff"), "class")
    assert np.array_equal(data.x[:, 0], np.float32([[0.5, 0.25], [1.5, np.nan], [2.5, 2.25]]), equal_nan=True)
    assert data.y[:, 0].tolist() == [0, 1, 0]


def test_a_heart_rate_from_a_signal_is_a_regression(frame, tmp_path):
    frame.assign(rate=np.linspace(50.5, 120, NUM_ROWS)).to_csv(tmp_path / "b.csv", index=False)
    data = SeriesTable(str(tmp_path / "b.csv"), "rate", exclude=["who", "outcome"])
    assert data.task == "regression"
    assert data.x.shape == (NUM_ROWS, 1, LENGTH)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "dataset: column 'who' holds words, no point in time; leave it out with dataset.exclude"),
        (
            {"patient": "who", "channels": list("abcd")},
            "dataset.channels: 6 columns can't be shared out among 4 channels",
        ),
        ({"patient": "hwo"}, "dataset.patient: there is no column 'hwo'; did you mean 'who'?"),
        ({"exclude": ["t9"]}, "dataset.exclude: there is no column 't9'"),
    ],
)
def test_columns_that_do_not_fit_are_told(file, settings, words):
    with pytest.raises(UserError) as caught:
        SeriesTable(file, "outcome", **settings)
    assert words in str(caught.value)


def test_a_file_that_is_no_arff_is_told(tmp_path):
    (tmp_path / "b.arff").write_text("1,2,3\n")
    with pytest.raises(UserError, match=r"b.arff' is not a whole ARFF file"):
        SeriesTable(str(tmp_path / "b.arff"), "class")
