"""New patients' samples, of whatever kind of data: what a finished model asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from medfit.deployment.expected_columns import Oddity


@dataclass(frozen=True)
class NewSamples(ABC):
    """New samples, read as the training samples were; a kind of data adds what its preprocessing takes.

    Args:
        identifiers: What tells the user whose each sample is: the user's own columns, a row each sample.
        usable: Marks the samples that can be predicted.
        odd: What is odd about them.

    Attributes:
        unusable: Why samples can't be predicted, in words behind their number.
    """

    unusable: ClassVar[str] = "have missing values"

    identifiers: pd.DataFrame
    usable: np.ndarray
    odd: list[Oddity]

    def parts(self, at_once: int) -> Iterator[Any]:
        """Yields the usable samples in their order, so many at a time, as the preprocessing takes them.

        Args:
            at_once: That fit in memory together.
        """
        rows = np.flatnonzero(self.usable)
        for start in range(0, len(rows), at_once):
            yield self.some(rows[start : start + at_once])

    @abstractmethod
    def some(self, rows: np.ndarray) -> Any:
        """Returns some of the samples, by their numbers, as the preprocessing takes them."""
