import numpy as np
import pandas as pd
import pytest

from fake_series import describing, refusal, signals, told, write_long, write_tables, write_wide
from medfit.deployment import new_series


@pytest.fixture
def training(compose, tmp_path):
    return describing(compose, tmp_path)


LONG = ["dataset.layout=long", "dataset.time=t", "dataset.patient=who"]


def test_steps_of_time_are_brought_to_the_trainings(training, tmp_path):
    about = training("series_table", *LONG, write=write_long)
    assert about["reading"]["step"] == pytest.approx(0.02)
    time = np.arange(200)
    slow = pd.DataFrame({"who": "a", "t": time / 100, "I": np.sin(time / 20), "II": np.cos(time / 20)})
    uneven = slow[:60].assign(who="b", t=np.cumsum(time[:60] % 3 + 1) / 50)
    pd.concat([slow, uneven]).to_csv(tmp_path / "new.csv", index=False)
    new = new_series.read(tmp_path / "new.csv", about, None)
    assert new.x[0].shape[1] == 100 and new.x[0][0] == pytest.approx(np.sin(time[::2] / 20), abs=0.02)
    assert new.identifiers["who"].tolist() == ["a", "b"]
    steps = [(what, rows) for (_, what), rows in told(new).items() if "steps" in what]
    assert steps == [
        ("of steps of 0.01, and brought to the training's steps of 0.02 (of time)", [0]),
        ("of uneven steps of time, and taken as its points follow", [1]),
    ]


def test_a_single_file_is_one_patients_where_each_file_was_in_training(training, tmp_path):
    about = training("series_table", "dataset.time=t", write=write_tables)
    file = write_tables(tmp_path / "new", signals(1)[0], None) / "000.csv"
    new = new_series.read(file, about, None)
    assert new.x[0] == pytest.approx(signals(1)[0][0]) and new.identifiers["record"].tolist() == ["000"]


def test_columns_of_tables_are_known_by_their_names(training, tmp_path):
    about = training("series_table", "dataset.channels=[I,II]", "dataset.patient=who")
    file, (x, y) = tmp_path / "new.csv", signals(3)
    table = pd.read_csv(write_wide(file, x, y), dtype={"who": str})
    table[[*reversed(table.columns)]].copy().assign(age=50).to_csv(file, index=False)
    new = new_series.read(file, about, ["age", "who"])
    assert np.array(new.x) == pytest.approx(np.array(x)) and not new.odd
    assert new.identifiers.to_numpy().tolist() == [["50", f"00{row}"] for row in range(3)]
    assert told(new_series.read(file, about, None)) == {("age", "a column that the model does not take"): [0, 1, 2]}
    assert np.array(new_series.read(table, about, None).x) == pytest.approx(np.array(x))
    table.drop(columns="I7").to_csv(file, index=False)
    assert refusal(file, about) == "predict.data: there is no column 'I7', which the model needs"


def test_series_of_one_channel_may_all_end_before_the_trainings(training, tmp_path):
    x, y = signals(24)
    table = pd.DataFrame([series[0] for series in x]).add_prefix("p")
    table.iloc[:5, 90:] = np.nan
    about = training("series_table", write=lambda file, *_: (table.assign(y=y).to_csv(file, index=False), file)[1])
    table.iloc[:3, :95].to_csv(tmp_path / "new.csv", index=False)
    assert [series.shape for series in new_series.read(tmp_path / "new.csv", about, None).x] == [(1, 90)] * 3
    table.drop(columns="p4").to_csv(tmp_path / "new.csv", index=False)
    assert "there is no column 'p4'" in refusal(tmp_path / "new.csv", about)


def test_tables_without_a_header_are_read_by_place_with_or_without_the_target(training, tmp_path):
    x, y = signals(24)
    table = pd.DataFrame([series[0] for series in x])
    table.insert(0, "y", y)

    def write(file, *_):
        table.to_csv(file, index=False, header=False)
        return file

    about = training("series_table", "dataset.header=false", "dataset.target='0'", write=write)
    for columns in (table, table.drop(columns="y")):
        columns.to_csv(tmp_path / "new.csv", index=False, header=False)
        new = new_series.read(tmp_path / "new.csv", about, None)
        assert np.array(new.x)[:, 0] == pytest.approx(np.array([series[0] for series in x]))
    table.drop(columns=["y", 3]).to_csv(tmp_path / "new.csv", index=False, header=False)
    assert "99 columns; the training's table had 101, of them 100 points" in refusal(tmp_path / "new.csv", about)


def test_cells_that_tell_their_unit_are_brought_to_the_trainings(training, tmp_path):
    def write(file, x, y):
        table = pd.read_csv(write_long(file, x, y), dtype={"who": str})
        table.assign(I=[f"{cell:g} uV" for cell in table["I"]]).to_csv(file, index=False)
        return file

    about = training("series_table", *LONG, "dataset.parse={I: number}", write=write)
    table = pd.read_csv(write_long(tmp_path / "new.csv", signals(2)[0], None), dtype={"who": str})
    for unit, by in (("mV", 1000), ("bpm", 1)):
        table.assign(I=[f"{cell / by:g} {unit}" for cell in table["I"]]).to_csv(tmp_path / "new.csv", index=False)
        if unit == "mV":
            new = new_series.read(tmp_path / "new.csv", about, None)
            assert told(new) == {("I", "brought from mV to uV"): [0, 1]}
            assert np.array(new.x) == pytest.approx(np.array(signals(2)[0]), rel=1e-3)
    assert refusal(tmp_path / "new.csv", about) == "predict.data: channel 'I' is in bpm, the training's in uV"


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ({"channel 1": [[1.0, 2.0]]}, "there is no channel 'channel 2', which the model needs"),
        ({"channel 1": [[1.0]], "channel 2": [[1.0, 2.0]]}, "row 1: the channels' lists are of different lengths"),
        ({"channel 1": [["4711"]], "channel 2": [["a"]]}, "row 1: expected a list of numbers in each channel"),
        ({"channel 1": [[]], "channel 2": [[]]}, "row 1: expected a list of numbers in each channel"),
        ({"channel 1": [[4711.0]], "channel 2": [5.0]}, "row 1: expected a list of numbers in each channel"),
        ({"channel 1": [[np.inf] * 9], "channel 2": [[1.0] * 9]}, "series 1, channel 'channel 1', holds a value"),
        ({}, "there are no rows"),
    ],
)
def test_lists_that_are_no_series_are_refused(training, cells, line):
    told = refusal(pd.DataFrame(cells), training("ts_file"))
    assert told.startswith(f"predict.data: {line}") and "4711" not in told
