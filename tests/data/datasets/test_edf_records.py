from datetime import datetime

import numpy as np
import pytest

from medfit.data.datasets.edf_records import EdfRecords
from medfit.errors import UserError
from medfit.train import train

RATE = 100
SECONDS = 4
STEP = 4.0 / 2**16  # of the digital values that waves() are stored as
SECRET = "4711"


def waves(number, seconds=SECONDS, rate=RATE):
    time = np.arange(int(seconds * rate)) / rate
    return np.sin(2 * np.pi * (1 + number) * time)


def write(file, signals, names=("C3", "C4"), rates=(RATE, RATE), unit="uV", notes=(), bdf=False, start=None):
    """Writes EDF+ or BDF+; ``notes`` are onsets in seconds and texts, or with seconds that they last."""
    import pyedflib

    file.parent.mkdir(parents=True, exist_ok=True)
    most = 2 ** (23 if bdf else 15)
    kind = pyedflib.FILETYPE_BDFPLUS if bdf else pyedflib.FILETYPE_EDFPLUS
    with pyedflib.EdfWriter(str(file), len(names), file_type=kind) as writer:
        writer.setPatientCode(SECRET)
        writer.setStartdatetime(start or datetime(2020, 1, 1, 22, 0))
        writer.setSignalHeaders([
            {"label": name, "dimension": unit, "sample_frequency": rate, "physical_max": 2.0, "physical_min": -2.0,
             "digital_max": most - 1, "digital_min": -most, "prefilter": "", "transducer": ""}
            for name, rate in zip(names, rates, strict=True)
        ])  # fmt: skip
        if signals:
            writer.writeSamples(signals)
        for onset, text, *lasts in notes:
            writer.writeAnnotation(onset, lasts[0] if lasts else 1.0, text)


@pytest.fixture
def folder(tmp_path):
    """Six recordings of two channels and four seconds."""
    notes = [(0.5, "seizure"), (1.5, "rest"), (2.5, "lights off"), (3.9, "rest")]
    for number in range(6):
        write(tmp_path / "eeg" / f"s{number}.edf", [waves(number), -waves(number)], notes=notes)
    return tmp_path / "eeg"


@pytest.fixture
def labels(folder):
    rows = "".join(f"s{n}.edf,{n % 2},p{n // 2},{60 + 7.5 * n}\n" for n in range(6))
    (folder.parent / "labels.csv").write_text("record,ill,who,rate\n" + rows)
    return folder.parent / "labels.csv"


@pytest.fixture
def made(folder, labels):
    return lambda **options: EdfRecords(str(folder), **{"labels": str(labels), "target": "ill", **options})


def refused(make):
    """What is told of a mistake, in a line without a value."""
    with pytest.raises(UserError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300 and SECRET not in message
    return message


def test_a_file_is_a_series_in_its_physical_units(made):
    data = made()
    expected = [[waves(number), -waves(number)] for number in range(6)]
    np.testing.assert_allclose(data.x, expected, atol=STEP)
    assert (data.channels, data.sampling_rate_hz) == (["C3", "C4"], RATE)
    assert data.schema()[0] == {"name": "C3", "kind": "signal", "role": "feature", "unit": "uV"}


def test_a_bdf_file_is_read_in_24_bits(folder, made):
    (folder / "s3.edf").unlink()
    write(folder / "s3.bdf", [waves(3), -waves(3)], bdf=True)
    (folder.parent / "labels.csv").write_text("record,ill\ns3.bdf,1\ns1.edf,0\n")
    np.testing.assert_allclose(made().x[0], [waves(3), -waves(3)], atol=STEP / 200)


def test_an_ending_in_capitals_is_one(folder, made):
    (folder / "s3.edf").rename(folder / "s3.EDF")
    assert len(made()) == 6


def test_windows_take_their_files_target_and_patient(made):
    data = made(window_s=2.0, patient="who", channels=["C4"])
    assert data.x.shape == (12, 1, 200) and data.y[:, 0].tolist() == [0, 0, 1, 1] * 3
    assert data.groups.tolist() == ["p0"] * 4 + ["p1"] * 4 + ["p2"] * 4
    np.testing.assert_allclose(data.x[3, 0], -waves(1)[200:], atol=STEP)


def test_windows_around_annotations_take_their_class(folder):
    data = EdfRecords(str(folder), symbols={"seizure": "ictal", "rest": "other"}, before_s=0.25, after_s=0.5)
    assert data.y[:, 0].tolist() == [0, 1] * 6 and data.target_names == ["annotation: other"]
    np.testing.assert_allclose(data.x[1, 0], waves(0)[125:200], atol=STEP)


HYPNOGRAM = [(0.0, "Sleep stage W", 2.0), (2.0, "Sleep stage 1", 1.0), (3.0, "Sleep stage ?", 1.0)]
STAGES = {"Sleep stage W": "W", "Sleep stage 1": "N1"}


@pytest.mark.parametrize("options", [{"window_s": 0.5}, {"before_s": 0.0, "after_s": 0.5}])
def test_windows_tile_stages_that_last(tmp_path, options):
    for number in range(3):
        write(tmp_path / "eeg" / f"n{number}.edf", [waves(number), -waves(number)], notes=HYPNOGRAM)
    data = EdfRecords(str(tmp_path / "eeg"), symbols=STAGES, **options)
    assert data.target_names == ["annotation: W"] and data.y[:, 0].tolist() == [1, 1, 1, 1, 0, 0] * 3
    np.testing.assert_allclose(data.x[9, 0], waves(1)[150:200], atol=STEP)


PAIRS = [
    ("n{}.edf", "n{}_sleepscoring.edf"),
    ("n{}-PSG.edf", "n{}-Hypnogram.edf"),
    ("SC40{}1E0-PSG.edf", "SC40{}1EC-Hypnogram.edf"),
    ("psg/n{}.edf", "hypnograms/n{}.edf"),
]


@pytest.mark.parametrize(("recording", "hypnogram"), PAIRS)
def test_a_hypnogram_in_a_second_file_is_its_recordings(tmp_path, recording, hypnogram):
    for number in range(3):
        write(tmp_path / "eeg" / recording.format(number), [waves(number), -waves(number)])
        write(tmp_path / "eeg" / hypnogram.format(number), [], names=(), rates=(), notes=HYPNOGRAM[: 1 + number])
    data = EdfRecords(str(tmp_path / "eeg"), symbols=STAGES, window_s=1.0)
    assert data.y[:, 0].tolist() == [1, 1, 1, 1, 0, 1, 1, 0] and len(set(data.groups)) == 3
    np.testing.assert_allclose(data.x[4, 0], waves(1)[200:300], atol=STEP)


def test_a_hypnogram_that_begins_later_is_laid_where_it_belongs(tmp_path):
    for number in range(2):
        write(tmp_path / f"n{number}.edf", [waves(number), waves(5)])
        start = datetime(2020, 1, 1, 22, 0, number)
        write(tmp_path / f"n{number}-Hypnogram.edf", [], names=(), rates=(), notes=HYPNOGRAM[:2], start=start)
    data = EdfRecords(str(tmp_path), symbols=STAGES, window_s=1.0)
    np.testing.assert_allclose(data.x[3, 0], waves(1)[100:200], atol=STEP)


def test_a_table_names_recordings_beside_their_hypnograms(folder, made):
    write(folder / "s1-Hypnogram.edf", [], names=(), rates=(), notes=HYPNOGRAM)
    assert len(made()) == 6


def test_a_hypnogram_of_two_recordings_is_refused(tmp_path):
    write(tmp_path / "n-PSG.edf", [waves(0), waves(0)])
    write(tmp_path / "n.edf", [waves(1), waves(1)])
    write(tmp_path / "n-Hypnogram.edf", [], names=(), rates=(), notes=HYPNOGRAM)
    told = refused(lambda: EdfRecords(str(tmp_path), symbols=STAGES, window_s=1.0))
    assert told == (
        "dataset.root: 'n-Hypnogram.edf' holds annotations of 'n-PSG.edf' and 'n.edf': leave one in the folder"
    )


def test_a_hypnogram_without_its_recording_is_told(folder):
    write(folder / "lost-Hypnogram.edf", [], names=(), rates=(), notes=HYPNOGRAM)
    told = refused(lambda: EdfRecords(str(folder), symbols={"rest": "a", "seizure": "b"}, before_s=0.1, after_s=0.1))
    assert told == "dataset: 'lost-Hypnogram.edf' holds no signals"


def test_channels_of_one_name_are_numbered(folder, made):
    for number in range(6):
        write(folder / f"s{number}.edf", [waves(1), waves(2)], names=("EEG", "EEG"))
    assert made().channels == ["EEG", "EEG 2"]


def test_channels_of_many_rates_are_brought_to_one(folder, made):
    for number in range(6):
        write(folder / f"s{number}.edf", [waves(number), waves(0, rate=50)], rates=(RATE, 50))
    data = made(resample_hz=RATE)
    assert data.x.shape == (6, 2, 400) and data.sampling_rate_hz == RATE
    np.testing.assert_allclose(data.x[2, 0], waves(2), atol=0.02)
    np.testing.assert_allclose(data.x[2, 1, 50:-50], waves(0)[50:-50], atol=0.02)


def test_channels_of_one_rate_are_chosen_among_many(folder, made):
    for number in range(6):
        write(folder / f"s{number}.edf", [waves(number), waves(0, rate=50)], rates=(RATE, 50))
    assert made(channels=["C4"]).sampling_rate_hz == 50


def test_channels_of_many_rates_are_refused(folder, made):
    write(folder / "s0.edf", [waves(0), waves(0, rate=50)], rates=(RATE, 50))
    assert refused(made) == (
        "dataset: 's0.edf' has 100 Hz in channel 'C3', but 's0.edf' 50 Hz in 'C4'; "
        "bring all to one rate with dataset.resample_hz"
    )


def test_volts_are_brought_to_the_first_files_unit(folder, made, capsys):
    write(folder / "s3.edf", [waves(3), -waves(3)], unit="mV")
    data = made()
    np.testing.assert_allclose(data.x[3, 0], 1000 * waves(3), atol=1000 * STEP)
    assert data.units["C3"] == "uV" and "; values are brought from mV to uV" in capsys.readouterr().out


def test_other_units_are_refused_by_both_files(folder, made):
    write(folder / "s3.edf", [waves(3), -waves(3)], unit="mmHg")
    assert refused(made) == "dataset: channel 'C3' is in uV in 's0.edf', but in mmHg in 's3.edf'"


@pytest.mark.parametrize("content", [f"patient {SECRET} said\n".encode() * 100, b"", b"\0" * 600])
def test_a_file_that_is_no_edf_is_told(folder, made, content):
    (folder / "s3.edf").write_bytes(content)
    assert refused(made).startswith("dataset: 's3.edf' can't be read (s3.edf: ")


@pytest.mark.parametrize("size", [100, 800, 1500])
def test_a_file_cut_off_is_told(folder, made, size):
    (folder / "s3.edf").write_bytes((folder / "s3.edf").read_bytes()[:size])
    assert refused(made).startswith("dataset: 's3.edf' can't be read (s3.edf: ")


def test_a_file_of_annotations_alone_is_told(folder, made):
    write(folder / "s3.edf", [], names=(), rates=(), notes=[(0.5, "rest")])
    assert refused(made) == "dataset: 's3.edf' holds no signals"


def test_files_that_differ_by_their_ending_alone_are_refused(folder, made):
    write(folder / "s3.bdf", [waves(3), -waves(3)], bdf=True)
    assert refused(made) == "dataset.root: 's3.bdf' and another file differ by their ending alone"


def test_a_row_without_its_file_is_told(folder, made):
    (folder / "s3.edf").unlink()
    told = "1 rows (first is data row 4): no such recording is under dataset.root"
    assert refused(made) == f"dataset.labels: column 'record', {told}"


@pytest.mark.slow
def test_a_heart_rate_is_learnt(compose, folder, labels):
    overrides = [f"dataset.root={folder}", f"dataset.labels={labels}", "dataset.target=rate", "dataset.window_s=1"]
    small = ["model.widths=[4]", "model.kernel_sizes=[5]", "regime=smoke"]
    assert train(compose("dataset=edf_records", *overrides, *small))["val/mae"] >= 0


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_a_size_other_than_the_headers_is_told_without_the_readers_own_print(folder, made, capfd, change):
    content = (folder / "s3.edf").read_bytes()
    (folder / "s3.edf").write_bytes(content[:change] if change < 0 else content + b"x")
    told = f"holds {len(content) + change} bytes, its header says {len(content)}"
    assert refused(made) == f"dataset: 's3.edf' can't be read (s3.edf: {told})"
    assert capfd.readouterr().out == ""
