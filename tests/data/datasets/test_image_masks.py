import numpy as np
import pandas as pd
import pytest

from fake_images import write_flat, write_nifti, write_series
from medfit.config.compose import compose
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
        "train/a.png": "train", "valid/b.png": "val", "test/c.png": "test", "train/d.png": "train",
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


def test_hidden_files_and_other_files_are_passed_over(folder, capsys):
    for name in ("._p0_0.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (folder / "images" / name).write_text("x")
    assert len(made(folder)) == 4
    told = "images: 2 files are left out, as their endings are none of an image's: Thumbs.db, notes.txt"
    assert told in capsys.readouterr().out


def test_files_of_unknown_endings_beside_images_are_counted_in_folders_of_splits_too(tmp_path, capsys):
    for split in ("train", "test"):
        write_flat(tmp_path / "images" / split / "a.png", grey())
        (tmp_path / "images" / split / "b.heic").write_text("an image, somehow")
        write_flat(tmp_path / "masks" / split / "a.png", mask(1))
    made(tmp_path)
    assert "images: 2 files are left out" in capsys.readouterr().out


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
    assert "1 images have no mask, the first: b.png; dataset.empty_masks=keep" in refused(
        tmp_path, layout="file_per_class"
    )


def test_two_masks_of_an_image_are_told(folder):
    write_flat(folder / "masks" / "p0_0_seg.png", mask(1))
    assert "dataset.masks: there are 2 images 'p0_0'" in refused(folder)


def beside(tmp_path, names, masks):
    """Images with masks beside them."""
    for number, name in enumerate(names):
        write_flat(tmp_path / f"{name}.png", grey(number))
    for name, rows in masks.items():
        write_flat(tmp_path / f"{name}.png", mask(*rows))
    return tmp_path


def own(tmp_path, classes=CLASSES, **more):
    return ImageMasks(str(tmp_path), classes=classes, **more)


@pytest.mark.parametrize("twice", [False, True])
def test_masks_beside_their_images_are_told_by_their_names(tmp_path, twice):
    beside(tmp_path, "abc", {f"{name}_mask": [1] * (number + 1) for number, name in enumerate("abc")})
    data = ImageMasks(str(tmp_path), str(tmp_path / ".." / tmp_path.name), CLASSES) if twice else own(tmp_path)
    assert data.file_names == ["a.png", "b.png", "c.png"]
    assert [int((data.image(i).mask > 0).sum()) for i in range(3)] == [10, 20, 30]
    assert np.array_equal(data.image(1).x[0], grey(1))


@pytest.mark.parametrize(
    ("names", "masks", "words"),
    [
        ("ab", {}, "images and masks lie in one folder"),
        ("ab", {"a_mask": [1]}, "b.png has no masks beside it"),
        ("a", {"a_mask": [1], "c_mask": [1]}, "c_mask.png has no image"),
        ("a", {"a_mask": [1], "a_seg": [1]}, "a.png has 2 masks beside it"),
    ],
)
def test_masks_beside_their_images_that_do_not_fit_are_told(tmp_path, names, masks, words):
    with pytest.raises(UserError) as caught:
        own(beside(tmp_path, names, masks))
    assert words in str(caught.value) and "dataset.mask_name='{stem}_mask*'" in str(caught.value)


def test_an_unnamed_mask_beside_images_is_no_healthy_image(tmp_path):
    beside(tmp_path, "ab", {"a_mask": [1], "b_mask": [1], "b_mask_1": [0, 1]})
    with pytest.raises(UserError, match=r"b_mask_1\.png has no masks beside it"):
        own(tmp_path, empty_masks="keep")


def test_several_masks_of_an_image_are_united(tmp_path):
    beside(tmp_path, ["a (1)", "a (11)"], {"a (1)_mask": [1], "a (1)_mask_1": [0, 1], "a (11)_mask": [1]})
    data = own(tmp_path, mask_name="{stem}_mask*")
    assert data.file_names == ["a (1).png", "a (11).png"]
    assert [int(data.image(i).mask.sum()) for i in range(2)] == [20, 10]


def test_the_longest_name_that_fits_is_the_images(tmp_path):
    beside(tmp_path / "images", ["x1", "x11"], {})
    beside(tmp_path / "masks", [], {"x1_a": [1], "x11_a": [1, 1]})
    data = made(tmp_path, mask_name="{stem}*")
    assert [int(data.image(i).mask.sum()) for i in range(2)] == [10, 20]


def test_masks_may_lie_in_a_folder_of_each_image(tmp_path):
    beside(tmp_path / "images", "ab", {})
    for name, number in (("a", 1), ("b", 2)):
        beside(tmp_path / "masks" / name, [], {f"cell{n}": [0] * n + [number] for n in range(2)})
    data = made(tmp_path, mask_name="{stem}/*")
    assert [int(data.image(i).mask.sum()) for i in range(2)] == [20, 40]


def test_case_folders_may_hold_their_masks(tmp_path):
    for number in (1, 2):
        beside(tmp_path / f"case{number}", ["t1"], {"t1_lesion": [1] * number})
    data = own(tmp_path, mask_name="{stem}_lesion")
    assert [int(data.image(i).mask.sum()) for i in range(2)] == [10, 20]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*_mask", "needs {stem} once"),
        ("{stem}_roi*", "no file in"),
        ("{stem}_mask", "c_mask.png has no image"),
    ],
)
def test_patterns_that_do_not_fit_are_told(tmp_path, pattern, words):
    with pytest.raises(UserError) as caught:
        own(beside(tmp_path, "ab", {"a_mask": [1], "b_mask": [1], "c_mask": [1]}), mask_name=pattern)
    assert words in str(caught.value)


def test_masks_that_a_pattern_leaves_out_are_counted(folder, capsys):
    write_flat(folder / "masks" / "p0_0_old.png", mask(1))
    assert len(made(folder, mask_name="{stem}_mask")) == 4
    assert "1 files are left out, as their names do not fit dataset.mask_name: p0_0_old.png" in capsys.readouterr().out


def listed(tmp_path, text):
    beside(tmp_path / "images", "abc", {})
    beside(tmp_path / "masks", [], {"k1": [1], "k2": [0, 1], "k3": [2]})
    (tmp_path / "pairs.csv").write_text(text)
    return {"pairs": str(tmp_path / "pairs.csv")}


def test_a_table_may_list_the_pairs(tmp_path):
    text = "image;mask;patient;split\nb.png;k1.png;007;train\nb.png;k2.png;007;train\na.png;k3.png;7;Test\n"
    data = made(tmp_path, **listed(tmp_path, text))
    assert (data.file_names, data.groups.tolist()) == (["b.png", "a.png"], ["007", "7"])
    assert data.given_split.tolist() == ["train", "test"]
    assert [int(data.image(i).mask.sum()) for i in range(2)] == [20, 20]


@pytest.mark.parametrize(
    ("name", "write", "more"),
    [
        ("pairs.csv", lambda path, rows: rows.to_csv(path, index=False, sep="|"), {}),
        ("pairs.csv.gz", lambda path, rows: rows.to_csv(path, index=False), {}),
        (
            "pairs.tsv",
            lambda path, rows: rows.to_csv(path, index=False, sep="\t", encoding="utf-16"),
            {"encoding": "utf-16"},
        ),
        (
            "pairs.xlsx",
            lambda path, rows: rows.to_excel(path, index=False, sheet_name="p", startrow=2),
            {"sheet": "p", "skip_rows": 2},
        ),
        ("pairs.parquet", lambda path, rows: rows.to_parquet(path), {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pairs_are_read_as_any_table_is(tmp_path, name, write, more):
    beside(tmp_path / "images", "abc", {})
    beside(tmp_path / "masks", [], {"k1": [1], "k2": [0, 1], "k3": [2]})
    rows = {"image": ["b.png", "b.png", "a.png", "c.png"], "mask": ["k1.png", "k2.png", "k3.png", None]}
    write(tmp_path / name, pd.DataFrame({**rows, "patient": ["007", "007", "7", "8"]}))
    data = made(tmp_path, pairs=str(tmp_path / name), empty_masks="keep", **more)
    assert (data.file_names, data.groups.tolist()) == (["b.png", "a.png", "c.png"], ["007", "7", "8"])
    assert [int(data.image(i).mask.sum()) for i in range(3)] == [20, 20, 0]


def test_a_workbooks_numbers_are_what_they_show(tmp_path):
    beside(tmp_path / "images", "ab", {})
    beside(tmp_path / "masks", [], {"k1": [1]})
    rows = {"image": ["a.png", "b.png"], "mask": ["k1.png", "k1.png"], "patient": [12.0, 3.0]}
    pd.DataFrame(rows).to_excel(tmp_path / "pairs.xlsx", index=False)
    assert made(tmp_path, pairs=str(tmp_path / "pairs.xlsx")).groups.tolist() == ["12", "3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image\na.png\n", "needs the columns image and mask"),
        ("image,mask\n", "has a header but no rows"),
        ("image,mask,patient\na.png,k1.png,p\nb.png\n", "pairs.csv', row 3: 3 columns were expected, 1 came"),
        ("image,mask,mask\na.png,k1.png,k2.png\n", "pairs.csv' has two columns named 'mask'"),
        ('image,mask\na.png,"k1.png\n', "pairs.csv' is cut off or has a stray quote"),
        ("image,mask\n,k1.png\n", "column 'image' is empty in data row 1"),
        ("image,mask\na.png,k9.png\n", "there is no file k9.png in 'masks'"),
        ("image,mask\na.png,\nb.png,k1.png\n", "1 images have no mask, the first: a.png"),
        ("image,mask,split\na.png,k1.png,tset\n", "column 'split' holds 'tset'"),
        ("image,mask,patient\na.png,k1.png,p\nb.png,k2.png,\n", "column 'patient' is missing in some rows"),
        ("image,mask,patient\na.png,k1.png,p\na.png,k2.png,q\n", "data row 2 says another patient or split"),
    ],
)
def test_a_table_of_pairs_that_does_not_fit_is_told(tmp_path, text, words):
    assert words in refused(tmp_path, **listed(tmp_path, text))


def test_images_without_a_mask_are_kept_as_healthy_if_wished(folder, capsys):
    (folder / "masks" / "p0_1_mask.png").unlink()
    data = made(folder, empty_masks="keep")
    assert [bool(data.image(i).mask.any()) for i in range(4)] == [True, False, True, True]
    assert "1 without a mask, taken as images without findings" in capsys.readouterr().out


def test_masks_without_an_image_are_told_though_healthy_images_are_kept(folder):
    (folder / "masks" / "p0_1_mask.png").rename(folder / "masks" / "p9_1_mask.png")
    assert "1 masks have no image, the first: p9_1_mask.png" in refused(folder, empty_masks="keep")


def test_values_of_masks_may_have_a_meaning(folder):
    for path in (folder / "masks").iterdir():
        write_flat(path, mask(100, 63, 255))
    data = ImageMasks(
        str(folder / "images"), str(folder / "masks"), label_values={100: "liver", 63: "kidney", 255: "background"}
    )
    assert data.target_names == ["background", "liver", "kidney"]
    assert np.array_equal(data.image(0).mask, mask(1, 2, 0))


def test_values_and_patterns_can_be_given_on_the_command_line():
    lines = ["dataset.label_values={100: liver}", "dataset.mask_name='{stem}_mask*'"]
    cfg = compose(["dataset=image_masks", "dataset.images=x", *lines]).dataset
    assert (dict(cfg.label_values), cfg.mask_name) == ({100: "liver"}, "{stem}_mask*")


def test_several_values_may_be_one_class(folder):
    data = made(folder, ["background", "whole tumour"], label_values={1: "whole tumour", 2: "whole tumour"})
    assert np.array_equal(data.image(0).mask, mask(1, 1))


def test_a_value_of_an_unknown_class_is_told(folder):
    told = refused(folder, label_values={1: "organ", 2: "tumor"})
    assert told == "dataset.label_values.2: there is no class 'tumor'; did you mean 'tumour'?"


def test_lesions_are_not_swapped_with_what_is_not_to_be_judged(folder):
    for path in (folder / "masks").iterdir():
        write_flat(path, mask(1, 1, 255))
    told = refused(folder, ["background", "lesion"], layout="binary")
    assert "a binary mask marks one value, but it holds 0, 1, 255" in told


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
        "4 images have no mask, the first: p0_0_0001.png; dataset=decathlon reads nnU-Net's folder with a file for each "
        "channel"
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
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
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


def test_a_letter_is_the_same_however_a_system_writes_it(tmp_path):
    write_flat(tmp_path / "images" / "caf\u00e9.png", grey())
    write_flat(tmp_path / "masks" / "cafe\u0301_mask.png", mask(1))
    assert made(tmp_path).image(0).mask.sum() == 10
