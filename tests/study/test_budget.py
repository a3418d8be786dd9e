from datetime import datetime, timedelta

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState, create_trial

from medfit import sweep
from medfit.errors import UserError
from medfit.search import trials
from medfit.search.sampler import EXHAUSTED
from medfit.study import budget
from medfit.study.budget import WAIT_S, Budget
from medfit.terminal.progress import WorkerState

SMALL = ["regime=smoke", "regime.epochs=1", "sweep/sampler=grid", "~sweep.space.regime", "~sweep.space.model.dropout"]
NOON = datetime(2020, 1, 1, 12)


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(budget, "time", made)
    return made


def config_of(**values):
    sweep = {"num_trials": 5, "max_hours": None, "patience": None, "objective": "val/auroc", **values}
    return OmegaConf.create({"sweep": sweep})


def study_of(*values, directions=("minimize",), attrs=({},) * 99):
    """Returns a study of trials a minute apart: finished with a value, pruned (None), or failed ('fail')."""
    study = optuna.create_study(directions=list(directions))
    for minute, value in enumerate(values):
        state = {None: TrialState.PRUNED, "fail": TrialState.FAIL}.get(value, TrialState.COMPLETE)
        many = {"values": value} if isinstance(value, tuple) else {"value": value}
        trial = create_trial(state=state, user_attrs=attrs[minute], **(many if state is TrialState.COMPLETE else {}))
        trial.datetime_start = NOON + timedelta(minutes=minute)
        trial.datetime_complete = NOON + timedelta(minutes=minute + 1)
        study.add_trial(trial)
    return study


def test_a_study_is_not_over_while_trials_are_missing():
    assert Budget(study_of(1.0, 2.0), config_of()).over() == ""


def test_a_study_is_over_with_its_number_of_trials():
    assert Budget(study_of(1.0, None, "fail", 3.0, 2.0), config_of()).over() == "the number of trials is reached"


def test_repeated_trials_do_not_count(clock):
    study = study_of("fail", 1.0, 2.0, 3.0, 4.0, attrs=[{}, {"repeats": 0, "place": 0}, {}, {}, {}])
    assert Budget(study, config_of()).over() == ""


@pytest.mark.parametrize(("hours", "over"), [(0.49, ""), (0.5, "sweep.max_hours=0.5 are over")])
def test_the_hours_of_the_command_end_it(clock, hours, over):
    command = Budget(study_of(), config_of(max_hours=0.5))
    clock.now += hours * 3600
    assert command.over() == over


def test_the_hours_of_an_earlier_command_do_not_count(clock):
    clock.now += 1e6
    assert Budget(study_of(1.0), config_of(max_hours=0.5)).over() == ""


@pytest.mark.parametrize(
    ("values", "still"),
    [
        ([], 0),
        (["fail", "fail"], 0),
        ([1.0], 0),
        ([1.0, 2.0, 3.0], 2),
        ([3.0, 2.0, 1.0], 0),
        ([2.0, None, "fail"], 2),
        ([2.0, 3.0, 1.0, None], 1),
    ],
)
def test_trials_are_counted_since_the_best(values, still):
    assert Budget(study_of(*values), config_of()).stands_still() == still


def test_trials_are_counted_since_the_best_of_those_that_meet_the_constraints():
    study = optuna.create_study()
    for value, missed in ((3.0, -1.0), (2.0, -1.0), (1.0, 1.0), (4.0, -1.0)):
        trial = study.ask()
        trial.set_constraint("val/auroc >= 0.9", missed)
        study.tell(trial, value)
    assert Budget(study, config_of()).stands_still() == 2


def test_trials_are_counted_since_the_latest_on_a_pareto_front():
    study = study_of((1.0, 1.0), (2.0, 2.0), (0.5, 3.0), (4.0, 4.0), directions=("minimize", "minimize"))
    assert Budget(study, config_of()).stands_still() == 1


def test_no_trial_on_a_pareto_front_is_no_standstill():
    study = study_of("fail", "fail", directions=("minimize", "minimize"))
    assert Budget(study, config_of(patience=1)).stands_still() == 0


@pytest.mark.parametrize(("patience", "over"), [(2, "the best has stood for sweep.patience=2 trials"), (3, "")])
def test_patience_ends_a_study(patience, over):
    assert Budget(study_of(1.0, 2.0, 3.0), config_of(patience=patience)).over() == over


def test_nothing_left_to_propose_ends_a_study():
    study = study_of(1.0)
    study.set_user_attr(EXHAUSTED, True)
    assert Budget(study, config_of()).over() == "every combination has been tried"


def test_a_study_of_which_nothing_works_is_over():
    attrs = [{"failure": f"the loss became {number}"} for number in range(3)]
    assert Budget(study_of(*["fail"] * 3, attrs=attrs), config_of()).over() == "nothing works"


@pytest.mark.parametrize(("seconds", "over"), [(WAIT_S, ""), (WAIT_S + 1, "a store can't be used")])
def test_a_store_that_is_away_for_long_ends_the_command(clock, seconds, over):
    command = Budget(study_of(1.0), config_of())
    command.stopped_by("the disk is full")
    clock.now += seconds
    assert command.over() == over


def test_a_store_that_goes_on_being_away_is_away_since_the_first_time(clock):
    command = Budget(study_of(1.0), config_of())
    command.stopped_by("the disk is full")
    clock.now += WAIT_S
    command.stopped_by("the disk is full")
    clock.now += 1
    assert command.over() == "a store can't be used"


@pytest.mark.parametrize(("mended", "over"), [("the disk is full", ""), ("no server", "a store can't be used")])
def test_a_store_that_works_again_is_no_trouble_any_more(clock, mended, over):
    command = Budget(study_of(1.0), config_of())
    command.stopped_by("the disk is full")
    clock.now += WAIT_S + 1
    command.mended(mended)
    assert command.over() == over


def test_a_trial_that_ends_shows_that_the_store_is_back(clock):
    study = study_of(1.0)
    command = Budget(study, config_of())
    command.stopped_by("the disk is full")
    clock.now += WAIT_S + 1
    command.ended(study.trials[0])
    assert command.over() == ""


def test_trials_are_wanted_up_to_the_number():
    study = study_of(1.0, 2.0, 3.0)
    command = Budget(study, config_of())
    assert command.wants(granted=1)
    assert not command.wants(granted=2)


def test_running_trials_are_not_wanted_again():
    study = study_of(1.0, 2.0, 3.0)
    study.ask()
    assert not Budget(study, config_of()).wants(granted=1)


def test_a_trial_that_waits_is_wanted_though_its_place_is_taken():
    study = study_of(1.0, 2.0, 3.0, 4.0, "fail")
    trials.repeat(study, study.trials[-1], study.trials)
    command = Budget(study, config_of())
    assert command.wants()
    assert not command.wants(granted=1)


def test_trials_that_wait_for_a_larger_number_are_not_wanted():
    study = study_of(1.0)
    for number in range(4):
        study.enqueue_trial({"x": number})
    command = Budget(study, config_of(num_trials=3))
    assert command.wants(granted=1)
    assert not command.wants(granted=2)


def test_nothing_is_wanted_once_the_study_is_over():
    assert not Budget(study_of(1.0, 2.0), config_of(patience=1)).wants()


def test_what_is_shown():
    command = Budget(study_of(2.0, None, "fail", 1.0), config_of(num_trials=9))
    command.study.ask()
    command.refresh()
    shown = command.state([WorkerState(), WorkerState()], "a note")
    assert (shown.done, shown.finished, shown.pruned, shown.failed, shown.running) == (4, 2, 1, 1, 1)
    assert (shown.num_trials, shown.before, shown.best, shown.note) == (9, 4, "1.0000 (trial 3)", "a note")


def test_the_front_is_shown_of_several_objectives():
    study = study_of((1.0, 2.0), (2.0, 1.0), (3.0, 3.0), directions=("minimize", "minimize"))
    shown = Budget(study, config_of(objective=["val/a", "val/b"])).state()
    assert (shown.best, shown.objective) == ("2 on the Pareto front", "val/a, val/b")


def test_nothing_is_shown_as_best_before_a_trial_has_finished():
    assert Budget(study_of(None), config_of()).state().best == ""


@pytest.mark.slow
def test_a_grid_over_few_choices_ends_when_all_were_tried(compose, capsys):
    space = ["sweep.space.model.activation=[relu,gelu]", "sweep.space.regime.batch_size=[32,64]"]
    cfg = compose(*SMALL, *space, "sweep.num_trials=30")
    sweep.main(cfg)
    assert "The sweep ended: every combination has been tried." in capsys.readouterr().out
    study = sweep.sweep(cfg)
    tried = {(trial.params["model.activation"], trial.params["regime.batch_size"]) for trial in study.trials}
    assert tried == {(activation, size) for activation in ("relu", "gelu") for size in (32, 64)}
    assert len(study.trials) == 4


@pytest.mark.slow
def test_a_grid_over_groups_tries_each_of_their_own_combinations_once(compose):
    space = ["sweep.space.model=[mlp,linear]", "sweep.space.model.activation=[relu,gelu]"]
    study = sweep.sweep(compose(*SMALL, *space, "sweep.num_trials=30"))
    tried = sorted(tuple(trial.params.values()) for trial in study.trials)
    assert tried == [("linear",), ("mlp", "gelu"), ("mlp", "relu")]


@pytest.mark.slow
def test_a_grid_that_was_interrupted_goes_on_to_all_combinations(compose):
    space = ["sweep.space.model.activation=[relu,gelu,silu]"]
    sweep.sweep(compose(*SMALL, *space, "sweep.num_trials=1"))
    study = sweep.sweep(compose(*SMALL, *space, "sweep.num_trials=30"))
    assert sorted(trial.params["model.activation"] for trial in study.trials) == ["gelu", "relu", "silu"]


def test_a_grid_over_a_range_without_steps_is_refused_before_any_trial(compose):
    with pytest.raises(UserError, match="sweep.sampler: "):
        sweep.sweep(compose("regime=smoke", "sweep/sampler=grid"))


def test_a_sweep_stops_when_its_patience_ends(compose, capsys):
    cfg = compose("regime=smoke", "regime.epochs=1", "sweep/sampler=random", "sweep.patience=2", "sweep.num_trials=30")
    sweep.main(cfg)
    assert "The sweep ended: the best has stood for sweep.patience=2 trials." in capsys.readouterr().out
    study = sweep.sweep(cfg)
    assert len(study.trials) == study.best_trial.number + 3
