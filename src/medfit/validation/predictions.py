"""What a finished model predicts for the patients of a data set, by the very steps of an evaluation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from medfit.config.instantiate import build
from medfit.data.batches import Batches, InOrder
from medfit.deployment.finished_model import FinishedModel
from medfit.errors import UserError, in_memory
from medfit.training.parts import quiet
from medfit.training.trainer import OF_GPUS, in_full

TOO_LARGE = (
    "validate: the samples and the network do not fit in memory together; where that of a GPU is too small, "
    "CUDA_VISIBLE_DEVICES= before the command keeps to the CPU"
)


@dataclass(frozen=True)
class Prepared:
    """Samples as the network takes them.

    Args:
        data: All of them, as :class:`medfit.data.preprocessing.arrays.Arrays` are.
        rows: Numbers of those that can be used: all but those that the preprocessing leaves out.
    """

    data: Any
    rows: np.ndarray


def prepare(model: FinishedModel, dataset: Any) -> Prepared:
    """Returns a data set's samples, prepared by what the model's training rows taught.

    Args:
        model: The model.
        dataset: With its features and classes.

    Raises:
        UserError: no sample can be used, or the samples are not those that the model takes.
    """
    steps = build(model.cfg.preprocessing)(dataset)
    rows = np.flatnonzero(steps.usable())
    if not len(rows):
        raise UserError("validate.data: no sample has all that the model needs; it was trained on complete ones")
    return Prepared(steps.prepared(model.fitted), rows)


def outputs(model: FinishedModel, prepared: Prepared) -> tuple[Any, ...]:
    """Returns the predictions of the usable samples, as the task's ``scores`` and ``table`` take them.

    They are made on a GPU if there is one, in the precision of the training where the machine has it.
    """
    import lightning as L  # late: a quick start
    import torch

    quiet()
    precision: Any = str(model.cfg.regime.precision)
    if precision in OF_GPUS and not torch.cuda.is_available():
        precision = "32-true"
    part = prepared.data.evaluation(prepared.rows)
    batches = Batches(part, InOrder(part.in_order()))
    silent: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(devices=1, precision=precision, enable_checkpointing=False, **silent)
    with in_memory(lambda: TOO_LARGE):
        return tuple(map(in_full, model.task.join(trainer.predict(model.task, batches) or [])))
