"""The state of a training: all that what follows depends on."""

import random
from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch

from medfit.data.batches import Shuffled
from medfit.training.state_file import StateError

State = dict[str, Any]


def capture(trainer: L.Trainer, order: Shuffled, done: int = 0) -> State:
    """Returns the state of a training, with tensors that are its own: it is to be written before they change.

    Args:
        trainer: That trains, between two epochs or after a batch.
        order: Of the training batches.
        done: Batches of this epoch that made their steps; 0 between two epochs.
    """
    module: Any = trainer.lightning_module
    own: State = {}
    module.on_save_checkpoint(own)
    return {
        "weights": module.state_dict(),
        "own": own,
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "schedules": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "precision": trainer.precision_plugin.state_dict(),
        "callbacks": {callback.state_key: kept for callback in trainer.callbacks if (kept := callback.state_dict())},  # type: ignore[attr-defined]
        "loop": trainer.fit_loop.state_dict(),
        "metrics": {name: value.detach() for name, value in trainer.callback_metrics.items()},
        "order": order.state_dict(done),
        "random": random_states(),
    }


def restore(trainer: L.Trainer, order: Shuffled, state: State) -> None:
    """Puts a trainer that is about to begin where another one was; all but the random states, see :func:`draw_from`.

    Raises:
        StateError: the state is of a model or an optimiser of another shape.
    """
    module: Any = trainer.lightning_module
    if (devices := state["order"].get("devices", 1)) != order.num_ranks:
        raise StateError(f"it trained on {devices} devices, not on {order.num_ranks}: regime.trainer.devices={devices}")
    try:
        module.load_state_dict(state["weights"])
        for optimizer, kept in zip(trainer.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        for config, kept in zip(trainer.lr_scheduler_configs, state["schedules"], strict=True):
            config.scheduler.load_state_dict(kept)
    except (RuntimeError, ValueError, KeyError) as error:
        told = str(error).splitlines()
        raise StateError(f"its weights are of another model ({' '.join(told[:2])[:300]})") from error
    module.on_load_checkpoint(state["own"])
    if state["precision"]:
        trainer.precision_plugin.load_state_dict(state["precision"])
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if callback.state_key in state["callbacks"]:
            callback.load_state_dict(state["callbacks"][callback.state_key])
    trainer.callback_metrics.update(state["metrics"])
    order.load_state_dict(state["order"])
    _restore_loop(trainer, state["loop"])


def _restore_loop(trainer: L.Trainer, state: State) -> None:
    """Gives Lightning's loop its counts, as if the last whole epoch had just ended: it can't begin within one."""
    loop = trainer.fit_loop
    loop.load_state_dict(state)
    for progress in (loop.epoch_progress.current, loop.epoch_progress.total):
        progress.reset_on_restart()
    loop.on_iteration_done()
    loop.restarting = False


def random_states() -> State:
    """Returns where all generators are that trainings share; batches have generators of their own."""
    version, numbers, gauss = random.getstate()
    kind, words, *rest = np.random.get_state()
    states: State = {
        "python": [version, torch.tensor(numbers), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(words).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def draw_from(states: Mapping[str, Any]) -> None:
    """Puts all generators where they were; those of a device that is not here stay as they are."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    kind, words, *rest = states["numpy"]
    np.random.set_state((kind, words.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
