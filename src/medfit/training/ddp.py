"""What a regime's arguments for the trainer say of several devices, and what of it is refused."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from medfit.errors import UserError
from medfit.tasks.base import Task
from medfit.tasks.regime import Training
from medfit.training.parts import Parts

ARGUMENTS = ("devices", "num_nodes", "strategy", "sync_batchnorm")  # of the trainer, that mean several devices
UNUSED = "ddp_find_unused_parameters_true"
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", UNUSED)
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # where torchrun, SLURM and medfit tell a process its number


def strategy(regime: Training, task: Task) -> str:
    """Returns the trainer's strategy.

    Raises:
        UserError: several devices are asked for by one that medfit can't be sure of.
    """
    wanted = regime.trainer.get("strategy", "auto")
    if asked(regime.trainer) and wanted not in STRATEGIES:
        raise UserError(f"regime.trainer.strategy={wanted}: medfit trains on several devices by ddp alone")
    return UNUSED if wanted == "ddp" and _two_players(task) else wanted


def check(trainer: L.Trainer, regime: Training, task: Task) -> None:
    """Makes sure that a trainer of several devices can train.

    Raises:
        UserError: it can't.
    """
    chosen: Any = trainer.strategy
    if isinstance(trainer.strategy, DDPStrategy):
        chosen.cluster_environment.validate_settings(num_devices=chosen.num_processes, num_nodes=chosen.num_nodes)
    if trainer.world_size == 1:
        return
    if type(trainer.strategy) is not DDPStrategy or chosen.launcher.is_interactive_compatible:
        raise UserError("regime.trainer: several devices need regime.trainer.strategy=ddp")
    if _two_players(task) and regime.trainer.get("strategy", "auto") == "auto":
        raise UserError("regime.trainer: a generator and a discriminator need regime.trainer.strategy=ddp")
    if chosen.num_nodes > 1 and not started_by_others(trainer):
        raise UserError(
            f"regime.trainer.num_nodes={chosen.num_nodes}: several machines need a process for each device, started "
            "by srun or torchrun"
        )


def asked(arguments: Mapping[str, Any]) -> bool:
    """Tells whether the trainer's arguments may mean several devices."""
    return any(arguments.get(name) not in (1, None) for name in ("devices", "num_nodes"))


def started_by_others(trainer: L.Trainer) -> bool:
    """Tells whether something else, as srun or torchrun, starts a process for each device."""
    chosen: Any = trainer.strategy
    return bool(chosen.cluster_environment.creates_processes_externally)


def rank(trainer: L.Trainer) -> int:
    """Returns the number of this process among all, before Lightning has told it to its strategy."""
    chosen: Any = trainer.strategy
    if trainer.world_size == 1:
        return 0
    return int(chosen.node_rank * chosen.num_processes + chosen.local_rank)


def own_rank(arguments: Mapping[str, Any]) -> int:
    """Returns the number of this process among those that train together, as whoever started it says; else 0.

    Args:
        arguments: Of the trainer.
    """
    return int(next((os.environ[name] for name in RANKS if name in os.environ), 0)) if asked(arguments) else 0


def one_device(parts: Parts, trainer: L.Trainer | None = None) -> Parts:
    """Returns what is trained with a regime of one device, for predictions.

    Args:
        parts: What was trained.
        trainer: That trained on several devices, the first of which is taken.
    """
    place = trainer.strategy.root_device.index if trainer is not None else None
    arguments = {name: value for name, value in parts.regime.trainer.items() if name not in ARGUMENTS}
    arguments |= {"devices": 1 if place is None else [place], "plugins": [LightningEnvironment()]}
    return replace(parts, regime=replace(parts.regime, trainer=arguments))


def _two_players(task: Task) -> bool:
    """Tells whether a step leaves some of the weights alone: those of the other player."""
    return not task.automatic_optimization
