"""What a sweep does for its best trial alone, when all have ended: plots, and the finished model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from medfit.deployment import logged
from medfit.evidence.predictions import read_csv
from medfit.tracking import recording
from medfit.tracking.paths import hidden
from medfit.tracking.run import Run, write_files
from medfit.training import run_plots

VALIDATION, MODEL = "predictions/val.csv", "model"


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
    files = {file.path for place in ("predictions", "plots") for file in client.list_artifacts(run.id, place)}
    plots = cfg.tracking.plots and run_plots.CURVES not in files
    model = cfg.tracking.models and logged.model_of(store, store.find(run.id, "sweep")) is None
    if not plots and not model:
        return None
    curve = {
        name: [(point.step, point.value) for point in client.get_metric_history(run.id, name)]
        for name in ("train/loss", "val/loss", "val/loss_resampled")
    }
    where = "sweep"
    return Stored(
        run.id,
        store.artifact(run.id, run_plots.CHECKPOINT, str(folder), where),
        store.artifact(run.id, VALIDATION, str(folder), where) if VALIDATION in files else None,
        curve,
        recording.path_names(cfg, store),
        plots,
        model,
    )


def finish(cfg: DictConfig, found: Stored, folder: Path) -> tuple[dict[str, Path], str | None]:
    """Draws the plots of a finished training and writes its finished model, into a folder.

    Args:
        cfg: Of the training.
        found: What it has stored.
        folder: For the files.

    Returns:
        The plots by the artifacts' names, and the kind of target of the model, which lies in :data:`MODEL`; None where
        the kind of data or the task has none.
    """
    import torch  # late: a quick start

    from medfit.deployment import mlflow_files  # late: a quick start
    from medfit.deployment.packing import packed
    from medfit.training.parts import prepare
    from medfit.training.trainer import make_trainer, predictions

    parts = prepare(cfg)
    parts.task.load_state_dict(torch.load(found.weights, weights_only=True, map_location="cpu")["state_dict"])
    drawn = {}
    if found.plots:
        splits = ("val",) if parts.datamodule.validates else ()
        drawn = run_plots.plots(parts.task, predictions(parts, make_trainer(parts), splits), found.curve)
        write_files(folder, drawn)
    tables = {} if found.val is None else {"val": read_csv(found.val)}
    model = packed(cfg, parts, tables, found.run_id, partial(hidden, names=found.path_names))
    if model is not None:
        mlflow_files.write(model, folder / MODEL)
    return {name: folder / name for name in drawn}, None if model is None else model.about["task"]
