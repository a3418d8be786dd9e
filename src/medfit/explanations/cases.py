"""Which single cases are shown, and how they are told."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from medfit.data.dataset import Dataset


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
    truth = dataset.y[rows]
    numbers = dataset.task == "regression"
    rankings = _by_error(preds, truth) if numbers else _by_confidence(preds, truth)
    chosen: dict[int, str] = {}
    for place, why in _in_turn(rankings):
        if len(chosen) == count:
            break
        chosen.setdefault(place, why)
    targets = {i: _target(preds[i], truth[i], numbers) for i in chosen}
    return [
        Case(Question(int(rows[i]), targets[i]), f"{why}: {_words(dataset, preds[i], truth[i], targets[i])}")
        for i, why in chosen.items()
    ]


def _by_confidence(preds: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    if truth.ndim == 1:  # classes
        certainty, right = preds.max(axis=1), preds.argmax(axis=1) == truth
    else:
        certainty, right = np.abs(2 * preds - 1).mean(axis=1), ((preds > 0.5) == (truth > 0.5)).all(axis=1)
    order = np.argsort(-certainty, kind="stable")
    return {
        "most confident right": order[right[order]],
        "most confident wrong": order[~right[order]],
        "least certain": order[::-1],
    }


def _by_error(preds: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    error = _errors(preds, truth, truth.std(axis=0)).mean(axis=1)
    order = np.argsort(error, kind="stable")
    middle = np.argsort(np.abs(error - np.median(error)), kind="stable")
    return {"least error": order, "largest error": order[::-1], "median error": middle}


def _errors(preds: np.ndarray, truth: np.ndarray, std: np.ndarray) -> np.ndarray:
    return np.abs(preds - truth) / np.where(std > 0, std, 1.0)


def _in_turn(rankings: dict[str, np.ndarray]) -> Iterator[tuple[int, str]]:
    for place in range(max(map(len, rankings.values()))):
        for why, order in rankings.items():
            if place < len(order):
                yield int(order[place]), why


def _target(preds: np.ndarray, truth: np.ndarray, numbers: bool) -> int:
    """Returns the output to explain: the likeliest, or the number that is furthest off as a share of its size."""
    return int((np.abs(preds - truth) / np.maximum(np.abs(truth), 1e-12) if numbers else preds).argmax())


def _words(dataset: Dataset, preds: np.ndarray, truth: np.ndarray, target: int) -> str:
    name = dataset.target_names[target]
    if truth.ndim == 0:
        return f"predicted {name} ({preds[target]:.2f}), truly {dataset.target_names[int(truth)]}"
    if dataset.task == "regression":
        unit = unit_of(dataset, name)
        return f"{name} predicted {preds[target]:.4g}{unit}, truly {truth[target]:.4g}{unit}"
    return f"{name} predicted {preds[target]:.2f}, truly {'yes' if truth[target] > 0.5 else 'no'}"


def unit_of(dataset: Dataset, name: str) -> str:
    """Returns a unit to put behind a number, nothing where there is none."""
    return f" {unit}" if (unit := dataset.units.get(name)) else ""


def targets_of(dataset: Dataset, preds: np.ndarray) -> Sequence[int]:
    """Returns the outputs of a sample that a summary explains: the predicted class, or all that are not exclusive."""
    return [int(preds.argmax())] if dataset.task == "multiclass" else range(len(preds))


def effect(dataset: Dataset) -> str:
    """Returns what attributions are measured in, in words."""
    if dataset.task != "regression":
        return "effect on the probability"
    units = {dataset.units.get(name, "") for name in dataset.target_names}
    unit = units.pop() if len(units) == 1 else ""
    return f"effect on the prediction ({unit})" if unit else "effect on the prediction"
