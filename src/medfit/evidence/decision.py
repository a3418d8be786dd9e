"""Decision curves: what acting on predictions is worth to patients (Vickers & Elkin, Med Decis Making 2006)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medfit.evidence.predictions import Predictions

THRESHOLDS = np.round(np.arange(0.01, 1.0, 0.01), 2)


def net_benefit(preds: np.ndarray, target: np.ndarray, thresholds: np.ndarray = THRESHOLDS) -> np.ndarray:
    """Returns true positives less false ones, weighed by the odds of the threshold, as a share of all rows.

    Args:
        preds: Probabilities, in the shape (rows,).
        target: 0 or 1, in the shape (rows,).
        thresholds: Probabilities between 0 and 1 from which one acts.
    """
    yes, case = preds[None] >= thresholds[:, None], target[None] > 0.5
    return (yes & case).mean(axis=1) - (yes & ~case).mean(axis=1) * thresholds / (1 - thresholds)


def curves(units: Sequence[Predictions]) -> pd.DataFrame:
    """Returns the net benefit by threshold, the mean over trainings, of the model, of acting on all and on nobody."""
    tables = []
    for column, name in enumerate(units[0].names):
        pairs = [(unit.preds[:, column], unit.target[:, column]) for unit in units]
        everyone = np.mean([net_benefit(np.ones_like(preds), target) for preds, target in pairs], axis=0)
        tables.append(
            pd.DataFrame(
                {
                    "column": name,
                    "threshold": THRESHOLDS,
                    "model": np.mean([net_benefit(*pair) for pair in pairs], axis=0),
                    "all": everyone,
                    "none": 0.0,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
