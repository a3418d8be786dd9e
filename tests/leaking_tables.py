"""Made tables and images, and what the leak scan finds in them."""

import numpy as np
import pandas as pd
from hypothesis import settings

from medfit.data.datasets.records import Records
from medfit.data.leaks import scan

few = settings(max_examples=25, deadline=None)


def rng(seed=0):
    return np.random.default_rng(seed)


def about(y, task="binary", **more):
    names = ["t"] if np.ndim(y) == 1 and task == "binary" else more.pop("names", ["t"])
    made = (
        np.asarray(y, dtype=np.int64) if task == "multiclass" else np.asarray(y, dtype=np.float32).reshape(len(y), -1)
    )
    return {"name": "made", "y": made, "task": task, "target_names": names, **more}


def coin(num_rows, seed=9):
    return rng(seed).random(num_rows) < 0.4


def table(num_rows=300, num_columns=6, seed=0):
    return pd.DataFrame(rng(seed).normal(size=(num_rows, num_columns))).add_prefix("c")


def records(x, y=None, task="binary", **more):
    return Records(x=x, **about(coin(len(x)) if y is None else y, task, **more))


def thirds(num_rows):
    return {"train": np.arange(0, num_rows, 3), "val": np.arange(1, num_rows, 3), "test": np.arange(2, num_rows, 3)}


def found(data, rows=None):
    return scan(data, thirds(len(data)) if rows is None else rows).findings
