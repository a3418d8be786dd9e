import numpy as np
import pytest

from fake_images import write_flat, write_nifti, write_series
from medfit.data.datasets.image_masks import ImageMasks
from medfit.errors import UserError

CLASSES = ["background", "organ", "tumour"]


def grey(number=0):
    return np.random.default_rng(number).integers(0, 256, (8, 10), dtype=np.uint8)


def mask(*numbers):
    values = np.zeros((8, 10), dtype=np.uint8)
    for row, number in enumerate(numbers):
        values[row] = number
    return values


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        write_flat(tmp_path / "images" / f"p{number // 2}_{number}.png", grey(number))
        write_flat(tmp_path / "masks" / f"p{number // 2}_{number}_mask.png", mask(1, 2))
    return tmp_path


def made(folder, classes=CLASSES, **more):
    return ImageMasks(str(folder / "images"), str(folder / "masks"), classes, **more)


def refused(folder, classes=CLASSES, **more):
    with pytest.raises(UserError) as caught:
        made(folder, classes, **more)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


def test_images_find_their_masks_by_name(folder):
    data = made(folder)
    assert (len(data), data.task, data.target_names, data.channels) == (4, "segmentation", CLASSES, ["grey"])
    assert np.array_equal(data.image(1).x[0], grey(1))
    assert np.array_equal(data.image(1).mask, mask(1, 2))


@pytest.mark.parametrize(
    ("image", "own"),
    [
        ("a.png", "a.png"),
        ("a_0000.png", "a.png"),
        ("a.jpg", "a-mask.png"),
        ("a.png", "a_seg.tif"),
        ("a_image.png", "a_label.png"),
        ("a.png", "a_segmentation.PNG"),
        ("a_mask.png", "a_mask.png"),
    ],
)
def test_common_endings_may_differ(tmp_path, image, own):
    write_flat(tmp_path / "images" / image, grey())
    write_flat(tmp_path / "masks" / own, mask(1))
    assert len(made(tmp_path)) == 1


def test_numbered_cases_are_told_apart(tmp_path):
    for number in range(3):
        write_flat(tmp_path / "images" / f"case_000{number}.png", grey())
        write_flat(tmp_path / "masks" / f"case_000{number}.png", mask(*[1] * (number + 1)))
    assert [int(made(tmp_path).image(i).mask.sum()) for i in range(3)] == [10, 20, 30]


def test_a_pattern_says_the_patient(folder):
    assert made(folder, patient=r"^(p\d)_").groups.tolist() == ["p0", "p0", "p1", "p1"]


def test_sub_folders_say_the_split(tmp_path):
    for split, name in (("train", "a"), ("valid", "b"), ("test", "c"), ("train", "d")):
        write_flat(tmp_path / "images" / split / f"{name}.png", grey())
        write_flat(tmp_path / "masks" / f"{name}.png", mask(1))
    data = made(tmp_path)
    assert dict(zip(data.file_names, data.given_split.tolist(), strict=True)) == {
        "a.png": "train", "b.png": "val", "c.png": "test", "d.png": "train",
    }  # fmt: skip


def test_masks_may_lie_in_the_same_sub_folders(tmp_path):
    for split, number in (("train", 1), ("test", 2)):
        write_flat(tmp_path / "images" / split / "a.png", grey())
        write_flat(tmp_path / "masks" / split / "a.png", mask(number))
    data = made(tmp_path)
    assert {s: int(data.image(i).mask.max()) for i, s in enumerate(data.given_split)} == {"train": 1, "test": 2}


def test_binary_masks_mark_the_one_class(folder):
    for path in (folder / "masks").iterdir():
        write_flat(path, mask(255))
    assert made(folder, ["background", "lesion"], layout="binary").image(0).mask.max() == 1


def test_each_class_may_have_its_own_file(tmp_path):
    for name in "ab":
        write_flat(tmp_path / "images" / f"{name}.png", grey())
        write_flat(tmp_path / "masks" / "organ" / f"{name}.png", mask(255, 255))
    write_flat(tmp_path / "masks" / "tumour" / "b_mask.png", mask(0, 255))
    data = made(tmp_path, layout="file_per_class")
    assert np.array_equal(data.image(0).mask, mask(1, 1))
    assert np.array_equal(data.image(1).mask, mask(1, 2))


def test_a_dicom_series_has_a_nifti_mask(tmp_path):
    volume = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    write_series(tmp_path / "images" / "case1", volume, order=[2, 0, 4, 1, 3])
    turned = np.diag([-1, -1, 2.5, 1.0])  # the series' own axes, which run to the left and back
    write_nifti(tmp_path / "masks" / "case1.nii.gz", (volume > 30).astype(np.uint8).transpose(2, 1, 0), turned)
    image = made(tmp_path, ["background", "lesion"]).image(0)
    assert image.spacing_mm == (1.0, 1.0, 2.5)
    assert np.array_equal(image.mask, image.x[0] > 30)


def test_case_folders_of_images_and_masks_are_pairs(tmp_path):
    for case in ("c1", "c2"):
        write_nifti(tmp_path / "images" / case / "t1.nii.gz", np.zeros((3, 4, 5), np.float32))
        write_nifti(tmp_path / "masks" / case / "lesion.nii.gz", np.ones((3, 4, 5), np.uint8))
    assert len(made(tmp_path)) == 2


def test_channels_of_a_volume_are_named(tmp_path):
    write_nifti(tmp_path / "images" / "a.nii", np.zeros((3, 4, 5, 2), np.float32))
    write_nifti(tmp_path / "masks" / "a.nii", np.ones((3, 4, 5), np.uint8))
    assert made(tmp_path, channels=["t1", "flair"]).channels == ["t1", "flair"]


def test_colour_images_are_turned_grey_if_wished(folder):
    write_flat(folder / "images" / "p0_0.png", np.dstack([grey()] * 3))
    assert {made(folder, channels=["grey"]).image(i).x.shape for i in range(4)} == {(1, 8, 10)}


def test_colour_and_grey_images_are_not_mixed_unasked(folder):
    write_flat(folder / "images" / "p0_1.png", np.dstack([grey()] * 3))
    assert "p0_1.png: 3 channels of 8 x 10 pixels do not fit" in refused(folder)


def test_hidden_files_and_other_files_are_passed_over(folder):
    for name in ("._p0_0.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (folder / "images" / name).write_text("x")
    assert len(made(folder)) == 4


def test_images_without_a_mask_are_told(folder):
    for number in (1, 2):
        (folder / "masks" / f"p{number // 2}_{number}_mask.png").unlink()
    assert "dataset.masks: 2 images have no mask, the first: p0_1.png" in refused(folder)


def test_masks_without_an_image_are_told(folder):
    (folder / "images" / "p1_3.png").unlink()
    assert "dataset.masks: 1 masks have no image, the first: p1_3_mask.png" in refused(folder)


def test_an_image_that_no_class_has_a_mask_for_is_told(tmp_path):
    for name in "ab":
        write_flat(tmp_path / "images" / f"{name}.png", grey())
    for name in CLASSES[1:]:
        write_flat(tmp_path / "masks" / name / "a.png", mask(1))
    assert "1 images have no mask, the first: b.png" in refused(tmp_path, layout="file_per_class")


def test_two_masks_of_an_image_are_told(folder):
    write_flat(folder / "masks" / "p0_0_seg.png", mask(1))
    assert "dataset.masks: there are 2 images 'p0_0'" in refused(folder)


def test_two_images_of_one_name_are_told(folder):
    write_flat(folder / "images" / "p0_0.bmp", grey())
    assert "dataset.images: there are 2 images 'p0_0'" in refused(folder)


def test_several_images_in_a_case_folder_are_told(tmp_path):
    for name in ("t1.png", "t2.png"):
        write_flat(tmp_path / "images" / "c1" / name, grey())
    write_flat(tmp_path / "masks" / "c1.png", mask(1))
    assert "c1: the folder of a case holds 2 images" in refused(tmp_path)


def test_an_image_beside_the_split_folders_is_told(folder):
    write_flat(folder / "images" / "train" / "a.png", grey())
    assert "p0_0.png: lies beside the folders train, val and test" in refused(folder)


def test_a_mask_of_another_size_is_told(folder):
    write_flat(folder / "masks" / "p0_1_mask.png", mask(1)[:5])
    assert "p0_1.png: the image has 8 x 10 pixels, its mask 5 x 10" in refused(folder)


def test_masks_of_classes_that_differ_in_size_are_told(tmp_path):
    write_flat(tmp_path / "images" / "a.png", grey())
    write_flat(tmp_path / "masks" / "organ" / "a.png", mask(1))
    write_flat(tmp_path / "masks" / "tumour" / "a.png", mask(1)[:5])
    assert "a.png: its masks of different classes differ in size" in refused(tmp_path, layout="file_per_class")


def test_a_number_without_a_class_is_told(folder):
    assert "p0_0.png: its mask holds the number 2" in refused(folder, ["background", "organ"])


def test_a_black_and_white_mask_is_told_with_its_layout(folder):
    write_flat(folder / "masks" / "p0_0_mask.png", mask(255))
    told = "the classes have 0 to 1; black and white masks take dataset.layout=binary"
    assert refused(folder, ["background", "organ"]) == f"p0_0.png: its mask holds the number 255; {told}"


def test_channels_in_files_of_their_own_are_told(folder):
    for number in range(4):
        path = folder / "images" / f"p{number // 2}_{number}.png"
        path.rename(path.with_stem(f"{path.stem}_0000"))
        write_flat(path.with_stem(f"{path.stem}_0001"), grey())
    told = (
        "4 images have no mask, the first: p0_0_0001.png; join channels in files of their own (_0000, _0001) into one"
    )
    assert refused(folder) == f"dataset.masks: {told}"


def test_an_empty_mask_is_told(folder):
    write_flat(folder / "masks" / "p0_1_mask.png", mask())
    assert "p0_1.png: its mask is empty; dataset.empty_masks=keep" in refused(folder)


def test_an_empty_mask_is_kept_if_wished(folder):
    write_flat(folder / "masks" / "p0_1_mask.png", mask())
    assert len(made(folder, empty_masks="keep")) == 4


def test_a_damaged_image_is_told(folder):
    (folder / "images" / "p1_2.png").write_text("no image")
    assert "p1_2.png: is not a whole PNG file" in refused(folder)


def test_a_damaged_mask_is_told(folder):
    (folder / "masks" / "p1_2_mask.png").write_bytes(b"")
    assert "p1_2_mask.png: is not a whole PNG file" in refused(folder)


@pytest.mark.parametrize("part", ["images", "masks"])
def test_a_folder_that_is_not_there_is_told(folder, part):
    with pytest.raises(UserError, match=f"dataset.{part}: there is no folder 'nowhere'"):
        ImageMasks(
            **({"images": str(folder / "images"), "masks": str(folder / "masks")} | {part: "nowhere"}), classes=CLASSES
        )


def test_an_empty_folder_is_told(tmp_path):
    (tmp_path / "images").mkdir()
    assert "dataset.images: there are no images in 'images'" in refused(tmp_path)


def test_a_class_without_a_folder_is_told(tmp_path):
    write_flat(tmp_path / "images" / "a.png", grey())
    write_flat(tmp_path / "masks" / "tumor" / "a.png", mask(1))
    message = refused(tmp_path, ["background", "tumour"], layout="file_per_class")
    assert "'masks' has no folder 'tumour'; did you mean 'tumor'?" in message


@pytest.mark.parametrize(
    ("classes", "layout", "words"),
    [
        (["background"], "indexed", "name the background and at least one class"),
        (["a", "a"], "indexed", "each once"),
        (CLASSES, "binary", "marks one class beside the background, not 2"),
    ],
)
def test_classes_that_do_not_fit_are_told(folder, classes, layout, words):
    assert words in refused(folder, classes, layout=layout)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("p(", "is no regular expression"), ("p", "needs a group"), ("x(.)", "does not fit 4 names, the first: p0_0.png")],
)
def test_a_wrong_pattern_is_told(folder, pattern, words):
    assert words in refused(folder, patient=pattern)
