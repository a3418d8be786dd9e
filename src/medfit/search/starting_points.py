"""Starting points: what a study tries before it proposes anything."""

from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
from omegaconf import DictConfig
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from medfit.config import folders
from medfit.config.compose import compose
from medfit.errors import UserError, blame, suggest
from medfit.search import trials
from medfit.search.space import Entry
from medfit.search.values import own_values

OF_A_STUDY = "params_"  # what the columns of a study's trials.csv begin with


def enqueue(study: optuna.Study, cfg: DictConfig, space: Mapping[str, Entry]) -> None:
    """Lets a study begin with the starting points, as many as ``sweep.num_trials`` has room for; each comes once.

    Raises:
        UserError: as of :func:`points`.
    """
    if "points" not in study.user_attrs:
        study.set_user_attr("points", points(cfg, space))
    begun = {trial.user_attrs.get("point") for trial in study.trials}  # a command that was killed may have put in some
    left = [(number, values) for number, values in enumerate(study.user_attrs["points"]) if number not in begun]
    room = cfg.sweep.num_trials - trials.places(study.trials)
    for number, values in left[: max(0, room)]:
        study.enqueue_trial(values, user_attrs={"point": number})


def points(cfg: DictConfig, space: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """Returns the values of each starting point of ``sweep.start``.

    Raises:
        UserError: there is no such experiment or file, or it has values that the space has not.
    """
    found: list[dict[str, Any]] = []
    for name in cfg.sweep.start:
        if name == "own":
            found.append(own_values(cfg, space))
        elif name.endswith(".csv"):
            found += _of_table(name, space)
        else:
            with blame("sweep.start", UserError):
                found.append(own_values(compose([f"experiment={name}"]), space))
    return found


def _of_table(path: str, space: Mapping[str, Entry]) -> list[dict[str, Any]]:
    try:
        table = pd.read_csv(folders.ROOT / path)
    except (OSError, ValueError) as error:
        raise UserError(f"sweep.start: cannot read '{path}' ({str(error).splitlines()[0]})") from error
    if any(column.startswith(OF_A_STUDY) for column in table):
        table = table[[column for column in table if column.startswith(OF_A_STUDY)]]
    table.columns = [column.removeprefix(OF_A_STUDY) for column in table]
    for column in table:
        if column not in space:
            raise UserError(
                f"sweep.start: '{path}' has a column '{column}', no path of sweep.space{suggest(column, space)}"
            )
    rows = [
        {column: value for column, value in row.items() if pd.notna(value)}
        for _, row in table.astype(object).iterrows()
    ]
    return [
        {
            column: _value(value, space[str(column)].distribution, f"'{path}', row {number}, {column}")
            for column, value in row.items()
        }
        for number, row in enumerate(rows, 1)
    ]


def _value(value: Any, distribution: BaseDistribution, where: str) -> Any:
    """Returns a cell as the distribution's own kind of value."""
    try:
        match distribution:
            case CategoricalDistribution():
                return next(choice for choice in distribution.choices if choice == value or str(choice) == str(value))
            case IntDistribution() if not float(value).is_integer():
                raise ValueError(value)
            case IntDistribution():
                value = int(value)
            case _:
                value = float(value)
        # a trial that could not have the value can't be made
        optuna.create_trial(state=TrialState.WAITING, params={where: value}, distributions={where: distribution})
    except (StopIteration, ValueError, TypeError) as error:
        raise UserError(f"sweep.start: {where}: the value is not in sweep.space ({distribution})") from error
    return value
