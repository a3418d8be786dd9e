"""``medfit compare``: whether one model is better than another on the same patients, from stored predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from pydantic import Field

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.evidence import paired
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit
from medfit.evidence.targets.known import named
from medfit.plots.comparison import forest
from medfit.reporting.formatting import number
from medfit.terminal.console import say, show_table
from medfit.tracking.run import create_run
from medfit.tracking.store import Store

if TYPE_CHECKING:
    import mlflow.entities

    Runs = Sequence[mlflow.entities.Run]

TESTS = {"p_mcnemar": "McNemar", "p_wilcoxon": "Wilcoxon over folds"}
SCORED = ("seed", "run", "trial", "baseline")  # kinds of runs that have predictions of their own


@dataclass(frozen=True)
class Compare:
    """What is compared.

    Args:
        runs: Ids of trainings, baselines or evaluations in MLflow, or one name of an experiment, which means its latest
            evaluation and that one's baselines.
        metrics: None for all that the runs' tasks have in common.
        num_resamples: Of the patients, for intervals.
    """

    runs: list[str] = field(default_factory=list)
    metrics: list[str] | None = None
    num_resamples: Annotated[int, Field(ge=100)] = 2000


def compare(cfg: DictConfig) -> pd.DataFrame:
    """Returns a row for each pair of models and metric, and logs them, with a plot, to MLflow.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it; says which runs.

    Raises:
        UserError: unknown runs, runs of different tasks or patients, or runs without predictions.
    """
    asked: Compare = build(cfg.compare)
    store = Store(cfg)
    runs = _asked_for(store, asked.runs)
    models = _models(store, runs)
    if len(models) < 2:
        raise UserError("compare: give at least two runs, or an experiment that has been evaluated")
    if differ := paired.patients_differ(models):
        raise UserError(f"compare: the splits differ: {differ}")
    settings, tables = Settings(num_resamples=asked.num_resamples), []
    for (name, one), (other, two) in combinations(models.items(), 2):
        table = paired.compare(one, two, _metrics(one[0].test, asked.metrics), settings)
        table.insert(0, "model", name)
        table.insert(1, "compared_with", other)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table["p_holm"] = table.groupby("metric").p.transform(paired.holm)
    _log(store, runs, table)
    return table


def main(cfg: DictConfig) -> None:
    """Compares, and shows the gains."""
    table = compare(cfg)
    shown = table[~table.metric.str.contains("/")]
    columns = ["pair", "metric", "gain", "95 % interval", "p (Holm)", "more than seeds"]
    words = {True: "yes", False: "no", None: "–"}
    rows = [
        [
            f"{row.model} over {row.compared_with}",
            row.metric,
            number(row.gain),
            f"{number(row.low)} to {number(row.high)}",
            "< 0.001" if row.p_holm < 0.001 else number(row.p_holm),
            words[row.beyond_seeds],
        ]
        for row in shown.itertuples()
    ]
    show_table("Gains on the same patients (better is positive)", columns, rows)
    for test in TESTS:
        for row in table[table[test].notna()].itertuples():
            pair = f"{row.model} over {row.compared_with}, {row.metric}"
            say(f"{TESTS[test]}: {pair}: p {getattr(row, test):.3g}")
    say("Results   the comparison's run in medfit ui: comparison.csv and a plot of the gains")


def _asked_for(store: Store, names: Sequence[str]) -> "list[mlflow.entities.Run]":
    """Returns the runs that are named, or an experiment's latest evaluation."""
    if not names:
        raise UserError("compare.runs is needed: medfit compare <run id> <run id> ..., or the name of an experiment")
    found = []
    for name in names:
        if experiment := store.client.get_experiment_by_name(name):
            evaluations = store.runs_of(experiment.experiment_id, {"kind": "evaluation"})
            finished = [run for run in evaluations if run.info.status == "FINISHED"]
            if not finished:
                raise UserError(f"compare: {name} has not been evaluated; run: medfit evaluate experiment={name}")
            latest = max(finished, key=lambda run: run.info.start_time)
            baselines = store.runs_of(
                experiment.experiment_id, {"kind": "baseline", "mlflow.parentRunId": latest.info.run_id}
            )
            found += [latest, *baselines]
        else:
            found.append(store.find(name, "compare.runs"))
    return found


def _models(store: Store, runs: "Runs") -> dict[str, list[Unit]]:
    """Returns each model's trainings; baselines of one name in several folds are one model."""
    kinds = {run.data.tags.get("task.targets", "") for run in runs}
    if len(kinds) > 1:
        raise UserError(f"compare: the runs are of different tasks: {', '.join(sorted(kinds))}")
    models: dict[str, list[Unit]] = {}
    for run in runs:
        name = run.data.tags.get("baseline") or run.info.run_name or run.info.run_id
        if run.data.tags.get("kind") != "baseline" and name in models:
            name = f"{name} ({run.info.run_id[:6]})"
        models.setdefault(name, []).extend(_units(store, run))
    return _on_one_split(models)


def _units(store: Store, run: "mlflow.entities.Run") -> list[Unit]:
    from medfit.evaluation.trainings import read_predictions  # late: a mistake is told before torch is there

    kind = run.data.tags.get("kind", "")
    if kind == "evaluation":
        seeds = store.runs_of(run.info.experiment_id, {"kind": "seed", "mlflow.parentRunId": run.info.run_id})
        return [unit for seed in seeds if seed.info.status == "FINISHED" for unit in _units(store, seed)]
    if kind not in SCORED:
        raise UserError(
            f"compare: run {run.info.run_id} is a {kind or 'run of another program'}, which predicts nothing"
        )
    targets = named(run.data.tags.get("task.targets", ""))
    val, test = (read_predictions(store, run.info.run_id, split, targets) for split in ("val", "test"))
    known = test if val is None else val
    if known is None:
        raise UserError(f"compare: run {run.info.run_id} has stored no predictions")
    seed = run.data.tags.get("seed")
    empty = known.rows(np.arange(0))
    fold = int(run.data.tags.get("fold", 0))
    return [Unit(fold, int(seed) if seed else None, empty if val is None else val, empty if test is None else test)]


def _on_one_split(models: Mapping[str, list[Unit]]) -> dict[str, list[Unit]]:
    """Returns the models with test predictions if all have them; else validation predictions in their place."""
    if all(len(unit.test) for units in models.values() for unit in units):
        return dict(models)
    if not all(len(unit.val) for units in models.values() for unit in units):
        raise UserError(
            "compare.runs: some of these runs have no validation split (split.val=0), others have not scored the test "
            "split, so there are no patients to compare them on; score them all with medfit evaluate"
        )
    say("Note: not all of these runs have scored the test split, so validation patients are compared.")
    return {name: [Unit(unit.fold, unit.seed, unit.val, unit.val) for unit in units] for name, units in models.items()}


def _metrics(predictions: Predictions, wanted: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(name.split("/")[0] for name in predictions.metrics()))
    if wrong := [name for name in wanted or () if name not in known]:
        raise UserError(f"compare.metrics: there is no '{wrong[0]}' (known: {', '.join(known)})")
    return list(wanted or known)


def _log(store: Store, runs: "Runs", table: pd.DataFrame) -> None:
    names = list(dict.fromkeys([*table.model, *table.compared_with]))
    tags: dict[str, Any] = {"kind": "comparison", "runs": " ".join(run.info.run_id for run in runs)}
    experiment = store.client.get_experiment(runs[0].info.experiment_id).name
    run = create_run(store, experiment, " against ".join(names)[:200], tags)
    run.log_files({"comparison.csv": table, "plots/gains.png": forest(table)})
    run.end("FINISHED")
