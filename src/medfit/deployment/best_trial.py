"""What a sweep does for its best trial alone, when all have ended: plots, and the finished model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from medfit.deployment import logged
from medfit.evidence import averaged
from medfit.evidence.predictions import read_csv
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named
from medfit.tracking import recording
from medfit.tracking.paths import hidden
from medfit.tracking.run import Run, write_files
from medfit.training import run_plots

if TYPE_CHECKING:
    from medfit.deployment.finished_model import FinishedModel
    from medfit.training.parts import Parts

VALIDATION, MODEL = "predictions/val.csv", "model"
WHERE = "sweep"  # for errors
IMPORTED = ("medfit.deployment.packing", "medfit.training.run_plots", "mlflow.pyfunc", "mlflow.models", "skops.io")


@dataclass(frozen=True)
class Stored:
    """What a finished training has stored, as files in a folder.

    Args:
        run_id: Of its run.
        weights: A checkpoint.
        val: Predictions of the validation split; None where the task stores none.
        curve: ``train/loss`` and ``val/loss`` as (epoch, value).
        path_names: What stands for full paths in what is told of a config.
        plots: Whether its plots are wanted.
        model: Whether its finished model is.
    """

    run_id: str
    weights: Path
    val: Path | None
    curve: Mapping[str, Sequence[tuple[int, float]]]
    path_names: Mapping[str, str]
    plots: bool
    model: bool


@dataclass(frozen=True)
class Finished:
    """What was made of a finished training, as files in a folder; the model lies in :data:`MODEL`.

    Args:
        plots: By the artifacts' names.
        about: What the model knows of itself; None where there is no model.
        withheld: Why there is none, though the task and the kind of data have one.
    """

    plots: Mapping[str, Path]
    about: Mapping[str, Any] | None
    withheld: str | None = None


Finish = Callable[[], Finished]


def to_finish(
    cfg: DictConfig, run: Run, folder: Path, of_fold: Callable[[int], DictConfig] | None = None
) -> Finish | None:
    """Returns what finishes a trial, as :func:`finish` does; None if it has what is wanted.

    Args:
        cfg: Of the trial.
        run: The trial's.
        folder: For files.
        of_fold: Returns the config of the training that is validated on a fold; None of a trial that is one training.

    Raises:
        UserError: a run has no weights.
    """
    if of_fold is None:
        found = stored(cfg, run, folder)
        return None if found is None else partial(finish, cfg, found, folder)
    if not cfg.tracking.models or logged.model_of(run.store, run.store.find(run.id, WHERE)) is not None:
        return None
    of_trial = run.store.runs_of(run.experiment_id, {"kind": "fold", "mlflow.parentRunId": run.id})
    ended = {int(one.data.tags["fold"]): one.info.run_id for one in of_trial if one.info.status == "FINISHED"}
    places = {fold: folder / f"fold {fold}" for fold in sorted(ended)}
    for place in places.values():
        place.mkdir()
    folds = [
        (of_fold(fold), _files(cfg, Run(run.store, ended[fold], run.experiment_id), place))
        for fold, place in places.items()
    ]
    return partial(finish_folds, folds, run.id, folder) if len(folds) > 1 else None


def stored(cfg: DictConfig, run: Run, folder: Path) -> Stored | None:
    """Returns what a finished training has stored; None if it has its plots and its model, or none are wanted.

    Args:
        cfg: Of the training.
        run: The training's.
        folder: For the files.

    Raises:
        UserError: the run has no weights.
    """
    store, client = run.store, run.store.client
    if not cfg.tracking.plots and not cfg.tracking.models:
        return None
    drawn = {file.path for file in client.list_artifacts(run.id, "plots")}
    plots = cfg.tracking.plots and run_plots.CURVES not in drawn
    model = cfg.tracking.models and logged.model_of(store, store.find(run.id, WHERE)) is None
    if not plots and not model:
        return None
    curve = {
        name: [(point.step, point.value) for point in client.get_metric_history(run.id, name)]
        for name in ("train/loss", "val/loss", "val/loss_resampled")
    }
    return replace(_files(cfg, run, folder), curve=curve, plots=plots, model=model)


def _files(cfg: DictConfig, run: Run, folder: Path) -> Stored:
    """Returns the files that a finished training has stored for its model."""
    store = run.store
    predicted = {file.path for file in store.client.list_artifacts(run.id, "predictions")}
    return Stored(
        run.id,
        store.artifact(run.id, run_plots.CHECKPOINT, str(folder), WHERE),
        store.artifact(run.id, VALIDATION, str(folder), WHERE) if VALIDATION in predicted else None,
        {},
        recording.path_names(cfg, store),
        plots=False,
        model=True,
    )


def import_ahead() -> None:
    """Imports what finishing a trial takes, which lasts some seconds."""
    for name in IMPORTED:
        import_module(name)


def finish(cfg: DictConfig, found: Stored, folder: Path) -> Finished:
    """Draws the plots of a finished training and writes its finished model, into a folder.

    Args:
        cfg: Of the training.
        found: What it has stored.
        folder: For the files.
    """
    from medfit.deployment import mlflow_files, packing  # late: a quick start
    from medfit.training.ddp import one_device
    from medfit.training.trainer import make_trainer, predictions

    parts = _trained(cfg, found)
    drawn = {}
    if found.plots:
        splits = ("val",) if parts.datamodule.validates else ()
        drawn = run_plots.plots(parts.task, predictions(parts, make_trainer(one_device(parts)), splits), found.curve)
        write_files(folder, drawn)
    plots, model = {name: folder / name for name in drawn}, _packed(cfg, parts, found)
    if model is None:
        return Finished(plots, None, packing.withheld(cfg, parts))
    mlflow_files.write(model, folder / MODEL)
    return Finished(plots, model.about)


def finish_folds(trainings: Sequence[tuple[DictConfig, Stored]], run_id: str, folder: Path) -> Finished:
    """Writes the finished model that a trial's trainings make together, one for each validation fold.

    Args:
        trainings: The config of each, and what it has stored.
        run_id: Of the trial's run.
        folder: For the files; there are no plots.
    """
    from medfit.deployment import mlflow_files, packing  # late: a quick start
    from medfit.deployment.ensemble import Ensemble

    members, stored = [], []
    for cfg, found in trainings:
        parts = _trained(cfg, found)
        member = _packed(cfg, parts, found)
        if member is None:
            return Finished({}, None, packing.withheld(cfg, parts))
        val = None if found.val is None else named(member.about["task"]).read(read_csv(found.val))
        members.append(member)
        stored.append(averaged.Stored(member.about["split_sha256"], val, None))
    decisions = averaged.decide(averaged.average(stored), Settings.of(trainings[0][0].evaluate))
    model = Ensemble.of(members, decisions, run_id)
    mlflow_files.write(model, folder / MODEL)
    return Finished({}, model.about)


def _trained(cfg: DictConfig, found: Stored) -> "Parts":
    """Returns what a config builds, with the weights that a training has stored."""
    import torch  # late: a quick start

    from medfit.training.parts import prepare  # late: a quick start

    parts = prepare(cfg, trained=True)
    parts.task.load_state_dict(torch.load(found.weights, weights_only=True, map_location="cpu")["state_dict"])
    return parts


def _packed(cfg: DictConfig, parts: "Parts", found: Stored) -> "FinishedModel | None":
    from medfit.deployment.packing import packed  # late: a quick start

    tables = {} if found.val is None else {"val": read_csv(found.val)}
    return packed(cfg, parts, tables, found.run_id, partial(hidden, names=found.path_names))
