"""Splits by patient, preprocessing fitted on the training split, batches."""

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from medfit.splits import Split, proof


class DataModule(L.LightningDataModule):
    """Batches of each split of a data set.

    Args:
        dataset: With ``groups``, ``strata``, ``given_split`` and ``target_names``.
        preprocessing: Takes the data set; gives ``usable()``, which marks the samples to divide, and
            ``apply(train_rows)``, which gives prepared samples as :class:`medfit.preprocessing.arrays.Arrays` is one.
        split: Takes the data set and its usable samples.
        batch_size: Samples of a training batch; None for all of them.
        seed: Of the batch order.

    Attributes:
        input_shape: Of one sample's ``x``.
        proof: What shows that no patient is in two splits.
    """

    def __init__(
        self, dataset: Any, preprocessing: Callable[..., Any], split: Split, batch_size: int | None, seed: int
    ) -> None:
        super().__init__()
        steps = preprocessing(dataset)
        self.dataset = dataset
        usable = steps.usable()
        self.rows = split(dataset, usable)
        self.proof = proof(self.rows, dataset, usable)
        self.data = steps.apply(self.rows["train"])
        self.train_data = self.data.training(self.rows["train"])
        self.batch_size = batch_size or len(self.train_data)
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one training sample's ``x``."""
        return self.data.input_shape

    def arrays(self, split: str) -> tuple[Tensor, Tensor]:
        """Returns a split's samples, all at once; for data of one shape that lie in memory."""
        x, y = self.data[self.rows[split]]
        return x, y

    def groups(self, split: str) -> np.ndarray:
        """Returns the patient of each sample of a split."""
        return self.dataset.groups[self.rows[split]]

    def train_dataloader(self) -> DataLoader:
        """Returns the training batches, in an order that the run's seed decides."""
        data = self.train_data
        single = len(data) % self.batch_size == 1 and len(data) > 1  # a batch of one has no variance to normalise
        order = RandomSampler(data, generator=self.generator)
        return _loader(data, BatchSampler(order, min(self.batch_size, len(data)), drop_last=single))

    def val_dataloader(self) -> DataLoader:
        """Returns the validation batches."""
        return self.batches("val")

    def on_after_batch_transfer(self, batch: Any, dataloader_index: int) -> Any:
        """Augments batches of a training, on the device."""
        return self.data.augment(*batch) if self.trainer is not None and self.trainer.training else batch

    def batches(self, split: str) -> DataLoader:
        """Returns a split's batches in the data set's order."""
        data = self.data.evaluation(self.rows[split])
        return _loader(data, BatchSampler(range(len(data)), self.data.evaluation_batch, drop_last=False))


def _loader(data: Any, batches: BatchSampler) -> DataLoader:
    """Returns a loader that takes a batch from the data by one indexing, without collating samples."""
    return DataLoader(data, sampler=batches, batch_size=None)
