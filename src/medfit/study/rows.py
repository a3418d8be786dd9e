"""What is noted of a trial, as rows of Optuna's tables."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from sqlalchemy import Connection, Table, bindparam, delete, select

TRIALS, PARAMS, USER_ATTRS, SYSTEM_ATTRS, REPORTS = (
    cast(Table, kind.__table__)
    for kind in (
        models.TrialModel,
        models.TrialParamModel,
        models.TrialUserAttributeModel,
        models.TrialSystemAttributeModel,
        models.TrialIntermediateValueModel,
    )
)
STATE, COMPLETE = (
    select(column).where(TRIALS.c.trial_id == bindparam("trial_id"))
    for column in (TRIALS.c.state, TRIALS.c.datetime_complete)
)


@dataclass
class Notes:
    """What waits to be written of a trial.

    Args:
        params: Values and distributions, by name.
        user_attrs: By key.
        system_attrs: By key.
        reports: By step.
    """

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)


def write(connection: Connection, trial_id: int, notes: Notes) -> None:
    """Writes what is noted of a trial."""
    for table, attrs in ((USER_ATTRS, notes.user_attrs), (SYSTEM_ATTRS, notes.system_attrs)):
        if attrs:
            connection.execute(delete(table).where(table.c.trial_id == trial_id, table.c.key.in_(attrs)))
            insert(connection, table, trial_id, [attr(*item) for item in attrs.items()])
    insert(connection, PARAMS, trial_id, [_param(*item) for item in notes.params.items()])
    insert(connection, REPORTS, trial_id, [_report(*item) for item in notes.reports.items()])


def insert(connection: Connection, table: Table, trial_id: int, rows: list[dict[str, Any]]) -> None:
    """Adds a trial's rows to a table."""
    if rows:
        connection.execute(sqlalchemy.insert(table), [{"trial_id": trial_id, **row} for row in rows])


def attr(key: str, value: Any) -> dict[str, str]:
    """Returns an attribute's row."""
    return {"key": key, "value_json": json.dumps(value)}


def _param(name: str, noted: tuple[float, BaseDistribution]) -> dict[str, Any]:
    value, distribution = noted
    return {"param_name": name, "param_value": value, "distribution_json": distribution_to_json(distribution)}


def _report(step: int, value: float) -> dict[str, Any]:
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}
