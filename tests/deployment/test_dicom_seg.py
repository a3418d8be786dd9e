import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from fake_images import write_frames, write_slice
from medfit.data.readers.dicom_files import read_dicom, read_series
from medfit.data.readers.dicom_masks import read_structures
from medfit.data.readers.raw_images import turned
from medfit.deployment.dicom_seg import write_seg
from medfit.errors import UserError

RNG = np.random.default_rng(0)
CLASSES = ["background", "liver", "tumour"]
TILTED = Rotation.from_euler("xyz", [20, -15, 10], degrees=True).as_matrix()
PLANES = {  # along a row, down a column
    "axial": np.eye(3)[[0, 1]],
    "sagittal": np.array([[0, 1, 0], [0, 0, -1]]),
    "flipped": np.array([[-1, 0, 0], [0, 1, 0]]),
    "oblique": TILTED.T[[0, 1]],
}


def image(folder, plane, enhanced):
    """A volume of seven slices in another order than their places, and the places by that order."""
    across, down = PLANES[plane]
    places = [np.array([5, -7, 11]) + 2.5 * k * np.cross(across, down) for k in range(7)]
    order, volume = RNG.permutation(7).tolist(), RNG.integers(-200, 200, (7, 12, 9)).astype(np.int16)
    directions, frame = [*across, *down], {"FrameOfReferenceUID": "1.2.9"}
    if enhanced:
        slices, at = volume[order], [places[k] for k in order]
        return [write_frames(folder / "a.dcm", slices, at, directions, (1.2, 0.8), NumberOfFrames=7, **frame)], places
    about = {"ImageOrientationPatient": list(map(float, directions)), "PixelSpacing": [1.2, 0.8], **frame}
    return [write_slice(folder / f"{n}.dcm", volume[k], places[k], **about) for n, k in enumerate(order)], places


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("plane", PLANES)
def test_a_segmentation_has_the_geometry_of_its_image(tmp_path, plane, enhanced):
    hd = pytest.importorskip("highdicom")
    files, places = image(tmp_path / "image", plane, enhanced)
    raw = read_series(files, "image")
    own = RNG.integers(0, 3, (9, 12, 7)).astype(np.uint8)  # columns, rows, slices along their normal
    mask = turned("mask", own, raw.own_affine).x[0]
    path = tmp_path / "seg.dcm"
    write_seg(mask, files, "image", path, CLASSES, "run")
    seg = pydicom.dcmread(path)
    shared, seen = seg.SharedFunctionalGroupsSequence[0], set()
    np.testing.assert_allclose(shared.PixelMeasuresSequence[0].PixelSpacing, [1.2, 0.8])
    directions = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    np.testing.assert_allclose(directions, PLANES[plane].ravel(), atol=1e-6)
    for frame, marked in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        k = int(np.argmin([np.linalg.norm(place - other) for other in places]))
        assert np.linalg.norm(place - places[k]) < 1e-4
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        np.testing.assert_array_equal(marked > 0, number == own[:, :, k].T)
        seen.add((k, number))
    assert len(seen) == 14
    found = read_structures(path, raw, files[0])
    assert [one.name for one in found] == CLASSES[1:]
    for number, one in enumerate(found, 1):
        np.testing.assert_array_equal(one.marks(), mask == number)
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    np.testing.assert_allclose(np.linalg.norm(volume.affine[:3, :3], axis=0), [2.5, 1.2, 0.8], rtol=1e-5)
    assert (volume.array == 1).sum() == (mask == 1).sum()


@pytest.mark.parametrize("marked", [0, 1])
def test_a_flat_image_has_one_even_if_nothing_is_marked(tmp_path, marked):
    pytest.importorskip("highdicom")
    gone = dict.fromkeys(["ImagePositionPatient", "ImageOrientationPatient"])
    kind = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX"}
    file = write_slice(tmp_path / "a.dcm", RNG.integers(0, 99, (12, 9)).astype(np.int16), **kind, **gone)
    mask = np.full(read_dicom(file).x.shape[1:], 2 * marked, np.uint8)
    write_seg(mask, [file], "a.dcm", tmp_path / "seg.dcm", CLASSES, "run")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert int(seg.pixel_array.sum()) == mask.size * marked
    assert (seg.PatientID, seg.StudyInstanceUID, seg.Rows, seg.Columns) == ("p", "1.2", 12, 9)


def test_what_highdicom_refuses_is_a_line_without_the_headers_values(tmp_path):
    pytest.importorskip("highdicom")
    file = write_slice(tmp_path / "a.dcm", np.zeros((12, 9), np.int16), patient="Doe", StudyInstanceUID=None)
    with pytest.raises(UserError, match="^a.dcm: no DICOM SEG can be made of its mask") as error:
        write_seg(np.ones((12, 9), np.uint8), [file], "a.dcm", tmp_path / "seg.dcm", CLASSES, "run")
    assert "Doe" not in str(error.value) and "\n" not in str(error.value)
