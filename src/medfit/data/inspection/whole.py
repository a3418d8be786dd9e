"""What a data set holds as a whole: its columns or channels, samples, patients, classes and splits."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from medfit.data.dataset import Dataset
from medfit.data.inspection.columns import Column, describe, found, spread

MOST_CLASSES = 20  # that are named


def columns(dataset: Dataset, told: Sequence[str] = ()) -> list[Column]:
    """Returns a row for each feature or channel, and each column that is none.

    Args:
        dataset: Of any kind.
        told: What a leak scan found, lines that name columns.
    """
    has_cells = dataset.kind.missing(dataset) is not None
    made = []
    for entry in dataset.schema():
        name, kind, unit = entry["name"], entry["kind"], entry["unit"]
        if entry["role"] == "feature" and has_cells:
            cells = dataset.column(name, "inspect")
            made.append(describe(cells, "feature", kind, unit, dataset.groups, found(name, told)))
        elif entry["role"] == "feature":
            made.append(Column(name, kind, "feature", unit))
    for name in dataset.facts:
        made.append(describe(dataset.facts[name], "left out", None, "", dataset.groups, found(str(name), told)))
    return made


def facts(dataset: Dataset, rows: Mapping[str, np.ndarray] | None) -> Iterator[tuple[str, str]]:
    """Yields what to say of a data set, with a heading each.

    Args:
        dataset: Of any kind.
        rows: Row numbers of each split; None where it can't be divided.
    """
    yield "Samples", f"{len(dataset)} {dataset.kind.samples} of {len(np.unique(dataset.groups))} patients"
    for reason, number in dataset.excluded.items():
        yield "Left out", f"{number} samples: {reason}"
    yield "Task", f"{dataset.task}{_classes(dataset)}"
    yield from dataset.kind.facts(dataset)
    for split, chosen in (rows or {}).items():
        unique = np.unique(chosen)
        yield split.capitalize(), f"{len(unique)} samples of {len(np.unique(dataset.groups[unique]))} patients"


def _classes(dataset: Dataset) -> str:
    """Returns how many samples each class has, or where most targets lie."""
    y, names = dataset.y, dataset.target_names
    if dataset.task == "regression":
        patients = len(np.unique(dataset.groups))
        told = [f"{name} {where}" for i, name in enumerate(names) if (where := spread(y[:, i], patients))]
    elif y.ndim == 1:
        counts = np.bincount(y, minlength=len(names)).tolist()
        told = [f"{name} {count}" for name, count in zip(names, counts, strict=True)]
    else:
        told = [f"{name} {int(y[:, i].sum())} of {len(y)}" for i, name in enumerate(names[: y.shape[1]])]
    more = f", and {len(told) - MOST_CLASSES} more" if len(told) > MOST_CLASSES else ""
    return f": {', '.join(told[:MOST_CLASSES])}{more}" if told else ""
