"""What a validation on other patients found, as tables of a terminal and of a report."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from medfit.evidence.differences import MARKED
from medfit.reporting import tables
from medfit.reporting.finished_runs import Record
from medfit.reporting.formatting import Rows, in_one_line, number, ordinal, scored, whole

MOST_DIFFERENCES = 20
TABLES = ("scores", "thresholds", "intervals_held", "updating", "subgroups", "against", "membership", "differences")


def of_run(record: Record) -> dict[str, Any]:
    """Returns ``title``, ``tables`` and ``notes`` of a validation, for a report.

    Args:
        record: Its run.
    """
    found = {name: record.table(f"evidence/{name}.csv") for name in TABLES}
    nth = ordinal(int(record.tags.get("test_opening", 1)))
    return {
        "title": f"{record.name}, {record.day}: {nth} opening of these patients",
        "tables": shown({name: table for name, table in found.items() if table is not None}),
        "notes": record.json("evidence/warnings.json").get("warnings", []),
    }


def shown(found: Mapping[str, pd.DataFrame]) -> dict[str, list[list[str]]]:
    """Returns rows of words by the tables' titles, the header first.

    Args:
        found: A validation's tables, by name.
    """
    made: dict[str, Rows] = {"Scores (95 % interval over patients)": scores(found["scores"])}
    if "thresholds" in found:
        made["Decisions at the model's threshold (95 % interval over patients)"] = decisions(found["thresholds"])
    if "intervals_held" in found:
        made["How many new samples the model's prediction intervals hold"] = held(found["intervals_held"])
    if "updating" in found:
        made["Calibration before and after updating (95 % interval over patients)"] = updating(found["updating"])
    if "subgroups" in found:
        made["Subgroups of the new patients (95 % interval over patients)"] = tables.subgroups(found["subgroups"])
    if "against" in found:
        made["Gain over the baselines as fitted at development (95 % interval over patients)"] = tables.gains(
            found["against"]
        )
    if "membership" in found:
        rows = [[row.classifier, number(row.auroc)] for row in found["membership"].itertuples()]
        made["Telling new patients from the training's (AUROC, cross-validated; 0.5: alike)"] = [["by", "AUROC"], *rows]
    if "differences" in found:
        made["How the new patients differ from those of the training, the largest first"] = differences(
            found["differences"]
        )
    return {title: in_one_line(rows) for title, rows in made.items()}


def scores(table: pd.DataFrame) -> Rows:
    """Returns a row for each metric, a column for each model and group of patients."""
    keys = list(dict.fromkeys(zip(table.patients_of, table.model, strict=True)))
    keys.sort(key=lambda key: _what_was_known_first(key[0]))
    cells = table.set_index(["patients_of", "model", "metric"]).to_dict("index")
    rows: Rows = [["metric", *(f"{model}, {patients}" for patients, model in keys)]]
    for metric in dict.fromkeys(table.metric):
        rows.append([metric, *(scored(cells[*key, metric]) if (*key, metric) in cells else "–" for key in keys)])
    for name, label in (("patients", "patients"), ("events", "with the event")):
        numbers = [table[(table.patients_of == p) & (table.model == m)][name].max() for p, m in keys]
        if np.isfinite(numbers).any():
            rows.append([label, *map(whole, numbers)])
    return rows


def decisions(table: pd.DataFrame) -> Rows:
    """Returns the rates of decisions, the new patients' beside the development's."""
    patients_of = sorted(dict.fromkeys(table.patients_of), key=_what_was_known_first)
    rows: Rows = [["decision on", "threshold", "rate", *patients_of]]
    for (column, rate), own in table.groupby(["column", "rate"], sort=False):
        cells = own.set_index("patients_of").to_dict("index")
        told = (scored(cells[patients]) if patients in cells else "–" for patients in patients_of)
        rows.append([column, number(own.threshold.iloc[0]), rate, *told])
    return rows


def held(table: pd.DataFrame) -> Rows:
    """Returns the share of samples within the model's own prediction intervals."""
    rows: Rows = [["target", "± of the interval", "asked", "held", "patients"]]
    for row in table.to_dict("records"):
        shares = _share(row["asked"]), _share(row["held"])
        rows.append([row["column"], number(row["half_width"]), *shares, whole(row["patients"])])
    return rows


def updating(table: pd.DataFrame) -> Rows:
    """Returns what each way to update is worth to the patients who taught it nothing."""
    measures = list(dict.fromkeys(table.measure))
    rows: Rows = [["", "updating", *(name.replace("_", " ") for name in measures), "patients", "learnt from"]]
    for (column, way), own in table.groupby(["column", "recalibration"], sort=False):
        cells, first = own.set_index("measure").to_dict("index"), own.iloc[0]
        told = (scored(cells[m]) if m in cells else "–" for m in measures)  # no Dice of the background
        rows.append([column, way, *told, whole(first.patients), whole(first.learnt_from)])
    return rows


def differences(table: pd.DataFrame, most: int | None = MOST_DIFFERENCES) -> Rows:
    """Returns the columns that differ most, with their levels; ``*`` marks a standardised difference above 0.1.

    Args:
        table: As :func:`medfit.evidence.differences.table` gives it.
        most: Columns to show; None for all.
    """
    first = table.drop_duplicates("column").set_index("column")
    size = first.standardised_difference.abs().fillna(-1)
    order = list(size.sort_values(ascending=False, kind="stable").index)[:most]
    rows: Rows = [["", "", "training", "new", "std. difference", "missing then", "missing now", "unseen levels"]]
    for column in order:
        for place, row in enumerate(table[table.column == column].to_dict("records")):
            gap = row["standardised_difference"]
            mark = "*" if abs(gap) > MARKED else ""
            shares = [_share(row[name]) for name in ("missing_development", "missing_new", "unseen")]
            level = row["level"] if isinstance(row["level"], str) else ""
            then, now = (_spread(row[name], row[f"{name}_sd"], level) for name in ("development", "new"))
            rows.append(["" if place else column, level, then, now,
                         f"{number(gap)}{mark}" if gap == gap else "", *shares])  # fmt: skip
    return rows


def _what_was_known_first(patients_of: str) -> bool:
    return not patients_of.startswith("development")


def _spread(mean: float, sd: float, level: str) -> str:
    return _share(mean) if level or mean != mean else f"{number(mean)} ± {number(sd)}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value == value and value is not None else ""
