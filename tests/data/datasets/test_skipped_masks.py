"""One bad mask of many: it ends the reading in a line that names its image, or the image is left out and counted."""

import re
import shutil
from functools import partial

import numpy as np
import pytest

from broken_images import PIXELS, cut_off, png, refused, text, told
from fake_images import write_decathlon, write_nifti
from medfit.data.datasets.decathlon import Decathlon
from medfit.data.datasets.image_masks import ImageMasks

MASK = (PIXELS < 20).astype(np.uint8)


@pytest.fixture
def pairs(tmp_path):
    for number in range(4):
        png(tmp_path / "images" / f"{number}.png", PIXELS + number)
        png(tmp_path / "masks" / f"{number}.png", MASK)
    return tmp_path


def masks(folder, **more):
    return ImageMasks(str(folder / "images"), str(folder / "masks"), ["background", "lesion"], **more)


BAD_MASKS = {
    "1.png: the image has 8 x 10 pixels, its mask 7 x 10": lambda folder: png(folder / "masks" / "1.png", MASK[1:]),
    "1.png: its mask 1.png: is not a whole PNG file": lambda folder: cut_off(folder / "masks" / "1.png"),
    "1.png: its mask is empty": lambda folder: png(folder / "masks" / "1.png", 0 * MASK),
    "1.png: its mask holds the number 3": lambda folder: png(folder / "masks" / "1.png", 3 * MASK),
    "1.png: has no mask": lambda folder: (folder / "masks" / "1.png").unlink(),
}


@pytest.mark.parametrize("reason", BAD_MASKS)
def test_an_image_whose_mask_is_bad_is_left_out(pairs, capsys, reason):
    BAD_MASKS[reason](pairs)
    assert "1.png" in refused(lambda: masks(pairs))
    data = masks(pairs, on_error="skip")
    assert data.file_names == ["0.png", "2.png", "3.png"] and data.excluded == {"image skipped": 1}
    assert [int(data.image(row).x[0, 0, 0]) for row in range(3)] == [0, 2, 3]
    assert reason in told(capsys)


def by_name(folder):
    return folder / "masks" / "1.png", partial(masks, folder)


def by_pattern(folder):
    for path in list((folder / "masks").iterdir()):
        png(path.with_name(f"{path.stem}_seg2.png"), MASK)
        path.rename(path.with_name(f"{path.stem}_seg.png"))
    return folder / "masks" / "1_seg2.png", partial(masks, folder, mask_name="{stem}_seg*")


def by_table(folder):
    rows = [f"{number}.png,{number}.png,p{number}" for number in range(4)]
    (folder / "pairs.csv").write_text("\n".join(["image,mask,patient", *rows]) + "\n")
    return folder / "masks" / "1.png", partial(masks, folder, pairs=str(folder / "pairs.csv"))


def by_class(folder):
    for name in ("lesion", "cyst"):
        shutil.copytree(folder / "masks", folder / "by_class" / name)
    make = partial(ImageMasks, str(folder / "images"), str(folder / "by_class"), ["background", "cyst", "lesion"])
    return folder / "by_class" / "lesion" / "1.png", partial(make, layout="file_per_class")


def beside_their_images(folder):
    for path in (folder / "masks").iterdir():
        path.rename(folder / "images" / f"{path.stem}_mask.png")
    make = partial(ImageMasks, str(folder / "images"), classes=["background", "lesion"])
    return folder / "images" / "1_mask.png", make


def in_splits(folder):
    for side in ("images", "masks"):
        for path in list((folder / side).iterdir()):
            part = folder / side / ("train" if path.stem in "01" else "val")
            part.mkdir(exist_ok=True)
            path.rename(part / path.name)
    return folder / "masks" / "train" / "1.png", partial(masks, folder)


WAYS = [by_name, by_pattern, by_table, by_class, beside_their_images, in_splits]
DAMAGE = {  # by what is told of it
    "is not a whole PNG file": cut_off,
    "its mask 7 x 10|differ in size|differs in size": lambda path: png(path, MASK[1:]),
    "colours": lambda path: png(path, np.stack([MASK, MASK, 0 * MASK], -1)),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("reason", DAMAGE)
def test_an_image_whose_mask_is_bad_is_named_whichever_way_its_mask_is_found(pairs, capsys, way, reason):
    bad, make = way(pairs)
    DAMAGE[reason](bad)
    refusal, data = refused(make), make(on_error="skip")
    assert [name.rpartition("/")[2] for name in data.file_names] == ["0.png", "2.png", "3.png"]
    assert data.excluded == {"image skipped": 1} and len(data.groups) == 3
    shown = told(capsys)
    assert "Warning: 1 images are skipped (dataset.on_error=skip):" in shown
    for line in (refusal, shown):
        found = re.search(rf"(^|\): )(train/)?1\.png: (its mask|the image)[^;]*?({reason})", line)
        assert found, line


def test_images_without_a_mask_are_kept_where_that_is_asked_for(pairs, capsys):
    (pairs / "masks" / "1.png").unlink()
    cut_off(pairs / "images" / "2.png")
    data = masks(pairs, on_error="skip", empty_masks="keep")
    assert data.file_names == ["0.png", "1.png", "3.png"] and not data.image(1).mask.any()
    assert "1 without a mask, taken as images without findings" in told(capsys)


def test_images_whose_mask_does_not_lie_beside_them_are_left_out(tmp_path):
    for number in range(3):
        png(tmp_path / f"{number}.png")
    for number in (0, 2):
        png(tmp_path / f"{number}_mask.png", MASK)
    known = {"images": str(tmp_path), "classes": ["background", "lesion"]}
    assert "1.png has no masks beside it" in refused(lambda: ImageMasks(**known))
    data = ImageMasks(**known, on_error="skip")
    assert (data.file_names, data.excluded) == (["0.png", "2.png"], {"image skipped": 1})
    assert "1.png has no masks beside it" in refused(
        lambda: ImageMasks(**known, on_error="skip", empty_masks="keep")  # it may be a mask by another name
    )


def test_pairs_of_which_a_file_is_missing_are_left_out(pairs):
    (pairs / "pairs.csv").write_text("image,mask\n0.png,0.png\ngone.png,1.png\n2.png,gone.png\n3.png,3.png\n")
    more = {"pairs": str(pairs / "pairs.csv")}
    assert "there is no file gone.png" in refused(lambda: masks(pairs, **more))
    data = masks(pairs, on_error="skip", **more)
    assert data.file_names == ["0.png", "3.png"] and data.excluded == {"image skipped": 2}


@pytest.mark.parametrize("listed", [True, False])
def test_volumes_that_are_bad_or_without_a_mask_are_left_out(tmp_path, listed):
    root = write_decathlon(tmp_path, num_cases=5, listed=listed)
    text(root / "imagesTr" / "case_002.nii.gz")
    write_nifti(root / "labelsTr" / "case_003.nii.gz", np.ones((20, 24, 17), dtype=np.uint8))
    (root / "labelsTr" / "case_004.nii.gz").unlink()
    known = {} if listed else {"classes": ["background", "liver", "tumour"]}
    assert "case_00" in refused(lambda: Decathlon(str(root), **known))
    data = Decathlon(str(root), on_error="skip", **known)
    assert data.file_names == ["case_001.nii.gz", "case_005.nii.gz"] and data.excluded == {"image skipped": 3}
