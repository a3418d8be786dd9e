import numpy as np
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, GeneralECGWaveformStorage

from fake_waveforms import channel, code, group, write_waveforms
from medfit.data.datasets.dicom_waveforms import DicomWaveforms
from medfit.errors import UserError
from medfit.train import train

RNG = np.random.default_rng(0)
SECRET = "SECRET4711"


def beats(seconds=2, channels=2, rate=100):
    return RNG.integers(-500, 500, (seconds * rate, channels))


@pytest.fixture
def folder(tmp_path):
    """Six files of leads I and II, of three patients."""
    for number in range(6):
        leads = [channel("I"), channel("II")]
        write_waveforms(tmp_path / "ecg" / f"e{number}.dcm", [group(beats(), leads)], f"{SECRET}{number // 2}")
    rows = "".join(f"e{number},{number % 2}\n" for number in range(6))
    (tmp_path / "labels.csv").write_text("record,ill\n" + rows)
    return tmp_path / "ecg"


@pytest.fixture
def made(folder):
    return lambda **options: DicomWaveforms(str(folder), str(folder.parent / "labels.csv"), target="ill", **options)


def replaced(folder, groups, number=1, **options):
    return write_waveforms(folder / f"e{number}.dcm", groups, f"{SECRET}{number // 2}", **options)


def refused(made, **options):
    with pytest.raises(UserError) as caught:
        made(**options)
    assert "\n" not in str(caught.value) and SECRET not in str(caught.value)
    return str(caught.value)


def test_values_are_in_their_units_and_patients_are_the_headers(made, folder, capsys):
    raw = beats()
    leads = [channel("I", 2.5, "uV", baseline=10, correction=2), channel("II", 4.88, "uV")]
    replaced(folder, [group(raw, leads)], 0)
    data = made()
    assert data.channels == ["I", "II"] and data.sampling_rate_hz == 100 and data.units["I"] == "uV"
    assert np.allclose(data.x[0], [raw[:, 0] * 5.0 + 10, raw[:, 1] * 4.88], rtol=1e-6)
    assert data.groups.tolist() == ["0", "0", "1", "1", "2", "2"]
    told = capsys.readouterr().out
    assert SECRET not in told + str(vars(data)) and "Doe" not in told and "further groups" not in told


def test_leads_are_named_by_code_and_volts_are_brought_to_one_unit(made, folder, capsys):
    raw = beats(channels=3)
    mdc = [code("2:2", "MDC", "MDC_ECG_LEAD_II"), code("2:62", "MDC", "aVR"), code("X", "99LOCAL", "Lead I")]
    leads = [channel("", 0.001, "mV", source=source) for source in mdc]
    replaced(folder, [group(raw, leads)], kind=GeneralECGWaveformStorage)
    data = made()
    assert data.channels == ["I", "II"] and np.allclose(data.x[1], raw[:, [2, 0]].T, rtol=1e-5)
    told = " ".join(capsys.readouterr().out.split())
    assert "values are brought from mV to uV" in told and "aVR (in 1 of 6)" in told


def test_the_longest_original_group_is_read_and_others_are_told(made, folder, capsys):
    raw = beats()
    leads = [channel("I"), channel("II")]
    groups = [
        group(beats(1), leads, label="FIRST"),
        group(raw, leads),
        group(beats(), leads, label="SECOND"),
        group(beats(4), leads, label="MEDIAN BEAT", originality="DERIVED"),
    ]
    replaced(folder, groups)
    assert np.allclose(made().x[1], raw.T * 1.25)
    assert "in 1 recordings there are further groups of waveforms, which are not read" in " ".join(
        capsys.readouterr().out.split()
    )


def test_padding_is_missing(made, folder):
    raw = beats()
    raw[5:8, 1] = -32768
    replaced(folder, [group(raw, [channel("I"), channel("II")], padding=-32768)])
    x = made().x[1]
    assert np.flatnonzero(np.isnan(x[1])).tolist() == [5, 6, 7] and not np.isnan(x[0]).any()


def test_values_without_a_sensitivity_have_no_unit(made, folder, capsys):
    raw = beats()
    for number in range(6):
        replaced(folder, [group(raw, [channel("I", None), channel("II")])], number)
    data = made()
    assert np.allclose(data.x[0], [raw[:, 0], raw[:, 1] * 1.25]) and data.units == {"I": "", "II": "uV"}


def test_files_need_no_ending(made, folder):
    for number in range(6):
        (folder / f"e{number}.dcm").rename(folder / f"1.2.{number}")
    (folder / "notes").write_text("nothing")
    rows = "".join(f"1.2.{number},{number % 2}\n" for number in range(6))
    (folder.parent / "labels.csv").write_text("record,ill\n" + rows)
    assert len(made()) == 6


def test_a_column_may_name_the_patient(made, folder, capsys):
    rows = "".join(f"e{number},{number % 2},w{number % 3}\n" for number in range(6))
    (folder.parent / "labels.csv").write_text("record,ill,who\n" + rows)
    assert made(patient="who").groups.tolist() == ["w0", "w1", "w2"] * 2
    told = " ".join(capsys.readouterr().out.split())
    assert "dataset.patient takes 3 patients, by what the files say, for several each" in told and SECRET not in told


def test_a_column_that_agrees_with_the_headers_needs_no_word(made, folder, capsys):
    rows = "".join(f"e{number},{number % 2},w{number // 2}\n" for number in range(6))
    (folder.parent / "labels.csv").write_text("record,ill,who\n" + rows)
    assert len(set(made(patient="who").groups)) == 3 and "for several each" not in capsys.readouterr().out


def test_files_that_do_not_say_whose_they_are_are_refused(made, folder):
    write_waveforms(folder / "e1.dcm", [group(beats(), [channel("I"), channel("II")])], "")
    assert refused(made).startswith("dataset.patient: 1 of 6 files do not say whose they are")


def test_images_and_damaged_files_are_refused_by_name_or_skipped(made, folder, capsys):
    replaced(folder, None, 1, kind=CTImageStorage)
    assert refused(made) == "dataset: 'e1.dcm' is a CT Image Storage, which holds no waveforms"
    file = folder / "e2.dcm"
    file.write_bytes(file.read_bytes()[:-300])
    (folder / "e3.dcm").write_bytes(b"nothing")
    replaced(folder, [group(beats(channels=1), [channel("I")])], 4)
    assert len(made(on_error="skip", channels=["I"])) == 3
    told = capsys.readouterr().out
    assert all(f"'e{number}.dcm'" in told for number in (1, 2, 3)) and SECRET not in told


def test_other_orders_of_bytes_and_missing_descriptions_are_refused(made, folder):
    whole = group(beats(), [channel("I"), channel("II")])
    whole.ChannelDefinitionSequence = [channel("I")]
    replaced(folder, [whole])
    assert "describes 1 of its 2 channels" in refused(made)
    replaced(folder, [group(beats(), [channel("I"), channel("II")])], syntax=ExplicitVRBigEndian)
    assert "big-endian order" in refused(made)


def test_annotations_are_refused(folder):
    with pytest.raises(UserError, match=r"^dataset.symbols: annotations of DICOM waveforms are not read"):
        DicomWaveforms(str(folder), symbols={"N": "normal"}, window_s=1)


def test_waveforms_train(compose, folder):
    data = [f"dataset.root={folder}", f"dataset.labels={folder.parent}/labels.csv", "dataset.target=ill"]
    cfg = compose("dataset=dicom_waveforms", *data, "dataset.window_s=0.5", "regime=smoke", "model.widths=[8,8,8]")
    assert "val/auroc" in train(cfg)
