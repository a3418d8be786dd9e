import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from fake_images import AXES, by_place, few, refused, write_series, write_slice
from medfit.data.readers.dicom_files import read_dicom
from medfit.data.readers.image_files import read_image
from medfit.errors import UserError


@few
@given(st.sampled_from(AXES), st.permutations(range(4)), st.sampled_from([1.0, -1.0]))
def test_any_axes_of_a_dicom_series_give_the_same_volume(axes, file_order, sign):
    order, signs = axes
    directions = np.zeros((3, 3))
    directions[np.arange(3), list(order)] = signs
    across, down, normal = directions
    normal = sign * normal
    stored = np.arange(4 * 3 * 2, dtype=np.int16).reshape(4, 3, 2)  # k, rows, columns
    more = {"ImageOrientationPatient": [*across, *down], "PixelSpacing": [0.5, 2]}
    with tempfile.TemporaryDirectory() as folder:
        for number, k in enumerate(file_order):
            write_slice(Path(folder) / f"{number}.dcm", stored[k], 3.0 * k * normal + (5, -7, 11), **more)
        image = read_image(Path(folder))
    k, row, column = (index[..., None] for index in np.indices(stored.shape))
    places = (column * 2 * across + row * 0.5 * down + k * 3 * normal) * (-1, -1, 1)  # left, posterior in DICOM
    assert np.array_equal(image.x[0], by_place(stored.astype(np.float32), places))
    assert image.spacing_mm == pytest.approx(np.abs(np.stack([2 * across, 0.5 * down, 3 * normal])).sum(axis=0))


def test_a_real_ct_is_in_hounsfield_units():
    path = Path(get_testdata_file("CT_small.dcm"))
    head = pydicom.dcmread(path)
    image = read_image(path)
    assert np.array_equal(image.x[0], head.pixel_array * float(head.RescaleSlope) + float(head.RescaleIntercept))
    assert image.spacing_mm == pytest.approx(tuple(head.PixelSpacing))


def test_a_real_mr_is_read():
    path = Path(get_testdata_file("MR_small.dcm"))
    assert np.array_equal(read_image(path).x[0], pydicom.dcmread(path).pixel_array)


def test_monochrome1_is_turned_so_that_white_is_bright(tmp_path):
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4)
    path = write_slice(tmp_path / "a.dcm", stored, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    assert np.array_equal(read_image(path).x[0], 4095.0 - stored)


def test_a_folder_with_one_dicom_file_is_a_flat_image(tmp_path):
    write_series(tmp_path / "case", np.ones((1, 3, 4), dtype=np.int16))
    assert read_image(tmp_path / "case").x.shape == (1, 3, 4)


def test_other_files_beside_a_series_are_passed_over(tmp_path):
    write_series(tmp_path / "case", np.ones((3, 3, 4), dtype=np.int16))
    (tmp_path / "case" / "README.txt").write_text("hello")
    (tmp_path / "case" / "DICOMDIR").write_text("index")
    assert read_image(tmp_path / "case").x.shape == (1, 4, 3, 3)


VOLUME = np.arange(60, dtype=np.int16).reshape(5, 3, 4)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "case").mkdir()
    assert "holds no DICOM images" in refused(tmp_path / "case")


def test_two_series_in_a_folder_are_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME)
    write_slice(tmp_path / "case" / "z.dcm", VOLUME[0], (0, 0, 99), series="1.2.4")
    assert "holds 2 DICOM series" in refused(tmp_path / "case")


def test_a_missing_slice_is_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME)[2].unlink()
    assert "slices are missing or uneven: they lie 2.5 to 5 mm apart" in refused(tmp_path / "case")


def test_a_doubled_slice_is_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME)
    write_slice(tmp_path / "case" / "z.dcm", VOLUME[0])
    assert "two slices lie at the same place" in refused(tmp_path / "case")


def test_a_tilted_gantry_is_refused(tmp_path):
    for k in range(4):
        write_slice(tmp_path / "case" / f"{k}.dcm", VOLUME[k], (0, 0.5 * k, 2 * k))
    assert "stacked at a slant" in refused(tmp_path / "case")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"PixelSpacing": [2, 2]}, "spacing"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]}, "direction"),
    ],
)
def test_slices_that_differ_are_refused(tmp_path, more, what):
    write_series(tmp_path / "case", VOLUME)
    write_slice(tmp_path / "case" / "z.dcm", VOLUME[0], (0, 0, 12.5), **more)
    with pytest.raises(UserError, match=f"z.dcm: has another {what} than the other slices of case"):
        read_image(tmp_path / "case")


def test_slices_of_another_size_are_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME)
    write_slice(tmp_path / "case" / "z.dcm", VOLUME[0].T.copy(), (0, 0, 12.5))
    with pytest.raises(UserError, match=r"z.dcm: has another size"):
        read_image(tmp_path / "case")


def test_slices_without_a_position_are_refused(tmp_path):
    write_series(tmp_path / "case", VOLUME, ImagePositionPatient=None)
    with pytest.raises(UserError, match=r"000.dcm: does not say its ImagePositionPatient"):
        read_image(tmp_path / "case")


def test_a_damaged_slice_of_a_series_is_named(tmp_path):
    path = write_series(tmp_path / "case", VOLUME)[3]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match=r"003.dcm: is not a whole DICOM file"):
        read_image(tmp_path / "case")


@pytest.mark.parametrize("ending", ["jp2klossless", "jpeg_ls_lossless", "RLE"])
def test_compressed_files_are_read_as_plain_ones(ending):
    plain, compressed = (read_dicom(Path(get_testdata_file(f"MR_small{name}.dcm"))) for name in ("", f"_{ending}"))
    np.testing.assert_array_equal(plain.x, compressed.x)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_lossless_jpeg_is_read(tmp_path, syntax, dtype):
    import imagecodecs
    from pydicom.encaps import encapsulate

    pixels = np.random.default_rng(0).integers(0, 4000, (6, 8)).astype(dtype)
    path = write_slice(tmp_path / "a.dcm", pixels)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([imagecodecs.ljpeg_encode(pixels.astype(np.uint16))])
    data["PixelData"].is_undefined_length = True
    data.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_dicom(path).x[0], pixels)


def test_a_compression_that_cannot_be_read_is_named(tmp_path):
    path = Path(shutil.copy(get_testdata_file("JPEG-lossy.dcm"), tmp_path))  # of 12 bits
    told = (
        "is damaged, or compressed in a way that can't be read (JPEG Extended (Process 2 and 4)); decompress it first"
    )
    assert told in refused(path)


def test_several_frames_in_one_file_are_refused(tmp_path):
    path = write_slice(tmp_path / "a.dcm", np.zeros((4, 4), np.int16), NumberOfFrames=2)
    assert "holds 2 frames and does not say where each lies, as a film" in refused(path)


def test_no_message_names_the_patient(tmp_path):
    write_series(tmp_path / "case", VOLUME, patient="Doe^Jane")
    write_slice(tmp_path / "case" / "z.dcm", VOLUME[0], patient="Doe^Jane")
    assert "Doe" not in refused(tmp_path / "case")


@pytest.mark.parametrize("spacing", [[0, 0], [0.5, 0], [-1, 1], None])
def test_a_spacing_of_nothing_is_not_known(tmp_path, spacing):
    assert read_image(write_slice(tmp_path / "a.dcm", VOLUME[0], PixelSpacing=spacing)).spacing_mm is None
