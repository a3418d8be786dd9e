import numpy as np
import pytest

from fake_images import write_flat, write_nifti, write_series
from medfit.data.datasets.image_classes import ImageClasses
from medfit.errors import UserError

PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        write_flat(tmp_path / ("normal" if number % 3 else "cancer") / f"p{number // 2}_{number}.png", PIXELS + number)
    return tmp_path


def refused(folder, **more):
    with pytest.raises(UserError) as caught:
        ImageClasses(str(folder), **more)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    return str(caught.value)


def test_two_classes_are_binary_with_the_last_one_positive(folder):
    data = ImageClasses(str(folder))
    assert (data.task, data.target_names, data.given_split) == ("binary", ["normal"], None)
    assert data.y[:, 0].tolist() == [0, 0, 1, 1, 1, 1]
    assert np.array_equal(data.image(1).x[0], PIXELS + 3)


def test_the_positive_class_may_be_chosen(folder):
    data = ImageClasses(str(folder), positive="cancer")
    assert (data.target_names, data.y[:, 0].tolist()) == (["cancer"], [1, 1, 0, 0, 0, 0])


def test_three_classes_are_multiclass(folder):
    write_flat(folder / "benign" / "a.png", PIXELS)
    data = ImageClasses(str(folder))
    assert (data.task, data.target_names) == ("multiclass", ["benign", "cancer", "normal"])
    assert (data.y.tolist(), data.y.dtype) == ([0, 1, 1, 2, 2, 2, 2], np.int64)


def test_a_pattern_says_the_patient(folder):
    assert ImageClasses(str(folder), patient=r"(p\d)").groups.tolist() == ["p0", "p1", "p0", "p1", "p2", "p2"]


def test_files_beside_the_class_folders_are_counted_and_named(folder, capsys):
    (folder / "labels.xlsx").touch()
    assert len(ImageClasses(str(folder))) == 6
    out = " ".join(capsys.readouterr().out.split())
    assert "1 files are left out, as they lie in no class's folder: labels.xlsx" in out


def test_files_beside_the_folders_of_splits_are_counted_whatever_they_are(tmp_path, capsys):
    for label in "ab":
        for split in ("train", "val", "test"):
            write_flat(tmp_path / split / label / "1.png", PIXELS)
        write_flat(tmp_path / "external" / label / "2.png", PIXELS)
    (tmp_path / "train" / "notes.txt").touch()
    assert len(ImageClasses(str(tmp_path))) == 6
    out = " ".join(capsys.readouterr().out.split())
    assert "3 files are left out, as they lie in no class's folder: notes.txt, 2.png, 2.png" in out


def test_folders_above_the_classes_say_the_split(tmp_path):
    for split in ("train", "val", "test"):
        for label in "ab":
            write_flat(tmp_path / split / label / "1.png", PIXELS)
    data = ImageClasses(str(tmp_path))
    assert sorted(data.given_split.tolist()) == ["test", "test", "train", "train", "val", "val"]
    assert data.y.sum() == 3


def test_folders_below_the_classes_may_say_the_split(tmp_path):
    for split in ("train", "test"):
        for label in "ab":
            write_flat(tmp_path / label / split / "1.png", PIXELS)
    assert sorted(ImageClasses(str(tmp_path)).given_split.tolist()) == ["test", "test", "train", "train"]


def test_images_without_class_folders_are_for_generation(tmp_path):
    for name in "abc":
        write_flat(tmp_path / f"{name}.png", PIXELS)
    data = ImageClasses(str(tmp_path))
    assert (data.task, len(data), data.target_names, data.y.shape) == ("generation", 3, [], (3, 0))


def test_images_for_generation_may_have_a_split(tmp_path):
    for split in ("train", "val", "test"):
        write_flat(tmp_path / split / "a.png", PIXELS)
    data = ImageClasses(str(tmp_path))
    assert (data.task, sorted(data.given_split)) == ("generation", ["test", "train", "val"])


def test_volumes_are_classified_too(tmp_path):
    volume = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    write_series(tmp_path / "ill" / "case1", volume)
    write_nifti(tmp_path / "well" / "case2.nii.gz", volume.transpose(2, 1, 0), np.diag([-1, -1, 2.5, 1]))
    data = ImageClasses(str(tmp_path))
    assert np.array_equal(data.image(0).x, data.image(1).x)


def test_grey_images_get_colours_if_wished(folder):
    write_flat(folder / "cancer" / "z.png", np.dstack([PIXELS] * 3))
    data = ImageClasses(str(folder), channels=["red", "green", "blue"])
    assert {data.image(i).x.shape[0] for i in range(7)} == {3}


def test_a_single_class_is_told(tmp_path):
    write_flat(tmp_path / "cancer" / "a.png", PIXELS)
    assert "holds the single class 'cancer'" in refused(tmp_path)


def test_a_class_without_images_is_told(folder):
    (folder / "benign").mkdir()
    assert "there are no images in 'benign'" in refused(folder)


def test_an_empty_folder_is_told(tmp_path):
    assert "there are no images" in refused(tmp_path)


def test_images_beside_the_class_folders_are_told(folder):
    write_flat(folder / "a.png", PIXELS)
    assert "1 images lie beside the class folders, the first: a.png" in refused(folder)


def test_a_split_of_some_classes_only_is_told(folder):
    write_flat(folder / "benign" / "train" / "a.png", PIXELS)
    assert "lies in no folder train, val or test, as other images do" in refused(folder)


def test_an_unknown_positive_class_is_told(folder):
    assert "dataset.positive=cancr: there is no such class; did you mean 'cancer'?" in refused(folder, positive="cancr")


def test_a_positive_one_of_three_classes_is_told(folder):
    write_flat(folder / "benign" / "a.png", PIXELS)
    assert "dataset.positive=cancer: there are 3 classes" in refused(folder, positive="cancer")


def test_a_damaged_image_is_told(folder):
    (folder / "normal" / "p0_1.png").write_text("x")
    assert "p0_1.png: is not a whole PNG file" in refused(folder)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    assert "dataset.root: there is no folder" in refused(tmp_path / "x")


def test_what_a_mac_leaves_beside_the_folders_is_no_class(tmp_path):
    for name in ("a", "b"):
        write_flat(tmp_path / name / "1.png", np.ones((3, 4), dtype=np.uint8))
        (tmp_path / "__MACOSX" / name).mkdir(parents=True)
        (tmp_path / "__MACOSX" / name / "._1.png").write_bytes(b"left by a Mac")
    assert len(ImageClasses(str(tmp_path))) == 2


def test_dicom_files_without_an_ending_are_refused_with_the_way(tmp_path):
    for name in ("a", "b"):
        for path in write_series(tmp_path / name, np.ones((3, 3, 4), dtype=np.int16)):
            path.rename(path.with_suffix(""))
    with pytest.raises(UserError, match="there are no images in 'a'; DICOM files need the ending .dcm here$"):
        ImageClasses(str(tmp_path))
