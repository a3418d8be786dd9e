"""Made patients, and how they are divided."""

import numpy as np
import pandas as pd
from hypothesis import assume

from medfit.data.datasets.records import Records
from medfit.data.splits import SPLITS
from medfit.errors import UserError


def dataset(groups, classes=None, given_split=None):
    """A data set of one feature, with classes (two or more) or without."""
    num_rows = len(groups)
    values = np.zeros(num_rows, dtype=int) if classes is None else np.asarray(classes)
    task = "regression" if classes is None else "multiclass"
    y = values[:, None].astype(np.float32) if classes is None else values
    return Records(
        name="made",
        x=pd.DataFrame({"a": np.arange(num_rows, dtype=float)}),
        y=y,
        task=task,
        target_names=["t"] if classes is None else [str(c) for c in range(values.max() + 1)],
        groups=np.asarray(groups),
        given_split=None if given_split is None else np.asarray(given_split),
    )


def singles(num_patients, num_positive=None):
    """A data set of one row a patient."""
    classes = None if num_positive is None else np.arange(num_patients) < num_positive
    return dataset(np.arange(num_patients), None if classes is None else classes.astype(int))


def equal(one, other):
    return all(np.array_equal(one[name], other[name]) for name in SPLITS)


def divided(split, data, usable=None):
    """Returns the split, for data that can be divided so: tiny classes may not."""
    try:
        return split(data, usable)
    except UserError as error:
        assert "are in both" not in str(error)
        assume(False)


def of_sites(site, classes=None, groups=None):
    """A data set with a column of sites that is no feature."""
    made = dataset(np.arange(len(site)) if groups is None else groups, classes)
    made.facts = pd.DataFrame({"site": site})
    return made
