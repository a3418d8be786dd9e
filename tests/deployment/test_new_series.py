import numpy as np
import pytest

from fake_series import NAMES, describing, refusal, signals, told, write_ts, write_wide
from medfit.deployment import new_series
from medfit.deployment.expected_columns import lines

UNEVEN = {"longest": 140}


@pytest.fixture
def training(compose, tmp_path):
    return describing(compose, tmp_path)


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
        ("some.csv", b"0.5,0.25,7\n1,2,3\n", "has no header: its first row holds numbers, not the columns' names"),
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
