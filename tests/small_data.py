"""Small data of each kind, to learn from, and the same samples again as a new file or folder without targets."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fake_images import write_flat
from fake_series import signals, write_wide

TARGETS = ["ill", "grade", "pain", "fever", "score"]


@dataclass(frozen=True)
class SmallData:
    """A kind of data.

    Args:
        write: Writes the training data into a folder, and returns the overrides that name them, but for the target.
        pick: Writes some of a folder's samples, by their numbers and in that order, to a new place without targets;
            returns what ``predict`` is to be given.
    """

    write: Callable[[Path], list[str]]
    pick: Callable[[Path, np.ndarray, Path], Path]


def write_table(folder: Path, num_rows: int = 90) -> list[str]:
    """A table of all kinds of columns, with missing cells, and targets of all kinds."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.normal(60, 10, num_rows).round(1),
            "crp": np.exp(rng.normal(size=num_rows)),
            "ward": rng.integers(1, 4, num_rows),
            "stage": rng.choice(["I", "II", "None"], num_rows),
            "smoker": rng.choice(["yes", "no"], num_rows),
        }
    )
    for name, share in {"crp": 0.2, "stage": 0.1, "smoker": 0.1}.items():
        table.loc[rng.random(num_rows) < share, name] = np.nan
    table["ill"], table["grade"] = np.arange(num_rows) % 2, np.array(["a", "b", "c"])[np.arange(num_rows) % 3]
    table["pain"], table["fever"] = rng.integers(0, 2, (2, num_rows))
    table["score"] = 3 * table["age"] - 100
    table.to_csv(folder / "clinic.csv", index=False)
    return ["dataset=table", f"dataset.path={folder / 'clinic.csv'}", "dataset.kinds.ward=categorical"]


def pick_rows(folder: Path, rows: np.ndarray, place: Path) -> Path:
    """Rows of the table."""
    lines = (folder / "clinic.csv").read_text().splitlines()
    picked = pd.DataFrame([line.split(",") for line in lines[1:]], columns=lines[0].split(",")).iloc[rows]
    picked.drop(columns=TARGETS).to_csv(place / "new.csv", index=False)
    return place / "new.csv"


def write_series(folder: Path, num_series: int = 60) -> list[str]:
    """Series of two channels and several lengths, of two classes."""
    write_wide(folder / "beats.csv", *signals(num_series, 40, 60))
    path = f"dataset.path={folder / 'beats.csv'}"
    return ["dataset=series_table", path, "dataset.channels=[I,II]", "dataset.patient=who", "dataset.target=y"]


def pick_series(folder: Path, rows: np.ndarray, place: Path) -> Path:
    """Rows of the table."""
    table = pd.read_csv(folder / "beats.csv", dtype=str).iloc[rows]
    table.drop(columns="y").to_csv(place / "new.csv", index=False)
    return place / "new.csv"


def write_images(folder: Path, num_images: int = 60) -> list[str]:
    """Grey images, in a folder for each of two classes."""
    rng = np.random.default_rng(0)
    for number in range(num_images):
        name = f"{'ab'[number % 2]}/{number:02}.png"
        write_flat(folder / "scans" / name, rng.integers(0, 100 + 100 * (number % 2), (12, 12)).astype(np.uint8))
    return ["dataset=image_classes", f"dataset.root={folder / 'scans'}"]


def pick_images(folder: Path, rows: np.ndarray, place: Path) -> Path:
    """Files, whose names are in the order that is asked for."""
    (place / "new").mkdir()
    files = sorted((folder / "scans").rglob("*.png"))
    for number, row in enumerate(rows):
        shutil.copy(files[row], place / "new" / f"{number:02}.png")
    return place / "new"


def other_series(folder: Path) -> tuple[Path, np.ndarray]:
    """A table of series of other patients, and their classes."""
    x, y = signals(40, 40, 60, seed=7)
    return write_wide(folder / "other.csv", x, y), y


def other_images(folder: Path) -> tuple[Path, np.ndarray]:
    """A folder of images of other patients, and their classes."""
    rng = np.random.default_rng(7)
    for number in range(40):
        pixels = rng.integers(0, 100 + 60 * (number // 20), (12, 12)).astype(np.uint8)
        write_flat(folder / "other" / "ab"[number // 20] / f"{number:02}.png", pixels)
    return folder / "other", np.arange(40) // 20


def write_masks(folder: Path, count: int, seed: int = 0) -> list[str]:
    """Grey images, and masks of what is bright in them; of two classes."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, number % 6 : 8] = 1
        pixels = mask * 100 + rng.integers(0, 60, (16, 16)).astype(np.uint8)
        write_flat(folder / "images" / f"{number:02}.png", pixels)
        write_flat(folder / "masks" / f"{number:02}.png", mask)
    places = [f"dataset.images={folder / 'images'}", f"dataset.masks={folder / 'masks'}"]
    return ["dataset=image_masks", "dataset.classes=[background,liver]", *places]


RECORDS = SmallData(write_table, pick_rows)
SERIES = SmallData(write_series, pick_series)
IMAGES = SmallData(write_images, pick_images)


def target(*names: str) -> list[str]:
    """Overrides that name the targets of a table, and leave out the other ones."""
    others = [name for name in TARGETS if name not in names]
    return [f"dataset.target=[{','.join(names)}]", f"dataset.exclude=[{','.join(others)}]"]
