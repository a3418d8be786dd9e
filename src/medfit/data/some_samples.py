"""A data set of some samples of another."""

from copy import copy
from typing import Any

import numpy as np


def some_of(dataset: Any, rows: np.ndarray) -> Any:
    """Returns a data set with some of the samples; what ``x`` or the images are is left to who knows the kind.

    Args:
        dataset: Of any kind.
        rows: Numbers of the samples, in the order that is wanted.
    """
    made: Any = copy(dataset)
    made.y, made.groups, made.facts = dataset.y[rows], dataset.groups[rows], dataset.facts.iloc[rows]
    made.facts = made.facts.reset_index(drop=True)
    for name in ("given_split", "strata"):
        whole = getattr(dataset, name)
        setattr(made, name, None if whole is None else whole[rows])
    return made
