import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medfit import sweep
from medfit.errors import UserError
from medfit.search import objectives
from medfit.search.objectives import feasible, read_constraint
from medfit.study import best

SMALL = ["regime=smoke", "regime.epochs=1", "sweep/sampler=random", "sweep.num_trials=4"]
TWO = [*SMALL, "sweep/pruner=none", "sweep.objective=[val/auroc,val/brier]", "sweep.direction=[max,min]"]
LOGGED = ["val/auroc", "val/brier"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_constraint_has_any_number_as_its_limit(limit):
    assert read_constraint(f"val/auroc >= {limit!r}", LOGGED) == ("val/auroc", -1, limit)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_constraint_needs_no_spaces(limit):
    assert read_constraint(f"val/brier<={limit!r}", LOGGED) == ("val/brier", 1, limit)


@given(score=st.floats(-1e9, 1e9), limit=st.floats(-1e9, 1e9), sign=st.sampled_from(["<=", ">="]))
def test_a_trial_is_feasible_if_its_score_is_on_the_right_side(score, limit, sign):
    trial = optuna.create_study().ask()
    objectives.set_constraints(trial, {"val/auroc": score}, [f"val/auroc {sign} {limit!r}"])
    assert feasible(trial.study.trials[0]) == (score <= limit if sign == "<=" else score >= limit)


def test_a_score_that_is_no_number_misses_its_constraint():
    trial = optuna.create_study().ask()
    objectives.set_constraints(trial, {"val/auroc": float("nan")}, ["val/auroc <= 1"])
    assert not feasible(trial.study.trials[0])


def test_a_trial_that_misses_one_of_two_constraints_is_not_feasible():
    trial = optuna.create_study().ask()
    objectives.set_constraints(trial, {"val/auroc": 0.9, "val/brier": 0.2}, ["val/auroc >= 0.8", "val/brier <= 0.1"])
    assert not feasible(trial.study.trials[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("val/auroc > 0.9", "cannot read 'val/auroc > 0.9'; write it as 'val/balanced_accuracy >= 0.8'"),
        ("val/auroc >= high", "cannot read 'val/auroc >= high'"),
        ("val/auroc >= nan", "cannot read 'val/auroc >= nan'"),
        ("val/auroc >= inf", "cannot read 'val/auroc >= inf'"),
        ("val/auroc", "cannot read 'val/auroc'"),
        ("test/auroc >= 0.9", "cannot read 'test/auroc >= 0.9'"),
        ("0.9 <= val/auroc", "cannot read '0.9 <= val/auroc'"),
        ("val/auroc >= 0.9 0.8", "cannot read"),
        ("val/aurok >= 0.9", "'val/aurok' is not logged; did you mean 'val/auroc'?"),
    ],
)
def test_a_wrong_constraint_is_refused(text, words):
    with pytest.raises(UserError) as caught:
        read_constraint(text, LOGGED)
    assert str(caught.value).startswith("sweep.constraints: ")
    assert words in str(caught.value)


def test_a_constraint_on_a_score_that_is_not_logged_stops_the_sweep_before_it_begins(compose, client):
    with pytest.raises(UserError, match="sweep.constraints: 'val/sensitivty' is not logged"):
        sweep.sweep(compose(*SMALL, "sweep.constraints=['val/sensitivty >= 0.9']"))
    assert not client.search_runs([e.experiment_id for e in client.search_experiments()])


@pytest.mark.slow
def test_a_trial_that_misses_a_constraint_is_never_the_best(compose):
    free = sweep.sweep(compose(*SMALL))
    limit = sorted(trial.user_attrs["scores"]["val/brier"] for trial in free.trials)[-1]
    cfg = compose(*SMALL, "sweep.name=bound", f"sweep.constraints=['val/brier >= {limit!r}']")
    study = sweep.sweep(cfg)
    chosen = best.choose(study, cfg)
    assert chosen.user_attrs["scores"]["val/brier"] == limit
    assert chosen.value > free.best_value
    assert study.best_trial.number == chosen.number


@pytest.mark.slow
def test_a_sweep_whose_trials_all_miss_a_constraint_says_so_and_writes_no_best(compose, client, experiments, capsys):
    before = (experiments / "heart_disease_diagnosis" / "best.yaml").read_text()
    cfg = compose(*SMALL, "sweep.constraints=['val/auroc >= 1.5']", experiment="heart_disease_diagnosis")
    sweep.main(cfg)
    assert "No trial meets sweep.constraints, so there is no best one." in capsys.readouterr().out
    assert (experiments / "heart_disease_diagnosis" / "best.yaml").read_text() == before
    (parent,) = client.search_runs([e.experiment_id for e in client.search_experiments()], "tags.kind = 'sweep'")
    assert parent.info.status == "FINISHED"


def test_several_objectives_give_a_pareto_front(compose, capsys):
    cfg = compose(*TWO)
    sweep.main(cfg)
    shown = capsys.readouterr().out
    study = sweep.sweep(cfg)
    points = {t.number: t.values for t in study.trials}
    front = {
        number
        for number, (auroc, brier) in points.items()
        if not any(a >= auroc and b <= brier and (a, b) != (auroc, brier) for a, b in points.values())
    }
    assert {trial.number for trial in study.best_trials} == front
    assert "Pareto front of 4 trials (4 finished)" in shown
    assert "sweep.pick=<trial> with the same command chooses another" in shown


@pytest.mark.slow
def test_of_several_objectives_the_first_chooses_the_trial_to_go_on_with(compose):
    cfg = compose(*TWO)
    study = sweep.sweep(cfg)
    assert best.choose(study, cfg).values[0] == max(trial.values[0] for trial in study.trials)


@pytest.mark.slow
def test_the_best_of_several_objectives_has_all_its_scores_in_best_yaml(compose):
    cfg = compose(*TWO)
    text = best.as_yaml(cfg, sweep.sweep(cfg))
    assert "# Best of 4 trials: val/auroc 0." in text and ", val/brier 0." in text


@pytest.mark.slow
def test_any_finished_trial_can_be_picked(compose):
    cfg = compose(*TWO)
    study = sweep.sweep(cfg)
    for one in study.trials:
        cfg.sweep.pick = one.number
        assert best.choose(study, cfg).number == one.number
        assert yaml.safe_load(best.as_yaml(cfg, study))["model"]["dropout"] == one.params["model.dropout"]


def test_a_number_that_no_finished_trial_has_is_refused(compose):
    cfg = compose(*SMALL, "sweep.pick=7")
    with pytest.raises(UserError, match="sweep.pick=7: the study has no finished trial of that number"):
        best.choose(sweep.sweep(compose(*SMALL)), cfg)


def test_a_trial_that_misses_a_constraint_cannot_be_picked(compose):
    cfg = compose(*SMALL, "sweep.pick=0", "sweep.constraints=['val/auroc >= 1.5']")
    with pytest.raises(UserError, match="has no finished trial of that number that meets sweep.constraints"):
        sweep.sweep(cfg)


@pytest.mark.slow
def test_several_objectives_can_have_patience(compose):
    study = sweep.sweep(compose(*TWO, "sweep.patience=2", "sweep.num_trials=30"))
    newest = max(trial.datetime_complete for trial in study.best_trials)
    assert sum(trial.datetime_complete > newest for trial in study.trials) == 2
    assert len(study.trials) < 30


@pytest.mark.slow
def test_several_objectives_with_constraints(compose):
    cfg = compose(*TWO, "sweep.constraints=['val/brier >= 0']", "sweep/sampler=nsga2")
    assert best.choose(sweep.sweep(cfg), cfg) is not None


def test_a_pruner_with_several_objectives_is_refused_with_the_reason(compose):
    lines = [line for line in TWO if not line.startswith("sweep/pruner")]
    with pytest.raises(UserError, match="sweep.pruner: with several objectives .* add sweep/pruner=none"):
        sweep.sweep(compose(*lines))


@pytest.mark.parametrize("direction", ["max", "[max]", "[max,min,min]"])
def test_a_direction_is_needed_for_each_objective(compose, direction):
    with pytest.raises(UserError, match="sweep.direction: needs min or max for each of 2 objectives"):
        sweep.sweep(compose(*TWO, f"sweep.direction={direction}"))


def test_an_objective_of_ones_own_needs_a_direction(compose):
    with pytest.raises(UserError, match="sweep.direction: give min or max for 'val/auroc'"):
        sweep.sweep(compose(*SMALL, "sweep.objective=val/auroc"))


@pytest.mark.slow
def test_a_single_objective_can_be_a_list(compose):
    study = sweep.sweep(compose(*SMALL, "sweep.objective=[val/auroc]", "sweep.direction=[max]"))
    assert study.best_value == max(trial.value for trial in study.trials)


def test_one_of_several_objectives_that_is_not_logged_is_refused(compose):
    with pytest.raises(UserError, match="sweep.objective: 'val/bier' is not logged; did you mean 'val/brier'"):
        sweep.sweep(compose(*TWO, "sweep.objective=[val/auroc,val/bier]"))
