"""The tables of a validation, made of predictions: the same statistics as an evaluation's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.dataset import Dataset
from medfit.deployment import packing
from medfit.deployment.expected_columns import Column
from medfit.deployment.finished_model import AnyModel
from medfit.evidence import differences, summary, thresholds
from medfit.evidence.differences import Distribution
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit
from medfit.validation.data import NewData
from medfit.validation.development import Stored

NEW = "new patients"


def scored(
    models: Mapping[str, Predictions],
    groups: pd.DataFrame,
    then: Stored | None,
    names: Sequence[str],
    settings: Settings,
) -> dict[str, pd.DataFrame]:
    """Returns an evaluation's tables of new patients, with the development's scores in the table ``scores``.

    Args:
        models: Predictions of the new patients: the network's first, then the baselines'.
        groups: The subgroup of each of them.
        then: The development's.
        names: The metrics that are wanted.
        settings: How to read the predictions.
    """
    nobody = np.arange(0)
    units = {name: [Unit(0, None, made.rows(nobody), made, groups)] for name, made in models.items()}
    tables = summary.summarise(units, names, settings)
    tables["scores"].insert(0, "patients_of", NEW)
    if then is not None:
        unit = Unit(0, None, then.predictions.rows(nobody), then.predictions)
        drawn = summary.draws([then.predictions], names, settings)
        own = summary.scores(next(iter(models)), [unit], drawn).assign(patients_of=then.patients_of)
        tables["scores"] = pd.concat([tables["scores"], own], ignore_index=True)
    return tables


def decided(model: AnyModel, made: Predictions, then: Stored | None, settings: Settings) -> pd.DataFrame | None:
    """Returns what decisions at the model's stored thresholds are worth to new patients, and were to the development's.

    None where the model has no threshold.
    """
    known, half = model.decisions.thresholds, settings.num_resamples // 2
    if not known:
        return None
    found = [thresholds.at(made, known, half).assign(patients_of=NEW)]
    if then is not None:
        found.append(thresholds.at(then.predictions, known, half).assign(patients_of=then.patients_of))
    return pd.concat(found, ignore_index=True)


def covered(model: AnyModel, made: Predictions) -> pd.DataFrame | None:
    """Returns the share of the new samples that the model's own prediction intervals hold; None where it has none."""
    widths = model.decisions.half_widths
    errors = np.abs(made.preds - made.target) if widths else np.empty((0, 0))
    rows = [
        {
            "column": name,
            "half_width": widths[name],
            "asked": model.decisions.coverage,
            "held": float((errors[:, column] <= widths[name]).mean()),
            "patients": len(np.unique(made.patient)),
        }
        for column, name in enumerate(made.names)
        if name in widths
    ]
    return pd.DataFrame(rows) if rows else None


def differing(
    model: AnyModel, new: NewData, rows: np.ndarray, made: Predictions, then: Stored | None
) -> pd.DataFrame | None:
    """Returns how the new patients differ from the training's in features and outcomes, and in what is predicted.

    Args:
        model: That knows the training's.
        new: The new data.
        rows: Numbers of the samples that are scored.
        made: Their predictions.
        then: The development's predictions.
    """
    old, now = _outcomes(model.about.get("outcomes", {})), _outcomes(packing.outcomes(new.prepared, rows))
    found = [differences.table(old, {name: now[name] for name in old})] if old else []
    if columns := [Column(**column) for column in model.about["expected"].get("columns", [])]:
        found.append(_features(columns, new.prepared, rows))
    if then is not None:
        found.append(differences.table(differences.predicted(then.predictions), differences.predicted(made)))
    found = [table for table in found if len(table)]
    return pd.concat(found, ignore_index=True) if found else None


def _features(columns: Sequence[Column], dataset: Any, rows: np.ndarray) -> pd.DataFrame:
    x = dataset.x.iloc[rows]
    now = {column.name: Distribution.of(x[column.name], column.kind == "categorical") for column in columns}
    return differences.table({column.name: column.distribution for column in columns}, now)


def _outcomes(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Distribution]:
    return {f"outcome {name}": Distribution(**dict(value)) for name, value in values.items()}


def proof(new: NewData, rows: np.ndarray) -> dict[str, Any]:
    """Returns counts of samples, patients and classes of who is scored, and of who is not."""
    dataset: Dataset = new.prepared
    facts: dict[str, Any] = {"samples": len(rows), "patients": len(np.unique(dataset.groups[rows]))}
    if dataset.strata is not None:
        classes, counts = np.unique(dataset.strata[rows], return_counts=True)
        facts["classes"] = dict(zip(map(str, classes.tolist()), counts.tolist(), strict=True))
    return {"new": facts, "excluded": dict(dataset.excluded), "unusable": len(new.read) - len(rows)}
