"""What it takes to read crops of volumes and 12-lead records, the first and the second time.

``python benchmarks/reading.py [--volumes 40 --size 128 --crops 2000 --records 10000]`` makes files in a temporary
folder and prints a table of seconds: a plain loop, MONAI's CacheDataset and PersistentDataset, and medfit without its
cache and with it. The second time begins anew, as another command would, with what lies on disk. medfit holds no volume
in memory here, as where they do not fit, and checks each that it reads; MONAI's CacheDataset holds all.
"""

import argparse
import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import torch
import wfdb
from monai.data import CacheDataset, PersistentDataset

from medfit.config import cache_place
from medfit.data import image
from medfit.data.datasets import image_checks
from medfit.data.datasets.image_masks import ImageMasks
from medfit.data.datasets.wfdb_records import WfdbRecords
from medfit.data.preprocessing import patch_batches
from medfit.data.preprocessing.patches import PatchPreprocessing

CROP = 32  # voxels a side
LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
RATE_HZ, SECONDS = 500, 10
Reads = Callable[[Path], None]  # is given a folder that lasts from the first time to the second


def write_volumes(folder: Path, number: int, size: int) -> None:
    """Writes volumes of whole numbers with a mask each, compressed."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for n in range(number):
        values = rng.normal(300, 100, (size,) * 3).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "images" / f"{n:04}.nii.gz")
        nib.save(nib.Nifti1Image((values > 350).astype(np.uint8), np.eye(4)), folder / "masks" / f"{n:04}.nii.gz")


def write_records(folder: Path, number: int) -> None:
    """Writes records of ten seconds, and a table of them."""
    folder.mkdir()
    rng, names = np.random.default_rng(0), [f"r{n:05}" for n in range(number)]
    for name in names:
        signal = rng.normal(0, 0.3, (RATE_HZ * SECONDS, len(LEADS)))
        about: dict[str, Any] = {"units": ["mV"] * len(LEADS), "sig_name": LEADS, "fmt": ["16"] * len(LEADS)}
        wfdb.wrsamp(name, fs=RATE_HZ, p_signal=signal, write_dir=str(folder), **about)
    pd.DataFrame({"record": names, "ill": [n % 2 for n in range(number)]}).to_csv(folder / "labels.csv", index=False)


def volume_of(files: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns a volume, scaled, and its mask, read by hand."""
    x, mask = (np.asanyarray(nib.load(name).dataobj) for name in files.values())
    x = x.astype(np.float32)
    return (x - x.mean()) / x.std(), mask


def record_of(name: str) -> np.ndarray:
    """Returns a record, read by hand."""
    return wfdb.rdrecord(name, return_res=32).p_signal.T.astype(np.float32)


def crops(get: Callable[[int], tuple[np.ndarray, np.ndarray]], number: int, volumes: int) -> None:
    """Takes crops at random places."""
    rng = np.random.default_rng(1)
    for n in range(number):
        x, mask = get(n % volumes)
        place = tuple(slice(s, s + CROP) for s in rng.integers(0, x.shape[0] - CROP + 1, 3))
        torch.as_tensor(np.array(x[place])), torch.as_tensor(np.array(mask[place]))


def of_volumes(folder: Path, number: int) -> dict[str, Reads]:
    """Returns the ways to take crops of volumes."""
    names = sorted(path.name for path in (folder / "images").iterdir())
    files = [{kind: str(folder / kind / name) for kind in ("images", "masks")} for name in names]

    def loop(_: Path) -> None:
        crops(lambda n: volume_of(files[n]), number, len(files))

    def in_memory(_: Path) -> None:
        data = CacheDataset(files, volume_of, progress=False)
        crops(data.__getitem__, number, len(files))

    def persistent(kept: Path) -> None:
        data = PersistentDataset(files, volume_of, cache_dir=kept / "monai", weights_only=False)
        crops(data.__getitem__, number, len(files))

    def medfit(_: Path) -> None:
        data = ImageMasks(f"{folder}/images", f"{folder}/masks", ["background", "bright"])
        source = PatchPreprocessing(data, patch_size=[CROP] * 3, foreground=0)
        training = source.prepared(source.fit(range(len(data)))).training(range(len(data)))
        for n in range(number):
            training.batch(torch.tensor([n % len(data)]), n)

    return {
        "plain loop": loop,
        "MONAI CacheDataset": in_memory,
        "MONAI PersistentDataset": persistent,
        "medfit": medfit,
        "medfit, data_cache": with_cache(medfit),
    }


def of_records(folder: Path) -> dict[str, Reads]:
    """Returns the ways to read records."""
    names = [str(path.with_suffix("")) for path in sorted(folder.glob("*.hea"))]

    def each(data: Any) -> None:
        for n in range(len(names)):
            data[n]

    def medfit(_: Path) -> None:
        WfdbRecords(str(folder), f"{folder}/labels.csv", target="ill")

    return {
        "plain loop": lambda _: each([record_of(name) for name in names]),
        "MONAI CacheDataset": lambda _: each(CacheDataset(names, record_of, progress=False)),
        "MONAI PersistentDataset": lambda kept: each(
            PersistentDataset(names, record_of, cache_dir=kept / "monai", weights_only=False)
        ),
        "medfit": medfit,
        "medfit, data_cache": with_cache(medfit),
    }


def with_cache(read: Reads) -> Reads:
    """Returns a reading with medfit's cache on disk."""

    def reading(kept: Path) -> None:
        cache_place._chosen[:] = [cache_place.Place(kept / "medfit", 2**40)]
        try:
            read(kept)
        finally:
            cache_place._chosen.clear()

    return reading


def times(read: Reads, folder: Path) -> Iterator[float]:
    """Yields the seconds of the first time and of the second."""
    with TemporaryDirectory(dir=folder) as kept:
        for _ in range(2):
            began = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(Path(kept))
            yield time.perf_counter() - began


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("volumes", 40), ("size", 128), ("crops", 2000), ("records", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=number)
    asked = parser.parse_args()
    for module in (image, image_checks, patch_batches):
        module.RESIDENT_SHARE = 0.0  # type: ignore[attr-defined]
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_volumes(folder / "volumes", asked.volumes, asked.size)
        write_records(folder / "records", asked.records)
        print("| what | how | first s | second s |\n|---|---|---|---|")
        ways = {
            f"{asked.crops} crops of {asked.volumes} volumes": of_volumes(folder / "volumes", asked.crops),
            f"{asked.records} records": of_records(folder / "records"),
        }
        for what, own in ways.items():
            for how, read in own.items():
                first, second = times(read, folder)
                print(f"| {what} | {how} | {first:.2f} | {second:.2f} |", flush=True)


if __name__ == "__main__":
    main()
