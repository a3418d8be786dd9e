"""Which single cases are shown, and how they are told."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from medfit.data.dataset import Dataset
from medfit.evidence.targets.known import named


class Question(NamedTuple):
    """What is explained: why the model predicts this target of this sample.

    Args:
        row: The sample's number in the data set.
        target: The output's number.
    """

    row: int
    target: int


class Case(NamedTuple):
    """A single case to show.

    Args:
        question: What is explained of it.
        title: Why it was chosen, what is predicted and what is true.
    """

    question: Question
    title: str


def choose(dataset: Dataset, rows: np.ndarray, preds: np.ndarray, count: int) -> list[Case]:
    """Returns the cases to show, taken in turn from each kind.

    Classes: the most confident right, the most confident wrong and the least certain ones. Numbers: those predicted
    with the least, the largest and the median error.

    Args:
        dataset: For the truth and the names.
        rows: Numbers of the samples to choose from.
        preds: Of these, in the shape (samples, outputs).
        count: Of cases; fewer where there are fewer samples.
    """
    truth, told = dataset.y[rows], named(dataset.task).cases
    rankings = told.rankings(preds, truth)
    chosen: dict[int, str] = {}
    for place, why in _in_turn(rankings):
        if len(chosen) == count:
            break
        chosen.setdefault(place, why)
    names, units = dataset.target_names, dataset.units
    return [
        Case(
            Question(int(rows[i]), told.output(preds[i], truth[i])),
            f"{why}: {told.words(names, units, preds[i], truth[i])}",
        )
        for i, why in chosen.items()
    ]


def _in_turn(rankings: dict[str, np.ndarray]) -> Iterator[tuple[int, str]]:
    for place in range(max(map(len, rankings.values()))):
        for why, order in rankings.items():
            if place < len(order):
                yield int(order[place]), why


def unit_of(dataset: Dataset, name: str) -> str:
    """Returns a unit to put behind a number, nothing where there is none."""
    return f" {unit}" if (unit := dataset.units.get(name)) else ""


def targets_of(dataset: Dataset, preds: np.ndarray) -> Sequence[int]:
    """Returns the outputs of a sample that a summary explains: the predicted class, or all that are not exclusive."""
    return named(dataset.task).cases.outputs(preds)


def effect(dataset: Dataset) -> str:
    """Returns what attributions are measured in, in words."""
    return named(dataset.task).cases.effect(dataset.target_names, dataset.units)
