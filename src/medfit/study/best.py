"""The best trial of a study: shown, and written as ``best.yaml``."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from medfit.config import folders, typed
from medfit.config.overrides import OF_A_TRAINING, as_override, parsed, plain
from medfit.errors import UserError
from medfit.search import trials
from medfit.search.objectives import feasible, objective_names
from medfit.search.values import set_values
from medfit.study.trial_plan import halved
from medfit.terminal.console import say, show_table

NUM_SHOWN = 5
OF_INTEREST = ("val/auroc", "val/accuracy", "val/mae")  # shown beside the objective


def choose(study: optuna.Study, cfg: DictConfig) -> FrozenTrial | None:
    """Returns the trial to go on with: the best (by the first objective, on a Pareto front), or ``sweep.pick``.

    None if no trial meets the constraints.

    Raises:
        UserError: there is no finished trial of the number that was picked, or it misses a constraint.
    """
    if cfg.sweep.pick is None:
        return next(iter(_ranked(study)), None)
    for trial in _finished(study):
        if trial.number == cfg.sweep.pick:
            return trial
    which = " that meets sweep.constraints" if cfg.sweep.constraints else ""
    raise UserError(f"sweep.pick={cfg.sweep.pick}: the study has no finished trial of that number{which}")


def tuned(cfg: DictConfig, trial: FrozenTrial) -> dict[str, Any]:
    """Returns the values that a trial was trained with: with half the batch, if that was all there was memory for."""
    values = {path: plain(value) for path, value in trial.params.items()}
    if trial.user_attrs.get("halved"):
        regime = halved(set_values(cfg, trial.params)).regime
        values |= {"regime.batch_size": regime.batch_size, "regime.accumulate": regime.accumulate}
    return values


def show(cfg: DictConfig, study: optuna.Study) -> None:
    """Shows the best trials, writes ``best.yaml`` and says where results lie and what to type next."""
    chosen = choose(study, cfg)
    _show_table(cfg, study)
    say(f"Results   {folders.output_dir(cfg)} (study {study.study_name})")
    say("Compare   make ui")
    if chosen is None:
        say("No trial meets sweep.constraints, so there is no best one.")
    elif cfg.experiment:
        path = folders.EXPERIMENTS / cfg.experiment / "best.yaml"
        _write_whole(path, as_yaml(cfg, study))
        say(f"Best      {path}")
        say(f"Next      make evaluate EXPERIMENT={cfg.experiment}/best")
    else:
        values = [f"{name}={as_override(value)}" for name, value in tuned(cfg, chosen).items()]
        say("Next      medfit evaluate " + shlex.join([*own_overrides(cfg), *values]))
    if len(study.directions) > 1:
        say("Pareto    sweep.pick=<trial> with the same command chooses another of these for best.yaml")


def as_yaml(cfg: DictConfig, study: optuna.Study) -> str:
    """Returns the config file that adds the chosen trial's values to its experiment."""
    chosen = choose(study, cfg)
    assert chosen is not None
    known, groups, body = folders.groups(), {}, OmegaConf.create({})
    for line in own_overrides(cfg):
        key, _, value = line.lstrip("+").partition("=")
        if own := typed.own(line):  # of keys that no path may hold, as a column's name
            OmegaConf.update(body, *own, force_add=True)
        elif key in known:
            groups[key] = value
        elif not line.startswith("~"):
            OmegaConf.update(body, key, parsed(value), force_add=True)
    for path, value in {**tuned(cfg, chosen), "evaluate.num_folds": None, "evaluate.nested": False}.items():
        if path in known:
            groups[path] = value
        else:
            OmegaConf.update(body, path, value, force_add=True)
    defaults: list[Any] = [f"{cfg.experiment}/config"] if cfg.experiment else []
    defaults += [{f"override /{group}": choice} for group, choice in groups.items()]
    names = objective_names(cfg.sweep)
    score = ", ".join(f"{name} {value:.4f}" for name, value in zip(names, chosen.values, strict=True))
    head = (
        f"# @package _global_\n# Best of {len(trials.done(study))} trials: {score} (trial {chosen.number}); "
        "written by medfit sweep\n"
    )
    return head + OmegaConf.to_yaml(OmegaConf.create({"defaults": [*defaults, "_self_"]})) + OmegaConf.to_yaml(body)


def own_overrides(cfg: DictConfig) -> list[str]:
    """Returns the command line's overrides that bear on a single training."""
    of_others = {str(name) for name in cfg} - set(OF_A_TRAINING)
    return [line for line in cfg.overrides if re.split("[=./]", line.lstrip("+~"))[0] not in of_others]


def _show_table(cfg: DictConfig, study: optuna.Study) -> None:
    ended = trials.done(study)
    words = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    counts = {word: sum(trial.state is state for trial in ended) for state, word in words.items()}
    shown = _ranked(study)[:NUM_SHOWN]
    reached = shown[0].user_attrs["scores"] if shown else {}
    scores = list(dict.fromkeys([*objective_names(cfg.sweep), *(name for name in OF_INTEREST if name in reached)]))
    names = list(dict.fromkeys(name for trial in shown for name in trial.params))
    rows = [
        [
            str(t.number),
            *(f"{t.user_attrs['scores'][n]:.4f}" for n in scores),
            *(_short(t.params.get(n, "")) for n in names),
        ]
        for t in shown
    ]
    title = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    kind = "Best" if len(study.directions) == 1 else "Pareto front"
    show_table(f"{kind} of {len(ended)} trials ({title})", ["trial", *scores, *shortest(names)], rows)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return [t for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if feasible(t)]


def _ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Returns the finished trials that meet the constraints, the best first; of several objectives, the front."""
    return sorted(
        study.best_trials if len(study.directions) > 1 else _finished(study),
        key=lambda trial: trial.values[0],
        reverse=study.directions[0] is optuna.study.StudyDirection.MAXIMIZE,
    )


def _write_whole(path: Path, text: str) -> None:
    """Writes a file so that it never is there in part."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def shortest(paths: Sequence[str]) -> list[str]:
    """Returns each config path's last part, or as many as tell it from the others'."""
    parts = [path.split(".") for path in paths]

    def ending(own: list[str]) -> str:
        sizes = range(1, len(own) + 1)
        return ".".join(next((own[-n:] for n in sizes if sum(p[-n:] == own[-n:] for p in parts) == 1), own))

    return [ending(own) for own in parts]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
