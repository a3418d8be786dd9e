import numpy as np
import pytest

from fake_images import refused, write_contours, write_frames, write_nifti, write_seg, write_slice
from medfit.data.readers.image_files import read_image, read_pair
from medfit.data.readers.mask_numbers import indexed
from medfit.data.readers.structures import Structures

K, ROWS, COLUMNS = 4, 6, 5
ANGLE = 0.4
STANDING = (1, 0, 0, 0, 0, -1)
MIRRORED = (-1, 0, 0, 0, 1, 0)
OBLIQUE = (np.cos(ANGLE), np.sin(ANGLE), 0, -np.sin(ANGLE), np.cos(ANGLE), 0)
SPACING = (0.5, 2)  # of rows, of columns
SEGMENTS = {1: "Liver", 2: "Tumour"}
MARKS = np.random.default_rng(3).integers(0, 3, (K, ROWS, COLUMNS))  # which segment each voxel is of
BY_NAME = {"liver": 1, "tumour": 2}


def place(k, directions):
    return np.array([5.0, -7, 11]) + 2.5 * k * np.cross(directions[:3], directions[3:])


def series(folder, directions, **more):
    """A series whose values are the marks, so that the image is its own right mask."""
    for k in range(K):
        facts = {"ImageOrientationPatient": list(map(float, directions)), "PixelSpacing": list(SPACING)} | more
        write_slice(folder / f"{K - k}.dcm", MARKS[k].astype(np.int16), place(k, directions), **facts)
    return folder


def seg(path, directions, marks=MARKS, segments=SEGMENTS, **more):
    """A SEG with a frame for each segment and slice where it marks anything, in the order of segments."""
    found = [(s, place(k, directions), marks[k] == s) for s in segments for k in reversed(range(len(marks)))]
    return write_seg(path, [each for each in found if each[2].any()], segments, directions, SPACING, **more)


def masked(image, mask, classes=BY_NAME, may_lack=False):
    return read_pair(image, {1: [mask]}, indexed, structures=Structures(classes, may_lack))


def told(image, mask, classes=BY_NAME, may_lack=False):
    def read(path, **more):
        return masked(image, path, classes, may_lack)

    return refused(mask, read)


@pytest.fixture
def case(tmp_path):
    return series(tmp_path / "case", OBLIQUE)


@pytest.mark.parametrize("directions", [(1, 0, 0, 0, 1, 0), STANDING, MIRRORED, OBLIQUE])
def test_a_segmentation_marks_the_voxels_that_lie_where_its_pixels_do(tmp_path, directions):
    pair = masked(series(tmp_path / "case", directions), seg(tmp_path / "case.dcm", directions))
    assert np.array_equal(pair.mask, pair.x[0]) and pair.mask.dtype == np.uint8


def test_a_segmentation_of_few_slices_leaves_the_others_empty(tmp_path, case):
    marks = MARKS * (np.arange(K) == 2)[:, None, None]
    pair = masked(case, seg(tmp_path / "case.dcm", OBLIQUE, marks))
    assert pair.mask.any() and np.array_equal(pair.mask, pair.x[0] * (pair.mask.any(axis=(0, 1))))
    assert np.flatnonzero(pair.mask.any(axis=(0, 1))).tolist() == [2]


def test_a_label_map_names_the_segment_of_each_pixel(tmp_path, case):
    frames = [(1, place(k, OBLIQUE), MARKS[k] > 0) for k in range(K)]
    more = {"SegmentationType": "LABELMAP", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.7", "BitsAllocated": 8}
    more |= {"BitsStored": 8, "HighBit": 7, "PixelData": MARKS.astype(np.uint8).tobytes()}
    pair = masked(case, write_seg(tmp_path / "case.dcm", frames, SEGMENTS, OBLIQUE, SPACING, **more))
    assert np.array_equal(pair.mask, pair.x[0])


def test_a_segmentation_may_be_turned_against_its_image(tmp_path):
    """Its rows are the image's columns, seen from the other side."""
    image = series(tmp_path / "case", (1, 0, 0, 0, 1, 0))
    frames = [
        (s, place(k, (1, 0, 0, 0, 1, 0)), (MARKS[k] == s).T) for k in range(K) for s in (1, 2) if (MARKS[k] == s).any()
    ]
    mask = write_seg(tmp_path / "case.dcm", frames, SEGMENTS, (0, 1, 0, 1, 0, 0), SPACING[::-1])
    pair = masked(image, mask)
    assert np.array_equal(pair.mask, pair.x[0])


def test_a_segmentation_of_an_enhanced_file_and_of_a_nifti_file(tmp_path):
    straight = (1, 0, 0, 0, 1, 0)
    places = [place(k, straight) for k in range(K)]
    enhanced = write_frames(tmp_path / "image.dcm", MARKS.astype(np.int16), places, straight, SPACING)
    affine = np.array([[-2, 0, 0, -5.0], [0, -0.5, 0, 7], [0, 0, 2.5, 11], [0, 0, 0, 1]])
    nifti = write_nifti(tmp_path / "image.nii", MARKS.transpose(2, 1, 0).astype(np.int16), affine)
    mask = seg(tmp_path / "mask.dcm", straight)
    assert np.array_equal(masked(enhanced, mask).mask, read_image(enhanced).x[0])
    assert np.array_equal(masked(nifti, mask).mask, read_image(enhanced).x[0])


def test_segments_are_chosen_by_number_or_name_and_the_others_left_out(tmp_path, case):
    mask = seg(tmp_path / "case.dcm", OBLIQUE)
    whole = masked(case, mask).mask
    for classes in ({2: 1}, {"tumour": 1}, {"TUMOUR": 1}):
        chosen = Structures(classes)
        assert np.array_equal(read_pair(case, {1: [mask]}, indexed, structures=chosen).mask, whole == 2)
        assert chosen.told(["background", "t"]) == "; structures of no class are left out: Liver (1)"


def test_a_later_class_covers_an_earlier_one_and_it_is_told(tmp_path, case):
    frames = [(s, place(1, OBLIQUE), np.ones((ROWS, COLUMNS))) for s in (2, 1)]
    mask = write_seg(tmp_path / "case.dcm", frames, SEGMENTS, OBLIQUE, SPACING)
    chosen = Structures(BY_NAME)
    assert set(np.unique(read_pair(case, {1: [mask]}, indexed, structures=chosen).mask)) == {0, 2}
    assert chosen.told(["background", "liver", "tumour"]) == "; tumour covers a part of liver in 1 images"


def test_a_single_structure_needs_no_name(tmp_path, case):
    mask = seg(tmp_path / "mask" / "1.dcm", OBLIQUE, segments={4: "x"}, marks=4 * (MARKS == 1))
    pair = masked(case, mask.parent, {})
    assert np.array_equal(pair.mask, pair.x[0] == 1)
    assert "holds 2 structures; say what they are" in told(case, seg(tmp_path / "two.dcm", OBLIQUE), {})


def test_a_structure_that_a_file_lacks_is_named(tmp_path, case):
    mask = seg(tmp_path / "case.dcm", OBLIQUE)
    classes = {"liver": 1, "tumor": 2}
    message = told(case, mask, classes)
    assert (
        message.startswith("case: its mask case.dcm: has no structure 'tumor'") and "it has: Liver, Tumour" in message
    )
    assert masked(case, mask, classes, may_lack=True).mask.max() == 1


def test_two_names_may_be_of_one_class(tmp_path, case):
    assert masked(case, seg(tmp_path / "case.dcm", OBLIQUE), {"liver": 1, "hepar": 1}).mask.max() == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"marks": np.concatenate([MARKS, MARKS])}, "its pixels are no voxels of its image"),
        ({"directions": (1, 0, 0, 0, 1, 0)}, "its pixels are no voxels of its image"),
        ({"SharedFunctionalGroupsSequence": []}, "frame 1: does not say its ImageOrientationPatient"),
        ({"SegmentationType": "FRACTIONAL"}, "holds shares of voxels (FRACTIONAL)"),
        ({"patient": "another"}, "is of another patient (PatientID) than its image case"),
        ({"FrameOfReferenceUID": "1.2.9"}, "is of another frame of reference than its image case"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "are masks alone"),
    ],
)
def test_a_segmentation_that_does_not_fit_its_image_is_refused(tmp_path, more, message):
    image = series(tmp_path / "case", OBLIQUE, FrameOfReferenceUID="1.2.3")
    assert message in told(image, seg(tmp_path / "mask.dcm", **({"directions": OBLIQUE} | more)))


def test_a_flat_image_has_no_place_for_a_segmentation(tmp_path, case):
    flat = write_slice(tmp_path / "flat.dcm", MARKS[0].astype(np.int16))
    assert "which its image does not say" in told(flat, seg(tmp_path / "mask.dcm", OBLIQUE))


def corners(k, top, left, bottom, right, directions):
    """A rectangle in pixels of a slice, as DICOM's mm."""
    pixels = np.array([[top, left], [top, right], [bottom, right], [bottom, left]], dtype=float)
    across, down = np.reshape(directions, (2, 3))
    return place(k, directions) + pixels[:, 1:] * SPACING[1] * across + pixels[:, :1] * SPACING[0] * down


def boxed(k, rows, columns):
    made = np.zeros((K, ROWS, COLUMNS), dtype=np.int16)
    made[k, rows, columns] = 1
    return made


@pytest.mark.parametrize("directions", [(1, 0, 0, 0, 1, 0), STANDING, MIRRORED, OBLIQUE])
def test_contours_are_filled_where_they_lie_with_holes(tmp_path, directions):
    outer, inner = corners(1, 0.5, 0.5, 4.5, 4.5, directions), corners(1, 1.5, 1.5, 3.5, 2.5, directions)
    upper = corners(2, -0.4, 0.6, 0.4, 3.2, directions)
    expected = boxed(1, slice(1, 5), slice(1, 5)) - boxed(1, slice(2, 4), slice(2, 3))
    expected += boxed(2, slice(0, 1), slice(1, 4))
    for k in range(K):
        more = {"ImageOrientationPatient": list(map(float, directions)), "PixelSpacing": list(SPACING)}
        write_slice(tmp_path / "case" / f"{k}.dcm", expected[k], place(k, directions), **more)
    pair = masked(
        tmp_path / "case", write_contours(tmp_path / "rt.dcm", {"GTV-1": [outer, inner, upper]}), {"gtv-1": 1}
    )
    assert pair.mask.sum() == 17 and np.array_equal(pair.mask, pair.x[0])


@pytest.mark.parametrize("directions", [(1, 0, 0, 0, 1, 0), MIRRORED, OBLIQUE])
def test_voxels_whose_centres_lie_on_a_line_belong_to_the_structure(tmp_path, directions):
    outer, inner = corners(1, 0, 0, 4, 4, directions), corners(1, 1, 1, 3, 3, directions)
    expected = boxed(1, slice(0, 5), slice(0, 5)) - boxed(1, slice(2, 3), slice(2, 3))
    for k in range(K):
        more = {"ImageOrientationPatient": list(map(float, directions)), "PixelSpacing": list(SPACING)}
        write_slice(tmp_path / "case" / f"{k}.dcm", expected[k], place(k, directions), **more)
    pair = masked(tmp_path / "case", write_contours(tmp_path / "rt.dcm", {"a": [outer, inner]}), {})
    assert np.array_equal(pair.mask, pair.x[0])


def test_a_slanted_line_takes_the_pixels_whose_centres_it_encloses(tmp_path):
    straight = (1, 0, 0, 0, 1, 0)
    triangle = corners(0, 0, 0, 0, 0, straight)[:1] + np.array([[-0.1, -0.1, 0], [8.1, -0.1, 0], [-0.1, 2.4, 0]])
    mask = masked(series(tmp_path / "case", straight), write_contours(tmp_path / "rt.dcm", {"a": [triangle]}), {}).mask
    by_hand = [[(2 * c + 0.1) / 8.2 + (0.5 * r + 0.1) / 2.5 < 1 for c in range(COLUMNS)] for r in range(ROWS)]
    assert np.array_equal(mask[::-1, ::-1, 0].T, by_hand)


@pytest.mark.parametrize(
    ("contours", "message"),
    [
        ([corners(0.5, 1, 1, 3, 3, OBLIQUE)], "do not lie on the slices"),
        ([corners(0, 1, 1, 3, 3, OBLIQUE) + np.arange(4)[:, None]], "do not lie on the slices"),
        ([corners(4, 1, 1, 3, 3, OBLIQUE)], "lie outside its image"),
        ([corners(1, 1, 1, 3, 9, OBLIQUE)], "lie outside its image"),
        ([corners(k, 1, 1, 3, 3, OBLIQUE) for k in (0, 2)], "has no contours on the slices between"),
    ],
)
def test_contours_that_do_not_fit_their_image_are_refused(tmp_path, case, contours, message):
    assert message in told(case, write_contours(tmp_path / "rt.dcm", {"a": contours}), {})


def test_other_contours_are_refused(tmp_path, case):
    line = {"a": [corners(1, 1, 1, 3, 3, OBLIQUE)]}
    assert "contours of the kind POINT" in told(case, write_contours(tmp_path / "rt.dcm", line, kind="POINT"), {})
    assert "another patient" in told(case, write_contours(tmp_path / "rt.dcm", line, patient="q"), {})
    image = series(tmp_path / "other", OBLIQUE, FrameOfReferenceUID="1.2.3")
    assert "another frame of reference" in told(image, write_contours(tmp_path / "rt.dcm", line, frame="1.2.4"), {})


def test_a_structure_without_contours_marks_nothing(tmp_path, case):
    mask = write_contours(tmp_path / "rt.dcm", {"a": [corners(1, 1, 1, 3, 3, OBLIQUE)], "b": []})
    assert not masked(case, mask, {"b": 1}).mask.any()
