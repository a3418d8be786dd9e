"""The trainings of an evaluation as one model: logged with its run, and scored where all its trainings may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from medfit.data.datamodule import DataModule
from medfit.deployment import logged
from medfit.deployment.ensemble import Ensemble
from medfit.deployment.scored_masks import scored
from medfit.errors import UserError
from medfit.evidence import summary
from medfit.evidence.averaged import Averaged, Stored, average, decide
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit
from medfit.evidence.targets.known import named
from medfit.tracking import recording
from medfit.tracking.run import Run

SCORES = "ensemble/"  # with which the names of the ensemble's own scores begin, beside the means over trainings


@dataclass(frozen=True)
class Member:
    """A training of an evaluation.

    Args:
        run_id: Of its run.
        unit: Its predictions.
    """

    run_id: str
    unit: Unit


def log_ensemble(cfg: DictConfig, run: Run, members: Sequence[Member], patients: str, module: DataModule) -> str:
    """Logs the mean of an evaluation's trainings as a finished model of the evaluation's run.

    Args:
        cfg: Of the evaluation.
        run: The evaluation's.
        members: Its trainings, which have ended.
        patients: Which were scored, in words.
        module: The data as the evaluation's config divides them.

    Returns:
        What is said of it; empty if there is none, as there are fewer than two trainings, or their kind of data or task
        has no finished models.
    """
    if not cfg.tracking.models or len(members) < 2:
        return ""
    models = [logged.model_of(run.store, run.store.find(member.run_id, "evaluate")) for member in members]
    known = [model for model in models if model is not None]
    if not known:
        return ""
    if len(known) < len(members):
        return f"none: {len(members) - len(known)} of {len(members)} trainings have no finished model in the store"
    try:
        return _logged(cfg, run, members, known, patients, module)
    except UserError as error:
        return f"none: {error}"


def _logged(
    cfg: DictConfig,
    run: Run,
    members: Sequence[Member],
    models: Sequence[str],
    patients: str,
    module: DataModule,
) -> str:
    from medfit.deployment import mlflow_files  # late: MLflow's models take a second to import

    singles = [logged.load_single(run.store, f"models:/{model}", "evaluate") for model in models]
    stored = [
        Stored(model.about["split_sha256"], member.unit.val, member.unit.test)
        for model, member in zip(singles, members, strict=True)
    ]
    averaged, settings = average(stored), Settings.of(cfg.evaluate)
    ensemble = Ensemble.of(singles, decide(averaged, settings), run.id)
    if ensemble.predictor.WRITES_FILES and averaged.one_division:  # what is stored of each mask tells no mean
        averaged = _predicted(ensemble, run, module)
    table = _scores(averaged, list(cfg.task.metrics), settings)
    if table is not None:
        table.insert(0, "patients_of", patients)
        run.log_files({"evidence/ensemble.csv": table})
        for end, name in (("estimate", "test"), ("low", "test_low"), ("high", "test_high")):
            run.log_metrics({f"{SCORES}{name}/{row.metric}": row[end] for _, row in table.iterrows()}, 0)
        run.log_metrics(
            {f"{SCORES}val/{name}": value for name, value in _values(averaged.val, table.metric).items()}, 0
        )
    run.log_model(logged.NAME, ensemble.about["task"], partial(mlflow_files.write, ensemble), [SCORES])
    told = _told(table, len(members), averaged.one_division, members[0].unit.test.kind.headline)
    return f"{told}; medfit predict {run.id} data=<a file of new patients>"


def _predicted(ensemble: Ensemble, run: Run, module: DataModule) -> Averaged:
    """Returns what the mean predicts for validation and test patients; the run keeps it."""
    splits = ("val", "test") if module.validates else ("test",)
    task, kind = ensemble.singles[0].task, named(ensemble.about["task"])
    ensemble.on("auto")
    dataset: Any = module.dataset
    tables = {split: task.table(scored(ensemble, dataset, module.rows[split])) for split in splits}
    ensemble.on("cpu")
    files = recording.prediction_files(run, dataset.name, tables, module.groups)
    run.log_files(files)
    found = {split: kind.read(files[f"predictions/{split}.csv"]) for split in splits}
    return Averaged(found.get("val"), found["test"], one_division=True)


def _scores(averaged: Averaged, names: Sequence[str], settings: Settings) -> pd.DataFrame | None:
    """Returns the scores of the mean of all trainings; None where the test patients of some have taught others."""
    if not averaged.one_division or averaged.test is None:
        return None
    drawn = summary.draws([averaged.test], names, settings)
    return summary.scores("ensemble", [Unit(0, None, averaged.test, averaged.test)], drawn)


def _values(predictions: Predictions | None, names: Sequence[str]) -> dict[str, float]:
    if predictions is None:
        return {}
    weights, metrics = np.ones((1, len(predictions))), predictions.metrics()
    return {name: float(metrics[name](weights)[0]) for name in names if name in metrics}


def _told(table: pd.DataFrame | None, number_of: int, one_division: bool, headline: str) -> str:
    if table is not None:
        rows = table.set_index("metric")
        name = headline if headline in rows.index else rows.index[0]
        row = rows.loc[name]
        ends = f" (95 % interval {row.low:.3g} to {row.high:.3g})" if np.isfinite([row.low, row.high]).all() else ""
        return f"of {number_of} trainings: {name} {row.estimate:.3g}{ends}"
    why = "was not measured" if one_division else "is not known, as each patient has taught some of them"
    return f"of {number_of} trainings, whose own score {why}"
