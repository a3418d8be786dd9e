import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from fake_images import write_series, write_slice
from medfit.data.datasets.dicom_series import DicomSeries
from medfit.errors import UserError

VOLUME = np.arange(60, dtype=np.int16).reshape(5, 3, 4)


@pytest.fixture
def tree(tmp_path):
    write_series(tmp_path / "a" / "1", VOLUME, order=[3, 1, 0, 4, 2], patient="Doe^Jane", series="1.1")
    write_series(tmp_path / "a" / "2", VOLUME + 1, patient="Doe^Jane", series="1.2")
    write_series(tmp_path / "b", VOLUME[:3] + 2, patient="Roe^Richard", series="1.3")
    (tmp_path / "DICOMDIR").write_text("index")
    (tmp_path / "README.txt").write_text("hello")
    return tmp_path


def refused(tree, **more):
    with pytest.raises(UserError) as caught:
        DicomSeries(str(tree), **more)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert "Doe" not in message
    return message


def test_each_series_is_a_volume(tree):
    data = DicomSeries(str(tree))
    assert (len(data), data.task, data.channels) == (3, "generation", ["image"])
    assert np.array_equal(data.image(0).x[0], VOLUME[:, ::-1, ::-1].transpose(2, 1, 0))  # left and posterior turned
    assert data.image(0).spacing_mm == (1.0, 1.0, 2.5)


def test_files_that_are_no_dicom_are_counted(tree, capsys):
    DicomSeries(str(tree))
    assert "1 files are left out, as they are no DICOM files: README.txt" in capsys.readouterr().out


def test_each_slice_may_be_an_image(tree):
    data = DicomSeries(str(tree), slices=True)
    assert (len(data), data.num_dimensions, data.channels) == (13, 2, ["grey"])
    assert np.array_equal(data.image(0).x[0], VOLUME[3])
    assert data.image(0).spacing_mm == (1.0, 1.0)


def test_patients_are_numbers_and_never_named(tree, capsys):
    data = DicomSeries(str(tree))
    assert data.groups.tolist() == [0, 0, 1]
    said = capsys.readouterr().out
    assert "3 series of 2 patients" in said
    told = said + repr(data.schema()) + repr(vars(data))
    assert "Doe" not in told
    assert "Roe" not in told


def test_a_series_may_lie_in_several_folders(tree):
    (tree / "a" / "3").mkdir()
    shutil.move(tree / "a" / "1" / "002.dcm", tree / "a" / "3" / "z.dcm")
    assert DicomSeries(str(tree)).image(0).x.shape == (1, 4, 3, 5)


def test_real_slices_of_ct_and_mr_are_read(tmp_path):
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(get_testdata_file(name), tmp_path)
    data = DicomSeries(str(tmp_path))
    assert [data.image(i).x.shape for i in range(2)] == [(1, 128, 128), (1, 64, 64)]
    assert len(set(data.groups.tolist())) == 2


def test_objects_without_an_image_are_passed_over(tree):
    write_slice(tree / "plan.dcm", VOLUME[0], series="1.9", Rows=None, PixelData=None)
    assert len(DicomSeries(str(tree))) == 3


def test_files_that_do_not_say_whose_they_are_are_told(tree):
    write_series(tree / "c", VOLUME, patient="", series="1.4")
    assert "5 files do not say whose they are (PatientID); dataset.patient=StudyInstanceUID" in refused(tree)


def test_studies_may_stand_for_patients(tree):
    write_series(tree / "c", VOLUME, patient="", series="1.4", StudyInstanceUID="1.7")
    assert DicomSeries(str(tree), patient="StudyInstanceUID").groups.tolist() == [0, 0, 0, 1]


def test_a_series_of_two_patients_is_told(tree):
    write_slice(tree / "b" / "z.dcm", VOLUME[0], (0, 0, 99), patient="Doe^Jane", series="1.3")
    assert "z.dcm: is of another patient than the rest of its series" in refused(tree)


def test_a_missing_slice_is_told(tree):
    (tree / "a" / "2" / "002.dcm").unlink()
    assert "000.dcm and 3 more: slices are missing or uneven: they lie 2.5 to 5 mm apart" in refused(tree)


def test_mixed_spacings_are_told(tree):
    write_slice(tree / "b" / "z.dcm", VOLUME[0], (0, 0, 7.5), series="1.3", patient="Roe^Richard", PixelSpacing=[2, 2])
    assert "z.dcm: has another spacing than the other slices of 000.dcm and 3 more" in refused(tree)


def test_a_damaged_file_is_told(tree):
    path = Path(tree / "b" / "001.dcm")
    path.write_bytes(path.read_bytes()[:-5])
    assert "001.dcm: is not a whole DICOM file" in refused(tree)


def test_a_file_that_is_no_dicom_is_told(tree):
    (tree / "b" / "z.dcm").write_text("x")
    assert "z.dcm: is not a whole DICOM file (it has no DICM mark)" in refused(tree)


def test_a_tree_without_dicom_is_told(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert "there are no DICOM images" in refused(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert "dataset.root: there is no folder" in refused(tmp_path / "x")
