"""The numbers that a finished run has: a training's scores, a sweep's trials, an evaluation's members and estimates."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from medfit.again.outcome import Value
from medfit.again.recorded import WHERE
from medfit.tracking.store import Store

if TYPE_CHECKING:
    import mlflow.entities

Rows = list[dict[str, str]]
MEMBER = ("model", "fold", "site", "seed")  # what tells a training or baseline of an evaluation from others
ESTIMATE = ("model", "patients_of", "metric")  # what tells an estimate
NO_SCORE = ("patients", "opening", "method")  # columns of these tables
PARAMS, VALUES = ("params_",), ("value_", "values_", "value")  # with what columns of a study's table begin


@dataclass(frozen=True)
class Trial:
    """A trial of a finished study.

    Args:
        number: In the study.
        state: Optuna's word.
        values: Of the objectives, by name (``value`` where none was noted); of a pruned trial its last.
        params: By config path.
    """

    number: int
    state: str
    values: Mapping[str, Value]
    params: Mapping[str, Value]


def of_training(run: "mlflow.entities.Run") -> dict[str, Value]:
    """Returns a training's metrics by name: its scores and its curves' last values."""
    return dict(sorted(run.data.metrics.items()))


def of_evaluation(store: Store, run: "mlflow.entities.Run") -> dict[str, Value]:
    """Returns each estimate with its interval, each score of each training and baseline, and the ensemble's scores.

    Raises:
        UserError: the run lacks one of its tables.
    """
    has = {file.path for file in store.client.list_artifacts(run.info.run_id, "evidence")}
    estimates = "evidence/scores.csv"  # which a generator has none of
    found = _numbers(_table(store, run, estimates), ESTIMATE) if estimates in has else {}
    found |= _numbers(_table(store, run, "trainings.csv"), MEMBER)
    return found | {name: value for name, value in of_training(run).items() if name.startswith("ensemble/")}


def trials_of(store: Store, run: "mlflow.entities.Run") -> list[Trial]:
    """Returns the trials of a sweep, in their order.

    Raises:
        UserError: the run lacks its table.
    """
    return [
        Trial(
            int(row["number"]),
            row["state"],
            _values(row, VALUES),
            _values(row, PARAMS),
        )
        for row in _table(store, run, "trials.csv")
    ]


def _numbers(rows: Rows, keys: Sequence[str]) -> dict[str, Value]:
    """Returns the numbers of a table, by what tells their rows and by their columns; empty cells are left out."""
    found: dict[str, Value] = {}
    for row in rows:
        words = [row["model"], *(f"{key} {row[key].removesuffix('.0')}" for key in keys[1:] if row.get(key))]
        for name, text in row.items():
            if text and name not in (*keys, *NO_SCORE):
                found[f"{', '.join(words)}: {name}"] = _value(text)
    return found


def _values(row: Mapping[str, str], starts: Sequence[str]) -> dict[str, Value]:
    """Returns the values of a row that are there, by the rest of the columns' names, of those that begin so."""
    found = {}
    for name, text in row.items():
        start = next((start for start in starts if name.startswith(start)), None)
        if start is not None and text:
            found[name.removeprefix(start) or name] = _value(text)
    return found


def _value(text: str) -> Value:
    """Returns a cell's number, to its last digit, or its word."""
    try:
        return float(text)
    except ValueError:
        return text


def _table(store: Store, run: "mlflow.entities.Run", name: str) -> Rows:
    with TemporaryDirectory() as folder:
        text = Path(store.artifact(run.info.run_id, name, folder, WHERE)).read_text()
    return list(csv.DictReader(io.StringIO(text)))
