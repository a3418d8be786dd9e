"""The masks of a finished model beside the true ones, counted and measured as an evaluation does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.image import Image
from medfit.deployment.finished_model import AnyModel
from medfit.deployment.in_masks import mask_of
from medfit.evidence import segmentation as evidence
from medfit.tasks.segmentation import ScoredImage
from medfit.terminal.sample_bar import SampleBar

SILENT_S = 3.0  # of scoring, before a bar shows how far it is


@dataclass
class OneImage:
    """An image of a data set, as what prepares images takes it.

    Args:
        read: The image.
        channels: Their names.
        file_names: Its own alone.
    """

    read: Image
    channels: list[str]
    file_names: list[str]

    @property
    def num_dimensions(self) -> int:
        """2 or 3."""
        return self.read.x.ndim - 1

    def __len__(self) -> int:
        return 1

    def image(self, index: int) -> Image:
        """Returns the image."""
        return self.read


def one_of(dataset: ImageDataset, row: int) -> OneImage:
    """Returns an image of a data set, with its mask."""
    return OneImage(dataset.image(row), list(dataset.channels), [dataset.file_names[row]])


def scored(model: AnyModel, dataset: ImageDataset, rows: Sequence[int] | np.ndarray) -> list[ScoredImage]:
    """Returns what is counted and measured in each image's mask, on the grid that the image was read in.

    One image after another is read and predicted; none is kept.

    Args:
        model: Of masks.
        dataset: With the images and their true masks.
        rows: Numbers of those that are scored.
    """
    task, size = model.singles[0].task, len(model.about["target_names"])
    measured = any(name in evidence.DISTANCES for name in getattr(task, "metrics", ()))
    patients = np.unique(dataset.groups, return_inverse=True)[1]
    found = []
    with SampleBar("images scored", wait_s=SILENT_S) as bar:
        for number, row in enumerate(map(int, rows)):
            part = one_of(dataset, row)
            image, preds = part.read, mask_of(model, part)
            target = np.asarray(image.mask).astype(np.uint8)
            spacing_mm = image.spacing_mm or (1.0,) * target.ndim
            distances = evidence.distances_mm(preds, target, size, spacing_mm) if measured else None
            counts = evidence.counts(preds, target, size)
            found.append(ScoredImage(int(patients[row]), counts, distances, None, float("nan")))
            bar.show(number + 1, len(rows))
    return found
