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


def nnunet(root, num_channels=2, **about):
    """nnU-Net's layout: a file for each channel, whose values are 10 * case + channel."""
    root.mkdir()
    for case in (1, 2, 3):
        for channel in range(num_channels):
            data = np.full((4, 5, 6), 10 * case + channel, dtype=np.float32)
            write_nifti(root / "imagesTr" / f"case_{case:03}_{channel:04}.nii.gz", data)
        mask = np.zeros((4, 5, 6), dtype=np.uint8)
        mask[0, 0, :case] = 1
        write_nifti(root / "labelsTr" / f"case_{case:03}.nii.gz", mask)
    known = {"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"background": 0, "tumour": 1}, "numTraining": 3}
    (root / "dataset.json").write_text(json.dumps(known | {"file_ending": ".nii.gz"} | about))
    return root


def test_channels_in_files_of_their_own_are_joined_in_order(tmp_path):
    data = Decathlon(str(nnunet(tmp_path / "n")))
    assert (data.channels, data.target_names) == (["T1", "FLAIR"], ["background", "tumour"])
    assert [data.image(row).x[:, 0, 0, 0].tolist() for row in range(3)] == [[10, 11], [20, 21], [30, 31]]
    assert [int(data.image(row).mask.sum()) for row in range(3)] == [1, 2, 3]


def test_a_training_list_may_name_cases_rather_than_files(tmp_path):
    listed = [{"image": f"./imagesTr/case_{n:03}.nii.gz", "label": f"./labelsTr/case_{n:03}.nii.gz"} for n in (1, 2, 3)]
    assert len(Decathlon(str(nnunet(tmp_path / "n", training=listed))).channels) == 2


def test_a_single_channel_in_files_with_its_number(tmp_path):
    data = Decathlon(str(nnunet(tmp_path / "n", 1, channel_names={"0": "CT"})))
    assert (len(data), data.channels, data.image(1).x.shape) == (3, ["CT"], (1, 4, 5, 6))


def test_cases_with_numbers_of_their_own_are_no_channels(tmp_path):
    root = nnunet(tmp_path / "n", channel_names={"0": "CT"})
    for path in (root / "labelsTr").iterdir():
        path.unlink()
    for path in (root / "imagesTr").iterdir():
        write_nifti(root / "labelsTr" / path.name, np.arange(120, dtype=np.uint8).reshape(4, 5, 6) // 119)
    assert len(Decathlon(str(root))) == 6


def test_a_case_that_lacks_a_channel_is_named_or_skipped(tmp_path):
    root = nnunet(tmp_path / "n")
    (root / "imagesTr" / "case_002_0000.nii.gz").unlink()
    assert refused(root) == "case_002_0001.nii.gz: its case 'case_002' has no channel 0000 of 0000 to 0001"
    data = Decathlon(str(root), on_error="skip")
    assert data.file_names == ["case_001_0000.nii.gz", "case_003_0000.nii.gz"]
    assert data.excluded == {"image skipped": 1}


def test_a_channel_that_dataset_json_does_not_name_is_refused(tmp_path):
    root = nnunet(tmp_path / "n", 3)
    assert refused(root) == "case_001_0002.nii.gz: is a channel beyond the 2 that dataset.json names"


def test_channels_that_lie_elsewhere_or_differ_in_size_are_refused(tmp_path):
    root = nnunet(tmp_path / "n")
    file = root / "imagesTr" / "case_002_0001.nii.gz"
    write_nifti(file, np.ones((4, 5, 6), dtype=np.float32), np.diag([1, 1, 1.5, 1]))
    assert "case_002_0001.nii.gz: lies up to" in refused(root)
    write_nifti(file, np.ones((4, 5, 7), dtype=np.float32))
    assert "case_002_0001.nii.gz: is a channel of 1 x (4, 5, 7) values; (4, 5, 6) of case_002_0000" in refused(root)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "tumour": 1, "ignore": 2}, "the label 'ignore' (2) marks voxels that are not to be judged"),
        ({"background": 0, "whole": [1, 2], "core": 2}, "'whole' is a region of several labels, which may overlap"),
    ],
)
def test_labels_of_which_medfit_has_no_classes_are_refused(tmp_path, labels, words):
    root = nnunet(tmp_path / "n", labels=labels)
    message = refused(root)
    assert words in message and "dataset.classes=[background, ...]" in message
    assert Decathlon(str(root), classes=["background", "a", "b"]).target_names == ["background", "a", "b"]
