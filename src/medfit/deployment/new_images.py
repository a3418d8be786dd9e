"""New patients' images, read as the training images were, without a target."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from medfit.data.dataset import ImageDataset, ImageFiles
from medfit.data.datasets.faults import Faults
from medfit.data.image import RESIDENT_SHARE, Image
from medfit.data.readers import dicom_files
from medfit.data.readers.image_files import as_image
from medfit.deployment.expected_images import Look, check, expected, joined_looks, look, oddities
from medfit.deployment.image_sources import Source, Sources, sources
from medfit.deployment.images_elsewhere import as_expected, settings_of_any
from medfit.deployment.new_samples import NewSamples
from medfit.errors import UserError, renamed
from medfit.terminal.sample_bar import SampleBar

__all__ = ["as_expected", "describe", "example", "joined", "read", "settings_of_any"]

READING = ("encoding", "decimal", "thousands", "missing_values", "sheet", "skip_rows")

SILENT_S = 3.0  # of reading, before a bar shows how far it is


@dataclass(frozen=True)
class NewImages(NewSamples):
    """New images; those that can't be read have no prediction.

    Args:
        sources: Where each lies.
        kept: Images that stay in memory, by their numbers.
        about: What the model expects.
        **kwargs: As :class:`NewSamples` takes them.
    """

    unusable: ClassVar[str] = "can't be read"

    sources: list[Source]
    kept: dict[int, Image]
    about: Mapping[str, Any]

    def some(self, rows: np.ndarray) -> ImageFiles:
        """Returns some of the images."""
        return _Some(self, rows.tolist())

    def image(self, row: int) -> Image:
        """Returns an image as the training images were read."""
        return self.kept[row] if row in self.kept else _read(self.sources[row], self.about)


class _Some:
    def __init__(self, new: NewImages, rows: list[int]) -> None:
        self.new, self.rows, self.channels = new, rows, list(new.about["channels"])
        self.file_names = [new.sources[row].name for row in rows]
        self._last: tuple[int, Image] | None = None  # that was read, as a mask asks for its image several times

    @property
    def num_dimensions(self) -> int:
        """2 or 3."""
        return int(self.new.about["dimensions"])

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, index: int) -> Image:
        """Returns an image as it was read."""
        if self._last is None or self._last[0] != index:
            self._last = index, self.new.image(self.rows[index])
        return self._last[1]


def describe(dataset: ImageDataset, train: np.ndarray, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a finished model must know to read new images; what JSON can hold.

    Args:
        dataset: That was learnt from.
        train: Numbers of the training images.
        settings: The config's ``dataset`` and ``preprocessing``.
    """
    given = settings["dataset"]
    return {
        **expected(dataset, train, settings["preprocessing"]),
        "recoloured": bool(given.get("channels")),
        "on_error": given.get("on_error", "stop"),
        "patient": given.get("patient"),
        "image": given.get("image", "image"),
        "reading": {key: given[key] for key in READING if given.get(key) is not None},
    }


def joined(abouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what several finished models must know together, to read images once for all of them.

    Args:
        abouts: As :func:`describe` gave them.

    Raises:
        UserError: they expect images of different kinds.
    """
    rest = [{key: value for key, value in about.items() if key != "seen"} for about in abouts]
    if any(one != rest[0] for one in rest):
        raise UserError("trainings that expect images of different kinds make no ensemble")
    return {**rest[0], "seen": joined_looks([about["seen"] for about in abouts])}


def read(
    source: Path | pd.DataFrame | Sequence[Path | str], about: Mapping[str, Any], identifiers: Sequence[str] | None
) -> NewImages:
    """Returns new images; all are read once, so that a bad one is found before anything is predicted.

    Args:
        source: As :func:`medfit.deployment.image_sources.sources` takes it.
        about: As :func:`describe` gave it.
        identifiers: Columns of the table that are passed on, or keywords of DICOM headers, as ``PatientID``; None for
            the files' names, and for the patient if the training's way to tell it needs no header.

    Raises:
        UserError: there are no images, or one that the model can't take and is not to be skipped.
    """
    faults = Faults(about["on_error"])
    with (
        renamed("dataset.", "predict.data, read as the training data: dataset."),
        renamed("dataset.path: ", "predict.data: "),
    ):
        found = sources(source, about, faults, [*(identifiers or ()), *filter(None, [about["patient"]])])
        looks, kept = _looked_at(found.all, about, faults)
        faults.tell("images")
    if not any(looks):
        raise UserError(next(iter(faults.reasons.values()), "predict.data: there are no images"))
    return NewImages(
        identifiers=_identifiers(found, about, identifiers),
        usable=np.array([one is not None for one in looks]),
        odd=list(oddities(looks, about)),
        sources=found.all,
        kept=kept,
        about=about,
    )


def example(about: Mapping[str, Any]) -> None:
    """Returns None: images are given as files, not as rows."""


def _looked_at(
    found: Sequence[Source], about: Mapping[str, Any], faults: Faults
) -> tuple[list[Look | None], dict[int, Image]]:
    """Returns what is told of each image, None of those that can't be read, and the images that stay in memory."""
    import psutil  # late: a quick start

    room = RESIDENT_SHARE * psutil.virtual_memory().available
    looks: list[Look | None] = [None] * len(found)
    kept: dict[int, Image] = {}
    with SampleBar("images read", wait_s=SILENT_S) as bar:
        for row, source in enumerate(found):
            with faults.of(source.name):
                image = _read(source, about)
                check(source.name, image, about)
                looks[row] = look(image)
                room -= image.num_bytes
                if room > 0:
                    kept[row] = image
            bar.show(row + 1, len(found))
    return looks, kept


def _read(source: Source, about: Mapping[str, Any]) -> Image:
    return as_image(source.read(), len(about["channels"]) if about["recoloured"] else None)


def _identifiers(found: Sources, about: Mapping[str, Any], wanted: Sequence[str] | None) -> pd.DataFrame:
    """Returns the user's own columns."""
    table, patient = found.columns, about["patient"]
    if len(table.columns):
        names = [about["image"], *([patient] if patient in table else [])] if wanted is None else list(wanted)
        if lacking := [name for name in names if name not in table]:
            raise UserError(f"predict.id: there is no column '{lacking[0]}'")
        return table[names].reset_index(drop=True)
    names = [source.name for source in found.all]
    if wanted is not None:
        return pd.DataFrame({"file": names, **{tag: _header_column(found.all, tag) for tag in wanted}})
    by_name = [_by_pattern(patient, source) for source in found.all]
    return pd.DataFrame({"file": names, **({"patient": by_name} if all(by_name) else {})})


def _by_pattern(pattern: str | None, source: Source) -> str:
    """Returns the patient that a file's name tells by the training's pattern; empty where it does not."""
    if not pattern or not source.files or not re.compile(pattern).groups:
        return ""
    match = re.search(pattern, Path(source.name).name)
    return str(match[1] or "") if match else ""


def _header_column(found: Sequence[Source], tag: str) -> list[str]:
    """Returns what each image's DICOM header says under a keyword."""
    if other := sum(not one.dicom for one in found):
        raise UserError(f"predict.id={tag}: {other} images are no DICOM files, whose headers alone say more of them")
    heads: list[Any] = [next(filter(dicom_files.has_image, map(dicom_files.header, one.files)), {}) for one in found]
    values = [str(head.get(tag, "")).strip() for head in heads]
    if not any(values):
        raise UserError(f"predict.id={tag}: no DICOM header says it; a keyword is needed, as PatientID")
    return values
