"""Every sampler's and every pruner's file does what its first line says; a sampler is made anew for each trial."""

import functools
import math

import optuna
import pytest
from optuna.trial import TrialState

from medfit.__main__ import main
from medfit.config import folders
from medfit.config.compose import compose
from medfit.config.instantiate import build
from medfit.errors import UserError

SAMPLERS = folders.groups()["sweep/sampler"]
PRUNERS = folders.groups()["sweep/pruner"]
LEARNING = ["cmaes", "gp", "nsga2", "tpe"]  # from the scores of earlier trials

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


composed = functools.cache(lambda *overrides: compose(["experiment=", *overrides]))


def chosen(group, name, *overrides):
    return build(composed(f"sweep/{group}={name}", *overrides).sweep[group])


def suggest(trial, finite):
    lr = trial.suggest_float("lr", 0.2, 1.0, step=0.2) if finite else trial.suggest_float("lr", 1e-4, 1.0, log=True)
    return lr, trial.suggest_int("depth", 1, 8), trial.suggest_categorical("batch_size", [16, 32, 64])


def suggest_by_kind(trial, finite):
    """Values that only some trials have."""
    if trial.suggest_categorical("kind", ["mlp", "linear"]) == "linear":
        return "linear", trial.suggest_int("num_features", 1, 50)
    return "mlp", *suggest(trial, finite)


def score(values):
    """Is least, zero, at a rate of 0.01 and a depth of 3."""
    lr, depth, _ = values
    return abs(math.log10(lr) + 2) + abs(depth - 3) / 5


def search(name, num_trials=20, values_of=suggest, score_of=score, directions=("minimize",)):
    """Returns each trial's values and the study."""
    make, study, found = chosen("sampler", name), optuna.create_study(directions=directions), []
    for number in range(num_trials):
        study.sampler = make() if "seed" in make.keywords else make(seed=number)
        trial = study.ask()
        found.append(values_of(trial, finite=name == "grid"))
        study.tell(trial, score_of(found[-1]))
    return found, study


@pytest.fixture
def optuna_log(caplog):
    """What Optuna's samplers warn of in its log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.enable_propagation()
    yield lambda: [r.getMessage() for r in caplog.records if r.name.startswith("optuna.samplers")]
    optuna.logging.disable_propagation()
    optuna.logging.set_verbosity(verbosity)


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_proposes_values_without_a_warning(optuna_log, name):
    found, _ = search(name)
    assert len(set(found)) > 10 and optuna_log() == []


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_proposes_values_that_only_some_trials_have(optuna_log, name):
    found, _ = search(name, values_of=suggest_by_kind, score_of=lambda values: len(values) + values[1])
    assert {values[0] for values in found} == {"mlp", "linear"} and optuna_log() == []


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_proposes_the_same_for_the_same_seed(name):
    assert search(name, 12)[0] == search(name, 12)[0]


@pytest.mark.parametrize("name", ["grid", "qmc", "random"])
def test_a_sampler_that_does_not_learn_proposes_nothing_twice(name):
    found, _ = search(name, 25)
    assert len(set(found)) == 25


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_a_sampler_that_learns_proposes_better_values_later(name):
    scores = [score(values) for values in search(name, 40)[0]]
    assert sum(scores[-10:]) < 0.7 * sum(scores[:10])


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "cmaes"])
def test_a_sampler_takes_several_objectives(optuna_log, name):
    _, study = search(name, 15, score_of=lambda v: (score(v), v[0]), directions=("minimize", "maximize"))
    assert len(study.best_trials) > 1 and optuna_log() == []


def test_cmaes_takes_a_single_objective():
    with pytest.raises(ValueError, match="multi-objective"):
        search("cmaes", score_of=lambda v: (score(v), v[0]), directions=("minimize", "maximize"))


def test_a_grid_tries_every_combination_once():
    found, _ = search("grid", 5 * 8 * 3 - 1)
    assert len(set(found)) == 5 * 8 * 3 - 1


def test_a_grid_of_floats_without_a_step_is_refused():
    trial = optuna.create_study(sampler=chosen("sampler", "grid")(seed=0)).ask()
    with pytest.raises(ValueError, match="step must be given"):
        trial.suggest_float("lr", 0.0, 1.0)


def test_a_quasi_random_sequence_fills_each_part_of_the_space():
    """Sixteen points of it, after the first trial: one in each sixteenth of each axis, but for rounding."""
    found, _ = search("qmc", 17, lambda trial, finite: trial.suggest_float("x", 0, 1), lambda x: x)
    assert sorted(int(x * 16) for x in found[1:]) == list(range(16))


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_is_made_for_each_trial_with_a_seed(name):
    cfg = composed("seed=3", f"sweep/sampler={name}")
    assert cfg.sweep.sampler._partial_
    assert cfg.sweep.sampler.get("seed") == (3 if name == "qmc" else None)  # whose sequence must be one


GOOD, USUAL, POOR = 0.5, 1.0, 3.0


def loss(level, epoch):
    """Falls over the epochs; a poor one rises."""
    return level + (epoch / 10 if level == POOR else 1 / (1 + epoch))


def pruned_at(pruner, level, num_steps, loss=loss):
    """Returns the step at which a trial is pruned, after twenty usual ones; None where it runs to its end."""
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0), study_name="curves")
    for number in range(20):
        step = _run(study, [loss(USUAL + number / 100, step) for step in range(num_steps)])
    step = _run(study, [loss(level, step) for step in range(num_steps)])
    assert (study.trials[-1].state is TrialState.PRUNED) == (step is not None)
    return step


def _run(study, losses):
    trial = study.ask()
    for step, value in enumerate(losses):
        trial.report(value, step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step
    study.tell(trial, losses[-1])
    return None


def steps(name):
    return 5 if name == "wilcoxon" else 60  # folds, epochs


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_a_pruner_stops_a_poor_trial(name):
    assert pruned_at(chosen("pruner", name), POOR, steps(name)) is not None


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_lets_a_good_trial_run_to_its_end(name):
    assert pruned_at(chosen("pruner", name), GOOD, steps(name)) is None


def test_without_a_pruner_a_poor_trial_runs_to_its_end():
    assert pruned_at(chosen("pruner", "none"), POOR, 60) is None


@pytest.mark.parametrize("name, first", [("median", 5), ("successive_halving", 3), ("patient", 6), ("wilcoxon", 3)])
def test_a_pruner_waits_for_its_first_steps(name, first):
    assert pruned_at(chosen("pruner", name), POOR, steps(name)) == first


def test_the_patient_pruner_waits_while_a_poor_trial_improves():
    def improving(level, epoch):
        return level + 1 / (1 + epoch)

    assert pruned_at(chosen("pruner", "median"), POOR, 60, improving) is not None
    assert pruned_at(chosen("pruner", "patient"), POOR, 60, improving) is None


def test_three_folds_are_too_few_for_the_signed_rank_test():
    assert pruned_at(chosen("pruner", "wilcoxon"), POOR, 3) is None


def test_the_wrapped_pruners_values_can_be_overridden_and_are_checked():
    wrapped = "sweep.pruner.wrapped_pruner"
    pruner = chosen("pruner", "patient", f"{wrapped}.n_warmup_steps=20")
    assert pruned_at(pruner, POOR, 60) == 20
    with pytest.raises(UserError, match=rf"^unknown key '{wrapped}.n_warmup'; did you mean '{wrapped}.n_warmup_steps'"):
        chosen("pruner", "patient", f"+{wrapped}.n_warmup=20")


def test_the_help_lists_each_sampler_and_each_pruner(capsys):
    assert main(["sweep", "--help"]) == 0
    shown = capsys.readouterr().out
    for name in (*SAMPLERS, *PRUNERS):
        assert f"\n  {name:<20}" in shown
    assert {"cmaes", "gp", "grid", "nsga2", "qmc", "random", "tpe"} == set(SAMPLERS)
    assert {"hyperband", "median", "none", "patient", "successive_halving", "wilcoxon"} == set(PRUNERS)
