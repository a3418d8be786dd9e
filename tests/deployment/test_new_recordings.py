import numpy as np
import pytest

from fake_series import NAMES, describing, refusal, signals, told, write_dicom, write_edf, write_npy, write_wfdb
from medfit.deployment import new_series


@pytest.fixture
def training(compose, tmp_path):
    return describing(compose, tmp_path)


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
