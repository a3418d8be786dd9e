"""Leak scan: what makes a score too good to be true, looked for before training."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from medfit.data import repeats
from medfit.data.dataset import Dataset
from medfit.data.near_duplicates import Prints, shared
from medfit.errors import UserError
from medfit.terminal.console import say

SPLITS = {"train": "training", "val": "validation", "test": "test"}


class Scan(NamedTuple):
    """What a scan found.

    Args:
        findings: A line each: counts and names of columns, never a value or a patient.
        notes: What was not looked at, a line each; empty after a whole scan.
    """

    findings: list[str]
    notes: list[str]


_SCANS: dict[tuple[str, str], Scan] = {}  # a sweep's trials share data and split


def scan(dataset: Dataset, rows: Mapping[str, np.ndarray]) -> Scan:
    """Looks for samples that splits share, columns that tell the target alone, and identifiers among the features.

    Args:
        dataset: Its kind says what can be looked for.
        rows: Row numbers of each split.
    """
    rows = {split: np.unique(chosen) for split, chosen in rows.items()}
    made = dataset.kind.prints(dataset)
    findings = [] if made is None else list(_shared(made, rows))
    findings += [*repeats.by_name(dataset, rows), *repeats.of_names(dataset, rows)]
    findings += dataset.kind.column_leaks(dataset, rows)
    note = f"near-duplicates were not looked for among {dataset.kind.samples}" if made is None else made.note
    return Scan(findings, [note] if note else [])


def check(dataset: Dataset, rows: Mapping[str, np.ndarray], assignment: str, strict: bool) -> Scan:
    """Scans once in a process, says what was found and what was not looked at, and returns both.

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
        tell(_SCANS[key], strict)
    found = _SCANS[key]
    refuse(found, strict)
    return found


def tell(found: Scan, strict: bool) -> None:
    """Says what was not looked at, and what was found where that is no error."""
    for line in found.notes:
        say(f"Leak scan: {line}.")
    for line in found.findings if not strict else ():
        say(f"Warning: {line}.")


def refuse(found: Scan, strict: bool) -> None:
    """Takes what was found for an error, in strict mode.

    Raises:
        UserError: of that.
    """
    if strict and found.findings:
        raise UserError(f"dataset.strict: {'; '.join(found.findings)}")


def _shared(made: Prints, rows: Mapping[str, np.ndarray]) -> Iterator[str]:
    many = made.noun if made.noun == "series" else f"{made.noun}s"
    for (one, other), counts in shared(made, rows).items():
        for count, how in zip(counts, ("identical", "nearly identical"), strict=True):
            if count == 1:
                yield f"1 {SPLITS[other]} {made.noun} is {how} to a {SPLITS[one]} {made.noun}"
            elif count:
                yield f"{count} {SPLITS[other]} {many} are {how} to {SPLITS[one]} {many}"
