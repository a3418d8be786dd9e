"""An optimiser's steps: backward, accumulated, clipped, and along the schedule."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class OptimizerSteps:
    """Takes the steps of one optimiser, as Lightning does in its own loop.

    Args:
        optimizer: The optimiser.
        scaler: Of a precision that needs one for its gradients, as ``16-mixed``; else None.
        schedule: Moves on with every step; None for no such schedule.
        accumulate: Losses whose gradients are averaged for a step.
        clip: Largest norm of the gradient; None for no limit.
        before: Is called before each step, with the optimiser: the task's ``on_before_optimizer_step``.

    Attributes:
        waiting: Losses that are in the gradients and have made no step.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        scaler: Any = None,
        schedule: Any = None,
        accumulate: int = 1,
        clip: float | None = None,
        before: Callable[[Optimizer], None] | None = None,
    ) -> None:
        self.optimizer, self.scaler, self.schedule = optimizer, scaler, schedule
        self.accumulate, self.clip, self.before = accumulate, clip, before
        self._params = [param for group in optimizer.param_groups for param in group["params"]]
        self.waiting = 0
        optimizer.zero_grad()

    def take(self, loss: Tensor) -> None:
        """Adds a batch's mean loss to the gradients, and takes a step once they are enough."""
        if self.accumulate > 1:
            loss = loss / self.accumulate
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        self.waiting += 1
        if self.waiting == self.accumulate:
            self._step()

    def end(self) -> None:
        """Takes a step with what is left of an epoch."""
        if self.waiting:
            self._step()

    def _step(self) -> None:
        if self.scaler is not None and (self.before or self.clip):
            self.scaler.unscale_(self.optimizer)
        if self.before:
            self.before(self.optimizer)
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._params, self.clip)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        for param in self._params:
            param.grad = None  # as optimizer.zero_grad(), whose own bookkeeping costs more than a small step's backward
        torch.clear_autocast_cache()  # it holds the weights of before the step, in lower precision
        if self.schedule is not None:
            self.schedule.step()
        self.waiting = 0
