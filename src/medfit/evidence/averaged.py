"""What is known of the mean of several trainings' predictions, from the predictions that each has stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medfit.evidence.decisions import Decisions
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings


@dataclass(frozen=True)
class Stored:
    """A training's stored predictions.

    Args:
        division: What tells one division of the patients into splits from another.
        val: Of the validation split; None where there are none.
        test: Of the test split; likewise.
    """

    division: str
    val: Predictions | None
    test: Predictions | None


@dataclass(frozen=True)
class Averaged:
    """Predictions of patients by the mean of those trainings alone that learnt nothing from these patients.

    Args:
        val: Of the validation patients; None where not all trainings have stored any.
        test: Of the test patients; likewise.
        one_division: Whether all trainings share one division, so that the mean is that of all of them. Otherwise each
            patient is predicted by the trainings of a single division: all others may have learnt from this patient.
    """

    val: Predictions | None
    test: Predictions | None
    one_division: bool


def average(trainings: Sequence[Stored]) -> Averaged:
    """Returns what is known of the mean of trainings.

    Args:
        trainings: One or more, of one data set.
    """
    divisions = list(dict.fromkeys(one.division for one in trainings))
    groups = [[one for one in trainings if one.division == division] for division in divisions]
    vals = [_mean([one.val for one in group]) for group in groups]
    tests = [_mean([one.test for one in group]) for group in groups]
    return Averaged(_pooled(vals), _pooled(tests), len(divisions) == 1)


def decide(averaged: Averaged, settings: Settings) -> Decisions:
    """Returns what patients teach about the predictions of the mean.

    Of one division, validation patients teach what they teach about a single training. Of several, all patients that
    were tested (validated, where none were) choose thresholds and intervals, each predicted by the trainings of one
    division: :attr:`Decisions.out_of_fold` says so. They teach no recalibration: the mean over all divisions is less
    extreme than these predictions, so that theirs would not be its.

    Args:
        averaged: As :func:`average` gives it.
        settings: How to read them.
    """
    val, test = averaged.val, averaged.test
    if averaged.one_division:
        return Decisions() if val is None else val.kind.decisions(val, test, settings)
    known = test or val
    if known is None:
        return Decisions()
    found = known.kind.decisions(known, test, settings)
    return replace(found, lines={}, temperature=None, out_of_fold=True)


def _mean(made: Sequence[Predictions | None]) -> Predictions | None:
    known = [one for one in made if one is not None and len(one)]
    return known[0].kind.mean(known) if len(known) == len(made) else None


def _pooled(parts: Sequence[Predictions | None]) -> Predictions | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    patient, target, preds = (
        np.concatenate([getattr(part, name) for part in known]) for name in ("patient", "target", "preds")
    )
    return replace(known[0], patient=patient, target=target, preds=preds)
