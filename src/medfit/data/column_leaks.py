"""Columns of a table that give something away: identifiers, and those that tell the target alone."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.dataset import TableDataset
from medfit.evidence.associations import Association, Question
from medfit.evidence.targets.known import named

ALONE = 0.99  # AUROC or rank correlation: the best single measurement of a cell nucleus tells cancer with 0.97
MOST_ROWS = 20_000  # of the training split that columns are tried on
MOST_LEVELS = 20  # of a numeric column whose values may be codes
ID_NAME = re.compile(r"(?i)(^|[\s_.-])(id|mrn|nr|no|number|uid|key|index|patient|subject|case|record|row)($|[\s_.-])")
FEWEST_IDS = 20


def identifiers(dataset: TableDataset, rows: np.ndarray) -> Iterator[tuple[Any, str]]:
    """Yields columns of whole numbers that differ in nearly all patients, and are consecutive, in order or so named.

    Args:
        dataset: A table.
        rows: A row of each patient, in order.
    """
    for name in dataset.x:
        values = dataset.x[name].iloc[rows].dropna()
        different = values.nunique()
        if len(values) < FEWEST_IDS or different < 0.95 * len(values):
            continue
        how = "" if dataset.kinds[name] == "categorical" else how_numbered(name, values.to_numpy(dtype=float))
        if how is not None:
            line = f"column '{name}' looks like an identifier: {different} different values in {len(values)} rows{how}"
            yield name, line


def of_single_patients(dataset: TableDataset, rows: np.ndarray) -> Iterator[str]:
    """Yields columns of names, free text and the like: half of the patients have a level that no other has.

    Args:
        dataset: A table.
        rows: Those that are learnt from.
    """
    for name in (column for column in dataset.x if dataset.kinds[column] == "categorical"):
        held = pd.DataFrame({"level": dataset.x[name].to_numpy()[rows], "patient": dataset.groups[rows]}).dropna()
        held = held.drop_duplicates()
        alone = ~held["level"].duplicated(keep=False)
        if alone.any() and 2 * held["patient"][alone].nunique() >= held["patient"].nunique():
            yield str(name)


def how_numbered(name: Any, values: np.ndarray) -> str | None:
    """Returns what makes numbers look like identifiers; None where they are measurements."""
    if (values % 1).any():
        return None
    steps = np.diff(values)
    if max((steps >= 0).mean(), (steps <= 0).mean()) > 0.99:
        return ", in row order"
    if np.ptp(values) < 1.1 * len(values):
        return ", consecutive numbers"
    return ", by its name" if ID_NAME.search(str(name)) else None


def telling(dataset: TableDataset, train: np.ndarray) -> Iterator[str]:
    """Yields columns that tell the target alone, by their values or by where they are missing."""
    train = np.sort(np.random.default_rng(0).permutation(train)[:MOST_ROWS])
    association = named(dataset.task).association
    questions = association.questions(dataset.y[train], dataset.target_names)
    for name in dataset.x if questions else ():
        column, categorical = dataset.x[name].iloc[train], dataset.kinds[name] == "categorical"
        for question in questions:
            value, missing = _answers(column, categorical, question, association)
            if (best := max(value, missing)) >= ALONE:
                what = f"column '{name}'" if value == best else f"where column '{name}' is missing"
                yield f"{what} alone tells {question.about} ({association.measure} {best:.3f} on the training rows)"


def _answers(column: pd.Series, categorical: bool, question: Question, association: Association) -> tuple[float, float]:
    """Returns how well a column's values, and its missing cells, tell the target: 1 for without a fault."""
    levels = pd.factorize(column)[0]
    few = categorical or levels.max() < MOST_LEVELS
    numbers = None if categorical else column.to_numpy(dtype=float, na_value=np.nan)
    value, missing = 1.0, 1.0
    for places, truth in question.parts:
        known = levels[places] >= 0
        there, told = places[known], truth[known]
        missing = min(missing, association.strength(known, truth))
        ways = [0.0]
        if 2 * len(there) >= len(places) and len(np.unique(told)) > 1:
            ways += [] if numbers is None else [association.strength(numbers[there], told)]
            ways += [association.strength(_mean_of_others(levels[there], told), told, either=False)] if few else []
        value = min(value, max(ways))
    return value, missing


def _mean_of_others(levels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns each row's mean truth of the other rows of its level, so that a level of one row tells nothing."""
    counts, sums = np.bincount(levels), np.bincount(levels, truth)
    alone = counts[levels] == 1
    return np.where(alone, truth.mean(), (sums[levels] - truth) / np.maximum(counts[levels] - 1, 1))
