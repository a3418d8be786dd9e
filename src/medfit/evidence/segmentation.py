"""Overlap and distance of segmentations, class by class; the background (class 0) is no class here."""

import warnings
from collections.abc import Sequence

import numpy as np

OVERLAPS = ["dice", "iou", "sensitivity", "precision"]
COUNTS = ("found", "predicted", "true")  # voxels of a class
DISTANCES = ["hausdorff95_mm", "surface_distance_mm"]


def counts(preds: np.ndarray, target: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns how many voxels are found (predicted and true), predicted, and true, in the shape (3, classes - 1).

    Args:
        preds: Class numbers.
        target: Class numbers in the same shape.
        num_classes: The background among them.
    """
    found = np.where(preds == target, target, 0)
    return np.stack([np.bincount(part.ravel(), minlength=num_classes)[1:] for part in (found, preds, target)])


def overlaps(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Returns Dice, intersection over union, sensitivity and precision from counts in the shape (..., 3, classes).

    What has nothing to be a share of is NaN: sensitivity to a class that is not there, Dice where it is neither there
    nor predicted.
    """
    found, predicted, true = np.moveaxis(counts.astype(float), -2, 0)
    shares = {
        "dice": (2 * found, predicted + true),
        "iou": (found, predicted + true - found),
        "sensitivity": (found, true),
        "precision": (found, predicted),
    }
    nothing = {name: np.full_like(whole, np.nan) for name, (_, whole) in shares.items()}
    return {name: np.divide(part, whole, out=nothing[name], where=whole > 0) for name, (part, whole) in shares.items()}


def distances_mm(preds: np.ndarray, target: np.ndarray, num_classes: int, spacing_mm: Sequence[float]) -> np.ndarray:
    """Returns the 95 % Hausdorff and the average symmetric surface distance, in the shape (2, classes - 1), by MONAI.

    The Hausdorff distance is the larger of the two directions' 95th percentiles. Where a class is true but not
    predicted, or the reverse, both are the image's diagonal; where it is neither, NaN.

    Args:
        preds: Class numbers.
        target: Class numbers in the same shape.
        num_classes: The background among them.
        spacing_mm: Of voxels along each axis.
    """
    return np.stack([_distances(preds == k, target == k, spacing_mm) for k in range(1, num_classes)], axis=1)


def mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Returns the mean of what is not NaN; NaN of nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(values, axis=axis)


def _distances(preds: np.ndarray, target: np.ndarray, spacing_mm: Sequence[float]) -> list[float]:
    import torch  # late: a quick start
    from monai.metrics.utils import get_edge_surface_distance

    if not preds.any() or not target.any():
        diagonal = float(np.linalg.norm([n * s for n, s in zip(preds.shape, spacing_mm, strict=True)]))
        return [diagonal if preds.any() or target.any() else np.nan] * 2
    box = _box(preds | target)
    one, other = (torch.from_numpy(np.ascontiguousarray(mask[box])) for mask in (preds, target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.6 calls itself by a name that it gives up
        found = get_edge_surface_distance(one, other, spacing=list(spacing_mm), symmetric=True)[1]
    ways = [way.numpy().astype(float) for way in found]
    return [float(max(np.percentile(way, 95) for way in ways)), float(np.concatenate(ways).mean())]


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """Returns what holds all that is marked, with a voxel around it where there is one."""
    axes = range(mask.ndim)
    marked = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(max(0, where[0] - 1), where[-1] + 2) for where in marked)
