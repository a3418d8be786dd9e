"""Predictions that are a mask each: a file beside each image, and a row that says how large each class is."""

import csv
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from medfit.data.dataset import ImageFiles
from medfit.deployment import written_masks
from medfit.deployment.finished_model import AnyModel, FinishedModel
from medfit.deployment.new_images import NewImages
from medfit.errors import UserError

OUT = "predictions"  # the folder where masks go if nothing is said
WRITES_FILES = True
LEGEND = "classes.csv"


def predict(model: AnyModel, new: NewImages, out: Path | None, advance: Callable[[int], None]) -> pd.DataFrame:
    """Returns how large each class but the background is in each usable image, and where its mask is.

    Args:
        model: The model.
        new: The images.
        out: The folder that masks are written to, in the geometry of the images' files; None for none.
        advance: Is told of how many more images are done.

    Raises:
        UserError: masks can't be written.
    """
    rows = np.flatnonzero(new.usable).tolist()
    used = [new.sources[row] for row in rows]
    names, classes = written_masks.names(used, new.about["dimensions"] == 2), list(model.about["target_names"])
    if out is not None:
        written_masks.check(used)
        _write_legend(out / LEGEND, classes)
    made = []
    for source, name, part in zip(used, names, new.parts(1), strict=True):
        mask = mask_of(model, part)
        if out is not None:
            written_masks.write(mask, source, out / name, classes, model.about["run_id"])
        written = {} if out is None else {"mask": name}
        made.append(written | dict(_sizes(mask, classes, part.image(0).spacing_mm)))
        advance(1)
    return pd.DataFrame(made).dropna(axis=1, how="all")


def mask_of(model: AnyModel, part: ImageFiles) -> np.ndarray:
    """Returns the class numbers of an image, uint8 in its shape; of one training, as an evaluation scores them."""
    if len(model.singles) == 1:
        numbers = _of_single(model.singles[0], part, "masks")
    else:
        numbers = shares_of(model, part).argmax(dim=0)
    return np.ascontiguousarray(numbers.numpy().astype(np.uint8))


def shares_of(model: AnyModel, part: ImageFiles) -> Tensor:
    """Returns the classes' probabilities in an image, (classes, *size): the mean of the trainings', on its own grid."""
    total = _of_single(model.singles[0], part, "shares")
    for single in model.singles[1:]:
        total = total + _of_single(single, part, "shares")
    return total / len(model.singles)


def _of_single(model: FinishedModel, part: ImageFiles, method: str) -> Tensor:
    """Returns what the task's method gives of an image, on the CPU, its last axes those of the image."""
    fitted: Any = model.fitted
    task: Any = model.task
    (x,) = fitted.apply(part)
    size = fitted.in_order(part.image(0).x.shape[1:])
    with model.predicting():
        made = getattr(task, method)(model.placed(x[None]), size)[0].cpu()
    first: Tensor = made if made.ndim == len(size) else made.movedim(0, -1)  # classes go last while axes are turned
    turned: Tensor = fitted.in_the_images_order(first)
    return turned if made.ndim == len(size) else turned.movedim(-1, 0)


def _sizes(mask: np.ndarray, classes: Sequence[str], spacing_mm: Sequence[float] | None) -> Iterator[tuple[str, float]]:
    """Yields the pixels or voxels of each class but the background, and its area in mm² or its volume in ml."""
    counts = np.bincount(mask.ravel(), minlength=len(classes))
    flat = mask.ndim == 2
    mm = np.nan if spacing_mm is None else prod(spacing_mm)
    for name, count in zip(classes[1:], counts[1:].tolist(), strict=True):
        yield f"{'pixels' if flat else 'voxels'}/{name}", count
        yield (f"area_mm2/{name}", count * mm) if flat else (f"volume_ml/{name}", count * mm / 1000)


def _write_legend(path: Path, classes: Sequence[str]) -> None:
    """Writes which class each number of a mask is; makes the folder if need be."""
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("number", "class"), *enumerate(classes)])
    except OSError as error:
        raise UserError(f"predict.out: cannot write to '{path.parent}' ({error.strerror})") from error
