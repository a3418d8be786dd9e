"""The plots of a training: of its curve, and of its predictions by the best weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from medfit.tracking.run import write_files
from medfit.tracking.store import Store

if TYPE_CHECKING:
    from medfit.tasks.base import Task

History = Mapping[str, Sequence[tuple[int, float]]]

CURVES, CHECKPOINT = "plots/learning_curves.png", "checkpoint/best.ckpt"


def plots(task: "Task", outputs: Mapping[str, tuple[Any, ...]], history: History) -> dict[str, Any]:
    """Returns figures by their files' names.

    Args:
        task: That made the outputs.
        outputs: By split, what the task's ``figures`` takes.
        history: ``train/loss`` and ``val/loss`` as (epoch, value).
    """
    from medfit.plots.predictions import learning_curves  # late: a quick start

    figures = {
        f"plots/{split}_{name}.png": figure
        for split, output in outputs.items()
        for name, figure in task.figures(*output).items()
    }
    return {**figures, CURVES: learning_curves(history)}


def sources(store: Store, run_id: str, folder: Path) -> tuple[Path, History] | None:
    """Returns what the plots of a finished training are drawn from, weights and curve; None if it has plots.

    Args:
        store: That has the run.
        run_id: The run.
        folder: For the weights' file.

    Raises:
        UserError: the run has no weights.
    """
    if any(file.path == CURVES for file in store.client.list_artifacts(run_id, "plots")):
        return None
    curve = {
        name: [(point.step, point.value) for point in store.client.get_metric_history(run_id, name)]
        for name in ("train/loss", "val/loss", "val/loss_resampled")
    }
    return store.artifact(run_id, CHECKPOINT, str(folder), "tracking.plots"), curve


def draw(cfg: DictConfig, weights: Path, curve: History, folder: Path) -> dict[str, Path]:
    """Draws the plots of a finished training, into a folder; returns them by the artifacts' names.

    Args:
        cfg: Of the training.
        weights: A checkpoint.
        curve: ``train/loss`` and ``val/loss`` as (epoch, value).
        folder: For the plots' files.
    """
    import torch  # late: a quick start

    from medfit.training.parts import prepare  # late: a quick start
    from medfit.training.trainer import make_trainer, predictions

    parts = prepare(cfg)
    parts.task.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu")["state_dict"])
    splits = ("val",) if parts.datamodule.validates else ()
    drawn = plots(parts.task, predictions(parts, make_trainer(parts), splits), curve)
    write_files(folder, drawn)
    return {name: folder / name for name in drawn}
