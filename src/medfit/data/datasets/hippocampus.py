"""The two parts of the hippocampus in T1 MRI."""

from pathlib import Path

from medfit.config import folders
from medfit.data.datasets.decathlon import Decathlon
from medfit.data.datasets.download import fetch, unpack
from medfit.errors import UserError

URL = "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar"
MD5 = "9d24dba78a72977dbd1d2e110310f31b"


class Hippocampus(Decathlon):
    """260 volumes of T1 MRI, cut to one hippocampus, with masks of its anterior and posterior part.

    Volumes of about 35 x 50 x 35 voxels of 1 mm, of healthy adults and of adults with a psychotic disorder. The files
    name no patients, so each volume counts as one. The Decathlon keeps the labels of its test volumes, so that
    training, validation and test are divided among these. Intensities have no common unit.

    Source: Medical Segmentation Decathlon, Task04_Hippocampus (Antonelli et al., Nature Communications 2022; Simpson
    et al. 2019; Vanderbilt University Medical Center; CC BY-SA 4.0).

    Args:
        root: The folder Task04_Hippocampus; None for the one in the project's folder ``data``.
        download: Whether to download the data (27 MB) to the project's folder ``data`` where they are not there.

    Raises:
        UserError: no data, or a download that failed.
    """

    def __init__(self, root: str | None = None, download: bool = False) -> None:
        super().__init__(
            root=root or str(_local(download)),
            classes=["background", "anterior", "posterior"],
            channels=["t1"],
            name="hippocampus",
            source="Medical Segmentation Decathlon, Task04_Hippocampus (Antonelli et al. 2022; CC BY-SA 4.0)",
        )


def _local(download: bool) -> Path:
    """Returns the task's folder among the project's data."""
    folder = folders.ROOT / "data" / "Task04_Hippocampus"
    if folder.is_dir():
        return folder
    if not download:
        raise UserError(
            "dataset=hippocampus: the data are not there; dataset.download=true downloads them (27 MB), "
            "dataset.root=... says where you have the folder Task04_Hippocampus"
        )
    archive = fetch(URL, folder.parent, MD5)
    unpack(archive, folder)
    archive.unlink()
    return folder
