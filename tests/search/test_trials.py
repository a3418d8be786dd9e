from contextlib import nullcontext

import optuna
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from omegaconf import OmegaConf
from optuna.trial import TrialState, create_trial

from medfit.search import trials
from medfit.study import repair, storage
from medfit.study.budget import Budget
from medfit.study.repair import Reason
from medfit.workers import worker

SWEEP = {"num_retries": 1, "retry_oom": True, "max_hours": None, "patience": None, "heartbeat_s": 15}


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def begun(study, **attrs):
    trial = study.ask()
    for name, value in attrs.items():
        trial.set_user_attr(name, value)
    trial.suggest_float("x", 0, 1)
    return study.trials[trial.number]


def failed(failure="a", state=TrialState.FAIL, **attrs):
    return create_trial(
        state=state, value=1.0 if state is TrialState.COMPLETE else None, user_attrs={"failure": failure, **attrs}
    )


def test_trials_that_repeat_none_have_their_numbers_as_places(study):
    everyone = [begun(study) for _ in range(3)]
    assert [trials.place(trial, everyone) for trial in everyone] == [0, 1, 2]
    assert trials.places(everyone) == 3


def test_a_repeated_trial_keeps_the_place_and_later_ones_the_next(study):
    first = begun(study)
    trials.repeat(study, first, study.trials)
    second, third = begun(study), begun(study)
    assert (trials.place(second, study.trials), trials.place(third, study.trials)) == (0, 1)
    assert trials.places(study.trials) == 2


def test_a_trial_that_came_too_late_takes_no_place(study):
    begun(study)
    begun(study, surplus=True)
    third = begun(study)
    assert trials.place(third, study.trials) == 1
    assert [trial.number for trial in trials.counted(study.trials)] == [0, 2]


def test_a_repeated_trial_has_the_values_of_the_first(study):
    first = begun(study)
    trials.repeat(study, first, study.trials)
    assert begun(study).params == first.params


def test_a_repeated_trial_has_the_given_values_that_the_first_had_no_time_to_take(study):
    study.enqueue_trial({"x": 0.5, "y": 0.25})
    trials.repeat(study, begun(study), study.trials)
    again = study.ask()
    assert (again.suggest_float("x", 0, 1), again.suggest_float("y", 0, 1)) == (0.5, 0.25)


def test_a_trial_is_repeated_once_however_often_that_is_asked(study):
    first = begun(study)
    for _ in range(3):
        trials.repeat(study, first, study.trials)
    assert len(study.trials) == 2


def test_what_a_trial_was_is_kept_when_it_is_repeated(study):
    first = begun(study, given=True, halved=True, attempt=2, worker="w", run_id="r", failure="f")
    trials.repeat(study, first, study.trials, attempt=3)
    assert study.trials[1].user_attrs == {"given": True, "halved": True, "attempt": 3, "repeats": 0, "place": 0}


def test_of_a_trial_repeated_twice_the_last_counts(study):
    for number in range(2):
        trials.repeat(study, begun(study), study.trials)
        study.tell(number, state=TrialState.FAIL)
    last = begun(study)
    assert [trial.number for trial in trials.counted(study.trials)] == [2]
    assert trials.done(study) == []
    study.tell(last.number, 1.0)
    assert [trial.number for trial in trials.done(study)] == [2]


def test_trials_that_ended_in_any_way_are_done(study):
    for state, value in ((TrialState.COMPLETE, 1.0), (TrialState.PRUNED, None), (TrialState.FAIL, None)):
        study.tell(begun(study).number, value, state=state)
    begun(study)
    assert [trial.number for trial in trials.done(study)] == [0, 1, 2]


def test_the_reason_of_the_last_failed_trial_is_told():
    assert trials.failure([failed("a"), failed("b"), create_trial(value=1.0)]) == "b"


def test_no_reason_is_told_where_there_is_none():
    assert trials.failure([create_trial(value=1.0)]) == "no reason was given"


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([], False),
        ([failed()] * 2, False),
        ([failed()] * 3, True),
        ([failed("loss 1e30 in epoch 1"), failed("loss 2.5e31 in epoch 2"), failed("loss nan in epoch 3")], False),
        ([failed("loss 1e30 in epoch 1"), failed("loss 2.5e31 in epoch 2"), failed("loss 7 in epoch 3")], True),
        ([failed(letter) for letter in "ABCDFGHIJ"], False),
        ([failed(letter) for letter in "ABCDFGHIJK"], True),
        ([failed(), failed(), failed(), failed(state=TrialState.COMPLETE)], False),
        ([failed(), failed(), failed(), failed(state=TrialState.PRUNED)], False),
        ([failed(cut_off=True)] * 5, False),
        ([failed(surplus=True)] * 5, False),
    ],
    ids=["none", "two", "three alike", "two alike", "alike but for numbers", "nine", "ten", "one worked", "one was pruned", "interrupted", "too late"],
)  # fmt: skip
def test_a_study_of_which_nothing_works_is_hopeless(ended, expected):
    assert trials.hopeless(ended) == expected


class Trials(RuleBasedStateMachine):
    """Trials that begin, end, die and are repeated in any order, in some processes of which some are killed."""

    @initialize(num_trials=st.integers(1, 5), num_given=st.integers(0, 7))
    def begin_study(self, num_trials, num_given):
        self.study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        self.cfg = OmegaConf.create({"sweep": {**SWEEP, "num_trials": num_trials, "storage": "server://"}})
        for number in range(min(num_given, num_trials)):
            self.study.enqueue_trial({"x": number / 10})

    @rule()
    def take(self):
        if (trial := worker._take(self.study, self.cfg)) is not None:
            trial.suggest_float("x", 0, 1)

    @rule(which=st.integers(0, 9), pruned=st.booleans())
    def end(self, which, pruned):
        if (trial := self.running(which)) is not None:
            self.study.tell(trial.number, None if pruned else 1.0, state=TrialState.PRUNED if pruned else None)

    @rule(which=st.integers(0, 9), retry=st.sampled_from(["attempt", "again", "half", "never"]))
    def fail(self, which, retry):
        if (trial := self.running(which)) is not None:
            repair.give_up(self.study, trial, Reason("it died", retry), self.cfg)

    @rule(which=st.integers(0, 9))
    def fail_and_be_killed_before_that_is_noted(self, which):
        if (trial := self.running(which)) is not None:
            trials.repeat(self.study, trial, self.study.trials)

    @rule(more=st.integers(1, 2))
    def ask_for_more(self, more):
        self.cfg.sweep.num_trials += more

    def running(self, which):
        found = self.study.get_trials(states=(TrialState.RUNNING,))
        return found[which % len(found)] if found else None

    @invariant()
    def no_place_is_counted_twice(self):
        if hasattr(self, "study"):
            everyone = self.study.trials
            places = [trials.place(trial, everyone) for trial in trials.counted(everyone)]
            assert len(places) == len(set(places))
            assert sorted(places) == list(range(trials.places(everyone)))

    @invariant()
    def no_more_are_done_than_are_wanted(self):
        if hasattr(self, "study"):
            everyone = self.study.trials
            begun = [trial for trial in trials.counted(everyone) if trial.state is not TrialState.WAITING]
            assert len(begun) <= self.cfg.sweep.num_trials
            assert len(trials.done(self.study)) <= self.cfg.sweep.num_trials

    def teardown(self):
        """The commands go on until there are enough."""
        if not hasattr(self, "study"):
            return
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            repair.give_up(self.study, trial, Reason("lost", "again"), self.cfg)
        budget = Budget(self.study, self.cfg)
        while budget.wants():
            trial = worker._take(self.study, self.cfg)
            trial.suggest_float("x", 0, 1)
            self.study.tell(trial, 1.0)
            budget.refresh()
        if budget.over() != "nothing works":
            assert len(trials.done(self.study)) == self.cfg.sweep.num_trials


@pytest.fixture(autouse=True)
def any_trial_can_be_halved_and_none_is_locked(monkeypatch):
    monkeypatch.setattr(repair, "_can_be_halved", lambda *_: True)
    monkeypatch.setattr(storage, "lock", lambda _: nullcontext())


TestTrials = Trials.TestCase
TestTrials.settings = settings(deadline=None, max_examples=100, stateful_step_count=30)
