"""``medfit report``: an experiment's question, data, search and results as one page without a network, and in short."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from medfit.config import folders
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.tracking.store import Store

if TYPE_CHECKING:
    from medfit.evaluate import Evaluation

KEYS = ["patients", "model", "fold", "seed"]
Rows = list[list[str]]


@dataclass(frozen=True)
class Reporting:
    """What a report shows.

    Args:
        cases: Whether pictures of single patients are in it: their images, overlays, explanations and values. The page
            is made to be passed on, so not unless that is allowed.
    """

    cases: bool = False


class Report(NamedTuple):
    """What is written.

    Args:
        page: HTML, self-contained.
        summary: Markdown.
    """

    page: str
    summary: str


def report(cfg: DictConfig) -> Report:
    """Returns the report, filled from the experiment's folder and the tracker.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it, with an experiment.

    Raises:
        UserError: no experiment is named, or nothing has been run.
    """
    from medfit.reporting import collect, markdown, page

    if not cfg.experiment:
        raise UserError("report needs an experiment: medfit report experiment=<name>")
    store = Store(cfg)
    experiment = store.client.get_experiment_by_name(cfg.experiment)
    if experiment is None:
        raise UserError(f"experiment={cfg.experiment} has no runs yet; run: medfit sweep experiment={cfg.experiment}")
    folder = folders.EXPERIMENTS / cfg.experiment
    asked = (bool(cfg.best), cfg.choices.model, cfg.report.cases)
    known = collect.collect(store, experiment.experiment_id, cfg.experiment, folder, *asked)
    return Report(page.render(known), markdown.render(known))


def main(cfg: DictConfig) -> None:
    """Writes page and summary into the experiment's folder and says where."""
    made = report(cfg)
    folder = folders.EXPERIMENTS / cfg.experiment
    for name, text in (("report.html", made.page), ("REPORT.md", made.summary)):
        path: Path = folder / name
        path.write_text(text, encoding="utf-8")
        say(f"Report    {path}")


def results(found: "Evaluation") -> pd.DataFrame:
    """Returns what ``results.csv`` holds of an evaluation: a row for each model and metric."""
    if "scores" in found.tables:
        return found.tables["scores"]
    metrics = [column for column in found.trainings if column not in KEYS]
    rows = []
    for (patients, model), values in found.trainings.groupby(["patients", "model"], sort=False)[metrics]:
        for metric in metrics:
            row = {"patients_of": patients, "model": model, "metric": metric, "estimate": values[metric].mean()}
            rows.append(row | {"sd": values[metric].std(), "trainings": len(values), "opening": found.opening})
    return pd.DataFrame(rows)


def summary_rows(found: "Evaluation") -> Rows:
    """Returns a header and a row for each metric, a column for each model: estimates with their intervals."""
    return wide(results(found))


def wide(table: pd.DataFrame) -> Rows:
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


def number(value: float) -> str:
    """Returns three digits after the point of small numbers, fewer of larger ones; a dash of what is not known."""
    if np.isnan(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
