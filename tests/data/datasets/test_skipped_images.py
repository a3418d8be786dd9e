"""One bad image of many: it ends the reading in a line that names it, or is left out, listed and counted."""

import numpy as np
import pytest

from broken_images import PIXELS, cut_off, png, refused, text, told
from fake_images import write_flat, write_nifti, write_series, write_slice
from medfit.data.datasets.dicom_series import DicomSeries
from medfit.data.datasets.image_classes import ImageClasses
from medfit.data.datasets.image_table import ImageTable

SLICE = np.arange(12, dtype=np.int16).reshape(3, 4)


def empty(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


BAD = {  # what lies in the file, by what is told of it
    "a/bad.png: is not a whole PNG file": lambda folder: cut_off(png(folder / "a" / "bad.png")),
    "a/none.png: is not a whole PNG file": lambda folder: empty(folder / "a" / "none.png"),
    "b/page.dcm: is not a whole DICOM file": lambda folder: text(folder / "b" / "page.dcm"),
    "b/volume.nii.gz: is not a whole NIfTI file": lambda folder: text(folder / "b" / "volume.nii.gz"),
    "b/rgb.png: 3 channels of 8 x 10 pixels do not fit": lambda folder: png(
        folder / "b" / "rgb.png", np.stack([PIXELS] * 3, -1)
    ),
    "a/flat.nii: 1 channels of 8 x 10 x 2 pixels do not fit": lambda folder: write_nifti(
        folder / "a" / "flat.nii", np.ones((8, 10, 2), dtype=np.int16)
    ),
    "a/nan.tif: holds values that are no finite numbers": lambda folder: write_flat(
        folder / "a" / "nan.tif", np.full((8, 10), np.nan, dtype=np.float32)
    ),
}


@pytest.fixture
def classes(tmp_path):
    for number in range(3):
        for name in "ab":
            png(tmp_path / "xrays" / name / f"{number}.png", PIXELS + number)
    return tmp_path / "xrays"


@pytest.mark.parametrize("reason", BAD)
def test_the_first_bad_image_of_a_class_folder_is_named(classes, reason):
    BAD[reason](classes)
    assert refused(lambda: ImageClasses(str(classes))).startswith(reason)


def test_bad_images_of_class_folders_are_left_out_listed_and_counted(classes, capsys):
    for make in BAD.values():
        make(classes)
    data = ImageClasses(str(classes), on_error="skip")
    assert data.file_names == ["a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png"]
    assert data.y[:, 0].tolist() == [0, 0, 0, 1, 1, 1] and len(data.groups) == 6
    assert [int(data.image(row).x[0, 0, 0]) for row in range(6)] == [0, 1, 2, 0, 1, 2]
    assert data.excluded == {"image skipped": len(BAD)}
    shown = told(capsys)
    assert f"Warning: {len(BAD)} images are skipped (dataset.on_error=skip):" in shown
    assert all(reason in shown for reason in BAD)


def test_files_of_one_name_in_two_folders_are_two(classes):
    empty(classes / "a" / "9.png")
    empty(classes / "b" / "9.png")
    assert ImageClasses(str(classes), on_error="skip").excluded == {"image skipped": 2}


def test_a_first_image_that_is_unlike_all_others_is_the_one_that_is_left_out(classes):
    png(classes / "a" / "00.png", np.stack([PIXELS] * 3, -1))
    data = ImageClasses(str(classes), on_error="skip")
    assert (len(data), data.channels) == (6, ["grey"])


def test_channels_that_are_asked_for_say_which_images_fit(classes):
    for name in ("a/8.png", "b/8.png"):
        png(classes / name, np.stack([PIXELS] * 3, -1))
    data = ImageClasses(str(classes), channels=["r", "g", "b"], on_error="skip")  # grey is turned into colours
    assert (len(data), data.excluded) == (8, {})
    write_flat(classes / "a" / "9.tif", np.ones((8, 10), dtype=np.uint8))
    assert refused(lambda: ImageClasses(str(classes), channels=["t1", "t2"], on_error="skip")).startswith(
        "dataset: none of the images can be read (a/0.png: 1 channels"
    )


def test_a_class_without_an_image_that_can_be_read_is_no_class(classes):
    for number in range(3):
        empty(classes / "b" / f"{number}.png")
    assert refused(lambda: ImageClasses(str(classes), on_error="skip")) == (
        "dataset.on_error=skip: none of the images of class 'b' can be read"
    )


def test_without_an_image_that_can_be_read_the_first_reason_is_told(classes):
    for path in classes.rglob("*.png"):
        empty(path)
    message = refused(lambda: ImageClasses(str(classes), on_error="skip"))
    assert message.startswith("dataset: none of the images can be read (a/0.png: is not a whole PNG file")


def test_twenty_reasons_are_listed(classes, capsys):
    for number in range(23):
        empty(classes / "a" / f"bad{number:02}.png")
    ImageClasses(str(classes), on_error="skip")
    shown = told(capsys)
    assert "a/bad19.png:" in shown and "a/bad20.png:" not in shown and "and 3 more" in shown


def test_dicom_images_that_do_not_say_whose_they_are_are_left_out(tmp_path):
    for number, owner in enumerate(("p1", "p1", "", "p2")):
        for name in "ab":
            write_slice(tmp_path / name / f"{number}.dcm", SLICE, patient=owner)
    cut_off(write_slice(tmp_path / "a" / "9.dcm", SLICE))
    data = ImageClasses(str(tmp_path), on_error="skip")
    assert data.file_names == [f"{name}/{number}.dcm" for name in "ab" for number in (0, 1, 3)]
    assert data.groups.tolist() == [data.groups[0]] * 2 + [data.groups[2]] + [data.groups[0]] * 2 + [data.groups[2]]
    assert data.groups[0] != data.groups[2] and data.excluded == {"image skipped": 3}


@pytest.fixture
def table(classes):
    for number in range(3):
        png(classes / f"{number}.png", PIXELS + number)
    rows = ["image,age,site,who", "0,40.5,x,p0", "gone,41,y,p9", "1,50.5,x,p1", "bad.png,51,y,p8", "2.png,60.5,y,p1"]
    cut_off(png(classes / "bad.png"))
    (classes / "rows.csv").write_text("\n".join(rows) + "\n")
    return classes / "rows.csv"


def test_a_table_s_missing_and_bad_images_are_left_out_with_their_rows(table, capsys):
    data = ImageTable(str(table), "age", patient="who", target_kind="regression", on_error="skip")
    assert data.y[:, 0].tolist() == [40.5, 50.5, 60.5] and data.groups.tolist() == ["p0", "p1", "p1"]
    assert data.facts["site"].tolist() == ["x", "x", "y"] and data.excluded == {"image skipped": 2}
    shown = told(capsys)
    assert "gone: there is no such file" in shown and "bad.png: is not a whole PNG file" in shown
    assert shown.endswith("; 3 images are used")


def test_a_table_s_missing_image_ends_the_reading_at_once(table):
    message = refused(lambda: ImageTable(str(table), "age", target_kind="regression"))
    assert message == "dataset.image: 1 files are not in 'xrays', the first: gone"


def test_dicom_series_that_are_bad_are_left_out_and_the_others_whole(tmp_path, capsys):
    volume = np.arange(36, dtype=np.int16).reshape(3, 3, 4)
    for number in range(3):
        write_series(tmp_path / f"s{number}", volume + number, series=f"1.{number}", patient=f"p{number}")
    (tmp_path / "s1" / "001.dcm").unlink()
    write_slice(tmp_path / "s1" / "003.dcm", SLICE, (0, 0, 7.5), series="1.1", patient="p1")
    text(tmp_path / "s2" / "page.dcm")
    write_series(tmp_path / "s4", volume, series="1.4", patient="")
    write_series(tmp_path / "s5", volume[:2], series="1.5", patient="p5")
    write_slice(tmp_path / "s5" / "9.dcm", SLICE, (0, 0, 5), series="1.5", patient="p6")
    assert refused(lambda: DicomSeries(str(tmp_path))).startswith("s2/page.dcm: is not a whole DICOM file")
    data = DicomSeries(str(tmp_path), on_error="skip")
    assert data.file_names == ["s0/000.dcm and 2 more", "s2/000.dcm and 2 more"]
    assert [int(data.image(row).x.min()) for row in range(2)] == [0, 2] and len(set(data.groups)) == 2
    assert data.excluded == {"image skipped": 4}
    shown = told(capsys)
    assert "slices are missing or uneven" in shown and "is of another patient than the rest" in shown
    assert "s4/000.dcm and 2 more: does not say whose it is (PatientID)" in shown and "s2/page.dcm" in shown
