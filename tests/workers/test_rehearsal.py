"""Arguments of Optuna's samplers and pruners: refused in a line before a sweep begins, or of use to its end."""

import inspect

import optuna
import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from medfit.config import folders, schema
from medfit.config.compose import compose
from medfit.errors import UserError
from medfit.search.space import read_space
from medfit.study import storage
from medfit.workers.rehearsal import rehearse
from medfit.workers.worker import make_sampler

SPACE = ["~sweep.space.regime.optimizer.weight_decay", "~sweep.space.regime.l1", "~sweep.space.model"]
SPACE += ["sweep.space.regime.optimizer.lr=[0.1,0.01]", "+sweep.space.regime.epochs={low: 5, high: 8}"]
VALUES = [True, -1, 0, 0.5, 150, []]  # and what no signature takes is refused by the schema, whose own tests tell


def pairs():
    return [(kind, choice) for kind in ("pruner", "sampler") for choice in folders.groups()[f"sweep/{kind}"]]


def use(cfg):
    """Proposes and prunes as many trials as it takes to leave the random start."""
    with storage.quiet():
        study = optuna.create_study(sampler=make_sampler(cfg), pruner=storage._pruner(cfg))
        for number in range(12):
            trial = study.ask()
            trial.suggest_float("rate", 0.0, 1.0, step=0.1)
            trial.suggest_int("size", 1, 8)
            for step in range(4):
                trial.report(float(number * step), step)
                trial.should_prune()
            study.tell(trial, float(number))


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(("kind", "choice"), pairs())
def test_every_argument_is_refused_in_a_line_or_of_use_to_the_end(kind, choice):
    cfg = compose([f"sweep/{kind}={choice}", *SPACE])
    space = read_space(cfg)
    for name in inspect.signature(get_object(cfg.sweep[kind]._target_)).parameters:
        for value in VALUES:
            changed, path = cfg.copy(), f"sweep.{kind}.{name}"
            OmegaConf.update(changed, path, value, merge=False, force_add=True)
            try:
                schema.check_sections(changed, [path])
                rehearse(changed, space)
            except UserError as error:
                assert str(error).startswith("sweep.") and len(str(error).splitlines()) == 1, (path, value, error)
            else:
                use(changed)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("+sweep.sampler.n_ei_candidates=0", "sweep.sampler: "),
        ("sweep.pruner.n_startup_trials=-1", "sweep.pruner: "),
        ("+sweep.pruner.interval_steps=0", "sweep.pruner: "),
        ("+sweep.sampler.gamma=yes", "sweep.sampler.gamma: takes a function"),
        ("+sweep.sampler.constraints_func=3", "sweep.sampler.constraints_func: takes a function, not 3"),
    ],
)
def test_what_would_end_a_sweep_in_the_middle_is_refused_at_its_begin(line, words):
    cfg = compose([line])
    with pytest.raises(UserError, match=words):
        rehearse(cfg, read_space(cfg))


def test_the_arguments_that_medfit_gives_are_of_use():
    cfg = compose([])
    rehearse(cfg, read_space(cfg))
    assert cfg.sweep.sampler.n_startup_trials == 10  # as it was


@pytest.mark.parametrize("part", ["sampler", "pruner", "engine"])
def test_a_choice_that_is_given_as_a_value_is_told_how(part):
    choice = folders.groups()[f"sweep/{part}"][0]
    with pytest.raises(UserError, match=f"sweep.{part}: takes no '{choice}'; choose by sweep/{part}=..."):
        compose([f"sweep.{part}={choice}"])
