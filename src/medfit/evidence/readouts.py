"""The tables of an evaluation that one kind of target has and others have not."""

from collections.abc import Sequence

import pandas as pd

from medfit.evidence import agreement, calibration, decision, thresholds
from medfit.evidence.predictions import Predictions
from medfit.evidence.segmentation import overlaps
from medfit.evidence.settings import Settings
from medfit.evidence.weighted import nan_mean

MOST_COLUMNS = 10  # classes or labels with a read-out of their own


def of_probabilities(
    tests: Sequence[Predictions], vals: Sequence[Predictions], settings: Settings
) -> dict[str, pd.DataFrame]:
    """Returns thresholds, calibration and decision curves; nothing where there are too many classes or labels.

    Without validation predictions there are no thresholds, and nothing is recalibrated.
    """
    if len(tests[0].names) > MOST_COLUMNS:
        return {}
    few = max(100, settings.num_resamples // 8)  # each draw fits regressions
    rule = (settings.rule, settings.at_least, settings.cost_ratio, settings.prevalence)
    validated = all(map(len, vals))
    methods = calibration.METHODS if validated else ("none",)
    found = {
        "calibration": calibration.table(tests, vals, few, methods),
        "calibration_curve": pd.concat(
            calibration.curve(
                [calibration.recalibrated(method, val, test) for val, test in zip(vals, tests, strict=True)]
            ).assign(recalibration=method)
            for method in methods
        ),
        "decision_curve": decision.curves(tests),
    }
    if not validated:
        return found
    num_resamples = settings.num_resamples // 2
    return {"thresholds": thresholds.readout(tests, vals, *rule, num_resamples=num_resamples), **found}


def of_numbers(tests: Sequence[Predictions], settings: Settings) -> dict[str, pd.DataFrame]:
    """Returns agreement with what was measured, and prediction intervals."""
    return {
        "agreement": agreement.bland_altman(tests),
        "calibration_curve": agreement.deciles(tests),
        "prediction_intervals": agreement.conformal(tests, settings.coverage),
    }


def of_each_patient(tests: Sequence[Predictions]) -> pd.DataFrame:
    """Returns each patient's Dice by class, the mean over trainings; the worst first."""
    rows = []
    for test in (test.by_patient() for test in tests):
        dice = pd.DataFrame(overlaps(test.target)["dice"], columns=pd.Index([f"dice/{name}" for name in test.names]))
        rows.append(dice.assign(patient=test.patient, dice=nan_mean(dice.to_numpy(), axis=1)))
    means = pd.concat(rows).groupby("patient").mean().sort_values("dice").reset_index()
    return means[["patient", "dice", *(column for column in means if column.startswith("dice/"))]]
