import numpy as np
import pytest

from fake_images import write_contours, write_flat, write_nifti, write_seg, write_series
from medfit.config.compose import compose
from medfit.data.datasets.image_masks import ImageMasks
from medfit.errors import UserError

VOLUME = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)  # k, rows, columns
BOX = np.array([[0.5, 0.5], [3.5, 0.5], [3.5, 2.5], [0.5, 2.5]])  # encloses columns 1 to 3 and rows 1 and 2


def box(k):
    return np.column_stack([BOX, np.full(4, 2.5 * k)])


def marks(k):
    made = np.zeros((4, 5), dtype=bool)
    made[1:3, 1:4] = k < 2
    return made


@pytest.fixture
def folder(tmp_path):
    """A patient with a SEG, and one with an RTSTRUCT in a folder of its own."""
    for number, patient in enumerate(("p1", "p2")):
        write_series(tmp_path / "images" / f"case{number}", VOLUME, series=f"1.{number}", patient=patient)
    frames = [(7, (0, 0, 2.5 * k), marks(k)) for k in range(2)] + [(3, (0, 0, 0), marks(0))]
    write_seg(tmp_path / "masks" / "case0.dcm", frames, {7: "GTV-1", 3: "Body"}, patient="p1")
    rois = {"BODY": [box(k) for k in range(3)], "gtv_1": [box(1), box(2)]}
    write_contours(tmp_path / "masks" / "case1" / "RS.dcm", rois, patient="p2")
    return tmp_path


def made(folder, **more):
    return ImageMasks(str(folder / "images"), str(folder / "masks"), **more)


def refused(folder, **more):
    with pytest.raises(UserError) as caught:
        made(folder, **more)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


def test_structures_are_classes_by_the_names_that_are_given(folder, capsys):
    data = made(folder, label_values={"GTV-1": "tumour", "gtv_1": "tumour"}, empty_masks="keep")
    assert data.target_names == ["background", "tumour"] and len(set(data.groups)) == 2
    assert [np.argwhere(data.image(row).mask)[:, 2].tolist() for row in range(2)] == [[0, 1] * 6, [1, 2] * 6]
    assert [sorted({*map(tuple, np.argwhere(data.image(row).mask)[:, :2].tolist())}) for row in range(2)] == [
        [(x, y) for x in (1, 2, 3) for y in (1, 2)]
    ] * 2
    shown = " ".join(capsys.readouterr().out.split())
    assert "structures of no class are left out: Body (1), BODY (1)" in shown


def test_without_names_structures_are_those_of_the_classes(folder, capsys):
    data = made(folder, classes=["background", "body", "gtv-1"], empty_masks="keep")
    assert [np.unique(data.image(row).mask).tolist() for row in range(2)] == [[0, 2], [0, 1]]
    assert "gtv-1 covers a part of body in 1 images" in " ".join(capsys.readouterr().out.split())


def test_a_structure_that_one_file_lacks_is_refused_or_its_image_skipped(folder):
    message = refused(folder, label_values={"GTV-1": "tumour"})
    assert message.startswith("case1: has no structure 'GTV-1' (did you mean") or "(it has: BODY, gtv_1)" in message
    data = made(folder, label_values={"GTV-1": "tumour"}, on_error="skip")
    assert (data.file_names, data.excluded) == (["case0"], {"image skipped": 1})


def test_each_class_may_have_a_folder_of_dicom_masks(folder):
    write_seg(folder / "masks" / "tumour" / "case0.dcm", [(1, (0, 0, 0), marks(0))], {1: "x"}, patient="p1")
    write_contours(folder / "masks" / "tumour" / "case1.dcm", {"y": [box(0)]}, patient="p2")
    data = made(folder, classes=["background", "tumour"], layout="file_per_class")
    assert [int(data.image(row).mask.sum()) for row in range(2)] == [6, 6]


def test_names_say_nothing_of_masks_of_numbers(tmp_path):
    write_flat(tmp_path / "images" / "a.png", np.zeros((4, 5), dtype=np.uint8))
    write_flat(tmp_path / "masks" / "a.png", marks(0).astype(np.uint8))
    assert "holds 1, which dataset.label_values does not name" in refused(tmp_path, label_values={"GTV-1": "tumour"})
    assert made(tmp_path, label_values={"1": "tumour"}).image(0).mask.sum() == 6


def test_a_mask_on_another_grid_than_its_image_is_refused(folder):
    for number in range(2):
        write_nifti(folder / "nifti" / f"case{number}.nii", np.zeros((9, 9, 9), dtype=np.int16), np.diag([1, 1, 2, 1]))
    with pytest.raises(UserError, match="its pixels are no voxels of its image"):
        ImageMasks(str(folder / "nifti"), str(folder / "masks"), label_values={"GTV-1": "t", "gtv_1": "t"})


def test_names_can_be_given_on_the_command_line():
    lines = ["dataset.label_values={GTV-1: tumour, Left Lung: lung, 3: liver}", "dataset.on_error=skip"]
    cfg = compose(["dataset=image_masks", "dataset.images=x", *lines]).dataset
    assert dict(cfg.label_values) == {"GTV-1": "tumour", "Left Lung": "lung", 3: "liver"}
    assert cfg.on_error == "skip"
