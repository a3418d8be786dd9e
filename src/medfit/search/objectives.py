"""What is asked of a trial's scores: objectives, and constraints as ``val/balanced_accuracy >= 0.8``."""

import math
import re
from collections.abc import Mapping, Sequence

import optuna
from omegaconf import DictConfig
from optuna.study import StudyDirection

from medfit.errors import UserError, suggest

FORM = re.compile(r"^\s*(val/\S+?)\s*(<=|>=)\s*(\S+)\s*$")


def objective_names(sweep: DictConfig) -> list[str]:
    """Returns the names of the scores that a sweep searches for."""
    return [sweep.objective] if isinstance(sweep.objective, str) else list(sweep.objective)


def directions(sweep: DictConfig) -> list[StudyDirection]:
    """Returns Optuna's words for ``min`` and ``max``, of each objective."""
    wanted = [sweep.direction] if isinstance(sweep.direction, str) else sweep.direction
    return [StudyDirection.MINIMIZE if one == "min" else StudyDirection.MAXIMIZE for one in wanted]


def read_constraint(text: str, logged: Sequence[str]) -> tuple[str, int, float]:
    """Returns a constraint's score, sign (1: at most, -1: at least) and limit.

    Raises:
        UserError: it is not one, or on a score that is not logged.
    """
    found = FORM.match(text)
    try:
        name, sign, limit = found.groups() if found else ("", "", "")
        number = float(limit)
        if not math.isfinite(number):
            raise ValueError(limit)
    except ValueError:
        raise UserError(
            f"sweep.constraints: cannot read '{text}'; write it as 'val/balanced_accuracy >= 0.8'"
        ) from None
    if name not in logged:
        raise UserError(f"sweep.constraints: '{name}' is not logged{suggest(name, logged)}")
    return name, 1 if sign == "<=" else -1, number


def set_constraints(trial: optuna.Trial, scores: Mapping[str, float], texts: Sequence[str]) -> None:
    """Sets the trial's constraints: by how much it misses each, at most 0 where it meets it."""
    for text in texts:
        name, sign, limit = read_constraint(text, list(scores))
        missed = sign * (scores[name] - limit)
        trial.set_constraint(text, missed if missed == missed else float("inf"))


def feasible(trial: optuna.trial.FrozenTrial) -> bool:
    """Tells whether a trial meets the constraints."""
    return all(missed <= 0 for missed in trial.constraints.values())
