import json

import numpy as np
import pytest

from fake_images import write_decathlon, write_nifti
from medfit.data.datasets.decathlon import Decathlon
from medfit.errors import UserError


@pytest.fixture
def root(tmp_path):
    return write_decathlon(tmp_path / "Task99_Fake", num_cases=4)


def refused(root, **more):
    with pytest.raises(UserError) as caught:
        Decathlon(str(root), **more)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(root) not in str(caught.value)
    return str(caught.value)


def change(root, **values):
    file = root / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_task_is_read_as_dataset_json_says(root):
    data = Decathlon(str(root))
    assert (data.name, len(data), data.channels) == ("Task99_Fake", 4, ["CT"])
    assert data.target_names == ["background", "liver", "tumour"]
    assert sorted(np.unique(data.image(0).mask)) == [0, 1, 2]
    assert data.image(0).spacing_mm == (1.0, 1.0, 1.0)


def test_without_dataset_json_files_of_one_name_are_pairs(tmp_path):
    root = write_decathlon(tmp_path / "task", num_cases=3, listed=False)
    data = Decathlon(str(root), classes=["background", "a", "b"])
    assert (len(data), data.channels, data.target_names) == (3, ["image"], ["background", "a", "b"])
    assert data.file_names == ["case_001.nii.gz", "case_002.nii.gz", "case_003.nii.gz"]


def test_both_ways_give_the_same_data(root):
    listed = Decathlon(str(root)).fingerprint()
    (root / "dataset.json").unlink()
    assert Decathlon(str(root), classes=["background", "liver", "tumour"], channels=["CT"]).fingerprint() == listed


def test_only_the_listed_cases_are_read(root):
    change(root, training=json.loads((root / "dataset.json").read_text())["training"][:2])
    assert len(Decathlon(str(root))) == 2


def test_nnunets_words_are_understood(root):
    change(root, modality=None, channel_names={"0": "MRI"}, labels={"background": 0, "liver": 1, "tumour": 2})
    data = Decathlon(str(root))
    assert (data.channels, data.target_names) == (["MRI"], ["background", "liver", "tumour"])


def test_channels_are_named_in_the_order_of_their_numbers(root):
    for file in (root / "imagesTr").glob("case*"):
        write_nifti(file, np.zeros((20, 24, 18, 11), dtype=np.float32))
    change(root, modality={str(n): f"m{n}" for n in reversed(range(11))})
    assert Decathlon(str(root)).channels == [f"m{n}" for n in range(11)]


def test_volumes_of_one_patient_are_a_group(root):
    groups = Decathlon(str(root), patient=r"(case_00)").groups
    assert set(groups.tolist()) == {"case_00"}


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"dataset.root: there is no folder '.*Task99'"):
        Decathlon(str(tmp_path / "Task99"))


def test_a_folder_of_another_layout_is_told(tmp_path):
    assert "has no folder imagesTr" in refused(tmp_path)


def test_a_folder_without_labels_is_told(root):
    (root / "dataset.json").unlink()
    for file in (root / "labelsTr").iterdir():
        file.unlink()
    (root / "labelsTr").rmdir()
    assert "has no folder labelsTr" in refused(root)


def test_classes_are_needed_without_dataset_json(root):
    (root / "dataset.json").unlink()
    assert "dataset.classes is needed where dataset.json does not name the labels" in refused(root)


def test_a_listed_file_that_is_not_there_is_told(root):
    (root / "labelsTr" / "case_003.nii.gz").unlink()
    assert "1 files of its training list are not there, the first: case_003.nii.gz" in refused(root)


@pytest.mark.parametrize(
    ("folder", "words"), [("labelsTr", "1 images have no mask"), ("imagesTr", "1 masks have no image")]
)
def test_a_file_without_its_partner_is_told(root, folder, words):
    (root / "dataset.json").unlink()
    (root / folder / "case_003.nii.gz").unlink()
    assert f"{words}, the first: case_003.nii.gz" in refused(root, classes=["background", "liver", "tumour"])


def test_a_damaged_dataset_json_is_told(root):
    (root / "dataset.json").write_text('{"labels": ')
    assert "dataset.json: is not whole JSON" in refused(root)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"training": ["a.nii.gz"]}, "its training list does not pair"),
        ({"labels": {"0": "background", "2": "liver"}}, "its labels are not numbered 0, 1, 2"),
        ({"labels": ["background"]}, "its labels are not names by number"),
        ({"modality": "CT"}, "its modality are not names by number"),
    ],
)
def test_a_dataset_json_of_another_kind_is_told(root, values, words):
    change(root, **values)
    assert words in refused(root)


def test_a_dataset_json_that_is_a_list_is_told(root):
    (root / "dataset.json").write_text("[]")
    assert "dataset.json: does not describe a task" in refused(root)


def test_a_label_that_has_no_class_is_told(root):
    assert "case_001.nii.gz: its mask holds the number 2" in refused(root, classes=["background", "liver"])


def test_a_label_of_another_size_is_told(root):
    write_nifti(root / "labelsTr" / "case_002.nii.gz", np.ones((20, 24, 17), dtype=np.uint8))
    assert "case_002.nii.gz: the image has 20 x 24 x 18 pixels, its mask 20 x 24 x 17" in refused(root)


def test_a_label_at_another_place_is_told(root):
    write_nifti(root / "labelsTr" / "case_002.nii.gz", np.ones((20, 24, 18), dtype=np.uint8), np.diag([2.0, 1, 1, 1]))
    assert "case_002.nii.gz: lies up to 19 mm away from its image" in refused(root)


def test_a_damaged_label_is_told(root):
    file = root / "labelsTr" / "case_002.nii.gz"
    file.write_bytes(file.read_bytes()[:60])
    assert "case_002.nii.gz: is not a whole NIfTI file" in refused(root)


def test_an_empty_label_is_told(root):
    write_nifti(root / "labelsTr" / "case_002.nii.gz", np.zeros((20, 24, 18), dtype=np.uint8))
    assert "case_002.nii.gz: its mask is empty" in refused(root)


def test_an_empty_label_is_kept_if_wished(root):
    write_nifti(root / "labelsTr" / "case_002.nii.gz", np.zeros((20, 24, 18), dtype=np.uint8))
    assert len(Decathlon(str(root), empty_masks="keep")) == 4
