import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.series_table import SeriesTable
from medfit.errors import UserError
from medfit.train import train

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
    data = SeriesTable(file, "outcome", layout="wide", patient="who")
    assert data.x.shape == (NUM_ROWS, 1, LENGTH)
    assert np.array_equal(data.x[:, 0], frame.iloc[:, :LENGTH].to_numpy(dtype=np.float32))
    assert data.groups.tolist() == frame.who.tolist()
    assert (data.task, data.name) == ("binary", "beats")


def test_channels_stand_one_after_another(file):
    data = SeriesTable(file, "outcome", layout="wide", patient="who", channels=["ecg", "ppg"], units={"ecg": "mV"})
    assert data.x[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert data.schema()[0] == {"name": "ecg", "kind": "signal", "role": "feature", "unit": "mV"}


def test_a_file_of_the_ucr_archive_has_no_header(tmp_path):
    (tmp_path / "Beats_TRAIN.tsv").write_text("1\t0.5\t0.25\n2\t1.5\t1.25\n3\t2.5\t2.25\n")
    data = SeriesTable(str(tmp_path / "Beats_TRAIN.tsv"), "0", header=False, layout="wide")
    assert data.x[:, 0].tolist() == [[0.5, 0.25], [1.5, 1.25], [2.5, 2.25]]
    assert (data.task, data.target_names) == ("multiclass", ["1", "2", "3"])


def test_an_arff_file_is_read(tmp_path):
    text = "@relation beats\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute class {ill,well}\n@data\n"
    (tmp_path / "beats.arff").write_text(text + "0.5,0.25,ill\n?,1.25,well\n2.5,2.25,ill\n")
    data = SeriesTable(str(tmp_path / "beats.arff"), "class", layout="wide")
    assert np.array_equal(data.x[:, 0], np.float32([[0.5, 0.25], [np.nan, 1.25], [2.5, 2.25]]), equal_nan=True)
    assert data.y[:, 0].tolist() == [0, 1, 0]


def test_a_heart_rate_from_a_signal_is_a_regression(frame, tmp_path):
    frame.assign(rate=np.linspace(50.5, 120, NUM_ROWS)).to_csv(tmp_path / "b.csv", index=False)
    data = SeriesTable(str(tmp_path / "b.csv"), "rate", exclude=["who", "outcome"], layout="wide")
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
        ({"layout": "long", "time": "t1"}, "dataset.layout=long: give dataset.time, and dataset.patient or"),
        ({"layout": "long", "patient": "who"}, "dataset.layout=long: give dataset.time, and dataset.patient or"),
        ({"time": "t1"}, "dataset.time: moments are of the long layout; give dataset.layout=long"),
        ({"split": "who", "test_path": "x.csv"}, "dataset.test_path: the column of dataset.split says already"),
        ({"labels": "t.csv"}, "dataset.labels: a table of labels goes with a folder (dataset.path)"),
        ({"test_path": "no.csv"}, "dataset.test_path: there is no file 'no.csv'"),
        ({"layout": "long", "time": "t1", "series": "t9"}, "dataset.series: there is no column 't9'"),
    ],
)
def test_columns_that_do_not_fit_are_told(file, settings, words):
    with pytest.raises(UserError) as caught:
        SeriesTable(file, "outcome", **{"layout": "wide", **settings})
    assert words in str(caught.value)


def test_a_file_that_is_no_arff_is_told(tmp_path):
    (tmp_path / "b.arff").write_text("1,2,3\n")
    with pytest.raises(UserError, match=r"b.arff' is not a whole ARFF file"):
        SeriesTable(str(tmp_path / "b.arff"), "class")


def rows(lengths, length=10, test=False):
    """UCR's layout: a class, then points; those behind a series' end are NaN."""
    rng = np.random.default_rng(len(lengths) + test)
    points = [[f"{value:.6f}" for value in rng.normal(size=size)] + ["NaN"] * (length - size) for size in lengths]
    return "".join("\t".join([str(1 + row % 2), *cells]) + "\n" for row, cells in enumerate(points))


def test_missing_cells_at_the_end_of_a_row_are_the_end_of_its_series(tmp_path, capsys):
    (tmp_path / "Beats.tsv").write_text(rows([10, 6, 8, 10]))
    data = SeriesTable(str(tmp_path / "Beats.tsv"), "0", header=False)
    assert [series.shape for series in data.x] == [(1, 10), (1, 6), (1, 8), (1, 10)]
    assert not any(np.isnan(series).any() for series in data.x)
    told = "series of 1 x 6 to 10 points; 2 series end before the last column, where all that follows is missing"
    assert told in " ".join(capsys.readouterr().out.split())


def test_missing_cells_within_a_series_and_in_one_of_two_channels_stay_missing(frame, tmp_path):
    frame.loc[0, ["t0", "t4", "t5"]] = np.nan  # of channel a the first point, of b the last two
    frame.loc[1, ["t2", "t5"]] = np.nan  # the last point of both
    frame.to_csv(tmp_path / "b.csv", index=False)
    data = SeriesTable(str(tmp_path / "b.csv"), "outcome", patient="who", layout="wide", channels=["a", "b"])
    assert np.array_equal(data.x[0], np.float32([[np.nan, 1, 2], [3, np.nan, np.nan]]), equal_nan=True)
    assert data.x[1].tolist() == [[6, 7], [9, 10]]


def test_series_that_end_early_are_learnt_from_as_if_nothing_followed(tmp_path, compose):
    (tmp_path / "Beats.tsv").write_text(rows([10, 6, 8, 10] * 10))
    path = f"dataset.path={tmp_path / 'Beats.tsv'}"
    cfg = compose("dataset=series_table", path, "dataset.target='0'", "dataset.header=false", "regime=smoke")
    assert np.isfinite(train(cfg)["val/auroc"])


def test_a_second_file_is_the_test_split(tmp_path):
    (tmp_path / "Beats_TRAIN.tsv").write_text(rows([10, 10, 9]))
    (tmp_path / "Beats_TEST.tsv").write_text(rows([10, 7], test=True))
    paths = (str(tmp_path / f"Beats_{part}.tsv") for part in ("TRAIN", "TEST"))
    data = SeriesTable(next(paths), "0", test_path=next(paths), header=False)
    assert data.given_split.tolist() == ["train"] * 3 + ["test"] * 2 and data.name == "Beats"
    assert data.y[:, 0].tolist() == [0, 1, 0, 0, 1] and [x.shape[1] for x in data.x] == [10, 10, 9, 10, 7]


def test_a_second_file_may_have_its_columns_in_another_order(file, frame, tmp_path):
    frame.iloc[:3, ::-1].to_csv(tmp_path / "test.csv", index=False)
    data = SeriesTable(file, "outcome", test_path=str(tmp_path / "test.csv"), patient="who", layout="wide")
    assert np.array_equal(data.x[NUM_ROWS:], data.x[:3])


def test_a_second_file_of_other_columns_is_refused(file, frame, tmp_path):
    frame.drop(columns="t3").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(UserError, match=r"^dataset.test_path: '.*test.csv' has other columns than '.*', as 't3'$"):
        SeriesTable(file, "outcome", test_path=str(tmp_path / "test.csv"), patient="who", layout="wide")


def moments(patients=4, length=10, seed=0):
    """A long table, its rows in any order; the value tells patient and moment."""
    table = pd.DataFrame({"who": np.repeat([f"p{n}" for n in range(patients)], length)})
    table["time"] = np.tile(np.arange(length) / 100, patients)
    table["ppg"], table["ecg"] = np.arange(len(table)) * 1.0, -np.arange(len(table)) * 1.0
    table["ill"], table["site"] = np.repeat(np.arange(patients) % 2, length), "a"
    return table.sample(frac=1, random_state=seed)


@pytest.fixture
def long(tmp_path):
    def made(table, **options):
        table.to_csv(tmp_path / "long.csv", index=False)
        settings = {"target": "ill", "patient": "who", "layout": "long", "time": "time", "exclude": ["site"]}
        return SeriesTable(str(tmp_path / "long.csv"), **{**settings, **options})

    return made


def test_a_long_table_is_a_series_a_patient_in_the_order_of_time(long):
    data = long(moments())
    assert data.channels == ["ppg", "ecg"] and data.x.shape == (4, 2, 10)
    numbers = [int(who.removeprefix("p")) for who in data.groups]
    assert sorted(numbers) == [0, 1, 2, 3] and data.y[:, 0].tolist() == [number % 2 for number in numbers]
    assert data.x[:, 0].tolist() == [list(range(10 * number, 10 * number + 10)) for number in numbers]
    assert np.array_equal(data.x[:, 1], -data.x[:, 0]) and data.facts.columns.tolist() == ["site"]


def test_of_a_long_table_some_channels_are_taken(long):
    assert long(moments(), channels=["ecg"]).channels == ["ecg"]


def test_series_of_a_long_table_may_be_of_many_lengths(long):
    data = long(moments().query("who != 'p1' or time < 0.05"))
    assert dict(zip(data.groups, (x.shape[1] for x in data.x), strict=True)) == {"p0": 10, "p1": 5, "p2": 10, "p3": 10}


def test_a_patient_of_a_long_table_may_have_several_series(long):
    table = moments()
    table["visit"] = table.who + (table.time < 0.05).map({True: "a", False: "b"})
    data = long(table, series="visit")
    assert data.x.shape == (8, 2, 5) and sorted(data.groups) == sorted(["p0", "p1", "p2", "p3"] * 2)


def test_dates_tell_the_rate(long):
    table = moments()
    table["time"] = pd.Timestamp("2024-01-31 23:59:59.98") + pd.to_timedelta(table.time, unit="s")
    data = long(table)
    assert data.sampling_rate_hz == pytest.approx(100)
    assert all(np.diff(data.x[:, 0]).ravel() == 1)


def test_moments_in_numbers_tell_no_rate(long):
    assert long(moments()).sampling_rate_hz is None and long(moments(), sampling_rate_hz=100).sampling_rate_hz == 100


def test_uneven_steps_are_told(long, capsys):
    long(moments().query("who != 'p2' or time != 0.05"))
    assert "; steps of 'time' are uneven in 1 of 4 series" in " ".join(capsys.readouterr().out.split())


def test_columns_that_are_the_same_throughout_a_series_are_no_channels(long, capsys):
    table = moments()
    data = long(table.assign(age=table.who.str[1].astype(int) + 60, sex="f"))
    assert data.channels == ["ppg", "ecg"] and sorted(data.facts) == ["age", "sex", "site"]
    told = "; age, sex: the same in all rows of a series, and so no channel"
    assert told in " ".join(capsys.readouterr().out.split())


WRONG_LONG = {
    "no channel": (lambda t: t.assign(ppg=1, ecg=2), "dataset.channels: no column changes within a series"),
    "a target that changes": (lambda t: t.assign(ill=np.arange(40) % 2), "column 'ill' changes within 4 of 4 series"),
    "a moment twice": (lambda t: pd.concat([t, t.head(3)]), "column 'time' gives 3 moments twice within one 'who'"),
    "no moment": (lambda t: t.assign(time=t.time.where(t.time != 0.05)), "holds neither a number nor a date"),
    "words for moments": (lambda t: t.assign(time="noon"), "holds neither a number nor a date (as 2024-01-31 12:00"),
    "no patient": (lambda t: t.assign(who=t.who.where(t.who != "p1")), "column 'who' is missing in data row"),
    "words among channels": (
        lambda t: t.assign(note=np.where(t.time == 0, "x", "y")),
        "column 'note' holds words, no point in time",
    ),
    "a row a patient": (lambda t: t.query("time == 0.05"), "each 'who' has a single row, and so a single moment"),
}


@pytest.mark.parametrize("what", WRONG_LONG)
def test_a_long_table_is_refused_with(long, what):
    change, told = WRONG_LONG[what]
    with pytest.raises(UserError) as caught:
        long(change(moments()))
    assert told in str(caught.value) and "\n" not in str(caught.value)


def refused_layout(table, tmp_path, **options):
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError) as caught:
        SeriesTable(str(tmp_path / "t.csv"), "ill", **{"patient": "who", **options})
    return str(caught.value)


@pytest.mark.parametrize("time", ["time", "Timestamp", "Zeit"])
def test_a_long_table_is_recognised_and_its_layout_offered(tmp_path, time):
    table = moments(length=20).sort_index().rename(columns={"time": time}).drop(columns="site")
    many = pd.concat([table, pd.DataFrame(np.zeros((80, 12))).add_prefix("lead")], axis=1)
    for each in (table, many):
        told = refused_layout(each, tmp_path)
        assert told.startswith(
            f"dataset.layout: column '{time}' tells moments or counts rows, and is no point in time;"
        )
        assert f"dataset.layout=long dataset.time={time} dataset.patient=..." in told
    told = refused_layout(table, tmp_path, patient=None)
    assert f"dataset.layout=long dataset.time={time} dataset.patient=who" in told


def test_fewer_than_eight_points_are_no_series_without_a_word(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 7))).add_prefix("x")
    table = table.assign(who=[f"p{n}" for n in range(12)], ill=[0, 1] * 6)
    assert refused_layout(table, tmp_path).startswith(
        "dataset.layout: rows of 7 points are hardly series; if a row is a"
    )
    assert len(SeriesTable(str(tmp_path / "t.csv"), "ill", patient="who", layout="wide")) == 12
    assert refused_layout(table.assign(y=0.5), tmp_path, channels=["a", "b"]).startswith(
        "dataset.layout: rows of 4 points"
    )


def test_eight_points_are_a_series(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 8))).add_prefix("x").assign(ill=[0, 1] * 6)
    table.to_csv(tmp_path / "t.csv", index=False)
    assert SeriesTable(str(tmp_path / "t.csv"), "ill").x.shape == (12, 1, 8)


@pytest.fixture
def folder(tmp_path):
    """A file of moments for each of four patients, and a table that says more of them."""
    (tmp_path / "ppg").mkdir()
    for who, rows in moments(length=12).groupby("who"):
        rows.sort_values("time").drop(columns=["who", "site"]).to_csv(tmp_path / "ppg" / f"{who}.csv", index=False)
    return tmp_path / "ppg"


def values_of(data):
    return [series[0].tolist() for series in data.x]


def test_a_folder_holds_a_series_a_file(folder):
    data = SeriesTable(str(folder), "ill", time="time")
    assert values_of(data) == [list(range(12 * number, 12 * number + 12)) for number in range(4)]
    assert data.channels == ["ppg", "ecg"] and data.y[:, 0].tolist() == [0, 1, 0, 1] and data.name == "ppg"


def test_without_moments_the_rows_of_a_file_are_in_order(folder):
    assert values_of(SeriesTable(str(folder), "ill", exclude=["time"])) == values_of(
        SeriesTable(str(folder), "ill", time="time")
    )


@pytest.mark.parametrize("inside", [True, False])
def test_a_table_may_say_what_a_folders_files_are(folder, inside, capsys):
    labels = folder / "labels.csv" if inside else folder.parent / "labels.csv"
    labels.write_text("file,sick,who,age\np3.csv,yes,a,60\np1,no,a,60\np0,no,b,71\n")
    options = {"labels": str(labels), "record": "file", "patient": "who", "time": "time", "exclude": ["ill"]}
    data = SeriesTable(str(folder), "sick", **options)
    assert dict(zip([series[0] for series in values_of(data)], data.groups, strict=True)) == {
        36: "a",
        12: "a",
        0: "b",
    }
    assert [int(series[0] == 36) for series in values_of(data)] == data.y[:, 0].tolist()
    assert data.channels == ["ppg", "ecg"] and sorted(data.facts.age) == [60, 60, 71]
    assert "; 1 files have no row in dataset.labels" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"layout": "wide"}, "dataset.layout=wide: the rows of a folder's files are moments"),
        ({"series": "time"}, "dataset.series, dataset.test_path: in a folder (dataset.path) each file is a series"),
        ({"labels": "no.csv"}, "dataset.labels: there is no file 'no.csv'"),
        ({"labels": "twice"}, "dataset.labels: column 'ecg' is in"),
        ({"labels": "other"}, "dataset.labels: column 'record', 1 rows (first is data row 1): no such recording"),
        ({}, "dataset.path: 'p2.csv' has other columns than 'p0.csv', as 'ecg'"),
    ],
)
def test_a_folder_is_refused_with(folder, options, told):
    if not options:
        (folder / "p2.csv").write_text("time,ppg,ill\n0,1,0\n")
    for name, text in (("twice", "record,ecg\np0,1\n"), ("other", "record,age\np9,1\n")):
        (folder.parent / f"{name}.csv").write_text(text)
        if options.get("labels") == name:
            options = {"labels": str(folder.parent / f"{name}.csv")}
    with pytest.raises(UserError) as caught:
        SeriesTable(str(folder), "ill", **options)
    assert str(caught.value).startswith(told)


def test_a_folder_without_tables_is_told(tmp_path):
    with pytest.raises(UserError, match=r"^dataset.path: '.*' holds no files that end with .csv, "):
        SeriesTable(str(tmp_path), "ill")
