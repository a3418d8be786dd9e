import numpy as np
import pandas as pd
import pytest

from fake_series import (
    NAMES,
    labels_of,
    signals,
    write_dicom,
    write_edf,
    write_long,
    write_npy,
    write_tables,
    write_ts,
    write_wfdb,
    write_wide,
)
from medfit.config.instantiate import load_dataset
from medfit.deployment import new_series
from medfit.deployment.expected_columns import lines
from medfit.errors import UserError

WRITERS = {"ts_file": write_ts, "series_table": write_wide, "wfdb_records": write_wfdb, "edf_records": write_edf}
UNEVEN = {"longest": 140}


@pytest.fixture
def training(compose, tmp_path):
    """What a finished model knows of training series, after overrides."""

    def described(kind, *overrides, write=None, longest=None, **more):
        x, y = signals(longest=longest)
        source = (write or WRITERS[kind])(tmp_path / "old.csv", x, y, **more)
        given = [f"dataset={kind}", *([] if kind == "ts_file" else ["dataset.target=y"])]
        if kind.endswith("_records"):
            given += [f"dataset.root={source}", f"dataset.labels={labels_of(source, y)}"]
        else:
            given += [f"dataset.path={source}"]
        cfg = compose(*given, *overrides)
        return new_series.describe(load_dataset(cfg), np.arange(20), cfg)

    return described


def told(new):
    """What is odd, by channel and words, with its rows."""
    return {(one.column, one.what): np.flatnonzero(one.rows).tolist() for one in new.odd}


def refusal(source, about, identifiers=None):
    with pytest.raises(UserError) as caught:
        new_series.read(source, about, identifiers)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 320
    return message


def test_what_is_kept_of_training_series_is_of_no_single_one(training):
    about = training("ts_file", **UNEVEN)["series"]
    one, two = about["signals"]
    x = signals(longest=140)[0][:20]
    lows, highs = ([f(series[0]) for series in x] for f in (np.min, np.max))
    low, high = np.quantile(lows, 0.01), np.quantile(highs, 0.99)
    assert (one["low"], one["high"]) == pytest.approx((low - (high - low) / 2, high + (high - low) / 2))
    spreads = [series[1].std() for series in x]
    assert (two["least"], two["most"]) == pytest.approx(tuple(np.quantile(spreads, [0.01, 0.99])))
    assert not (one["flat"] or one["missing"]) and one["name"] == "channel 1"
    lengths = [series.shape[1] for series in signals(longest=140)[0]]
    assert (about["shortest"], about["longest"], about["pads"], about["crops"]) == (
        min(lengths),
        max(lengths),
        True,
        False,
    )


def test_what_is_odd_about_series_is_told_by_row(training, tmp_path):
    x, _ = signals(8)
    x[1][0] = 7
    x[2][1, :50] *= 40
    x[3][0] *= 0.001
    new = new_series.read(
        write_ts(tmp_path / "new.ts", [np.round(series, 3) for series in x], None), training("ts_file"), None
    )
    assert told(new) == {
        ("channel 1", "flat, as no training series was"): [1],
        ("channel 2", "varies over 10 times more than in training; is it in another unit than in training?"): [2],
        ("channel 2", "beyond the training range"): [2],
        ("channel 1", "varies over 10 times less than in training; is it in another unit than in training?"): [3],
    }
    assert new.usable.all() and np.array(new.x).shape == (8, 2, 100)
    assert next(lines(new.odd)) == "of 8 rows, flat, as no training series was: 'channel 1' (1)"


def test_missing_channels_have_no_prediction_and_gaps_are_told(training, tmp_path):
    x, _ = signals(4)
    x[0][1] = np.nan
    x[2][0, 10:20] = np.nan
    file = tmp_path / "new.csv"
    write_wide(file, x, None)
    new = new_series.read(file, training("series_table", "dataset.channels=[I,II]", "dataset.patient=who"), None)
    assert new.usable.tolist() == [False, True, True, True]
    assert told(new) == {
        ("II", "missing, and so no prediction"): [0],
        ("I", "values are missing, as in no training series"): [2],
    }


@pytest.mark.parametrize(
    ("options", "lengths", "usable", "words"),
    [
        ([], (90, 139, 200), [True, True, True], ["shorter than any in training (100 points), and padded", "", "cut there"]),
        (["length=crop"], (90, 139, 200), [False, True, True], ["takes (100 points), and so no", "", "cut as those"]),
        (["length=120"], (90, 139, 200), [True, True, True], ["and padded", "", "cut as those were"]),
        (["length=80"], (79, 80, 139), [False, True, True], ["takes (80 points)", "shorter than any", ""]),
        (["resample_hz=25", "length=40"], (78, 79, 139), [False, True, True], ["takes (79", "shorter than any", ""]),
        (["difference=true", "length=crop"], (99, 100, 139), [False, True, True], ["takes (100 points)", "", ""]),
        (["'band_pass_hz=[1,20]'"], (31, 32, 139), [False, True, True], ["takes (32 points)", "padded", ""]),
        ([], (7, 8, 139), [False, True, True], ["takes (8 points)", "padded", ""]),
    ],
)  # fmt: skip
def test_lengths_that_training_did_not_have_are_told(training, tmp_path, options, lengths, usable, words):
    given = [f"preprocessing.{option.strip(chr(39))}" for option in options]
    about = training("ts_file", "dataset.sampling_rate_hz=50", *given, **UNEVEN)
    x = [np.tile(signals(1)[0][0], 2)[:, :length] for length in lengths]
    new = new_series.read(write_ts(tmp_path / "new.ts", x, None), about, None)
    assert new.usable.tolist() == usable
    for row, word in enumerate(words):
        found = [what for (_, what), rows in told(new).items() if row in rows]
        assert (word in found[0]) if word else not found


def test_shorter_series_have_no_prediction_where_all_of_training_were_of_one_length(training, tmp_path):
    about = training("ts_file")
    new = new_series.read(write_ts(tmp_path / "new.ts", [signals(1)[0][0][:, :99]], None), about, None)
    assert new.usable.tolist() == [False] and not new.x


def test_channels_of_recordings_are_found_by_any_spelling(training, tmp_path):
    about = training("wfdb_records", "dataset.channel_names={two: II}", names=("I", "two"))
    x, _ = signals(2)
    wide = [np.stack([series[1], series[1], series[0]]) for series in x]
    new = new_series.read(write_wfdb(tmp_path / "new", wide, names=("two", "V9", "lead i")), about, None)
    assert np.array(new.x) == pytest.approx(np.array(x), abs=0.1)
    assert told(new) == {("V9", "a channel that the model does not take"): [0, 1]}
    assert not new.odd[0].remark
    lacking = refusal(write_wfdb(tmp_path / "other", [x[0][:1]], names=("I",)), about)
    assert lacking == "predict.data: 'r000.hea' has no channel 'II', which the model needs (channels: I)"


def test_units_of_recordings_are_brought_to_the_trainings(training, tmp_path):
    about = training("wfdb_records")
    x, _ = signals(2)
    new = new_series.read(write_wfdb(tmp_path / "new", [series / 1000 for series in x], unit="mV"), about, None)
    assert np.array(new.x) == pytest.approx(np.array(x), abs=0.1)
    assert told(new) == {(name, "brought from mV to uV"): [0, 1] for name in NAMES}
    assert refusal(write_wfdb(tmp_path / "other", x, unit="mmHg"), about) == (
        "predict.data: channel 'I' is in mmHg in 'r000.hea', the training's in uV"
    )


def test_recordings_of_another_rate_are_resampled(training, tmp_path):
    about = training("edf_records")
    x = np.stack([100 * np.sin(np.arange(200) / 100 * 2 * np.pi * f) for f in (2, 3)])
    new = new_series.read(write_edf(tmp_path / "new", [x], rate=100), about, None)
    assert new.x[0][:, 5:-5] == pytest.approx(x[:, 10:-10:2], abs=1)
    assert told(new)["series", "sampled at 100 Hz, and brought to 50 Hz"] == [0]
    new = new_series.read(write_edf(tmp_path / "slow", [x[:, :50]], rate=25), about, None)
    assert new.x[0].shape == (2, 100)
    assert told(new)["series", "sampled at 25 Hz, and brought to 50 Hz, though it holds nothing above 12.5 Hz"] == [0]


def test_rates_that_training_brought_to_one_are_not_odd(training, tmp_path):
    about = training("edf_records", "dataset.resample_hz=25")
    assert about["reading"]["rates_hz"] == [50]
    new = new_series.read(write_edf(tmp_path / "new", signals(2)[0]), about, None)
    assert new.x[0].shape == (2, 50) and not new.odd and new.sampling_rate_hz == 25


def test_recordings_are_refused_where_the_trainings_rate_is_not_known(training, tmp_path):
    file = write_wfdb(tmp_path / "new", signals(1)[0], names=("channel 1", "channel 2"))
    told = refusal(file, training("ts_file"))
    assert told.startswith("predict.data: 'r000.hea' has a sampling rate, but that of the training series is not known")
    about = training("ts_file", "dataset.sampling_rate_hz=50")
    assert new_series.read(file, about, None).x[0].shape == (2, 100)


def test_formats_that_tell_no_rate_are_remarked_where_the_trainings_did(training, tmp_path):
    new = new_series.read(write_npy(tmp_path / "new.npy", signals(2)[0], None), training("wfdb_records"), None)
    (what,) = told(new)
    assert what == ("series", "of an untold sampling rate and unit, which are taken for the training's")


def test_a_single_recording_is_a_sample(training, tmp_path):
    about, x = training("wfdb_records"), signals(3)[0]
    folder = write_wfdb(tmp_path / "new", x)
    new = new_series.read(folder / "r001.hea", about, None)
    assert new.x[0] == pytest.approx(x[1], abs=0.1) and new.identifiers["record"].tolist() == ["r001.hea"]
    dicom = write_dicom(tmp_path / "dicom", x[:1]) / "r000.dcm"
    plain = dicom.rename(dicom.with_suffix(""))  # as many come
    assert new_series.read(plain, about, None).x[0] == pytest.approx(x[0], abs=0.1)


def test_windows_that_lack_a_channel_have_no_prediction_and_short_recordings_no_row(training, tmp_path, capsys):
    about = training("wfdb_records", "dataset.window_s=1")
    x, _ = signals(2)
    x[0][1, 50:] = np.nan
    new = new_series.read(write_wfdb(tmp_path / "new", [*x, x[1][:, :49]]), about, None)
    assert new.identifiers.to_numpy().tolist() == [
        ["r000.hea", 0, 1], ["r000.hea", 1, 2], ["r001.hea", 0, 1], ["r001.hea", 1, 2]
    ]  # fmt: skip
    assert new.usable.tolist() == [True, False, True, True]
    assert "of 3 recordings 1 have no window, and so no row" in capsys.readouterr().out
    alone = write_wfdb(tmp_path / "short", [x[1][:, :49]])
    assert refusal(alone, about).startswith("predict.data: no window lies within the 1 recordings")


def test_recordings_that_cannot_be_read_are_skipped_where_training_skipped_them(training, tmp_path, capsys):
    folder = write_wfdb(tmp_path / "new", signals(2)[0])
    (folder / "r000.dat").unlink()
    assert refusal(folder, training("wfdb_records")).startswith("predict.data: 'r000.hea' needs the file 'r000.dat'")
    new = new_series.read(folder, training("wfdb_records", "dataset.on_error=skip"), None)
    assert new.identifiers["record"].tolist() == ["r001.hea"] and "1 recordings are skipped" in capsys.readouterr().out


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
        ({"channel 1": [[np.inf] * 9], "channel 2": [[1.0] * 9]}, "series 1 holds a value that is infinite"),
        ({}, "there are no rows"),
    ],
)
def test_lists_that_are_no_series_are_refused(training, cells, line):
    told = refusal(pd.DataFrame(cells), training("ts_file"))
    assert told.startswith(f"predict.data: {line}") and "4711" not in told


def test_files_that_are_no_series_are_told_in_a_line(training, tmp_path):
    about = training("ts_file")
    for name, content, line in (
        ("none.ts", None, "there is no file or folder"),
        ("empty.ts", b"", "'empty.ts' is empty"),
        ("scan.png", b"\x89PNG\r\n", "'scan.png' holds no series; files of series end with .ts"),
        ("text.ts", b"hello", "no .ts file: it has no header"),
        ("some.npz", b"hello", "can't be read"),
        ("some.csv", b"a,b\n1\n", "2 columns were expected"),
        (
            "some.csv",
            b"a,b,c\n1,2,3\n",
            "3 columns of points; series of the model, which were in no table, take 2 channels x 100 to 100",
        ),
        ("some.csv", b"0.5,0.25,7\n1,2,3\n", "the first row holds numbers, not the columns' names"),
        ("some.ts", b"@classLabel false\n@data\n1,2,3\n", "has 1 channels, but the model takes 2"),
        ("some.ts", b"@classLabel false\n@data\n1,x:1,2\n", "line 3: a value is no number"),
        ("some.edf", b"hello", "can't be read"),
    ):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        told = refusal(file, about)
        assert told.startswith("predict.data: ") and line in told, told
    (tmp_path / "folder").mkdir()
    assert "is a folder, but the training series were" in refusal(tmp_path / "folder", about)
    assert "a .ts file has no columns" in refusal(write_ts(tmp_path / "n.ts", signals(1)[0], None), about, ["who"])


def test_the_example_is_made_up_and_can_be_predicted(training):
    about = training("wfdb_records")
    example = new_series.example(about)
    assert list(example) == list(NAMES) and len(example) == 2 and len(example["I"][0]) == 100
    new = new_series.read(example, about, None)
    assert new.usable.all() and {what for _, what in told(new)} <= {
        "of an untold sampling rate and unit, which are taken for the training's"
    }
    about["series"]["longest"] = 30_000
    assert new_series.example(about) is None
