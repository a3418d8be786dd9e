"""Splits by patient, preprocessing fitted on the training split, batches."""

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np

from medfit.data.batches import Batches, InOrder, Shuffled
from medfit.data.dataset import Dataset
from medfit.data.inputs import Shape
from medfit.data.preprocessing.arrays import Gathered
from medfit.data.splits import Split, proof


class Prepared:
    """A data set, divided and prepared; trainings that differ in neither share it.

    Args:
        dataset: With ``groups``, ``strata``, ``given_split`` and ``target_names``.
        preprocessing: Takes the data set; gives ``usable()``, which marks the samples to divide, ``fit(train_rows)``,
            which gives what they teach (a :class:`medfit.data.preprocessing.fitted.Fitted`), and ``prepared(fitted)``,
            which gives all samples, as :class:`medfit.data.preprocessing.arrays.Arrays` are.
        split: Takes the data set and its usable samples.

    Attributes:
        rows: Numbers of the samples of each split.
        proof: What shows that no patient is in two splits.
        fitted: What the training rows taught the preprocessing.
        data: The prepared samples.
    """

    def __init__(self, dataset: Dataset, preprocessing: Callable[..., Any], split: Split) -> None:
        steps = preprocessing(dataset)
        usable = steps.usable()
        self.dataset = dataset
        self.rows = split(dataset, usable)
        self.proof = proof(self.rows, dataset, usable)
        self.fitted = steps.fit(self.rows["train"])
        self.data = steps.prepared(self.fitted)


class DataModule(L.LightningDataModule):
    """Batches of each split of a data set, for one training.

    Args:
        prepared: The data.
        batch_size: Samples of a training batch; None for all of them.
        seed: Of the batch order, and of what is drawn at random for a batch.
        plain: Whether batches come through PyTorch's loader in any case, however small the data are.

    Attributes:
        fitted: What the training rows taught the preprocessing.
        input_shape: Of one sample's ``x``.
        order: Of the training batches.
    """

    def __init__(self, prepared: Prepared, batch_size: int | None, seed: int, plain: bool = False) -> None:
        super().__init__()
        self.dataset, self.data = prepared.dataset, prepared.data
        self.rows, self.proof, self.fitted = prepared.rows, prepared.proof, prepared.fitted
        data = self.data.training(self.rows["train"])
        self.batch_size, self.plain = batch_size or len(data), plain
        self.order = Shuffled(len(data), self.batch_size, seed)
        self.train_batches = Batches(data, self.order, plain)
        self.val_part = 0, 1

    def divide(self, rank: int, num_ranks: int, validation: bool) -> None:
        """Gives this process its part of the samples, as several train together.

        Args:
            rank: Of this process, from 0.
            num_ranks: Processes.
            validation: Whether the validation batches are divided, too: the k-th process takes the k-th batch and those
                that follow it at the distance of ``num_ranks``. All take equally many: what is too much is one that
                another process takes, too, and :class:`medfit.training.several_devices.SeveralDevices` leaves it out.
        """
        self.order.divide(rank, num_ranks)
        self.val_part = (rank, num_ranks) if validation else (0, 1)

    @property
    def num_val_batches(self) -> int:
        """Of all processes."""
        return len(self.data.evaluation(self.rows["val"]).in_order())

    @property
    def validates(self) -> bool:
        """Whether there is a validation split; ``split.val=0`` leaves none."""
        return len(self.rows["val"]) > 0

    @property
    def input_shape(self) -> Shape:
        """Of one training sample's ``x``."""
        return self.data.input_shape

    def arrays(self, split: str) -> Any:
        """Returns a split's ``x`` and ``y``, all at once; for data of one shape that lie in memory."""
        return Gathered(self.data, self.rows[split])

    def targets(self, split: str) -> np.ndarray:
        """Returns the ``y`` of each sample of a split, as the data set holds it."""
        return self.dataset.y[self.rows[split]]

    def groups(self, split: str) -> np.ndarray:
        """Returns the patient of each sample of a split."""
        return self.dataset.groups[self.rows[split]]

    def setup(self, stage: str) -> None:
        """Brings the data to the trainer's device, if they have room there."""
        self.data.place(self.trainer.strategy.root_device)  # type: ignore[union-attr]

    def train_dataloader(self) -> Batches:
        """Returns the training batches."""
        return self.train_batches

    def val_dataloader(self) -> Batches:
        """Returns the validation batches, those of this process."""
        data = self.data.evaluation(self.rows["val"])
        batches, (rank, num_ranks) = data.in_order(), self.val_part
        rounds = -(-len(batches) // num_ranks)
        own = [batches[(rank + turn * num_ranks) % len(batches)] for turn in range(rounds)]
        return Batches(data, InOrder(own), self.plain)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augments a training batch, on the device."""
        return self.data.augment(*batch) if self.trainer and self.trainer.training else batch

    def batches(self, split: str) -> Batches:
        """Returns a split's batches in the data set's order."""
        data = self.data.evaluation(self.rows[split])
        return Batches(data, InOrder(data.in_order()), self.plain)
