"""Contours of an RTSTRUCT, filled slice by slice on an image's grid."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from medfit.data.readers.raw_images import SAME_PLACE_VOXELS, RawImage
from medfit.errors import UserError

ON_LINE = 0.02  # of a pixel: files round their numbers
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def filled(name: str, contours: Sequence[Any], image: RawImage) -> np.ndarray:
    """Returns which voxels' centres lie within contours or on their lines; what two of a slice enclose is a hole.

    Many programs draw the lines through the outermost voxels' centres, so that these belong to the structure.

    Args:
        name: Of the structure, for messages.
        contours: DICOM's items, with points in mm to the left, posterior and superior.
        image: A volume.

    Returns:
        Bool in the shape of the image.

    Raises:
        UserError: open contours, contours between slices, outside the image, or not on each slice.
    """
    made = np.zeros(image.x.shape[1:], dtype=bool)
    if kinds := {str(contour.get("ContourGeometricType")) for contour in contours} - {*CLOSED}:
        raise UserError(f"{name}: has contours of the kind {kinds.pop()}; closed ones in a plane were expected")
    points = [_voxels(contour, image) for contour in contours]
    if not points:
        return made
    axis, by_slice = _slices(name, points, made.shape)
    planes = np.moveaxis(made, axis, 0)  # a view
    for number, outlines in by_slice.items():
        flat = [np.delete(outline, axis, axis=1) for outline in outlines]
        for outline in flat:
            planes[number] ^= _inside(outline, planes[number].shape)
        for outline in flat:
            _mark_line(outline, planes[number])
    return made


def _voxels(contour: Any, image: RawImage) -> np.ndarray:
    """Returns a contour's points in voxels (points, 3)."""
    points = np.array(contour.ContourData, dtype=float).reshape(-1, 3) * (-1, -1, 1)  # DICOM has LPS
    assert image.affine is not None  # made sure before
    to_voxel = np.linalg.inv(image.affine)
    return points @ to_voxel[:3, :3].T + to_voxel[:3, 3]


def _slices(name: str, points: Sequence[np.ndarray], shape: Sequence[int]) -> tuple[int, dict[int, list[np.ndarray]]]:
    """Returns the axis that slices are counted along, and the contours of each slice."""
    spans = np.max([np.ptp(outline, axis=0) for outline in points], axis=0)
    axis = int(spans.argmin())
    places = np.array([outline[:, axis].mean() for outline in points])
    off = np.abs(places - np.rint(places)).max()
    if spans[axis] > SAME_PLACE_VOXELS or off > SAME_PLACE_VOXELS:
        raise UserError(f"{name}: its contours do not lie on the slices of its image")
    found: dict[int, list[np.ndarray]] = defaultdict(list)
    for place, outline in zip(np.rint(places).astype(int), points, strict=True):
        found[int(place)].append(outline)
    inside = all((outline > -1).all() and (outline < shape).all() for outline in points)
    if not inside or min(found) < 0 or max(found) >= shape[axis]:
        raise UserError(f"{name}: its contours lie outside its image")
    gaps = np.diff(sorted(found))
    if len(gaps) and gaps.min() > 1:
        raise UserError(f"{name}: has no contours on the slices between two that have; draw them, or interpolate")
    return axis, found


def _inside(outline: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns which pixels' centres lie within a closed line, by the even-odd rule.

    Args:
        outline: Points in pixels (points, 2).
        shape: Of the slice.
    """
    from matplotlib.path import Path  # late: a quick start

    made = np.zeros(shape, dtype=bool)
    low = np.maximum(np.floor(outline.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(outline.max(axis=0)) + 1, shape).astype(int)
    grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
    line = Path(np.vstack([outline, outline[:1]]), closed=True)
    made[low[0] : high[0], low[1] : high[1]] = line.contains_points(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    return made


def _mark_line(outline: np.ndarray, plane: np.ndarray) -> None:
    """Marks the pixels whose centres lie on a closed line.

    Args:
        outline: Points in pixels (points, 2).
        plane: Bool, changed in its place.
    """
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        low = np.maximum(np.ceil(np.minimum(start, end) - ON_LINE), 0).astype(int)
        high = np.minimum(np.floor(np.maximum(start, end) + ON_LINE) + 1, plane.shape).astype(int)
        if (high <= low).any():
            continue
        grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
        way, length = end - start, float(np.linalg.norm(end - start))
        along = np.clip((grid - start) @ way / length**2, 0, 1) if length else np.zeros(grid.shape[:2])
        apart = np.linalg.norm(grid - start - along[..., None] * way, axis=-1)
        plane[low[0] : high[0], low[1] : high[1]] |= apart < ON_LINE
