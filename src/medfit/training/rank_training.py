"""What a device that is not the first does of a training."""

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from medfit.errors import UserError, in_memory
from medfit.terminal.console import silent
from medfit.tracking.lightning_logger import NoRunLogger
from medfit.training import ddp, several_devices, short_of_memory
from medfit.training.checkpoints import Checkpoints
from medfit.training.parts import prepare
from medfit.training.trainer import BestWeights, fit, make_trainer


def train(cfg: DictConfig, ready: Callable[[], Any] = lambda: None) -> None:
    """Trains this device's part; the first device stores, scores and tells.

    Args:
        cfg: The training's.
        ready: Is called when all is prepared.

    Raises:
        UserError: the training is on one device, which another process is.
    """
    with silent():
        parts = prepare(cfg)
        checkpoints = Checkpoints(parts.datamodule.order, every_min=0)
        best = BestWeights(parts.task, parts.datamodule.validates)
        trainer = make_trainer(parts, [best], NoRunLogger(), checkpoints)
        if not ddp.rank(trainer):
            raise UserError(
                f"regime.trainer: {trainer.world_size} process(es) are to train, but this one is another that srun or "
                "torchrun started; let regime.trainer.devices and num_nodes be theirs"
            )
        ready()
        with (
            several_devices.together(trainer, parts, cfg.seed),
            in_memory(lambda: short_of_memory.told(cfg, parts, trainer.strategy.root_device)),
        ):
            fit(trainer, parts)
