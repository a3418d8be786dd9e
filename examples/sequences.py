"""A data set of a new kind in one file: DNA sequences. No line of medfit knows them.

Two yaml files make both choices of the command line, ``conf/dataset/promoters.yaml`` and
``conf/preprocessing/one_hot.yaml``::

    # Made-up promoters: does a sequence hold the TATA box?
    defaults:
      - override /task@_global_.task: binary
      - override /preprocessing@_global_.preprocessing: one_hot
      - override /model@_global_.model: cnn1d
    _target_: sequences.Promoters

    # A channel for each base
    _target_: sequences.OneHot
    _partial_: true

Then, with this file's folder on ``PYTHONPATH``: ``medfit train dataset=promoters``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medfit.data.datasets.samples import Samples
from medfit.data.kind import Kind, check_kind
from medfit.data.preprocessing.arrays import Arrays
from medfit.data.preprocessing.fitted import Fitted

BASES = "ACGT"


class SequenceKind(Kind["Promoters"]):
    """DNA sequences: medfit tells no near-duplicates among them and explains none, and says so."""

    samples = "DNA sequences"
    preprocessing = "one_hot"


class Promoters(Samples):
    """240 sequences of 40 bases, drawn at random; half of them hold TATAAA somewhere."""

    kind = SequenceKind()

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x = ["".join(rng.choice(list(BASES), 40)) for _ in range(240)]
        for row in range(0, 240, 2):
            place = int(rng.integers(0, 34))
            self.x[row] = self.x[row][:place] + "TATAAA" + self.x[row][place + 6 :]
        holds = np.array([["TATAAA" in sequence] for sequence in self.x], dtype=np.float32)
        super().__init__(name="promoters", y=holds, task="binary", target_names=["TATA box"], source="made up")

    def __getitem__(self, index: int) -> tuple[str, np.ndarray]:
        return self.x[index], self.y[index]

    def features(self) -> list[dict[str, str]]:
        """Returns the only feature."""
        return [{"name": "sequence", "kind": "DNA"}]

    def contents(self) -> Iterator[bytes]:
        """Yields all sequences."""
        yield "\n".join(self.x).encode()


class OneHot:
    """Makes a channel of each base; sequences of another length are cut, or padded with zeros."""

    def __init__(self, dataset: Promoters) -> None:
        check_kind(dataset, "one_hot")
        self.dataset = dataset

    def usable(self) -> np.ndarray:
        """Marks all sequences."""
        return np.ones(len(self.dataset), dtype=bool)

    def fit(self, train: np.ndarray) -> "FittedOneHot":
        """Returns the length of the longest training sequence."""
        longest = max(len(self.dataset.x[row]) for row in train)
        return FittedOneHot(features=["sequence"], units={}, target_names=self.dataset.target_names, length=longest)

    def prepared(self, fitted: "FittedOneHot") -> Arrays:
        """Returns all samples as tensors ``(x, y)``."""
        return Arrays(fitted.apply(self.dataset.x), torch.tensor(self.dataset.y))


@dataclass(frozen=True, kw_only=True)
class FittedOneHot(Fitted):
    """What is to be known for new sequences.

    Args:
        length: In bases.
    """

    length: int

    def apply(self, samples: Sequence[str]) -> Tensor:
        """Returns sequences as float32 (samples, 4, length)."""
        rows: list[Any] = [list(sequence[: self.length].ljust(self.length)) for sequence in samples]
        return torch.from_numpy((np.array(rows)[:, None] == np.array(list(BASES))[None, :, None]).astype(np.float32))
