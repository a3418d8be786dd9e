"""What a table's columns hold: a line each, that tells of many patients or of none."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from medfit.data.column_leaks import FEWEST_IDS, how_numbered
from medfit.data.datasets import suspects
from medfit.data.datasets.spelled_numbers import spelling
from medfit.data.datasets.table import FEWEST_REPEATS, MOST_LEVELS, infer_kind
from medfit.data.repeats import ID_NAME, PATIENT_NAME
from medfit.errors import UserError

FEWEST_CASES = 5  # of a level that is named
MOST_NAMED, MOST_LETTERS = 4, 24  # levels, and letters of one: longer ones are free text
FEWEST_FOR_QUARTILES, FEWEST_FOR_TAILS = 20, 100  # patients: fewer could be told from them
PERSONAL = re.compile(r"(?i)name|initial|address|street|phone|e-?mail|birth|\bdob\b|zip|post_?code")
IDENTIFIER = "looks like an identifier"
SHOWN = {"boolean": "binary"}


class Column(NamedTuple):
    """What is told of a column.

    Args:
        name: Of the column.
        kind: ``numeric``, ``binary``, ``categorical``, ``date``, ``text``, ``mixed``, ``empty``; or of a target or
            signal.
        role: ``feature``, ``target``, ``patient``, ``split``, ``left out``, or empty before there is a target.
        unit: Empty where it is not known.
        levels: How many different values there are.
        values: Where most numbers lie, or how many cells hold the commonest words.
        missing: How many cells are missing; None where there are no cells.
        missing_percent: Of all.
        suspects: What looks wrong, and the setting that mends it.
    """

    name: str
    kind: str
    role: str = ""
    unit: str = ""
    levels: int | None = None
    values: str = ""
    missing: int | None = None
    missing_percent: float | None = None
    suspects: str = ""


def describe(
    column: pd.Series,
    role: str = "",
    kind: str | None = None,
    unit: str = "",
    patients: np.ndarray | None = None,
    leak: str = "",
) -> Column:
    """Returns what is told of a column.

    Args:
        column: Its cells, missing ones as NaN.
        role: As :class:`Column` holds it.
        kind: As a data set holds it; None to guess it.
        unit: Of the column.
        patients: Whose each cell is; None where each row is a patient.
        leak: What a leak scan says of it: then no value is told.
    """
    known = column.dropna()
    kind, wrong = _kind(column) if kind is None else (kind, "")
    told = list(_suspects(known, kind, role))
    private = role == "patient" or leak or any(p.search(str(column.name)) for p in (PATIENT_NAME, ID_NAME, PERSONAL))
    private = private or any(IDENTIFIER in line for line in told)
    whose = np.arange(len(column)) if patients is None else np.asarray(patients)
    of_known = whose[column.notna().to_numpy()]
    return Column(
        name=str(column.name),
        kind=SHOWN.get(kind, kind),
        role=role,
        unit=unit,
        levels=int(known.astype(str).nunique() if column.dtype == object else known.nunique()),
        values="" if private else _values(known, kind, of_known),
        missing=int(column.isna().sum()),
        missing_percent=round(100 * float(column.isna().mean()), 1),
        suspects="; ".join(filter(None, [wrong, *told, leak])),
    )


def _kind(column: pd.Series) -> tuple[str, str]:
    """Returns the kind of a column, and what is in the way of a feature of that kind."""
    known = column.dropna()
    if known.empty:
        return "empty", "no cell is filled"
    if spelt := spelling(column):
        return ("date" if spelt.what == "dates" else "text"), f"{spelt.what.rstrip(',')}: read with {spelt.way_out}"
    try:
        return infer_kind(column), ""
    except UserError:
        if column.dtype.kind in "mM":
            return "date", f"dates: read with dataset.parse={{{column.name}:date}}"
        number = int(pd.to_numeric(known.astype(object), errors="coerce").notna().sum())
    if 2 * number > len(known):
        return "mixed", f"numbers, but for {len(known) - number} cells"
    return "text", "hardly repeats, as a name does"


def _suspects(known: pd.Series, kind: str, role: str) -> Iterator[str]:
    """Yields what looks wrong about a column's cells."""
    if len(known) and known.astype(str).nunique() == 1:
        yield "the same in all rows"
    if role in ("patient", "split", "left out"):
        return
    if pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known):
        codes = suspects.missing_codes(known)
        if codes:
            marks = ", ".join(f"{code:g} in {count} cells" for code, count in codes.items())
            yield f"{marks}: missing? dataset.missing_in={{{known.name}:[{','.join(f'{code:g}' for code in codes)}]}}"
        numbers = known.to_numpy(dtype=float)
        differ = len(numbers) >= FEWEST_IDS and known.nunique() >= 0.95 * len(numbers)
        if differ and role != "target" and (how := how_numbered(known.name, numbers)) is not None:
            yield f"{IDENTIFIER}{how}"
    elif kind not in ("text", "date", "empty") and (number := suspects.case_variants(known)):
        yield f"{number} of {known.nunique()} differ by case or spaces: dataset.fold_case=true"
    if PATIENT_NAME.search(str(known.name)):
        yield f"named as a patient's: dataset.patient='{known.name}'?"


def _values(known: pd.Series, kind: str, whose: np.ndarray) -> str:
    """Returns where most numbers lie, or the commonest words; only what several patients have."""
    if kind in ("numeric", "regression"):
        return spread(pd.to_numeric(known, errors="coerce").to_numpy(dtype=float), len(np.unique(whose)))
    if kind in ("text", "date", "mixed", "empty"):
        return ""
    words = known.astype(str)
    if words.nunique() > max(MOST_LEVELS, len(words) / FEWEST_REPEATS):
        return ""
    counts = words.value_counts()
    cases = pd.Series(whose, index=words.to_numpy()).groupby(level=0).nunique()
    named = [word for word in counts.index if cases[word] >= FEWEST_CASES and len(word) <= MOST_LETTERS][:MOST_NAMED]
    told = [f"{_short(word)} {counts[word]}" for word in named]
    others = int(counts.sum() - counts[named].sum())
    return ", ".join(told + ([f"others {others}"] if others else []))


def spread(values: np.ndarray, num_patients: int) -> str:
    """Returns where most of some numbers lie, empty where they are of so few patients that it would tell of one.

    Args:
        values: Numbers, none missing.
        num_patients: Whose they are.
    """
    values = values[np.isfinite(values)]
    if min(num_patients, len(values)) < FEWEST_FOR_QUARTILES:
        return ""
    if min(num_patients, len(values)) < FEWEST_FOR_TAILS:
        return "quartiles " + ", ".join(_rounded(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    low, middle, high = (_rounded(value) for value in np.quantile(values, [0.05, 0.5, 0.95]))
    return f"median {middle}, 90 % within {low} to {high}"


def _rounded(value: Any) -> str:
    return f"{float(f'{value:.3g}'):g}"


def _short(word: str) -> str:
    return word.removesuffix(".0") if re.fullmatch(r"-?\d+\.0", word) else word


def found(name: str, told: Sequence[str]) -> str:
    """Returns where to look for what a leak scan found of a column, empty if nothing."""
    return "see below" if any(f"'{name}'" in line for line in told) else ""


def of_table(
    table: pd.DataFrame,
    roles: Mapping[str, str],
    kinds: Mapping[str, str],
    units: Mapping[str, str],
    told: Sequence[str] = (),
) -> list[Column]:
    """Returns what is told of a user's table.

    Args:
        table: As it was read.
        roles: Of columns, as :class:`Column` holds them; empty before there is a target.
        kinds: Of columns whose kind is said.
        units: Of columns.
        told: What a leak scan found, lines that name columns.
    """
    whose = next((pd.factorize(table[name])[0] for name, role in roles.items() if role == "patient"), None)
    other = "feature" if roles else ""
    return [
        describe(
            table[name],
            roles.get(str(name), other),
            kinds.get(str(name)),
            units.get(str(name), ""),
            whose,
            found(str(name), told),
        )
        for name in table
    ]
