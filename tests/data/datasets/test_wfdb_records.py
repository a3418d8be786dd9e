import warnings

import numpy as np
import pytest

from medfit.data.datasets.wfdb_records import WfdbRecords
from medfit.errors import UserError
from medfit.train import train

RATE = 100
SECONDS = 4
SECRET = "4711"


def wfdb():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its use of pandas
        import wfdb

    return wfdb


def waves(number, seconds=SECONDS, channels=2, rate=RATE):
    """A signal (length, channels) that tells which recording and channel it is."""
    time = np.arange(int(seconds * rate)) / rate
    return np.stack([np.sin(2 * np.pi * (1 + number) * time) + 10 * channel for channel in range(channels)], axis=1)


def record(folder, name, signal, names=("I", "II"), rate=RATE, units=None, beats=None, fmt="16"):
    """Writes a record as PhysioNet's own tools do; ``beats`` are samples and symbols."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb().wrsamp(name, fs=rate, units=list(units or ["mV"] * len(names)), sig_name=list(names), p_signal=signal,
                      fmt=[fmt] * len(names), write_dir=str(folder))  # fmt: skip
        if beats is not None:
            wfdb().wrann(name, "atr", np.array(beats[0]), list(beats[1]), write_dir=str(folder))


@pytest.fixture
def folder(tmp_path):
    """Six records, 100 to 105, of two channels and four seconds."""
    for number in range(6):
        record(tmp_path / "ecg", f"{100 + number}", waves(number), beats=([50, 150, 250, 390], "NV+N"))
    return tmp_path / "ecg"


@pytest.fixture
def labels(folder):
    rows = "".join(f"{100 + n},{n % 2},p{n // 2},{60 + 7.5 * n},{'train' if n < 4 else 'test'}\n" for n in range(6))
    path = folder.parent / "labels.csv"
    path.write_text("record,ill,who,rate,part\n" + rows)
    return path


@pytest.fixture
def made(folder, labels):
    """The records as a data set."""
    return lambda **options: WfdbRecords(str(folder), **{"labels": str(labels), "target": "ill", **options})


def refused(make):
    """What is told of a mistake, in a line without a value."""
    with pytest.raises(UserError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300 and SECRET not in message
    return message


def test_a_record_is_a_series_in_its_physical_units(made):
    data = made()
    assert data.x.shape == (6, 2, RATE * SECONDS)
    np.testing.assert_allclose(data.x, [waves(number).T for number in range(6)], atol=1e-3)


def test_targets_names_rates_and_units_are_read(made):
    data = made(units={"ill": "yes"})
    assert (data.task, data.y[:, 0].tolist(), data.sampling_rate_hz) == ("binary", [0, 1] * 3, RATE)
    assert data.schema()[1] == {"name": "II", "kind": "signal", "role": "feature", "unit": "mV"}
    assert (data.name, data.units["ill"]) == ("ecg", "yes")


def test_channels_are_taken_by_name_in_the_order_asked_for(made):
    data = made(channels=["II", "I"])
    np.testing.assert_allclose(data.x[:, 0], [waves(number)[:, 1] for number in range(6)], atol=1e-3)


def test_by_default_the_channels_are_those_that_all_have_and_the_others_are_named(folder, made, capsys):
    record(folder, "100", waves(0, channels=3), names=("V1", "II", "I"))
    data = made()
    assert data.channels == ["II", "I"]
    told = "; 1 channels are left out, as not all recordings have them: V1 (in 1 of 6)"
    assert told in " ".join(capsys.readouterr().out.split())
    np.testing.assert_allclose(data.x[0], waves(0, channels=3)[:, 1:].T, atol=1e-3)
    np.testing.assert_allclose(data.x[1], waves(1)[:, ::-1].T, atol=1e-3)


LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", *(f"V{number}" for number in range(1, 7))]


def test_no_lead_is_lost_to_capitals_and_the_first_spelling_holds(folder, made, capsys):
    for number in range(6):
        names = [name.upper() if number % 2 else name for name in LEADS]
        record(folder, f"{100 + number}", waves(number, channels=12), names=names)
    data = made()
    assert data.channels == LEADS
    np.testing.assert_allclose(data.x[1], waves(1, channels=12).T, atol=1e-2)
    told = " ".join(capsys.readouterr().out.split())
    assert "; channels spelt in several ways are one: aVR (AVR), aVL (AVL), aVF (AVF)" in told


def test_channels_are_asked_for_in_any_spelling(folder, made):
    record(folder, "103", waves(3), names=("Lead i", "ECG II"))
    data = made(channels=["ii"])
    assert data.channels == ["ii"]
    np.testing.assert_allclose(data.x[3, 0], waves(3)[:, 1], atol=1e-3)


def test_channels_of_other_names_are_told_apart_by_the_user(folder, made):
    record(folder, "103", waves(3), names=("MLII", "V5"))
    record(folder, "104", waves(4), names=("V5", "MLII"))
    data = made(channel_names={"MLII": "I", "V5": "II"})
    assert data.channels == ["I", "II"]
    np.testing.assert_allclose(data.x[3], waves(3).T, atol=1e-3)
    np.testing.assert_allclose(data.x[4], waves(4)[:, ::-1].T, atol=1e-3)


def test_fixed_windows_take_their_records_target(made):
    data = made(window_s=1.5)
    assert data.x.shape == (12, 2, 150) and data.y[:, 0].tolist() == [0, 0, 1, 1] * 3
    np.testing.assert_allclose(data.x[3], waves(1)[150:300].T, atol=1e-3)


def test_windows_overlap_by_the_stride(made):
    data = made(window_s=1.5, stride_s=0.5)
    np.testing.assert_allclose(data.x[1], waves(0)[50:200].T, atol=1e-3)
    assert len(data) == 36


def test_windows_follow_their_patient(made):
    assert made(patient="who", window_s=2.0).groups.tolist() == ["p0"] * 4 + ["p1"] * 4 + ["p2"] * 4


def test_without_patients_windows_follow_their_record(made):
    assert made(window_s=2.0).groups.tolist() == [f"{100 + n}" for n in range(6) for _ in range(2)]


def test_windows_take_their_records_split(made):
    assert made(split="part", window_s=2.0).given_split.tolist() == ["train"] * 8 + ["test"] * 4


def test_windows_around_beats_take_the_annotations_class(folder):
    data = WfdbRecords(str(folder), symbols={"N": "normal", "V": "ventricular"}, before_s=0.3, after_s=0.4)
    assert (data.task, data.target_names, data.x.shape) == ("binary", ["annotation: ventricular"], (12, 2, 70))
    assert data.y[:, 0].tolist() == [0, 1] * 6
    np.testing.assert_allclose(data.x[1], waves(0)[120:190].T, atol=1e-3)


def test_several_symbols_may_be_one_class(folder):
    symbols = {"N": "beat", "V": "beat", "+": "rhythm"}
    assert WfdbRecords(str(folder), symbols=symbols, before_s=0.1, after_s=0.1).y[:4, 0].tolist() == [0, 0, 1, 0]


def test_windows_around_beats_follow_the_tables_patients(folder, labels):
    beats = {"symbols": {"N": "n", "V": "v"}, "before_s": 0.3, "after_s": 0.3}
    data = WfdbRecords(str(folder), labels=str(labels), patient="who", split="part", **beats)
    assert data.groups.tolist() == ["p0"] * 4 + ["p1"] * 4 + ["p2"] * 4
    assert data.given_split.tolist() == ["train"] * 8 + ["test"] * 4


def test_records_in_sub_folders_are_found_by_their_name_or_path(tmp_path):
    record(tmp_path / "a" / "p1", "00001", waves(1))
    record(tmp_path / "a" / "p2", "00002", waves(2))
    record(tmp_path / "a" / "p3", "x", waves(3))
    (tmp_path / "l.csv").write_text("record,age\n00002,50.5\np1/00001.hea,60.5\np3/x.dat,61.5\n")
    data = WfdbRecords(str(tmp_path / "a"), labels=str(tmp_path / "l.csv"), target="age")
    np.testing.assert_allclose(data.x, [waves(number).T for number in (2, 1, 3)], atol=1e-3)
    assert data.groups.tolist() == ["p2/00002", "p1/00001", "p3/x"]


def test_numbers_with_leading_noughts_are_found_though_the_table_lost_them(tmp_path):
    record(tmp_path / "a", "0001", waves(1))
    record(tmp_path / "a", "0002", waves(2))
    (tmp_path / "l.csv").write_text("record,age\n0002,50.5\n0001,60.5\n")
    data = WfdbRecords(str(tmp_path / "a"), labels=str(tmp_path / "l.csv"), target="age")
    np.testing.assert_allclose(data.x, [waves(2).T, waves(1).T], atol=1e-3)


def test_records_that_the_table_does_not_name_are_left_out(folder, made, labels):
    labels.write_text("record,ill\n101,0\n105,1\n103,\n")
    (folder / "104.hea").write_text("not read\n")
    np.testing.assert_allclose(made().x, [waves(1).T, waves(5).T], atol=1e-3)


def test_records_of_many_lengths_are_kept_each_at_its_own(folder, made):
    record(folder, "103", waves(3, seconds=2.5))
    assert [series.shape for series in made().x] == [(2, 400)] * 3 + [(2, 250)] + [(2, 400)] * 2


def test_a_record_shorter_than_the_window_has_none(folder, made):
    record(folder, "103", waves(3, seconds=1))
    assert made(window_s=2.0).groups.tolist() == [f"{n}" for n in (100, 101, 102, 104, 105) for _ in range(2)]


def test_missing_values_stay_missing(folder, made):
    signal = waves(0)
    signal[7:9, 1] = np.nan
    record(folder, "100", signal)
    assert np.argwhere(np.isnan(made().x)).tolist() == [[0, 1, 7], [0, 1, 8]]


def test_windows_in_which_a_channel_is_missing_throughout_are_left_out(folder, made):
    signal = waves(0)
    signal[100:300, 1] = np.nan
    record(folder, "100", signal)
    data = made(window_s=1.0)
    assert len(data) == 22 and np.isfinite(data.x).all()


def test_a_record_of_segments_is_one_record(tmp_path):
    for name, number in (("s1", 1), ("s2", 2)):
        record(tmp_path / "a", name, waves(number))
    record(tmp_path / "a", "other", waves(5), beats=([100], "V"))
    (tmp_path / "a" / "whole.hea").write_text(f"whole/2 2 {RATE} 800\ns1 400\ns2 400\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb().wrann("whole", "atr", np.array([390, 600]), ["N", "V"], write_dir=str(tmp_path / "a"))
    data = WfdbRecords(str(tmp_path / "a"), symbols={"N": "n", "V": "v"}, before_s=0.2, after_s=0.2)
    assert data.groups.tolist() == ["other", "whole", "whole"]
    np.testing.assert_allclose(data.x[1], np.concatenate([waves(1), waves(2)])[370:410].T, atol=1e-3)


def test_a_layout_that_holds_no_samples_is_a_piece_of_its_record(tmp_path):
    for number in range(2):
        one, two = waves(1 + number)[:200], waves(3 + number)[200:]
        record(tmp_path, f"r{number}_1", one, beats=([50], "N"))
        record(tmp_path, f"r{number}_2", two, beats=([60], "V"))
        (tmp_path / f"r{number}_layout.hea").write_text(
            f"r{number}_layout 2 {RATE} 0\n~ 0 200/mV 16 0 0 0 0 I\n~ 0 200/mV 16 0 0 0 0 II\n"
        )
        (tmp_path / f"r{number}.hea").write_text(
            f"r{number}/3 2 {RATE} 400\nr{number}_layout 0\nr{number}_1 200\nr{number}_2 200\n"
        )
        (tmp_path / f"r{number}.atr").write_bytes((tmp_path / f"r{number}_{1 + number}.atr").read_bytes())
    data = WfdbRecords(str(tmp_path), symbols={"N": "n", "V": "v"}, before_s=0.1, after_s=0.1)
    assert len(data) == 2
    np.testing.assert_allclose(data.x[0, 0], waves(1)[40:60, 0], atol=1e-3)


def test_a_matlab_file_as_of_physionets_challenges_is_read(folder, made):
    header = f"100 1 {RATE} 300\n100.mat 16+24 1000/mV 16 0 0 0 0 I\n"
    (folder / "100.hea").write_text(header)
    values = np.arange(300, dtype="<i2")
    (folder / "100.mat").write_bytes(np.array([30, 1, 300, 0, 4], "<i4").tobytes() + b"val\0" + values.tobytes())
    np.testing.assert_allclose(made(channels=["I"], window_s=3.0).x[0, 0], np.arange(300) / 1000, atol=1e-6)


def test_other_rates_are_brought_to_one(folder, made):
    record(folder, "103", waves(3, rate=2 * RATE), rate=2 * RATE)
    data = made(resample_hz=RATE)
    assert data.sampling_rate_hz == RATE and data.x.shape == (6, 2, RATE * SECONDS)
    np.testing.assert_allclose(data.x[3, :, 50:-50], waves(3)[50:-50].T, atol=0.01)


def test_what_is_missing_stays_missing_at_another_rate(folder, made):
    signal = waves(0)
    signal[100:120, 0] = np.nan
    record(folder, "100", signal)
    assert np.flatnonzero(np.isnan(made(resample_hz=RATE / 2).x[0, 0])).tolist() == list(range(50, 60))


def test_other_rates_are_refused_by_both_headers(folder, made):
    record(folder, "103", waves(3), rate=2 * RATE)
    assert refused(made) == (
        "dataset: '100.hea' has 100 Hz in channel 'I', but '103.hea' 200 Hz in 'I'; "
        "bring all to one rate with dataset.resample_hz"
    )


def test_volts_are_brought_to_one_unit(folder, made):
    record(folder, "103", 1000 * waves(3), units=["uV", "mV"])
    data = made()
    np.testing.assert_allclose(data.x[3], (waves(3) * [1, 1000]).T, rtol=1e-3, atol=0.5)
    assert data.units == {"I": "mV", "II": "mV"}


def test_other_units_are_refused_by_both_headers(folder, made):
    record(folder, "103", waves(3), units=["mV", "kPa"])
    assert refused(made) == "dataset: channel 'II' is in mV in '100.hea', but in kPa in '103.hea'"


def test_a_channel_that_a_record_lacks_is_refused(folder, made):
    record(folder, "103", waves(3), names=("I", "chest"))
    told = refused(lambda: made(channels=["II"]))
    assert told == "dataset.channels: '103.hea' has no channel 'II'; did you mean 'I'?"


def test_records_without_a_common_channel_are_refused(folder, made):
    record(folder, "103", waves(3), names=("V1", "V2"))
    assert refused(made) == "dataset.channels: no channel is in all 6 recordings ('100.hea' is the first)"


def test_a_header_without_its_signal_file_is_told(folder, made):
    (folder / "103.dat").unlink()
    assert refused(made) == "dataset: '103.hea' needs the file '103.dat', which is not there"


def test_missing_annotations_are_told(folder):
    (folder / "103.atr").unlink()
    told = refused(lambda: WfdbRecords(str(folder), symbols={"N": "n", "V": "v"}, before_s=0.1, after_s=0.1))
    assert told == "dataset: '103.hea' needs the file '103.atr', which is not there"


def test_records_that_cannot_be_read_are_skipped_listed_and_counted(folder, made, labels, capsys):
    (folder / "100.dat").unlink()
    (folder / "101.hea").write_text("patient 4711 said:\n")
    np.full((400, 2), -32768, "<i2").tofile(folder / "102.dat")  # the format's mark of a missing value
    labels.write_text(labels.read_text() + "999,1,p9,60,test\n")
    record(folder, "106", waves(6))
    labels.write_text(labels.read_text() + "106,1,p6,60,test\n")
    data = made(on_error="skip")
    assert len(data) == 4 and data.y[:, 0].tolist() == [1, 0, 1, 1]
    np.testing.assert_allclose(data.x[:, 0], [waves(number)[:, 0] for number in (3, 4, 5, 6)], atol=1e-3)
    assert data.excluded == {"recording skipped": 4}
    told = " ".join(capsys.readouterr().out.split())
    assert "Warning: 4 recordings are skipped (dataset.on_error=skip):" in told
    assert "'100.hea' needs the file '100.dat', which is not there" in told
    assert "'102.hea', channel 'I', is all missing" in told
    assert "data row 7: no such recording is under dataset.root" in told and SECRET not in told


def test_records_without_annotations_or_an_asked_channel_are_skipped(folder):
    (folder / "103.atr").unlink()
    record(folder, "104", waves(4), names=("V1", "V2"), beats=([50], "N"))
    options = {"symbols": {"N": "n", "V": "v"}, "before_s": 0.1, "after_s": 0.1, "channels": ["I"]}
    data = WfdbRecords(str(folder), on_error="skip", **options)
    assert sorted(set(data.groups)) == ["100", "101", "102", "105"] and data.excluded == {"recording skipped": 2}


def test_without_a_record_that_can_be_read_the_first_reason_is_told(folder, made):
    for file in folder.glob("*.hea"):
        file.write_text("")
    told = refused(lambda: made(on_error="skip"))
    assert told.startswith("dataset.root: none of the recordings can be read (dataset: '100.hea' ")


def test_of_channels_that_are_not_taken_nothing_is_read(folder, made):
    for number in range(100, 106):
        signal = (1000 * waves(number - 100)[:, 0]).round().astype("<i2")
        signal.tofile(folder / f"{number}.dat")
        lines = (f"{number} 2 {RATE} 400", f"{number}.dat 16 1000/mV 16 0 0 0 0 I", "lost.dat 16 1000/mV 16 0 0 0 0 II")
        (folder / f"{number}.hea").write_text("\n".join(lines) + "\n")
    np.testing.assert_allclose(made(channels=["I"]).x[2, 0], waves(2)[:, 0], atol=1e-3)


HEADERS = {
    "text": "patient 4711 said:\n",
    "nothing": "",
    "HTML": "<html>\n<body>\n",
    "fewer lines than signals": "103 2 100 400\n103.dat 16 200/mV\n",
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_is_refused_that_holds(folder, made, what):
    (folder / "103.hea").write_text(HEADERS[what])
    assert refused(made).startswith("dataset: '103.hea' ")


@pytest.mark.parametrize("header", ["103 0 100\n", "103 1 100 0\n103.dat 16 200/mV 16 0 0 0 0 I\n"])
def test_a_record_of_no_length_is_refused(folder, made, header):
    (folder / "103.hea").write_text(header)
    assert refused(made) == "dataset: '103.hea' holds no signals"


def test_a_signal_file_cut_off_is_told(folder, made):
    (folder / "103.dat").write_bytes((folder / "103.dat").read_bytes()[:100])
    assert refused(made) == "dataset: '103.hea' can't be read (Samples were not loaded correctly)"


def test_a_channel_that_is_all_missing_is_told(folder, made):
    values = np.fromfile(folder / "103.dat", "<i2").reshape(-1, 2)
    values[:, 1] = -32768  # the format's mark
    values.tofile(folder / "103.dat")
    assert refused(made) == "dataset: '103.hea', channel 'II', is all missing"


def test_symbols_that_are_nowhere_annotated_are_told(folder):
    told = refused(lambda: WfdbRecords(str(folder), symbols={"A": "a", "F": "f"}, before_s=0.1, after_s=0.1))
    assert told == "dataset: no window lies within the 6 recordings"


def test_a_single_class_is_told(folder):
    told = refused(lambda: WfdbRecords(str(folder), symbols={"N": "n"}, before_s=0.1, after_s=0.1))
    assert told == "dataset.target: column 'annotation' is constant; there is nothing to learn"


def test_a_missing_folder_is_told(tmp_path):
    told = refused(lambda: WfdbRecords(str(tmp_path / "no"), symbols={"N": "n"}, before_s=0.1, after_s=0.1))
    assert told == f"dataset.root: there is no folder '{tmp_path / 'no'}'"


def test_a_folder_without_records_is_told(tmp_path):
    told = refused(lambda: WfdbRecords(str(tmp_path), symbols={"N": "n"}, before_s=0.1, after_s=0.1))
    assert told == f"dataset.root: '{tmp_path}' holds no files that end with .hea"


@pytest.mark.parametrize("options", [{"target": None}, {"labels": None}, {"symbols": {"N": "n"}}])
def test_targets_come_from_a_table_or_from_symbols(made, options):
    assert refused(lambda: made(**options)).startswith("dataset: give dataset.symbols, or dataset.labels")


ROWS = {
    "a record that is not there": ("101,0\n4711,1\n103,0\n47110,1\n", "2 rows (first is data row 2): no such recording"),
    "a record twice": ("101,0\n103,1\n101,0\n", "1 rows (first is data row 3): the recording has a row already"),
    "no record": ("101,0\n,1\n", "1 rows (first is data row 2): no such recording is under dataset.root"),
}  # fmt: skip


@pytest.mark.parametrize("what", ROWS)
def test_a_table_is_refused_with(made, labels, what):
    rows, told = ROWS[what]
    labels.write_text(f"record,ill\n{rows}")
    assert refused(made).startswith(f"dataset.labels: column 'record', {told}")


def test_a_record_named_as_one_in_a_folder_below_is_itself(folder, made):
    record(folder / "more", "103", waves(0))
    np.testing.assert_allclose(made().x[3, 0], waves(3)[:, 0], atol=1e-3)


def test_a_table_without_a_header_is_read_by_numbers(folder, labels, made):
    labels.write_text(labels.read_text().split("\n", 1)[1])
    data = made(header=False, record="0", target="1", patient="2")
    assert data.y[:, 0].tolist() == [0, 1] * 3 and data.groups.tolist() == ["p0", "p0", "p1", "p1", "p2", "p2"]


def test_a_name_that_several_records_have_is_refused(folder, made):
    (folder / "one").mkdir()
    for file in folder.glob("103.*"):
        file.rename(folder / "one" / file.name)
    record(folder / "more", "103", waves(3))
    assert "1 rows (first is data row 4): several recordings have this name" in refused(made)


def test_a_table_that_is_not_there_is_told(made, tmp_path):
    assert refused(lambda: made(labels=str(tmp_path / "no.csv"))).startswith("dataset.labels: there is no file '")


@pytest.mark.parametrize("key", ["record", "target", "patient", "split"])
def test_a_column_that_is_not_there_is_told(made, key):
    assert refused(lambda: made(**{key: "illl"})).startswith(f"dataset.{key}: there is no column 'illl'")


def test_a_heart_rate_is_learnt_from_windows_of_an_ecg(compose, folder, labels):
    overrides = [f"dataset.root={folder}", f"dataset.labels={labels}", "dataset.target=rate", "dataset.window_s=1"]
    small = ["model.widths=[4]", "model.kernel_sizes=[5]", "regime=smoke"]
    cfg = compose("dataset=wfdb_records", *overrides, *small)
    assert train(cfg)["val/mae"] >= 0


def test_whole_records_of_many_lengths_are_learnt_from(compose, folder, labels):
    for number in range(6):
        record(folder, f"{100 + number}", waves(number, seconds=2 + number / 3))
    overrides = [f"dataset.root={folder}", f"dataset.labels={labels}", "dataset.target=rate"]
    small = ["model.widths=[4]", "model.kernel_sizes=[5]", "regime=smoke"]
    assert np.isfinite(train(compose("dataset=wfdb_records", *overrides, *small))["val/mae"])


@pytest.mark.parametrize(
    ("names", "units", "told"),
    [
        (("I", "II"), ("uV", "uV"), r"its segment 1_b has I in uV, others in mV"),
        (("II", "I"), ("mV", "mV"), r"its segment 1_b has other channels, or in another order, than the first"),
    ],
)
def test_segments_that_would_be_read_as_something_else_are_refused(tmp_path, names, units, told):
    for number in range(2):
        record(tmp_path / "ecg", f"{number}_a", waves(number))
        of = {"names": names, "units": units} if number else {}
        record(tmp_path / "ecg", f"{number}_b", waves(number), **of)
        lines = [f"{number}/2 2 {RATE} {2 * SECONDS * RATE}", *(f"{number}_{part} {SECONDS * RATE}" for part in "ab")]
        (tmp_path / "ecg" / f"{number}.hea").write_text("\n".join(lines) + "\n")
    (tmp_path / "labels.csv").write_text("record,ill\n0,0\n1,1\n")
    with pytest.raises(UserError, match=rf"^dataset: '1.hea' can't be read \({told}\)$"):
        WfdbRecords(str(tmp_path / "ecg"), str(tmp_path / "labels.csv"), target="ill")


def test_a_recording_of_a_few_samples_is_no_series(folder, labels):
    record(folder, "101", waves(1)[:7])
    with pytest.raises(UserError, match=r"^dataset: '101.hea' holds 7 samples, too few for a series \(8 at least\)$"):
        WfdbRecords(str(folder), str(labels), target="ill")
    record(folder, "101", waves(1)[:8])
    assert WfdbRecords(str(folder), str(labels), target="ill").x[1].shape == (2, 8)
