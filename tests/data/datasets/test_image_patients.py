import numpy as np
import pandas as pd
import pytest

from fake_images import write_flat, write_nifti, write_series, write_slice
from medfit.data.datasets.image_classes import ImageClasses
from medfit.data.datasets.image_masks import ImageMasks
from medfit.data.datasets.image_table import ImageTable
from medfit.data.splits import Split
from medfit.errors import UserError

PIXELS = np.arange(48, dtype=np.int16).reshape(6, 8)


def two_slices_each(root, num_patients=6, **more):
    """Single slices of patients under class folders; every number but the patient's is the same, as some scrub them."""
    for number in range(2 * num_patients):
        label = "contrast" if number // 2 % 2 else "plain"
        about = {"patient": f"Doe^{number // 2}", "SeriesInstanceUID": "1.9", "StudyInstanceUID": "1.9"}
        write_slice(root / label / f"s{number:02}.dcm", PIXELS + number, **(about | more))
    return root


def refused(make):
    with pytest.raises(UserError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300 and "Doe" not in message
    return message


def test_slices_of_a_patient_stay_together_without_being_told(tmp_path, capsys):
    data = ImageClasses(str(two_slices_each(tmp_path)))
    assert sorted(np.bincount(data.groups)) == [2] * 6
    assert "12 images of 6 patients" in capsys.readouterr().out
    rows = Split(val=0.2, test=0.3, seed=0)(data, np.ones(12, dtype=bool))
    groups = [set(data.groups[rows[part]]) for part in ("train", "val", "test")]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_a_patients_name_is_neither_shown_nor_kept(tmp_path, capsys):
    data = ImageClasses(str(two_slices_each(tmp_path)))
    assert "Doe" not in capsys.readouterr().out + repr(data.schema()) + repr(vars(data))


def test_patients_of_a_table_come_from_the_headers_where_no_column_says_them(tmp_path, capsys):
    two_slices_each(tmp_path)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.dcm"))
    pd.DataFrame({"image": files, "sick": [0, 1] * 6}).to_csv(tmp_path / "t.csv", index=False)
    data = ImageTable(str(tmp_path / "t.csv"), "sick")
    assert sorted(np.bincount(data.groups)) == [2] * 6
    assert "DICOM headers name 6 patients" in capsys.readouterr().out


def test_patients_of_images_with_masks_come_from_the_headers(tmp_path):
    for number in range(4):
        write_slice(tmp_path / "images" / f"a{number}.dcm", PIXELS, patient=f"Doe^{number // 2}")
        write_nifti(tmp_path / "masks" / f"a{number}.nii", np.zeros((6, 8, 1), np.uint8))
    for number in range(4):  # flat masks, as the slices are flat
        (tmp_path / "masks" / f"a{number}.nii").unlink()
        write_flat(tmp_path / "masks" / f"a{number}.png", (PIXELS > 20).astype(np.uint8))
    data = ImageMasks(str(tmp_path / "images"), str(tmp_path / "masks"), ["background", "organ"])
    assert data.groups.tolist() == [0, 0, 1, 1]


def test_folders_of_series_say_their_patients_too(tmp_path):
    for number in range(4):
        volume = np.stack([PIXELS + number] * 3)
        write_series(
            tmp_path / "ab"[number % 2] / f"c{number}", volume, patient=f"Doe^{number // 2}", series=f"1.{number}"
        )
    assert ImageClasses(str(tmp_path)).groups.tolist() == [0, 1, 0, 1]


def test_images_that_are_no_dicom_are_a_patient_each_beside_those_that_are(tmp_path):
    two_slices_each(tmp_path, 2)
    for number in range(2):
        write_flat(tmp_path / "plain" / f"z{number}.png", PIXELS.astype(np.uint8))
    groups = ImageClasses(str(tmp_path)).groups
    assert sorted(np.bincount(groups)) == [1, 1, 2, 2]


def test_a_study_stands_for_a_patient_if_asked(tmp_path):
    two_slices_each(tmp_path, 3, patient="", StudyInstanceUID="1.5")
    write_slice(tmp_path / "plain" / "z.dcm", PIXELS, patient="", StudyInstanceUID="1.6")
    assert sorted(np.bincount(ImageClasses(str(tmp_path), patient="StudyInstanceUID").groups)) == [1, 6]


def test_files_without_a_patient_are_refused_with_the_way_out(tmp_path):
    write_slice(two_slices_each(tmp_path) / "plain" / "z.dcm", PIXELS, patient="")
    told = refused(lambda: ImageClasses(str(tmp_path)))
    assert told == (
        "dataset.patient: 1 files do not say whose they are (PatientID); dataset.patient=StudyInstanceUID takes each "
        "study as a patient"
    )


def test_a_tag_of_dicom_is_refused_for_other_files(tmp_path):
    write_flat(two_slices_each(tmp_path) / "plain" / "z.png", PIXELS.astype(np.uint8))
    told = refused(lambda: ImageClasses(str(tmp_path), patient="PatientID"))
    assert told == "dataset.patient=PatientID: 1 images are no DICOM files, which have it"


def test_two_patients_in_one_series_are_refused(tmp_path):
    write_series(tmp_path / "a" / "c1", np.stack([PIXELS] * 3), patient="Doe^1")
    write_slice(tmp_path / "a" / "c1" / "z.dcm", PIXELS, (0, 0, 7.5), patient="Doe^2")
    write_series(tmp_path / "b" / "c2", np.stack([PIXELS] * 3), patient="Doe^3")
    assert "c1: its slices are of 2 patients (PatientID)" in refused(lambda: ImageClasses(str(tmp_path)))


def test_a_study_of_several_patients_is_told(tmp_path, capsys):
    ImageClasses(str(two_slices_each(tmp_path)))
    assert "DICOM: 1 studies (StudyInstanceUID) hold images of several patients" in capsys.readouterr().out


def test_a_pattern_that_divides_a_patient_by_header_is_told(tmp_path, capsys):
    two_slices_each(tmp_path)
    data = ImageClasses(str(tmp_path), patient=r"(s\d+)")
    assert len(set(data.groups)) == 12
    assert "takes 6 patients by their DICOM headers (PatientID) for several each" in capsys.readouterr().out
    ImageClasses(str(tmp_path), patient=r"(s)")
    assert "for several each" not in capsys.readouterr().out


def test_a_column_that_divides_a_patient_by_header_is_told(tmp_path, capsys):
    two_slices_each(tmp_path)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.dcm"))
    pd.DataFrame({"image": files, "sick": [0, 1] * 6, "who": range(12)}).to_csv(tmp_path / "t.csv", index=False)
    ImageTable(str(tmp_path / "t.csv"), "sick", patient="who")
    assert "takes 6 patients by their DICOM headers" in capsys.readouterr().out
