import numpy as np
import pandas as pd
import pytest

from medfit.data.datasets.questions import EVENT, TIME, _compact, by_rule, check_follow_up
from medfit.errors import UserError

TABLE = pd.DataFrame({"num": [0, 1, 2, np.nan], "num > x": [5, 6, 7, 8], "stage": ["I", "II", None, "I"]})


@pytest.mark.parametrize(
    "rule, column, expected",
    [
        ("num > 0", "num", [0, 1, 1, None]),
        ("num>=1", "num", [0, 1, 1, None]),
        ("num < 1", "num", [1, 0, 0, None]),
        ("num <= 1", "num", [1, 1, 0, None]),
        ("num == 1", "num", [0, 1, 0, None]),
        ("num != 1", "num", [1, 0, 1, None]),
        ("num > x > 6", "num > x", [0, 0, 1, 1]),
        ("stage == II", "stage", [0, 1, None, 0]),
        ("stage != 'II'", "stage", [1, 0, None, 1]),
    ],
)
def test_a_rule_takes_its_columns_place(rule, column, expected):
    made = by_rule(TABLE, rule)
    assert [None if pd.isna(cell) else cell for cell in made[rule]] == expected
    assert column not in made and len(made.columns) == 3


@pytest.mark.parametrize(
    "rule, message",
    [
        ("numm > 0", "dataset.target_rule: there is no column 'numm'; did you mean 'num'?"),
        ("num", "dataset.target_rule: expected a column, one of >= <= == != > < and a value, not 'num'"),
        ("num ~ 3", "dataset.target_rule: expected a column, one of >= <= == != > < and a value, not 'num ~ 3'"),
        ("num > much", "dataset.target_rule: column 'num' holds numbers, and 'much' is none"),
        ("stage == V", "dataset.target_rule: column 'stage' has no such value"),
        ("stage > I", "dataset.target_rule: column 'stage' holds words, which > can't compare"),
    ],
)
def test_a_rule_that_can_not_be_asked_is_refused(rule, message):
    with pytest.raises(UserError) as error:
        by_rule(TABLE, rule)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "time, event",
    [
        ("time", "DEATH_EVENT"),
        ("rfstime", "status"),
        ("rtime", "recur"),
        ("dtime", "death"),
        ("days", "cens"),
        ("OS_MONTHS", "OS_STATUS"),
        ("survival time (days)", "event"),
        ("follow-up", "died"),
        ("time to event", "Vital status"),
        ("PFS", "censored"),
    ],
)
def test_times_and_events_are_refused_whichever_is_asked(time, event):
    table = pd.DataFrame({time: np.arange(40.0), event: [0, 1] * 20, "age": 5})
    with pytest.raises(
        UserError, match="^dataset.target: .* looks like part of a time to an event: who has no event yet"
    ):
        check_follow_up(table, [time], [])
    with pytest.raises(
        UserError, match="^dataset.target: .* is known only afterwards, and tells of the event"
    ) as error:
        check_follow_up(table, [event], [])
    assert f"take dataset.exclude=['{time}'], or say that it is meant by dataset.time_to_event=plain" in str(
        error.value
    )
    check_follow_up(table, [event], [time])
    check_follow_up(table, ["age"], [])
    with pytest.raises(UserError):  # leaving the event out does not make a censored time a number
        check_follow_up(table, [time], [event])


@pytest.mark.parametrize(
    "name", ["age years", "time in hospital", "age", "slice_time", "d", "m", "systolic", "date", "onset"]
)
def test_other_names_are_no_times(name):
    assert not TIME.fullmatch(_compact(name))


@pytest.mark.parametrize("name", ["smoking status", "marital status", "ill", "outcome", "sex"])
def test_other_names_are_no_events(name):
    assert not EVENT.fullmatch(_compact(name))


def test_few_times_or_many_events_are_none():
    check_follow_up(pd.DataFrame({"time": [1, 2] * 20, "event": [0, 1] * 20}), ["event"], [])
    check_follow_up(pd.DataFrame({"time": np.arange(40), "status": np.arange(40) % 4}), ["time"], [])
    check_follow_up(pd.DataFrame({"time": -np.arange(40), "event": [0, 1] * 20}), ["event"], [])
