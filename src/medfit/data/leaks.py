"""Leak scan: what makes a score too good to be true, looked for before training."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from medfit.data.near_duplicates import Prints, prints, shared
from medfit.errors import UserError
from medfit.evidence.associations import Association, Question
from medfit.evidence.targets.known import named
from medfit.terminal.console import say

SPLITS = {"train": "training", "val": "validation", "test": "test"}
ALONE = 0.99  # AUROC or rank correlation: the best single measurement of a cell nucleus tells cancer with 0.97
MOST_ROWS = 20_000  # of the training split that columns are tried on
MOST_LEVELS = 20  # of a numeric column whose values may be codes
ID_NAME = re.compile(r"(?i)(^|[\s_.-])(id|mrn|nr|no|number|uid|key|index|patient|subject|case|record|row)($|[\s_.-])")
FEWEST_IDS = 20


class Scan(NamedTuple):
    """What a scan found.

    Args:
        findings: A line each: counts and names of columns, never a value or a patient.
        notes: What could not be looked at.
    """

    findings: list[str]
    notes: list[str]


_SCANS: dict[tuple[str, str], Scan] = {}  # a sweep's trials share data and split


def scan(dataset: Any, rows: Mapping[str, np.ndarray]) -> Scan:
    """Looks for samples that splits share, columns that tell the target alone, and identifiers among the features.

    Args:
        dataset: Records, series or images.
        rows: Row numbers of each split.
    """
    rows = {split: np.unique(chosen) for split, chosen in rows.items()}
    made = prints(dataset)
    findings = [] if made is None else list(_shared(made, rows))
    if hasattr(dataset, "kinds"):
        findings += [*_identifiers(dataset, np.concatenate(list(rows.values()))), *_telling(dataset, rows["train"])]
    return Scan(findings, [made.note] if made is not None and made.note else [])


def check(dataset: Any, rows: Mapping[str, np.ndarray], assignment: str, strict: bool) -> list[str]:
    """Scans once in a process, says what was found, and returns it.

    Args:
        dataset: As :func:`scan` takes it.
        rows: As :func:`scan` takes them.
        assignment: A hash of the split.
        strict: Whether a finding is an error.

    Raises:
        UserError: there are findings, in strict mode.
    """
    key = (dataset.fingerprint(), assignment)
    if key not in _SCANS:
        _SCANS[key] = scan(dataset, rows)
        for line in _SCANS[key].notes:
            say(f"Leak scan: {line}.")
        for line in _SCANS[key].findings if not strict else ():
            say(f"Warning: {line}.")
    findings = _SCANS[key].findings
    if strict and findings:
        raise UserError(f"dataset.strict: {'; '.join(findings)}")
    return findings


def _shared(made: Prints, rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    many = made.noun if made.noun == "series" else f"{made.noun}s"
    for (one, other), counts in shared(made, rows).items():
        for count, how in zip(counts, ("identical", "nearly identical"), strict=True):
            if count == 1:
                yield f"1 {SPLITS[other]} {made.noun} is {how} to a {SPLITS[one]} {made.noun}"
            elif count:
                yield f"{count} {SPLITS[other]} {many} are {how} to {SPLITS[one]} {many}"


def _identifiers(dataset: Any, rows: np.ndarray) -> Iterator[str]:
    """Yields columns of whole numbers that differ in nearly all patients, and are consecutive, in order or so named."""
    first = np.sort(rows[np.unique(dataset.groups[rows], return_index=True)[1]])
    for name in dataset.x:
        values = dataset.x[name].iloc[first].dropna()
        different = values.nunique()
        if len(values) < FEWEST_IDS or different < 0.95 * len(values):
            continue
        how = "" if dataset.kinds[name] == "categorical" else _how_numbered(name, values.to_numpy(dtype=float))
        if how is not None:
            yield f"column '{name}' looks like an identifier: {different} different values in {len(values)} rows{how}"


def _how_numbered(name: Any, values: np.ndarray) -> str | None:
    """Returns what makes numbers look like identifiers; None where they are measurements."""
    if (values % 1).any():
        return None
    steps = np.diff(values)
    if max((steps >= 0).mean(), (steps <= 0).mean()) > 0.99:
        return ", in row order"
    if np.ptp(values) < 1.1 * len(values):
        return ", consecutive numbers"
    return ", by its name" if ID_NAME.search(str(name)) else None


def _telling(dataset: Any, train: np.ndarray) -> Iterator[str]:
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
