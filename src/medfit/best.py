"""The best trial of a study: shown, and written as ``best.yaml``."""

import shlex
from collections.abc import Sequence
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from medfit import config
from medfit.console import say, show_table

NUM_SHOWN = 5


def show(cfg: DictConfig, study: optuna.Study) -> None:
    """Shows the best trials, writes ``best.yaml`` and says where results lie and what to type next."""
    states = [trial.state for trial in study.trials]
    counts = {
        word: states.count(s)
        for word, s in (
            ("finished", TrialState.COMPLETE),
            ("pruned", TrialState.PRUNED),
            ("failed", TrialState.FAIL),
        )
    }
    shown = _ranked(study)[:NUM_SHOWN]
    extra = [
        name
        for name in ("val/auroc", "val/accuracy", "val/mae")
        if name in shown[0].user_attrs["scores"] and name != cfg.sweep.objective
    ]
    names = list(study.best_params)
    rows = [
        [
            str(t.number),
            *(f"{t.user_attrs['scores'][n]:.4f}" for n in (cfg.sweep.objective, *extra)),
            *(_short(t.params[n]) for n in names),
        ]
        for t in shown
    ]
    show_table(
        f"Best of {len(states)} trials ("
        + ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        + ")",
        ["trial", cfg.sweep.objective, *extra, *shortest(names)],
        rows,
    )
    say(f"Results   {config.output_dir(cfg)} (study {study.study_name})")
    say("Compare   make ui")
    if cfg.experiment:
        path = config.EXPERIMENTS / cfg.experiment / "best.yaml"
        path.write_text(as_yaml(cfg, study))
        say(f"Best      {path}")
        say(f"Next      make evaluate EXPERIMENT={cfg.experiment}/best")
    else:
        values = [f"{name}={config.as_override(value)}" for name, value in study.best_params.items()]
        say("Next      medfit evaluate " + shlex.join([*own_overrides(cfg), *values]))


def as_yaml(cfg: DictConfig, study: optuna.Study) -> str:
    """Returns the config file that adds the best trial's values to its experiment."""
    groups, known = [], config.groups()
    body = OmegaConf.create({})
    for line in own_overrides(cfg):
        key, _, value = line.lstrip("+").partition("=")
        if key in known:
            groups.append({f"override /{key}": value})
        elif not line.startswith("~"):
            OmegaConf.update(body, key, OmegaConf.create(f"value: {value}").value, force_add=True)
    for path, value in {**study.best_params, "evaluate.num_folds": None, "evaluate.nested": False}.items():
        OmegaConf.update(body, path, value, force_add=True)
    defaults: list[Any] = [f"{cfg.experiment}/config"] if cfg.experiment else []
    score = f"{cfg.sweep.objective} {study.best_value:.4f}"
    head = (
        f"# @package _global_\n# Best of {len(study.trials)} trials: {score} (trial {study.best_trial.number}); "
        "written by medfit sweep\n"
    )
    return (
        head
        + OmegaConf.to_yaml(OmegaConf.create({"defaults": [*defaults, *groups, "_self_"]}))
        + OmegaConf.to_yaml(body)
    )


def own_overrides(cfg: DictConfig) -> list[str]:
    """Returns the command line's overrides that bear on a single training."""
    sections = ("sweep", "tracking", "output_dir", "evaluate", "sample")
    return [
        line for line in cfg.overrides if line.lstrip("+~").split("=")[0].split(".")[0].split("/")[0] not in sections
    ]


def _ranked(study: optuna.Study) -> list[FrozenTrial]:
    finished = study.get_trials(states=[TrialState.COMPLETE])
    return sorted(
        finished,
        key=lambda t: t.value or 0.0,
        reverse=study.direction is optuna.study.StudyDirection.MAXIMIZE,
    )


def shortest(paths: Sequence[str]) -> list[str]:
    """Returns each config path's last part, or as many as tell it from the others'."""
    parts = [path.split(".") for path in paths]

    def ending(own: list[str]) -> str:
        sizes = range(1, len(own) + 1)
        return ".".join(next((own[-n:] for n in sizes if sum(p[-n:] == own[-n:] for p in parts) == 1), own))

    return [ending(own) for own in parts]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
