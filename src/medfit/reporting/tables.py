"""The report's tables: rows of cells, the header first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medfit.evidence.predictions import TargetKind
from medfit.plots.evidence import first_metric, in_order, num_worst
from medfit.reporting.finished_runs import Record
from medfit.reporting.formatting import Cell, Rows, duration, interval, number, ordinal, p_value, scored, short, whole
from medfit.reporting.results import KEYS
from medfit.study.best import shortest

MOST_FEATURES = 60


def scores(results: pd.DataFrame) -> list[tuple[str, int, Rows]]:
    """Returns a table for each set of test patients: which, the opening that scored them, and its rows.

    Args:
        results: As ``results.csv`` holds it.
    """
    made = []
    for patients, own in results[~results.metric.str.contains("/")].groupby("patients_of", sort=False):
        models = list(dict.fromkeys(own.model))
        first = first_metric(own)
        metrics = [first, *(name for name in dict.fromkeys(own.metric) if name != first)]
        cells = own.drop_duplicates(["model", "metric"]).set_index(["metric", "model"]).to_dict("index")
        rows: Rows = [["metric", *models]]
        rows += [[m, *(scored(cells[m, n]) if (m, n) in cells else "–" for n in models)] for m in metrics]
        made.append((str(patients), int(own.opening.max()) if "opening" in own else 1, [*rows, *_counts(own, models)]))
    return made


def ensemble(own: pd.DataFrame) -> Rows:
    """Returns the scores of the mean of an evaluation's trainings as one model, beside which none other stands.

    Args:
        own: As an evaluation's ``evidence/ensemble.csv`` holds it.
    """
    ((_, _, rows),) = scores(own.drop(columns="trainings", errors="ignore"))
    return rows


def _counts(own: pd.DataFrame, models: Sequence[str]) -> Rows:
    """Returns rows of what the scores rest on."""
    rows: Rows = []
    for name, label in (("trainings", "trainings"), ("patients", "patients"), ("events", "with the event")):
        if name in own and np.isfinite(of_model := own.groupby("model")[name].max().reindex(models)).any():
            rows.append([label, *map(whole, of_model)])
    if "opening" in own and own.opening.max() > 1:
        rows.append(["opening", *(ordinal(int(n)) for n in own.groupby("model").opening.max()[models])])
    return rows


def columns(results: pd.DataFrame) -> Rows:
    """Returns the scores of single classes, labels or targets, where there are any."""
    own = results[results.metric.str.contains("/")]
    rows: Rows = [["metric", "scored on", "model", "score"]]
    return rows + [[row["metric"], row["patients_of"], row["model"], scored(row)] for row in own.to_dict("records")]


def gains(against: pd.DataFrame) -> Rows:
    """Returns the network's gain over each baseline, the deciding metric first."""
    own = against[~against.metric.str.contains("/")]
    own = own.iloc[np.argsort(own.metric != first_metric(own), kind="stable")]
    rows: Rows = [["metric", "over", "gain", "95 % interval", "p"]]
    for row in own.to_dict("records"):
        rows.append([row["metric"], row["baseline"], number(row["gain"]), interval(row) or "–", p_value(row["p"])])
    return rows


def verdicts(against: pd.DataFrame | None, kind: TargetKind) -> list[tuple[str, str]]:
    """Returns a sentence for each baseline, and whether it is ``good``, ``bad`` or ``open`` news.

    Args:
        against: The network's gains; None where there are no baselines.
        kind: Of targets.
    """
    own = [] if against is None else against[against.metric == kind.headline].to_dict("records")
    told = []
    for row in own:
        ends = f"gain in {row['metric']} {number(row['gain'])}, 95 % interval {interval(row) or 'unknown'}"
        if row["low"] > 0:
            told.append((f"The network beats the baseline “{row['baseline']}” ({ends}).", "good"))
        elif row["high"] < 0:
            told.append((f"The network is worse than the baseline “{row['baseline']}” ({ends}).", "bad"))
        else:
            told.append((f"The network does not beat the baseline “{row['baseline']}” ({ends}).", "open"))
    return told


def rates(thresholds: pd.DataFrame) -> Rows:
    """Returns what decisions at the chosen thresholds are worth."""
    rows: Rows = [["decision on", "threshold", "rate", "estimate", "of patients"]]
    for row in thresholds.to_dict("records"):
        rows.append([row["column"], number(row["threshold"]), row["rate"], scored(row), whole(row["patients"])])
    return rows


def calibration(table: pd.DataFrame) -> Rows:
    """Returns slope, intercept and expected error, before and after each way to recalibrate."""
    measures = list(dict.fromkeys(table.measure))
    rows: Rows = [["column", "recalibration", *(name.replace("_", " ") for name in measures)]]
    for (column, method), own in table.groupby(["column", "recalibration"], sort=False):
        cells = own.set_index("measure").to_dict("index")
        rows.append([column, method, *(scored(cells[m]) if m in cells else "–" for m in measures)])
    return rows


def agreement(table: pd.DataFrame) -> Rows:
    """Returns the bias and the limits of agreement of each target."""
    rows: Rows = [["target", "predicted − measured", "estimate", "patients"]]
    return rows + [[r["column"], r["measure"], scored(r), whole(r["patients"])] for r in table.to_dict("records")]


def prediction_intervals(table: pd.DataFrame) -> Rows:
    """Returns the width of each target's prediction intervals and the share of new patients that they hold."""
    rows: Rows = [["target", "asked for", "interval", "holds", "patients"]]
    for row in table.to_dict("records"):
        width = f"± {number(row['half_width'])}" if np.isfinite(row["half_width"]) else "too few patients"
        held = scored({**row, "estimate": row["coverage"]})
        rows.append([row["column"], f"{row['asked']:.0%}", width, held, whole(row["patients"])])
    return rows


def subgroups(table: pd.DataFrame) -> Rows:
    """Returns the scores of each subgroup; those too small to say much are marked."""
    own = in_order(table[~table.metric.str.contains("/")])
    first = first_metric(own)
    metrics = [first, *(name for name in dict.fromkeys(own.metric) if name != first)][:4]
    rows: Rows = [["subgroup", "patients", "with the event", *metrics]]
    for (column, level), part in own.groupby(["column", "level"], sort=False):
        cells, one = part.set_index("metric").to_dict("index"), part.iloc[0]
        name: Cell = (f"{column}: {level}", "too small to say much") if one.small else f"{column}: {level}"
        rows.append([name, whole(one.patients), whole(one.events), *(scored(cells[m]) for m in metrics)])
    if np.isfinite(own.events).any():
        return rows
    return [[cell for place, cell in enumerate(row) if place != 2] for row in rows]


def worst(patients: pd.DataFrame) -> Rows:
    """Returns the patients with the lowest Dice, by their keyed hashes; ``patients`` begins with them."""
    names = [name for name in patients if name.startswith("dice")]
    rows: Rows = [["patient", *(name.removeprefix("dice/") for name in names)]]
    return rows + [
        [r["patient"], *(number(r[n]) for n in names)]
        for r in patients.head(num_worst(len(patients))).to_dict("records")
    ]


def optimism(table: pd.DataFrame) -> Rows:
    """Returns how much better each fold's search looked than its test patients were."""
    place = "site" if "site" in table else "fold"
    rows: Rows = [[place, "metric", "best of the search", "on test patients", "optimism"]]
    for row in table.to_dict("records"):
        rows.append([_place(row), row["metric"], *(number(row[n]) for n in ("inner", "outer", "optimism"))])
    return rows


def _place(row: Mapping[str, Any]) -> str:
    """Returns which patients a fold tests: a site's name, or a number."""
    return str(row["site"]) if "site" in row else whole(row["fold"])


def trainings(table: pd.DataFrame, children: Sequence[Record]) -> Rows:
    """Returns a row for each training and baseline, with the time and epochs of each network.

    Args:
        table: As an evaluation's ``trainings.csv`` holds it.
        children: The evaluation's runs.
    """
    took = {(c.tags.get("fold"), c.tags.get("seed")): c.metrics for c in children if c.tags.get("kind") == "seed"}
    scored_by = [name for name in table if name not in KEYS and "/" not in name and table[name].notna().any()]
    folds = table.fold.nunique() > 1
    place = "site" if "site" in table else "fold"
    rows: Rows = [["model", *([place] if folds else []), "seed", *scored_by, "epochs", "time"]]
    for row in table.to_dict("records"):
        seed = whole(row["seed"]) if pd.notna(row["seed"]) else "–"
        known = took.get((str(row["fold"]), seed), {})
        cells = [number(row[name]) if np.isfinite(row[name]) else "–" for name in scored_by]
        times = [whole(known.get("num_epochs", np.nan)), duration(known["fit_duration_s"]) if known else "–"]
        rows.append([str(row["model"]), *([_place(row)] if folds else []), seed, *cells, *times])
    return rows


def features(schema: Mapping[str, Any], missing: Mapping[str, int] | None, num_samples: int) -> Rows:
    """Returns each feature and target with its kind, unit and missing values; the first, where they are many.

    Args:
        schema: Of the data.
        missing: Cells of each column that lacks any; None where that is not known.
        num_samples: That the counts are of.
    """
    rows: Rows = [["name", "role", "kind", "unit", "missing"]]
    listed = sorted(schema.get("columns", []), key=lambda column: column["role"] != "target")
    for column in listed[:MOST_FEATURES]:
        count = (missing or {}).get(column["name"], 0)
        share = f"{count} ({count / max(num_samples, 1):.1%})" if count else "0"
        told = share if column["role"] == "feature" and missing is not None else "–"
        rows.append([column["name"], column["role"], column["kind"], column.get("unit") or "–", told])
    return rows


def best_trials(trials: pd.DataFrame, direction: str, count: int = 5) -> Rows:
    """Returns the best finished trials.

    Args:
        trials: As a sweep's ``trials.csv`` holds it.
        direction: ``min`` or ``max`` for the first objective.
        count: Of trials.
    """
    values = [column for column in trials if column.startswith("params_")]
    objective = next(column for column in trials if column.startswith("value"))
    ended = trials[trials.state == "COMPLETE"].sort_values(objective, ascending=direction == "min").head(count)
    named = objective.removeprefix("values_").removeprefix("value_").removeprefix("value") or "score"
    rows: Rows = [["trial", named, *shortest([name.removeprefix("params_") for name in values])]]
    for row in ended.to_dict("records"):
        rows.append([str(row["number"]), f"{row[objective]:.4f}", *(short(row[name]) for name in values)])
    return rows
