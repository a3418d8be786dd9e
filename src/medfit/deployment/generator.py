"""A generator of a finished run, from the weights that the run kept."""

import json
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from medfit.config.instantiate import build
from medfit.config.stored import read_config
from medfit.errors import UserError
from medfit.tracking.paths import restored
from medfit.tracking.store import Store

CHECKPOINT, SHAPES = "checkpoint/best.ckpt", "checkpoint/shapes.json"


def load(store: Store, run_id: str, where: str = "sample.run") -> Any:
    """Returns the task of a finished run, with the weights of its best epoch.

    Args:
        store: That has the run.
        run_id: Its MLflow id.
        where: The config path that names it, for errors.

    Raises:
        UserError: no such run, one without weights, or no generator.
    """
    import torch  # late: a quick start

    from medfit.training.parts import make_task  # late: a quick start

    with TemporaryDirectory() as folder:
        cfg = _config(store, run_id, folder, where)
        if not _generates(cfg):
            raise UserError(f"{where}: run {run_id} is of task={cfg.choices.task}, which generates nothing")
        shapes = json.loads(store.artifact(run_id, SHAPES, folder, where).read_text())
        task = make_task(cfg, tuple(shapes["input_shape"]), shapes["target_names"])
        weights = torch.load(store.artifact(run_id, CHECKPOINT, folder, where), weights_only=True, map_location="cpu")
    task.load_state_dict(weights["state_dict"])
    return task.eval()


def is_one(store: Store, run_id: str, where: str) -> bool:
    """Tells whether a run is a generator's.

    Raises:
        UserError: there is no such run.
    """
    store.find(run_id, where)
    with TemporaryDirectory() as folder:
        try:
            return _generates(_config(store, run_id, folder, where))
        except UserError:
            return False  # it has no config, and so no model either


def _config(store: Store, run_id: str, folder: str, where: str) -> DictConfig:
    return restored(read_config(store.artifact(run_id, "config.yaml", folder, where).read_text()), store.folder)


def _generates(cfg: DictConfig) -> bool:
    return hasattr(build(cfg.task).func, "sample")
