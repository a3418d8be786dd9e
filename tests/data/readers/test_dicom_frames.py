import numpy as np
import pytest
from pydicom.uid import SegmentationStorage

from fake_images import refused, sequence, write_frames, write_series, write_slice
from medfit.data.datasets.dicom_series import DicomSeries
from medfit.data.readers.image_files import read_image
from medfit.errors import UserError

SLICES = np.arange(4 * 3 * 2, dtype=np.int16).reshape(4, 3, 2)  # k, rows, columns
UP = [(5, -7, 11 + 2.5 * k) for k in range(4)]


def test_an_enhanced_file_is_the_volume_that_its_slices_are(tmp_path):
    order = [2, 0, 3, 1]  # of the frames in the file
    write_frames(tmp_path / "a.dcm", SLICES[order], [UP[k] for k in order], spacing=(0.5, 2))
    for k in range(4):
        write_slice(tmp_path / "series" / f"{k}.dcm", SLICES[k], UP[k], PixelSpacing=[0.5, 2])
    one, many = read_image(tmp_path / "a.dcm"), read_image(tmp_path / "series")
    assert np.array_equal(one.x, many.x) and one.spacing_mm == many.spacing_mm == (2.0, 0.5, 2.5)
    assert one.x[0, :, 0, 0].tolist() == [5, 4]  # from left to right, the hindmost row, the lowest slice


@pytest.mark.parametrize("angle", [0.3, 2.0])
def test_an_oblique_enhanced_file_is_turned_as_its_slices_are(tmp_path, angle):
    cos, sin = np.cos(angle), np.sin(angle)
    directions = np.array([cos, sin, 0, 0, 0, -1])
    places = [np.array([1.0, 2, 3]) - 2 * k * np.cross(directions[:3], directions[3:]) for k in range(4)]
    write_frames(tmp_path / "a.dcm", SLICES, places, directions, (0.5, 2))
    for k in range(4):
        more = {"PixelSpacing": [0.5, 2], "ImageOrientationPatient": directions.tolist()}
        write_slice(tmp_path / "series" / f"{k}.dcm", SLICES[k], places[k], **more)
    one, many = read_image(tmp_path / "a.dcm"), read_image(tmp_path / "series")
    assert np.array_equal(one.x, many.x) and one.spacing_mm == pytest.approx(many.spacing_mm)


def test_each_frame_has_its_own_scale(tmp_path):
    write_frames(tmp_path / "a.dcm", SLICES, UP, rescale=[(1 + k, -1024 * k) for k in range(4)])
    x = read_image(tmp_path / "a.dcm").x[0]
    expected = [SLICES[k] * (1.0 + k) - 1024 * k for k in range(4)]
    assert np.array_equal(x, np.stack(expected).transpose(2, 1, 0)[::-1, ::-1])


def test_an_enhanced_file_of_one_frame_is_flat_with_its_own_scale_and_spacing(tmp_path):
    write_frames(tmp_path / "a.dcm", SLICES[:1], UP[:1], spacing=(0.5, 2), rescale=[(2, -1000)])
    image = read_image(tmp_path / "a.dcm")
    assert np.array_equal(image.x[0], SLICES[0] * 2.0 - 1000) and image.spacing_mm == (0.5, 2.0)


def test_enhanced_files_of_a_frame_each_are_a_series(tmp_path):
    for k in range(4):
        write_frames(tmp_path / "case" / f"{9 - k}.dcm", SLICES[k : k + 1], UP[k : k + 1])
    write_frames(tmp_path / "a.dcm", SLICES, UP)
    assert np.array_equal(read_image(tmp_path / "case").x, read_image(tmp_path / "a.dcm").x)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"places": [UP[0], UP[1], UP[3], (5, -7, 21)]}, "slices are missing or uneven"),
        ({"places": [UP[0], UP[1], UP[0], UP[1]]}, "two slices lie at the same place"),
        ({"stacks": [1, 1, 2, 2]}, "holds 2 stacks of slices"),
        ({"PerFrameFunctionalGroupsSequence": None}, "holds 4 frames and does not say where each lies"),
        ({"SharedFunctionalGroupsSequence": sequence()}, "frame 1: does not say its PixelSpacing"),
        ({"ImagePositionPatient": None, "places": [(1, 2)] * 4}, "its ImagePositionPatient is not 3 numbers"),
        ({"SOPClassUID": SegmentationStorage}, "holds a segmentation (SEG); an image was expected"),
    ],
)
def test_frames_that_are_no_volume_are_refused(tmp_path, more, told):
    assert told in refused(write_frames(tmp_path / "a.dcm", SLICES, **({"places": UP} | more)))


def test_frames_are_no_slices_of_their_own(tmp_path):
    write_frames(tmp_path / "a.dcm", SLICES, UP, series="1.1")
    write_series(tmp_path / "b", SLICES, series="1.2")
    assert DicomSeries(str(tmp_path)).num_dimensions == 3
    with pytest.raises(UserError) as caught:
        DicomSeries(str(tmp_path), slices=True)
    assert str(caught.value) == "a.dcm: holds 4 slices; dataset.slices=false reads it as a volume"


def test_files_about_images_are_left_out_and_named(tmp_path, capsys):
    write_series(tmp_path / "b", SLICES, series="1.2")
    write_frames(tmp_path / "mask.dcm", SLICES, UP, series="1.3", SOPClassUID=SegmentationStorage)
    assert len(DicomSeries(str(tmp_path))) == 1
    assert "1 files are left out, as they hold no image: mask.dcm" in " ".join(capsys.readouterr().out.split())


def test_a_number_of_frames_that_is_none_is_refused(tmp_path):
    path = write_slice(tmp_path / "a.dcm", SLICES[0], NumberOfFrames=7)
    path.write_bytes(path.read_bytes().replace(b"IS\x02\x007 ", b"IS\x02\x001A"))
    assert "is not a whole DICOM file" in refused(path)
    with pytest.raises(UserError, match="^a.dcm: is not a whole DICOM file"):
        DicomSeries(str(tmp_path), slices=True)


def test_values_that_are_none_are_not_told_in_warnings(tmp_path, recwarn):
    path = write_slice(tmp_path / "a.dcm", SLICES[0], series="1.23456")
    path.write_bytes(path.read_bytes().replace(b"1.23456", b"Doe^Jim"))
    assert len(DicomSeries(str(tmp_path))) == 1
    assert not [warning for warning in recwarn.list if "Doe" in str(warning.message)]
