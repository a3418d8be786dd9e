"""What a table is asked: targets by a rule on a column, and times to an event, which no task here takes."""

import operator
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from medfit.data.datasets.roles import check_columns
from medfit.errors import UserError

COMPARED = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
KINDS_OF_TIME = "os|pfs|dfs|rfs|efs|fu|surv|survival|overallsurvival|followup|event|death|recurrence|relapse|censoring"
UNITS = "days|months|weeks|years|d|m|mo|y"
TIME = re.compile(
    rf"timeto\w+|futime|(r|d|{KINDS_OF_TIME})?(time|duration)(in)?({UNITS})?|days|months|weeks|years"
    rf"|({KINDS_OF_TIME})(in)?({UNITS})?"
)
EVENT = re.compile(
    rf"(is|has)?(status|event|cens|censor|censored|censoring|death|dead|died|deceased|recur|recurred|recurrence|relapse"
    rf"|relapsed|deathevent|vitalstatus|(r|d|{KINDS_OF_TIME})(status|event|cens|indicator|flag))"
)


def by_rule(table: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Returns a table with a column named as the rule in the place of the rule's own: 1 where it holds, else 0.

    Args:
        table: A user's.
        rule: As ``num > 0``: a column, one of > >= < <= == != and a value. A missing cell stays missing.

    Raises:
        UserError: no such rule, a column that is not there, or words where numbers are compared.
    """
    column = max((name for name in table if rule.startswith(str(name))), key=len, default=None)
    found = re.fullmatch(r"\s*(>=|<=|==|!=|>|<)\s*(.+?)\s*", rule[len(column) :]) if column is not None else None
    if found is None:
        asked = re.match(r"\s*(.+?)\s*(?:>=|<=|==|!=|>|<)", rule)
        if asked and asked[1] not in table:
            check_columns(table, {"target_rule": asked[1]})
        raise UserError(
            f"dataset.target_rule: expected a column, one of {' '.join(COMPARED)} and a value, not '{rule}'"
        )
    cells, sign, value = table[column], found[1], found[2].strip("'\"")
    number = pd.to_numeric(value, errors="coerce")
    if pd.api.types.is_numeric_dtype(cells):
        if pd.isna(number):
            raise UserError(f"dataset.target_rule: column '{column}' holds numbers, and '{value}' is none")
        holds = COMPARED[sign](cells.astype(float), float(number))
    elif sign in ("==", "!="):
        if value not in set(cells.dropna().astype(str)):
            raise UserError(f"dataset.target_rule: column '{column}' has no such value")
        holds = COMPARED[sign](cells.astype(str), value)
    else:
        raise UserError(f"dataset.target_rule: column '{column}' holds words, which {sign} can't compare")
    made = holds.astype(float).mask(cells.isna(), np.nan)
    return table.drop(columns=column).assign(**{rule: made})


def check_follow_up(table: pd.DataFrame, targets: Iterable[str], left_out: Iterable[str]) -> None:
    """Refuses a time to an event that is taken for a number, or for a feature beside the event.

    Args:
        table: A user's.
        targets: Its columns that are the target.
        left_out: Those that are no features.

    Raises:
        UserError: a time is the target where the table holds an event, or an event is, with a time as a feature.
    """
    times = [str(name) for name in table if TIME.fullmatch(_compact(str(name))) and _is_time(table[name])]
    events = [str(name) for name in table if EVENT.fullmatch(_compact(str(name))) and table[name].nunique() == 2]
    targets, features = list(targets), [time for time in times if time not in set(left_out)]
    if events and (asked := [target for target in targets if target in times]):
        why = f"who has no event yet has a time that is cut short, and '{events[0]}' says who"
        way = f"a yes or no within a fixed time as dataset.target, without '{asked[0]}'"
    elif features and (asked := [target for target in targets if target in events]):
        why = f"the time '{features[0]}' is known only afterwards, and tells of the event"
        way = "dataset.exclude=[" + ",".join(f"'{time}'" for time in features) + "]"
    else:
        return
    raise UserError(
        f"dataset.target: '{asked[0]}' looks like part of a time to an event: {why}. medfit has no survival task "
        f"(Cox, concordance, censoring) yet; take {way}, or say that it is meant by dataset.time_to_event=plain"
    )


def _compact(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _is_time(column: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return bool(numeric and column.min() >= 0 and column.nunique() > 10)
