"""Thresholds, recalibration and prediction intervals for new patients, learnt from validation patients."""

import numpy as np

from medfit.evidence import agreement, calibration, thresholds
from medfit.evidence.decisions import Decisions
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings


def of_answers(val: Predictions, settings: Settings) -> Decisions:
    """Returns thresholds and recalibration of yes and no, an output each.

    Args:
        val: Predictions of the validation split.
        settings: The rule of the threshold.
    """
    chosen, lines = {}, {}
    for column, name in enumerate(val.names):
        preds, target = val.preds[:, column], val.target[:, column]
        threshold = thresholds.choose(preds, target, settings.rule, settings.at_least, settings.cost_ratio)
        if np.isfinite(threshold):
            chosen[name], lines[name] = threshold, calibration.platt_line(preds, target)
    return Decisions(thresholds=chosen, lines=lines)


def of_classes(val: Predictions) -> Decisions:
    """Returns the recalibration of classes; the likeliest one is decided for."""
    return Decisions(temperature=calibration.temperature(val))


def of_numbers(errors_of: Predictions, settings: Settings, learnt_from: str) -> Decisions:
    """Returns the prediction intervals of numbers, by split conformal prediction.

    Args:
        errors_of: Predictions whose errors make the intervals.
        settings: The share that they are to hold.
        learnt_from: The split of these patients.
    """
    widths = {}
    for column, name in enumerate(errors_of.names):
        errors = errors_of.preds[:, column] - errors_of.target[:, column]
        widths[name] = agreement.conformal_width(errors, errors_of.patient, settings.coverage).half
    known = {name: width for name, width in widths.items() if np.isfinite(width)}
    return Decisions(half_widths=known, coverage=settings.coverage, intervals_from=learnt_from)
