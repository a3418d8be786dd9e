"""What ``results.csv`` holds of an experiment's evaluations, and how it is shown in short."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from medfit.reporting.formatting import number

KEYS = ("patients", "model", "fold", "site", "seed")  # columns of trainings that are no scores


def results(trainings: pd.DataFrame, tables: Mapping[str, pd.DataFrame], opening: int) -> pd.DataFrame:
    """Returns what ``results.csv`` holds of an evaluation: a row for each model and metric.

    Args:
        trainings: A row for each training and baseline, with its test scores.
        tables: As :func:`medfit.evidence.summary.summarise` returns them; none for a generator.
        opening: How many evaluations had scored the experiment's test patients, this one among them.
    """
    if "scores" in tables:
        return tables["scores"]
    metrics = [column for column in trainings if column not in KEYS]
    rows = []
    for (patients, model), values in trainings.groupby(["patients", "model"], sort=False)[metrics]:
        for metric in metrics:
            row = {"patients_of": patients, "model": model, "metric": metric, "estimate": values[metric].mean()}
            rows.append(row | {"sd": values[metric].std(), "trainings": len(values), "opening": opening})
    return pd.DataFrame(rows)


def joined(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
    """Returns an experiment's results with those of one more evaluation, which replace what it had of the same models.

    Models that were there all stay in their places, so that the same evaluation gives the same rows again; else the
    new ones come first.

    Args:
        new: As :func:`results` gives them.
        old: What ``results.csv`` holds.
    """
    if "patients_of" not in old:  # what an earlier medfit wrote has no intervals
        return new
    parts = {key: own for table in (old, new) for key, own in table.groupby(["patients_of", "model"], sort=False)}
    mine, there = (list(dict.fromkeys(zip(table.patients_of, table.model, strict=True))) for table in (new, old))
    order = there if {*mine} <= {*there} else list(dict.fromkeys([*mine, *there]))
    return pd.concat([parts[key] for key in order])[list(dict.fromkeys([*new, *old]))]


def wide(table: pd.DataFrame) -> list[list[str]]:
    """Returns a header and a row for each metric: its estimate and interval for each model and set of patients.

    Args:
        table: As ``results.csv`` holds it.
    """
    table = table[~table.metric.str.contains("/")]
    metrics, several = list(dict.fromkeys(table.metric)), table.patients_of.nunique() > 1
    columns = {}
    for (patients, model), own in table.groupby(["patients_of", "model"], sort=False):
        cells = own.set_index("metric").to_dict("index")
        name = f"{model}, {patients}" if several else str(model)
        columns[name] = [estimate(cells[metric]) if metric in cells else "–" for metric in metrics]
    return [["metric", *columns], *([m, *(cells[k] for cells in columns.values())] for k, m in enumerate(metrics))]


def estimate(row: Mapping[str, Any]) -> str:
    """Returns an estimate with its interval, and the standard deviation over trainings where there are several."""
    if not np.isfinite(row["estimate"]):
        return "–"
    ends = (row.get("low", np.nan), row.get("high", np.nan))
    interval = f" ({number(ends[0])} to {number(ends[1])})" if np.isfinite(ends).all() else ""
    return number(row["estimate"]) + interval + (f" ± {number(row['sd'])}" if np.isfinite(row["sd"]) else "")
