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


def of_numbers(val: Predictions, settings: Settings) -> Decisions:
    """Returns the prediction intervals of numbers, by split conformal prediction."""
    widths = {
        name: agreement.conformal_width(val.preds[:, column] - val.target[:, column], val.patient, settings.coverage)
        for column, name in enumerate(val.names)
    }
    return Decisions(
        half_widths={name: width for name, width in widths.items() if np.isfinite(width)}, coverage=settings.coverage
    )
