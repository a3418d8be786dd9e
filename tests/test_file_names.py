"""A file's name says what it holds: two files of one name hold the same thing, and are listed here with the reason."""

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHARED = {
    "dicom_waveforms": "the data set, and the reader of its files",
    "evidence": "figures of evidence, and the evidence of a validation",
    "export": "the command, and what it does",
    "generation": "generated images: scored, and drawn",
    "image": "an image as it is read, and what prepares and explains images",
    "images": "the data set, and its kind",
    "predictions": "predictions: stored ones, drawn ones, and those of a validation",
    "segmentation": "masks: learnt, and scored",
    "series": "series: data set, kind, preprocessing and explanation",
    "table": "tables: data set, kind, preprocessing and explanation",
}


def several(folder):
    """The names, without ending, that several files below a folder have."""
    places = defaultdict(list)
    for path in folder.rglob("*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            places[path.stem].append(path)
    return {name for name, paths in places.items() if len(paths) > 1}


def test_a_file_name_stands_for_one_thing():
    assert several(ROOT / "src") == set(SHARED)


def test_names_of_tests_are_unique():
    assert several(ROOT / "tests") - {"conftest"} == set()
