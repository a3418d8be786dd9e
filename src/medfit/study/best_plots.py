"""The plots of a study's best trial, drawn after its end: trials draw none themselves."""

from pathlib import Path

from omegaconf import DictConfig

from medfit.tracking.run import write_files
from medfit.tracking.store import Store
from medfit.training.run_plots import CHECKPOINT, CURVES, History, plots


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
        for name in ("train/loss", "val/loss")
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
    import torch  # here and not above: the command that lets a helper draw imports this module, but never torch

    from medfit.train import make_trainer, predictions, prepare

    parts = prepare(cfg)
    parts.task.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu")["state_dict"])
    drawn = plots(parts.task, predictions(parts, make_trainer(parts), ("val",)), curve)
    write_files(folder, drawn)
    return {name: folder / name for name in drawn}
