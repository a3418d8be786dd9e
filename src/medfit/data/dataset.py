"""What every data set offers, whatever its samples are: the contract between data and the rest."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from medfit.data.image import Image
from medfit.data.kind import Kind


@runtime_checkable
class Dataset(Protocol):
    """Samples ``(x, y)`` with patients, targets and units.

    Most data sets have this from :class:`medfit.data.datasets.samples.Samples`; any class that has it will do.

    Attributes:
        name: Of the data set; names the MLflow experiment where no experiment is named.
        task: The kind of target: ``binary``, ``multiclass``, ``multilabel``, ``regression``, ``segmentation`` or
            ``generation``.
        y: The targets: float32 (samples, outputs), 0 or 1 for ``binary`` and ``multilabel`` and in the targets' own
            units for ``regression``; class numbers int64 (samples,) for ``multiclass``; float32 (samples, 0) for
            ``segmentation``, whose masks are part of the samples, and ``generation``.
        target_names: Of the positive class, the classes, the labels, the targets or the masks' classes, in the order
            of the outputs; empty for ``generation``.
        groups: The patient of each sample, in the shape (samples,), of any type that can be compared.
        given_split: ``train``, ``val`` or ``test`` for each sample (samples,); None to divide at random.
        strata: Each sample's class as int (samples,), for stratified splits; None where the target has no classes.
        units: Of features and targets by name, as ``{"pulse": "1/min"}``; those without a unit are left out.
        source: Where the data come from, with their licence; empty if it is not known.
        facts: A row for each sample: what is no feature, such as its site, for folds and subgroups.
        excluded: How many samples were read and left out, by the reason.
    """

    name: str
    task: str
    y: np.ndarray
    target_names: list[str]
    groups: np.ndarray
    given_split: np.ndarray | None
    strata: np.ndarray | None
    units: dict[str, str]
    source: str
    facts: pd.DataFrame
    excluded: dict[str, int]

    @property
    def kind(self) -> Kind[Any]:
        """What the samples are, and what depends on that; usually an attribute of the class."""
        ...

    def __len__(self) -> int:
        """Returns the number of samples."""
        ...

    def __getitem__(self, index: int, /) -> tuple[Any, np.ndarray]:
        """Returns a sample ``(x, y)`` as it was read."""
        ...

    def column(self, name: str, where: str) -> pd.Series:
        """Returns what a column says of each sample; refuses an unknown one under the config path ``where``."""
        ...

    def schema(self) -> list[dict[str, str]]:
        """Returns ``name``, ``kind``, ``role`` and ``unit`` of each feature and target; no values."""
        ...

    def fingerprint(self) -> str:
        """Returns a hash of all values, names, kinds, given splits and of which samples are one patient's."""
        ...


@runtime_checkable
class TableRows(Protocol):
    """Rows to be prepared: of a data set, or of patients without a target.

    Attributes:
        x: A column each feature, in its own unit, in the shape (samples, features).
        kinds: Of the columns: ``numeric``, ``categorical`` or ``boolean``.
    """

    x: pd.DataFrame
    kinds: dict[str, str]


@runtime_checkable
class TableDataset(TableRows, Dataset, Protocol):
    """A data set of this kind."""


@runtime_checkable
class SeriesSignals(Protocol):
    """Series to be prepared: of a data set, or of patients without a target.

    Attributes:
        x: In the shape (samples, channels, length), or arrays (channels, length) of many lengths, float32 in the
            channels' own units; NaN where a value is missing.
        channels: Their names.
        sampling_rate_hz: None where it is not known.
    """

    x: np.ndarray | list[np.ndarray]
    channels: list[str]
    sampling_rate_hz: float | None


@runtime_checkable
class SeriesDataset(SeriesSignals, Dataset, Protocol):
    """A data set of this kind."""


@runtime_checkable
class ImageFiles(Protocol):
    """Images to be prepared: of a data set, or of patients without a target.

    Attributes:
        channels: Their names.
        file_names: Of the images, for messages; they may name patients, so they are never stored.
    """

    channels: list[str]
    file_names: list[str]

    @property
    def num_dimensions(self) -> int:
        """2 or 3."""
        ...

    def __len__(self) -> int:
        """Returns the number of images."""
        ...

    def image(self, index: int) -> Image:
        """Returns an image as it was read."""
        ...


@runtime_checkable
class ImageDataset(ImageFiles, Dataset, Protocol):
    """A data set of one of these kinds."""
