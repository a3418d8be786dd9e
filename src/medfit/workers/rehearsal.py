"""A sweep's sampler and pruner are tried before anything is stored or trained."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import optuna
from omegaconf import DictConfig

from medfit.config.instantiate import build
from medfit.errors import UserError, out_of_memory
from medfit.search.objectives import objective_names
from medfit.search.space import Entry
from medfit.search.values import suggest_config
from medfit.study import storage
from medfit.workers.worker import make_sampler


def rehearse(cfg: DictConfig, space: Mapping[str, Entry]) -> None:
    """Lets the sampler propose trials, and the pruner judge some, of studies that are not kept, to see that they can.

    Raises:
        UserError: Optuna can't use their arguments, most of which it takes without a look.
    """
    for part in ("sampler", "pruner"):
        _check_functions(cfg.sweep[part], f"sweep.{part}")
    names, early = objective_names(cfg.sweep), cfg.copy()
    if "n_startup_trials" in early.sweep.sampler:
        early.sweep.sampler.n_startup_trials = 1  # so that it no longer draws at random
    with storage.quiet():
        for tried in (cfg, early) if early != cfg else (cfg,):
            with _blamed("sweep.sampler"):
                study = optuna.create_study(directions=["minimize"] * len(names), sampler=make_sampler(tried))
                for value in (0.0, 1.0):
                    trial = study.ask()
                    suggest_config(trial, cfg, space)
                    study.tell(trial, [value] * len(names))
        if len(names) == 1:
            with _blamed("sweep.pruner"):
                _judge(optuna.create_study(pruner=build(cfg.sweep.pruner)))


def _check_functions(node: DictConfig, path: str) -> None:
    """Refuses values where Optuna calls a function, perhaps after many trials: its hints can not be checked."""
    from hydra.utils import get_object  # late: a quick start

    for name, parameter in inspect.signature(get_object(node._target_)).parameters.items():
        value = node.get(name)
        if "Callable" in str(parameter.annotation) and value is not None and not isinstance(value, DictConfig):
            raise UserError(f"{path}.{name}: takes a function, not {value!r}")


def _judge(study: optuna.Study) -> None:
    for value in range(6):
        trial = study.ask()
        for step in range(6):
            trial.report(float(value), step)
            trial.should_prune()
        study.tell(trial, float(value))


@contextmanager
def _blamed(path: str) -> Iterator[None]:
    """Tells as the path's what Optuna raises of arguments that it took without a look: errors of any kind."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise UserError(f"{path}: {(str(error) or type(error).__name__).splitlines()[0]}") from error
