"""The plots of a training: of its curve, and of its predictions by the best weights."""

from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from medfit.run import Run
from medfit.store import Store

if TYPE_CHECKING:
    from medfit.tasks.base import Task

CURVES, CHECKPOINT = "plots/learning_curves.png", "checkpoint/best.ckpt"


def plots(
    task: "Task", outputs: Mapping[str, tuple[Any, ...]], history: Mapping[str, Sequence[tuple[int, float]]]
) -> dict[str, Any]:
    """Returns figures by their files' names.

    Args:
        task: That made the outputs.
        outputs: By split, what the task's ``figures`` takes.
        history: ``train/loss`` and ``val/loss`` as (epoch, value).
    """
    from medfit.plots.predictions import learning_curves

    figures = {
        f"plots/{split}_{name}.png": figure
        for split, output in outputs.items()
        for name, figure in task.figures(*output).items()
    }
    return {**figures, CURVES: learning_curves(history)}


def draw(cfg: DictConfig, run_id: str) -> None:
    """Draws the plots of a finished training that has none, from the weights and the curve that it stored.

    Args:
        cfg: Of the training.
        run_id: Its run's id.

    Raises:
        UserError: the run has no weights.
    """
    import torch

    from medfit.train import make_trainer, predictions, prepare

    store = Store(cfg)
    if any(file.path == CURVES for file in store.client.list_artifacts(run_id, "plots")):
        return
    with TemporaryDirectory() as folder:
        path = store.artifact(run_id, CHECKPOINT, folder, "tracking.plots")
        weights = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    parts = prepare(cfg)
    parts.task.load_state_dict(weights)
    outputs = predictions(parts, make_trainer(parts), ("val",))
    history = {
        name: [(point.step, point.value) for point in store.client.get_metric_history(run_id, name)]
        for name in ("train/loss", "val/loss")
    }
    run = Run(store, run_id, store.find(run_id, "tracking.plots").info.experiment_id)
    run.log_files(plots(parts.task, outputs, history))
