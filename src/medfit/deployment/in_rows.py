"""Predictions that are a row each: of a class, answers or numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from medfit.deployment.finished_model import FinishedModel
from medfit.deployment.new_samples import NewSamples
from medfit.evidence.targets.known import named

OUT = "predictions.csv"  # where predictions go if nothing is said
WRITES_FILES = False  # beside the table


def predict(model: FinishedModel, new: NewSamples, out: Path | None, advance: Callable[[int], None]) -> pd.DataFrame:
    """Returns what the kind of target gives of each usable sample, as :mod:`medfit.evidence.decisions` has it.

    Args:
        model: The model.
        new: The samples.
        out: Is not used, as there are no files.
        advance: Is told of how many more samples are done.
    """
    names, kind = list(model.about["target_names"]), named(model.about["task"])
    made = [kind.told(names, np.zeros((0, len(names))), model.decisions)]
    for part in new.parts(model.at_once):
        made.append(model.told(part))
        advance(len(made[-1]))
    return pd.concat(made[1:] or made, ignore_index=True)
