import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from fake_images import GREY, refused, write_flat, write_nifti, write_slice
from medfit.data.readers.image_files import read_mask, read_pair, stem, suffix
from medfit.data.readers.mask_numbers import Binary, Labels, indexed
from medfit.errors import UserError


def test_an_indexed_mask_is_read_by_value(tmp_path):
    values = np.array([[0, 1, 2], [3, 2, 1]], dtype=np.uint8)
    assert np.array_equal(read_mask(write_flat(tmp_path / "a.png", values)), values)


def test_a_palette_mask_is_read_by_index(tmp_path):
    image = PillowImage.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    image.putpalette([9, 9, 9, 255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_mask_of_few_bits_is_read_by_value(tmp_path, bits):
    values = np.array([[0, 1], [2**bits - 1, 0]], dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png_of_bits(values, bits))
    assert np.array_equal(read_mask(tmp_path / "a.png"), values)


def png_of_bits(values, bits):

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b""
    for row in values:
        packed = int("".join(f"{value:0{bits}b}" for value in row).ljust(8, "0"), 2)
        rows += b"\0" + bytes([packed])
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        ([0, 1], [0, 1]),
        ([0, 255], [0, 1]),
        ([0] * 9 + [255] * 9 + [3, 20, 60, 120, 128, 200], [0] * 9 + [1] * 9 + [0] * 4 + [1] * 2),
        ([0, 1, 2, 3], [0, 1, 1, 1]),
        ([0, 0], [0, 0]),
    ],
)
def test_a_binary_mask_marks_what_is_above_nought_or_bright(tmp_path, values, marked):
    path = write_flat(tmp_path / "a.png", np.array([values], dtype=np.uint8))
    assert read_mask(path, Binary()).tolist() == [marked]


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 255],  # a lesion, and what is not to be judged
        [1, 255],
        [0, 100, 128, 255],
        range(201),  # instances by number
    ],
)
def test_labels_are_no_binary_mask(tmp_path, values):
    path = write_flat(tmp_path / "a.png", np.array([list(values)], dtype=np.uint8))
    assert "a binary mask marks one value, but it holds" in refused(path, read_mask, numbers=Binary())


def test_binary_masks_are_marked_alike(tmp_path):
    numbers = Binary()
    read_mask(write_flat(tmp_path / "a.png", np.uint8([[0, 1]])), numbers)
    read_mask(write_flat(tmp_path / "b.png", np.uint8([[0, 0]])), numbers)
    path = write_flat(tmp_path / "c.png", np.uint8([[0, 255]]))  # nothing but what is not to be judged, perhaps
    assert "c.png: is marked up to 255, but a.png up to 1" in refused(path, read_mask, numbers=numbers)


def test_labels_are_read_by_what_they_mean(tmp_path):
    path = write_nifti(tmp_path / "m.nii", np.array([0, 100, 300, 255]).reshape(2, 2, 1).astype(np.int16))
    assert read_mask(path, Labels({100: 2, 300: 1, 255: 0})).ravel().tolist() == [0, 2, 1, 0]


def test_a_label_without_a_meaning_is_refused(tmp_path):
    path = write_flat(tmp_path / "m.png", np.uint8([[0, 100, 63]]))
    assert "m.png: its mask holds 63, which dataset.label_values does not name" in refused(
        path, read_mask, numbers=Labels({100: 1})
    )


def test_several_masks_of_an_image_are_united(tmp_path):
    write_flat(tmp_path / "x.png", GREY[:1, :4])
    masks = [
        write_flat(tmp_path / f"m{n}.png", np.uint8([row]))
        for n, row in enumerate(([255, 255, 0, 0], [0, 255, 255, 0]))
    ]
    assert read_pair(tmp_path / "x.png", {1: masks}, Binary()).mask.tolist() == [[1, 1, 1, 0]]


def test_masks_that_contradict_each_other_are_refused(tmp_path):
    write_flat(tmp_path / "x.png", GREY[:1, :2])
    masks = [write_flat(tmp_path / f"m{n}.png", np.uint8([row])) for n, row in enumerate(([1, 0], [2, 2]))]
    told = refused(tmp_path / "m1.png", lambda _: read_pair(tmp_path / "x.png", {1: masks}, indexed))
    assert "gives pixels another class than another mask of its image does" in told


def test_an_image_is_never_its_own_mask(tmp_path):
    path = write_flat(tmp_path / "x.png", np.uint8([[0, 1]]))
    (tmp_path / "link.png").symlink_to(path)
    for mask in (path, tmp_path / "link.png"):
        with pytest.raises(UserError, match="an image is not its own mask"):
            read_pair(path, {1: [mask]}, indexed)


def test_an_image_without_a_mask_has_nothing_marked(tmp_path):
    image = read_pair(write_flat(tmp_path / "x.png", GREY), {1: []}, indexed)
    assert image.mask.shape == GREY.shape and not image.mask.any()


def test_a_binary_jpeg_mask_is_cut_at_half(tmp_path):
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:24, 8:24] = 255
    path = write_flat(tmp_path / "a.jpg", mask, quality=80)
    assert np.array_equal(read_mask(path, Binary()), mask > 0)


def test_nifti_labels_stored_as_floats_are_class_numbers(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (3, 4, 5))
    mask = read_mask(write_nifti(tmp_path / "a.nii.gz", labels.astype(np.float64)))
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, labels)


def test_a_nifti_mask_may_have_other_axes_than_its_image(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    labels = (x > 0).astype(np.uint8)
    write_nifti(tmp_path / "x.nii", x, np.diag([2.0, 2, 3, 1]))
    turned = np.array([[0, 0, 2, 0], [0, -2, 0, 6], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    write_nifti(tmp_path / "m.nii", labels[:, ::-1].transpose(2, 1, 0), turned)
    image = read_pair(tmp_path / "x.nii", {1: [tmp_path / "m.nii"]}, indexed)
    assert np.array_equal(image.mask, labels)


def test_later_classes_cover_earlier_ones(tmp_path):
    write_flat(tmp_path / "x.png", GREY[:1, :3])
    write_flat(tmp_path / "organ.png", np.uint8([[255, 255, 0]]))
    write_flat(tmp_path / "tumour.png", np.uint8([[0, 255, 0]]))
    masks = {1: [tmp_path / "organ.png"], 2: [tmp_path / "tumour.png"]}
    assert read_pair(tmp_path / "x.png", masks, Binary()).mask.tolist() == [[1, 2, 0]]


@pytest.mark.parametrize(("affine", "apart"), [(np.diag([2.0, 1, 1, 1]), "2 mm"), (np.eye(4) + np.eye(4, k=3), "1 mm")])
def test_a_nifti_mask_at_another_place_is_refused(tmp_path, affine, apart):
    write_nifti(tmp_path / "x.nii", np.zeros((3, 3, 3), np.uint8))
    write_nifti(tmp_path / "m.nii", np.zeros((3, 3, 3), np.uint8), affine)
    with pytest.raises(UserError, match=f"m.nii: lies up to {apart} away from its image x.nii"):
        read_pair(tmp_path / "x.nii", {1: [tmp_path / "m.nii"]}, indexed)


def test_rounded_headers_are_the_same_place(tmp_path):
    write_nifti(tmp_path / "x.nii", np.zeros((3, 3, 3), np.uint8))
    write_nifti(tmp_path / "m.nii", np.ones((3, 3, 3), np.uint8), np.eye(4) * 1.001)
    assert read_pair(tmp_path / "x.nii", {1: [tmp_path / "m.nii"]}, indexed).mask.sum() == 27


@pytest.mark.parametrize(
    ("values", "words"),
    [(0.5, "holds 0.5, which"), (-1, "holds -1, which"), (np.nan, "nan, which"), (300, "up to 255")],
)
def test_labels_that_are_no_class_numbers_are_refused(tmp_path, values, words):
    path = write_nifti(tmp_path / "m.nii", np.full((2, 2, 2), values, dtype=np.float32))
    assert words in refused(path, read_mask)


def test_a_colour_mask_is_refused(tmp_path):
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[0, 0, 0] = 255
    assert "not colours" in refused(write_flat(tmp_path / "m.png", rgb), read_mask)


def test_an_indexed_jpeg_mask_is_refused(tmp_path):
    assert "JPEG and WebP change a mask's numbers" in refused(write_flat(tmp_path / "m.jpg", GREY), read_mask)
    assert "JPEG and WebP change a mask's numbers" in refused(write_flat(tmp_path / "m.webp", GREY), read_mask)


def test_a_dicom_mask_is_refused(tmp_path):
    path = write_slice(tmp_path / "m.dcm", np.zeros((2, 2), np.int16))
    assert "masks can't be read from DICOM" in refused(path, read_mask)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tif", "nii", "nii.gz", "dcm"])
def test_a_text_file_by_an_images_name_is_refused(tmp_path, ending):
    (tmp_path / f"a.{ending}").write_text("no image at all, but words " * 40)
    assert "is not a whole" in refused(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp", "tif", "nii", "nii.gz", "dcm"])
def test_an_empty_file_is_refused(tmp_path, ending):
    (tmp_path / f"a.{ending}").touch()
    assert "is not a whole" in refused(tmp_path / f"a.{ending}")


def whole_file(folder, ending):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    path = folder / f"a.{ending}"
    if ending in ("png", "jpg", "bmp"):
        return write_flat(path, noise)
    if ending == "tif":
        tifffile.imwrite(path, noise)
        return path
    if ending == "dcm":
        return write_slice(path, noise.astype(np.int16))
    return write_nifti(path, noise[..., None])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "nii", "nii.gz", "dcm"])
def test_a_file_cut_off_is_refused(tmp_path, ending, share):
    path = whole_file(tmp_path, ending)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "there is no such file" in refused(tmp_path / "a.png")


def test_an_unknown_ending_is_told(tmp_path):
    (tmp_path / "a.heic").write_text("x")
    assert "has none of the endings .nii.gz, .nii" in refused(tmp_path / "a.heic")


@pytest.mark.parametrize(
    ("name", "ending", "bare"),
    [("a.b.nii.gz", ".nii.gz", "a.b"), ("A.PNG", ".png", "A"), ("x.txt", "", "x.txt"), ("b.TIFF", ".tiff", "b")],
)
def test_names_are_parted_from_endings(name, ending, bare):
    assert (suffix(Path(name)), stem(Path(name))) == (ending, bare)


@pytest.mark.parametrize(
    ("orientation", "shape", "refused_as"),
    [(1, (6, 8), None), (3, (6, 8), "turns it"), (6, (6, 6), "turns it"), (6, (6, 8), None)],
)
def test_an_image_that_a_tag_turns_has_no_mask_of_which_nobody_can_tell_whether_it_is_turned(
    tmp_path, orientation, shape, refused_as
):
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    image = write_flat(tmp_path / "a.jpg", np.ones(shape, dtype=np.uint8), exif=exif)
    mask = write_flat(tmp_path / "mask.png", np.ones(shape[::-1] if orientation > 4 else shape, dtype=np.uint8))
    if refused_as:
        with pytest.raises(UserError, match=f"^a.jpg: an EXIF tag {refused_as}"):
            read_pair(image, {1: [mask]}, indexed)
    else:
        assert read_pair(image, {1: [mask]}, indexed).x.shape == (1, *(shape[::-1] if orientation > 4 else shape))
    alike = write_flat(tmp_path / "alike.png", np.ones(shape, dtype=np.uint8), exif=exif)
    assert read_pair(image, {1: [alike]}, indexed).mask.all()
