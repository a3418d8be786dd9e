"""What is known of an experiment, from its folder and from the tracker; what is not there is empty."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medfit.evidence.predictions import TargetKind
from medfit.evidence.targets.known import named
from medfit.reporting.finished_runs import FINISHED, Record, finished, in_a_fold, records
from medfit.tracking.store import Store

TABLES = (
    "scores",
    "against",
    "thresholds",
    "calibration",
    "calibration_curve",
    "decision_curve",
    "agreement",
    "prediction_intervals",
    "patients",
    "subgroups",
    "optimism",
    "ensemble",
)
EXPLAINED = "explain/"  # what the metrics of a run that has been explained begin with


@dataclass(frozen=True)
class ReportData:
    """What the report is made of.

    Args:
        name: Of the experiment.
        question: That it asks.
        results: As ``results.csv`` holds it; None without one.
        best: What ``best.yaml`` holds.
        evaluations: All of them, the latest first, those that did not end among them.
        reruns: What tells of evaluations that were done again, which saw test patients, too.
        evaluation: The one to show in detail: the latest that ended, of the configuration that was asked for.
        latest: The run that tells of data, split and machine: the evaluation, else a sweep or a training.
        tables: Of the evaluation, by name.
        warnings: Of the evaluation, a line each.
        trainings: Of the evaluation: a row for each training and baseline.
        children: The evaluation's trainings and baselines.
        config: Of the latest run, whole.
        proof: Of its split.
        schema: Of its data.
        environment: Its software and machine.
        search: The latest sweep of the whole experiment that ended.
        space: Of that sweep's config: the section ``sweep``.
        trials: Its trials.
        num_fold_searches: Sweeps that were a fold's own.
        trained: A training to take plots from.
        explained: A run that has explanations.
        validations: Those on other patients that ended, the latest first.
        cases: Whether pictures of single patients are shown.
    """

    name: str
    question: str
    results: pd.DataFrame | None = None
    best: str = ""
    evaluations: list[Record] = field(default_factory=list)
    reruns: list[Record] = field(default_factory=list)
    evaluation: Record | None = None
    latest: Record | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    trainings: pd.DataFrame | None = None
    children: list[Record] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    proof: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    search: Record | None = None
    space: dict[str, Any] = field(default_factory=dict)
    trials: pd.DataFrame | None = None
    num_fold_searches: int = 0
    trained: Record | None = None
    explained: Record | None = None
    validations: list[Record] = field(default_factory=list)
    cases: bool = False

    @property
    def kind(self) -> TargetKind:
        """What kind of target the task has; one without a name before the first run."""
        return named(self.latest.tags.get("task.targets", "") if self.latest else "")

    @property
    def opening(self) -> int:
        """How many evaluations had scored the test patients when the latest one did, itself among them."""
        return int(self.evaluation.tags.get("test_opening", 1)) if self.evaluation else 0


def collect(
    store: Store,
    experiment_id: str,
    name: str,
    folder: Path,
    best: bool = False,
    model: str | None = None,
    cases: bool = False,
) -> ReportData:
    """Returns what is known.

    Args:
        store: The tracker.
        experiment_id: In it.
        name: Of the experiment.
        folder: Of the experiment, with its ``config.yaml``.
        best: Whether the evaluation of ``best.yaml`` is to be shown in detail, rather than that of ``config.yaml``.
        model: Whose evaluation is to be shown in detail, if there is one; None for any.
        cases: Whether pictures of single patients are to be shown.
    """
    ended = {kind: finished(store, experiment_id, kind) for kind in ("evaluation", "sweep", "seed", "run")}
    evaluation = _wanted(ended["evaluation"], best, model)
    latest = evaluation or next((found[0] for found in (ended["sweep"], ended["run"]) if found), None)
    children = _children(store, experiment_id, evaluation)
    seeds = [child for child in children if child.tags.get("kind") == "seed"]
    return ReportData(
        name=name,
        cases=cases,
        question=_question(folder),
        results=_results(folder / "results.csv"),
        best=(folder / "best.yaml").read_text() if (folder / "best.yaml").exists() else "",
        evaluations=records(store, experiment_id, {"kind": "evaluation"}),
        reruns=records(store, experiment_id, {"kind": "rerun", "rerun.what": "evaluation"}),
        evaluation=evaluation,
        latest=latest,
        children=children,
        trained=next(iter([*seeds, *ended["seed"], *ended["run"]]), None),
        validations=finished(store, experiment_id, "validation"),
        explained=_explained(store, experiment_id, {child.id for child in children}),
        **_of_evaluation(evaluation),
        **_of_latest(latest),
        **_of_search(ended["sweep"]),
    )


def _wanted(evaluations: list[Record], best: bool, model: str | None) -> Record | None:
    """Returns the evaluation that fits best what was asked for; of several, the latest."""

    def misses(record: Record) -> tuple[bool, bool]:
        return bool(record.config().get("best")) != best, model not in (None, record.run.data.params.get("model"))

    return min(evaluations, key=misses, default=None)


def _children(store: Store, experiment_id: str, evaluation: Record | None) -> list[Record]:
    if evaluation is None:
        return []
    found = records(store, experiment_id, {"mlflow.parentRunId": evaluation.id})
    return [child for child in reversed(found) if child.run.info.status == FINISHED]


def _question(folder: Path) -> str:
    """Returns the first comment of the experiment's config."""
    lines = (folder / "config.yaml").read_text().splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line), "")


def _results(path: Path) -> pd.DataFrame | None:
    """Returns ``results.csv``; None if there is none, or none of scores with their intervals."""
    if not path.exists():
        return None
    table = pd.read_csv(path)
    return table if {"patients_of", "model", "metric", "estimate"} <= set(table) else None


def _of_evaluation(evaluation: Record | None) -> dict[str, Any]:
    if evaluation is None:
        return {}
    found = {name: evaluation.table(f"evidence/{name}.csv") for name in TABLES}
    return {
        "tables": {name: table for name, table in found.items() if table is not None},
        "warnings": evaluation.json("evidence/warnings.json").get("warnings", []),
        "trainings": evaluation.table("trainings.csv"),
    }


def _of_latest(latest: Record | None) -> dict[str, Any]:
    if latest is None:
        return {}
    return {
        "config": latest.config(),
        "proof": latest.json("data/split.json"),
        "schema": latest.json("data/schema.json"),
        "environment": latest.json("environment.json"),
    }


def _of_search(sweeps: list[Record]) -> dict[str, Any]:
    whole = [sweep for sweep in sweeps if not in_a_fold(sweep)]
    found: dict[str, Any] = {"num_fold_searches": len(sweeps) - len(whole)}
    if search := next(iter(whole or sweeps), None):
        found |= {"search": search, "space": search.config().get("sweep", {}), "trials": search.table("trials.csv")}
    return found


def _explained(store: Store, experiment_id: str, own: set[str]) -> Record | None:
    """Returns the latest run with explanations, one of the evaluation's own trainings if there is any."""
    kinds = ("seed", "run", "trial")
    found = [
        record
        for kind in kinds
        for record in finished(store, experiment_id, kind)
        if any(name.startswith(EXPLAINED) for name in record.metrics)
    ]
    return next((record for record in found if record.id in own), next(iter(found), None))
