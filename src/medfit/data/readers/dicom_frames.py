"""The frames of DICOM files: one in most, several in enhanced ones, which say of each where it lies."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from medfit.data.readers.raw_images import RawImage, turned
from medfit.errors import UserError

UNEVEN = 0.05  # of the slices' distance: positions are rounded
SAME_DIRECTION = 1e-3  # of cosines
GROUPS = {  # of an enhanced file, in which each fact lies
    "PixelSpacing": "PixelMeasuresSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "StackID": "FrameContentSequence",
}
COUNTS = {"PixelSpacing": 2, "ImageOrientationPatient": 6, "ImagePositionPatient": 3}


class Frame(NamedTuple):
    """Where a frame lies.

    Args:
        name: Of its file and the frame, for messages.
        head: The file's header.
        number: Among the file's frames, from 0.
    """

    name: str
    head: Any
    number: int

    def fact(self, key: str) -> Any:
        """Returns what is said of this frame, of all, or of the file; None where nothing is."""
        each = self.head.get("PerFrameFunctionalGroupsSequence") or ()
        of_all = self.head.get("SharedFunctionalGroupsSequence") or ()
        for groups in (*each[self.number : self.number + 1], *of_all[:1]):
            group = groups.get(GROUPS[key]) or ()
            if group and group[0].get(key) is not None:
                return group[0].get(key)
        return self.head.get(key)

    def numbers(self, key: str) -> np.ndarray:
        """Returns a fact's numbers.

        Raises:
            UserError: nothing is said, or no numbers of the usual count.
        """
        if (value := self.fact(key)) is None or value == "":
            raise UserError(f"{self.name}: does not say its {key}, which a slice of a series needs")
        try:
            return np.array(value, dtype=float).reshape(COUNTS[key])
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name}: its {key} is not {COUNTS[key]} numbers") from error


def num_frames(name: str, head: Any) -> int:
    """Returns how many frames a file holds, by its header."""
    try:
        return int(head.get("NumberOfFrames") or 1)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: is not a whole DICOM file (its NumberOfFrames is no number)") from error


def frames(name: str, head: Any) -> list[Frame]:
    """Returns a file's frames.

    Raises:
        UserError: it has several and does not say where each lies.
    """
    if (count := num_frames(name, head)) == 1:
        return [Frame(name, head, 0)]
    if len(head.get("PerFrameFunctionalGroupsSequence") or ()) != count:
        raise UserError(
            f"{name}: holds {count} frames and does not say where each lies, as a film; save the frames that you need "
            "as images, or a volume as NIfTI"
        )
    return [Frame(f"{name}, frame {number + 1}", head, number) for number in range(count)]


def rescaled(found: Sequence[Frame], pixels: np.ndarray) -> np.ndarray | None:
    """Returns stored values in their unit, by each frame's own slope; None where the frames say none.

    Args:
        found: The file's frames.
        pixels: In the shape (frames, rows, columns, channels).
    """
    slopes = [frame.fact("RescaleSlope") for frame in found]
    if "SharedFunctionalGroupsSequence" not in found[0].head or None in slopes:
        return None
    offsets = [frame.fact("RescaleIntercept") or 0 for frame in found]
    slope, offset = (np.array(each, dtype=float)[:, None, None, None] for each in (slopes, offsets))
    return pixels * slope + offset


def stacked(name: str, found: Sequence[Frame]) -> tuple[list[int], np.ndarray]:
    """Returns the order of frames along their stack, and the affine from (column, row, place in the order) to mm.

    Args:
        name: Of the series, for messages.
        found: Its frames, in any order.

    Raises:
        UserError: frames that differ in size, spacing or direction, that are missing, doubled or uneven, that are of
            several stacks, or whose stack is tilted.
    """
    if (count := len({frame.fact("StackID") for frame in found})) > 1:
        raise UserError(f"{name}: holds {count} stacks of slices; one was expected: save each as a NIfTI file")
    across, down, spacing = _plane(name, found)
    places = np.stack([frame.numbers("ImagePositionPatient") for frame in found])
    order = np.argsort(places @ np.cross(across, down), kind="stable")
    step = _step(name, places[order], np.cross(across, down))
    affine = np.eye(4)
    affine[:3] = np.column_stack([across * spacing[1], down * spacing[0], step, places[order[0]]])
    return order.tolist(), np.diag([-1, -1, 1, 1]) @ affine  # DICOM has LPS


def volume(name: str, slices: np.ndarray, affine: np.ndarray) -> RawImage:
    """Returns slices (k, rows, columns, channels) as a volume turned to right, anterior, superior."""
    data = slices.transpose(2, 1, 0, 3)
    return turned(name, data[..., 0] if data.shape[3] == 1 else data, affine)


def _plane(name: str, found: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the directions along a row and down a column, and the distances of rows and of columns in mm."""
    facts = [_facts(frame) for frame in found]
    for frame, fact in zip(found, facts, strict=True):
        for what, part in (("size", slice(0, 2)), ("spacing", slice(2, 4)), ("direction", slice(4, 10))):
            if not np.allclose(fact[part], facts[0][part], rtol=SAME_DIRECTION, atol=SAME_DIRECTION):
                raise UserError(f"{frame.name}: has another {what} than the other slices of {name}")
    return facts[0][4:7], facts[0][7:10], facts[0][2:4]


def _facts(frame: Frame) -> np.ndarray:
    size = [frame.head.Rows, frame.head.Columns]
    return np.concatenate([size, frame.numbers("PixelSpacing"), frame.numbers("ImageOrientationPatient")])


def _step(name: str, places: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Returns the way from one slice to the next in mm."""
    steps = np.diff(places, axis=0)
    apart = steps @ normal
    if apart.min() < 1e-3:
        raise UserError(f"{name}: two slices lie at the same place; is this more than one volume?")
    if apart.max() - apart.min() > UNEVEN * np.median(apart):
        raise UserError(
            f"{name}: slices are missing or uneven: they lie {apart.min():.4g} to {apart.max():.4g} mm apart"
        )
    step = steps.mean(axis=0)
    if np.linalg.norm(step - normal * apart.mean()) > UNEVEN * apart.mean():
        raise UserError(f"{name}: its slices are stacked at a slant (a tilted gantry); turn it into NIfTI straightened")
    return step
