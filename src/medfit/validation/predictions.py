"""What a finished model predicts for the patients of a data set, by the very steps of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from medfit.config.instantiate import build
from medfit.data.batches import Batches, InOrder
from medfit.deployment import scored_masks
from medfit.deployment.finished_model import AnyModel, FinishedModel
from medfit.errors import UserError, in_memory
from medfit.training.parts import quiet
from medfit.training.trainer import OF_GPUS, in_full

TOO_LARGE = (
    "validate: the samples and the network do not fit in memory together; where that of a GPU is too small, "
    "CUDA_VISIBLE_DEVICES= before the command keeps to the CPU"
)


@dataclass(frozen=True)
class Prepared:
    """Samples as a network takes them.

    Args:
        data: All of them, as :class:`medfit.data.preprocessing.arrays.Arrays` are.
        rows: Numbers of those that can be used: all but those that the preprocessing leaves out.
    """

    data: Any
    rows: np.ndarray


class Samples:
    """A data set's samples, which each training of a model prepares by what its own training rows taught.

    Args:
        model: The model.
        dataset: With its features and classes.

    Attributes:
        dataset: The data set.
        rows: Numbers of the samples that all trainings can use.

    Raises:
        UserError: no sample can be used, or the samples are not those that the model takes.
    """

    def __init__(self, model: AnyModel, dataset: Any) -> None:
        self.dataset = dataset
        settings = {_settings(single): single.cfg.preprocessing for single in model.singles}
        self._steps = {key: build(node)(dataset) for key, node in settings.items()}
        self.rows = np.flatnonzero(np.logical_and.reduce([steps.usable() for steps in self._steps.values()]))
        if not len(self.rows):
            raise UserError("validate.data: no sample has all that the model needs; it was trained on complete ones")
        self._last: tuple[FinishedModel, Prepared] | None = None

    def of(self, single: FinishedModel) -> Prepared:
        """Returns the samples as a training takes them; those of one training at a time are kept."""
        if self._last is None or self._last[0] is not single:
            self._last = None  # before the next take memory
            self._last = single, Prepared(self._steps[_settings(single)].prepared(single.fitted), self.rows)
        return self._last[1]


def _settings(single: FinishedModel) -> str:
    return OmegaConf.to_yaml(single.cfg.preprocessing, resolve=True)


def outputs(model: AnyModel, samples: Samples) -> tuple[Any, ...]:
    """Returns the predictions of the usable samples, as the task's ``scores`` and ``table`` take them.

    They are made on a GPU if there is one, in the precision of the training where the machine has it.
    """
    if len(model.singles) > 1 and model.predictor.WRITES_FILES:  # masks, whose mean is made image by image
        return (scored_masks.scored(model.on("auto"), samples.dataset, samples.rows),)
    return mean([_of_training(single, samples.of(single)) for single in model.singles])


def mean(several: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Returns the mean of several predictions of the same samples, beside the truth.

    Args:
        several: Predictions and truth of each; one alone is given back, whatever it holds.
    """
    if len(several) == 1:
        return several[0]
    total = sum(preds.double() for preds, _ in several)
    return total / len(several), several[0][1]


def _of_training(single: FinishedModel, prepared: Prepared) -> tuple[Any, ...]:
    import lightning as L  # late: a quick start
    import torch

    quiet()
    precision: Any = str(single.cfg.regime.precision)
    if precision in OF_GPUS and not torch.cuda.is_available():
        precision = "32-true"
    part = prepared.data.evaluation(prepared.rows)
    batches = Batches(part, InOrder(part.in_order()))
    silent: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(devices=1, precision=precision, enable_checkpointing=False, **silent)
    with in_memory(lambda: TOO_LARGE):
        return tuple(map(in_full, single.task.join(trainer.predict(single.task, batches) or [])))
