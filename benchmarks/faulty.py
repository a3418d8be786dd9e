"""A network that fails in a chosen way, to see what a sweep makes of it."""

import os
import signal
import time
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from medfit.models.mlp import MLP

GIB = 2**30


class Faulty(MLP):
    """An MLP whose first training step fails.

    Args:
        *shapes: Of :class:`medfit.models.mlp.MLP`.
        fault: ``raise`` an error, ``diverge``, take ``memory`` (2 GiB), ``hang``, ``kill`` the process, ``exit``
            it; ``large`` lacks memory for batches above 16; ``slow`` takes 0.1 s a step; ``none``.
        **others: Of :class:`medfit.models.mlp.MLP`.
    """

    def __init__(
        self,
        *shapes: Any,
        fault: Literal["none", "raise", "diverge", "memory", "hang", "kill", "exit", "large", "slow"] = "none",
        **others: Any,
    ) -> None:
        super().__init__(*shapes, **others)
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        """Fails, or does as the MLP."""
        output = super().forward(x)
        if not self.training:
            return output
        match self.fault:
            case "raise":
                raise RuntimeError("a fault on purpose")
            case "diverge":
                return output * torch.nan
            case "memory":
                self.taken = np.ones(2 * GIB, dtype=np.uint8)
                time.sleep(60)
            case "hang":
                time.sleep(3600)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "large" if len(x) > 16:
                raise torch.OutOfMemoryError("out of memory, on purpose")
            case "slow":
                time.sleep(0.1)
        return output
