"""Two studies' trials beside each other."""

from medfit.again.stored_numbers import Trial
from medfit.again.trials_beside import beside


def trial(number, lr, value=None, state="COMPLETE"):
    return Trial(number, state, {} if value is None else {"value": value}, {"lr": lr})


def verdicts(then, now, fixed=True, tolerance=1e-6):
    numbers, others = beside(then, now, fixed, tolerance)
    return {number.name: number.verdict for number in numbers if not number.exact}, others, len(numbers)


def test_equal_studies_agree_in_state_value_and_parameters():
    study = [trial(0, 0.1, 0.5), trial(1, 0.2, 0.4, "PRUNED"), trial(2, 0.3, state="FAIL")]
    assert verdicts(study, study) == ({}, [], 8)


def test_another_value_state_and_parameter_are_named_by_the_trials_number():
    then = [trial(0, 0.1, 0.5), trial(1, 0.2, 0.4), trial(2, 0.3, 0.3)]
    now = [trial(0, 0.1, 0.6), trial(1, 0.2, 0.4, "PRUNED"), trial(2, 0.35, 0.3)]
    assert verdicts(then, now)[0] == {
        "trial 0: value": "differs by +0.1",
        "trial 1: state": "differs",
        "trial 2: lr": "differs by +0.05",
    }


def test_a_trial_that_was_repeated_shifts_none_of_the_others():
    then = [trial(0, 0.1, state="FAIL"), trial(1, 0.2, 0.4), trial(2, 0.1, 0.5)]
    now = [trial(0, 0.1, 0.5), trial(1, 0.2, 0.4)]
    assert verdicts(then, now) == ({}, [], 6)


def test_trials_that_one_has_not_differ():
    one, two = [trial(0, 0.1, 0.5)], [trial(0, 0.1, 0.5), trial(1, 0.2, 0.4)]
    assert set(verdicts(two, one)[0].values()) == {"not there now"}
    assert set(verdicts(one, two)[0].values()) == {"not there then"}
    assert set(verdicts(two, one)[0]) == {"trial 1: state", "trial 1: value", "trial 1: lr"}


def test_where_chance_orders_trials_those_of_equal_parameters_are_compared():
    then = [trial(0, 0.1, 0.5), trial(1, 0.2, 0.4), trial(2, 0.3, 0.3)]
    now = [trial(0, 0.2, 0.4), trial(1, 0.1, 0.6), trial(2, 0.4, 0.3)]
    differing, others, count = verdicts(then, now, fixed=False)
    assert differing == {"trial 0: value": "differs by +0.1"}
    assert others == [2] and count == 6


def test_parameters_are_the_same_but_for_rounding():
    assert verdicts([trial(3, 0.1, 0.5)], [trial(4, 0.1 + 1e-12, 0.5)], fixed=False)[0] == {
        "trial 3: lr": "same within 1e-06"
    }


def test_a_trial_that_still_runs_is_none():
    assert verdicts([trial(0, 0.1, 0.5), trial(1, 0.2, state="RUNNING")], [trial(0, 0.1, 0.5)]) == ({}, [], 3)
