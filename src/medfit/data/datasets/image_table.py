"""A user's own images, listed in a table with their targets."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

import pandas as pd

from medfit.data.datasets import suspects
from medfit.data.datasets.image_folders import folder_of, visible
from medfit.data.datasets.image_patients import compare_with_headers, patients_of
from medfit.data.datasets.images import Images
from medfit.data.datasets.options import Options, TableReader
from medfit.data.datasets.roles import check_columns
from medfit.data.readers.files import first_row
from medfit.data.readers.image_files import channel_names, read_image, stem, suffix
from medfit.errors import UserError
from medfit.terminal.console import say


class ImageTable(Images):
    """The images that a CSV, TSV, Parquet or Excel file lists, a row each, with targets in other columns.

    Targets are inferred as :class:`medfit.data.datasets.table.Table` does; columns without a role are left out.

    Args:
        path: Of the table, relative to where the command is run.
        target: Its column, or several; None with ``target_rule``.
        image: The column with the images' files; their endings may be left out.
        folder: Where the files lie; None for the table's folder.
        patient: The column that says whose image it is; None for the ``PatientID`` of DICOM files, and for each other
            image as a patient.
        split: The column that says ``train``, ``val`` or ``test``.
        channels: Names of the images' channels; one name for colour images turns them grey, three for grey ones give
            them colours. None to name them from the first image.
        units: Of targets.
        **options: As :class:`medfit.data.datasets.options.Options` describes them.

    Raises:
        UserError: a table or column that can't be read, a file that is not there, and all that :class:`Images`
            refuses.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str] | None = None,
        image: str = "image",
        folder: str | None = None,
        patient: str | None = None,
        split: str | None = None,
        channels: Sequence[str] | None = None,
        units: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        file, reader = Path(path).expanduser(), TableReader(**options)
        whole = reader.read(path)
        check_columns(whole, {"image": image})
        whole, targets, found_units = reader.ask(whole, target, [image, patient, split])
        check_columns(whole, {"units": units})
        table, about, told = reader.roles(whole, targets, patient, split)
        check_columns(table, {"image": image})
        files = _files(table[image], folder_of(folder, "folder") if folder else file.parent)
        if patient is None:
            about["groups"] = patients_of(files, None)
        else:
            compare_with_headers(files, about["groups"])
        by_header = patient is None and about["groups"] is not None
        num_channels = len(channels) if channels else None
        super().__init__(
            name=file.stem,
            names=[found.name for found in files],
            readers=[functools.partial(read_image, found, num_channels) for found in files],
            channels=channels or channel_names(read_image(files[0])),
            units=found_units | dict(units or {}),
            source=f"{file.name}, the user's own",
            facts=table.drop(columns=image),
            **about,
        )
        by = f"; DICOM headers name {len(set(self.groups.tolist()))} patients" if by_header else ""
        say(f"{file.name}: {told}{by}")
        suspects.tell(whole[targets])


def _files(column: pd.Series, folder: Path) -> list[Path]:
    """Returns each row's file, or its folder of a DICOM series.

    Raises:
        UserError: an empty cell, or files that are not there.
    """
    if (empty := column.isna()).any():
        raise UserError(f"dataset.image: column '{column.name}' is missing in data row {first_row(empty)}")
    cells = [str(cell).strip() for cell in column]
    stems: dict[Path, dict[str, Path]] = {}
    files = [folder / cell for cell in cells]
    for index, file in enumerate(files):
        if not file.exists() and file.parent.is_dir():
            if file.parent not in stems:
                stems[file.parent] = {stem(found): found for found in visible(file.parent) if suffix(found)}
            files[index] = stems[file.parent].get(file.name, file)
    if missing := [file.name for file in files if not file.exists()]:
        raise UserError(
            f"dataset.image: {len(missing)} files are not in '{folder.resolve().name}', the first: {missing[0]}"
        )
    return files
