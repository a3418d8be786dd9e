"""What makes a study's trials comparable: a study does not go on under other conditions."""

import hashlib
from collections.abc import Mapping
from typing import Any

import optuna
from omegaconf import DictConfig

from medfit.config.overrides import as_override, leaves
from medfit.config.stored import moved
from medfit.errors import UserError
from medfit.search.objectives import directions, objective_names
from medfit.search.sampler import EXHAUSTED
from medfit.search.space import Entry, mixable, of_a_training
from medfit.study.best import own_overrides
from medfit.tracking import provenance, recording
from medfit.tracking.tracked_data import TrackedData

LONGEST_NAME = 200
MOST_TOLD = 5
ATTR = "facts"  # the study's attribute; named so by studies of before
Conditions = dict[str, Any]


def study_name(cfg: DictConfig, dataset: TrackedData) -> str:
    """Returns ``sweep.name``, or the experiment's name and what the command line changes in its trainings."""
    if cfg.sweep.name:
        return cfg.sweep.name
    name = " ".join([recording.experiment_name(cfg, dataset), *own_overrides(cfg)])
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]} {digest}"


def conditions(cfg: DictConfig, space: Mapping[str, Entry], dataset: TrackedData) -> Conditions:
    """Returns all that makes two trials' scores comparable: config, space, objective, data and code."""
    values = {path: as_override(value) for path, value in leaves(cfg)}
    return {
        "config": {k: v for k, v in values.items() if k not in space and of_a_training(k)},
        "choices": {k: v for k, v in cfg.choices.items() if k not in space and not k.startswith("sweep")},
        "space": {path: f"{entry.distribution}{dict(entry.when) or ''}" for path, entry in space.items()},
        "objective": {
            "sweep.objective": ", ".join(objective_names(cfg.sweep)),
            "sweep.direction": str(cfg.sweep.direction),
            "sweep.constraints": ", ".join(cfg.sweep.constraints),
            "sweep.folds": str(cfg.sweep.folds),
        },
        "data": {"the data's fingerprint": dataset.fingerprint()},
        "code": {"medfit's code": provenance.source()},
    }


def check_unchanged(study: optuna.Study, new: Conditions, cfg: DictConfig, space: Mapping[str, Entry]) -> None:
    """Stores a new study's conditions; compares an old one's with those that it was begun under.

    Raises:
        UserError: they differ, and ``sweep.accept_changes`` does not say that this is meant; or Optuna can't mix them;
            or another program has begun the study.
    """
    if is_foreign(study):
        raise UserError(
            f"sweep: the study '{study.study_name}' was not begun by medfit, whose trials don't go with its own; "
            "sweep.name=<another> begins a new one"
        )
    old = _of_today(study.user_attrs.get(ATTR))
    if changed := differences(old, new) if old else []:
        rest = [f"{len(changed) - MOST_TOLD} more"] if len(changed) > MOST_TOLD else []
        told = "; ".join([*changed[:MOST_TOLD], *rest])
        if not cfg.sweep.accept_changes:
            raise UserError(
                f"sweep: since the study '{study.study_name}' was begun, this changed: {told}. "
                "sweep.name=<another> begins a new study, sweep.accept_changes=true goes on with the old one"
            )
        _check_mixable(study, cfg, space)
        study.set_user_attr(EXHAUSTED, False)
        mixed = [*study.user_attrs.get("changes", []), f"from trial {len(study.trials)}: {told}"]
        study.set_user_attr("changes", mixed)
    if study.user_attrs.get(ATTR) != new:
        study.set_user_attr(ATTR, new)


def is_foreign(study: optuna.Study) -> bool:
    """Tells whether a study has trials, but not what medfit notes with each study before its first one."""
    return not study.user_attrs.get(ATTR) and bool(study.get_trials(deepcopy=False))


def differences(old: Conditions, new: Conditions) -> list[str]:
    """Returns what differs between two studies' conditions, in words."""
    found = []
    for part in new:
        before, now = old.get(part, {}), new[part]
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                path = f"sweep.space.{key}" if part == "space" else key
                values = f" ({before.get(key, 'nothing')} -> {now.get(key, 'nothing')})"
                found.append(path + ("" if part in ("data", "code") else values))
    return found


def _of_today(facts: Conditions | None) -> Conditions | None:
    """Returns a study's conditions with the names that medfit's modules have today, without settings of commands."""
    if not facts:
        return None
    return facts | {"config": {path: moved(value) for path, value in facts["config"].items() if of_a_training(path)}}


def _check_mixable(study: optuna.Study, cfg: DictConfig, space: Mapping[str, Entry]) -> None:
    if study.directions != directions(cfg.sweep):
        raise UserError("sweep.direction: can't change within a study; give sweep.name=<another>")
    for trial in study.get_trials(deepcopy=False):
        for path, before in trial.distributions.items():
            if path in space and not mixable(before, space[path].distribution):
                raise UserError(
                    f"sweep.space.{path}: choices and the kind of a range can't change within a study; "
                    "give sweep.name=<another>"
                )
