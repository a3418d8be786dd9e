"""The data set that a model is validated on: the training's own settings with other files, or any other data set."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from medfit.config import schema
from medfit.config.instantiate import load_dataset
from medfit.data.dataset import Dataset
from medfit.deployment.expected_columns import Oddity
from medfit.deployment.finished_model import AnyModel
from medfit.errors import UserError, renamed
from medfit.evidence.targets.known import named

PLACES = ("path", "root", "images")  # where data sets are told to look, one each
OTHER_PLACES = ("masks", "folder", "labels")  # beside it
UNSPLIT = ("split", "test_path")  # who was in which split at development is no matter elsewhere
FEWEST_PATIENTS = 2


@dataclass(frozen=True)
class NewData:
    """Patients of another data set, as the model's preprocessing takes them.

    Args:
        read: The data set as it was read.
        prepared: Those of its samples that the model takes, with the model's features and classes, in its order.
        odd: What is odd about the features of all.
        rows: Numbers of those samples in ``read``.
    """

    read: Dataset
    prepared: Any
    odd: Sequence[Oddity]
    rows: np.ndarray


def settings(model: AnyModel, path: str, changed: Mapping[str, Any]) -> DictConfig:
    """Returns the config of a data set that is read as the training's was, from another file or folder.

    Args:
        model: The model.
        path: The file or folder.
        changed: Settings that replace the training's, by their keys; of mappings, those of the same keys.

    Raises:
        UserError: the training's data set reads no file, or some of its settings must be given anew.
    """
    trained = model.singles[0].cfg  # all trainings of a model read the same data in the same way
    own: Any = OmegaConf.to_container(trained.dataset, resolve=True)
    place = next((key for key in PLACES if key in own), None)
    if place is None:
        name = trained.choices.dataset
        raise UserError(
            f"validate.data: the model was trained on dataset={name}, which reads no file of a user's; describe the "
            "new data as for a training: dataset=table dataset.path=... dataset.target=..., in the place of data=..."
        )
    if unknown := sorted(set(changed) - set(own)):
        raise UserError(f"unknown key 'dataset.{unknown[0]}'; dataset={trained.choices.dataset} has {', '.join(own)}")
    if again := [key for key in OTHER_PLACES if own.get(key) is not None and key not in changed]:
        raise UserError(f"dataset.{again[0]} is needed: the training's was its own; give dataset.{again[0]}=...")
    made = {**own, **{key: None for key in UNSPLIT if key in own}, place: path}
    if "target_kind" in made and made["target_kind"] is None:
        made["target_kind"] = model.about["task"]
    if "positive" in made and made["positive"] is None and "target" not in changed and "target_rule" not in changed:
        made["positive"] = _positive(model)
    adapt = getattr(get_object(model.about["reader"]), "settings_elsewhere", None)
    if adapt is not None:
        with renamed("dataset.path", "validate.data"):
            made = adapt(_changed(made, changed), model.about["expected"])
    cfg = OmegaConf.create({"dataset": _changed(made, changed)})
    schema.check_node(cfg.dataset, "dataset")
    cfg = of_any(model, cfg)
    with renamed(f"dataset.{place}", "validate.data"):
        load_dataset(cfg)
    return cfg


def _changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings of which some are changed; a mapping keeps its other keys, as on the command line."""
    of_keys = {
        key: {**settings[key], **value}
        for key, value in changes.items()
        if isinstance(settings[key], Mapping) and isinstance(value, Mapping)
    }
    return {**settings, **changes, **of_keys}


def of_any(model: AnyModel, cfg: DictConfig) -> DictConfig:
    """Returns the config of a data set of any kind, with what brings its samples to the model's as it is read.

    Args:
        model: The model.
        cfg: With the data set's config in ``dataset``, which is left as it is.

    Raises:
        UserError: the data set is to be read in a way that the model can't take.
    """
    adapt = getattr(get_object(model.about["reader"]), "settings_of_any", None)
    if adapt is None:
        return cfg
    made = adapt(OmegaConf.to_container(cfg.dataset, resolve=True), model.about["expected"])
    return OmegaConf.create({"dataset": made})


def _positive(model: AnyModel) -> str | None:
    """Returns the positive class of a column of words; None where it is a yes, or another kind of target."""
    target, name = model.singles[0].cfg.dataset.get("target"), model.about["target_names"][0]
    return _class(name, target) or None if model.about["task"] == "binary" and isinstance(target, str) else None


def _class(name: str, target: Any) -> str:
    """Returns what a binary target's name says of the class: nothing of a column of yes and no, or 1 and 0."""
    return name.removeprefix(str(target)).removeprefix(": ")


def load(model: AnyModel, cfg: DictConfig, absent: Sequence[str]) -> NewData:
    """Returns the patients of a data set for a model.

    Args:
        model: The model.
        cfg: With the data set's config in ``dataset``.
        absent: See :func:`medfit.deployment.new_tables.as_expected`.

    Raises:
        UserError: the data are of another kind, the targets are others, or there are too few patients.
    """
    dataset: Dataset = load_dataset(cfg)
    if dataset.kind.new_samples != model.about["reader"]:
        raise UserError(
            f"validate.data: the data set holds {dataset.kind.samples}, and the model takes {model.about['samples']}"
        )
    if absent and model.about["samples"] != "records":
        raise UserError(f"validate.absent: {model.about['samples']} have no columns")
    prepared: Any = copy(dataset)
    prepared.y = _targets(model, cfg, dataset)
    prepared.target_names = list(model.about["target_names"])
    prepared.strata = named(dataset.task).strata(prepared.y)
    conform = getattr(get_object(model.about["reader"]), "as_expected", None)
    odd: list[Oddity] = []
    rows = np.arange(len(dataset))
    if conform is not None:
        prepared, odd, rows = conform(prepared, model.about["expected"], absent)
    _check_units(model.about["units"], prepared.units)
    if (number := len(np.unique(prepared.groups))) < FEWEST_PATIENTS:
        raise UserError(f"validate.data: {number} patient says nothing of how a model does on patients")
    _check_classes(prepared)
    return NewData(dataset, prepared, odd, rows)


def _targets(model: AnyModel, cfg: DictConfig, dataset: Dataset) -> np.ndarray:
    """Returns the targets as the model's outputs have them.

    Raises:
        UserError: another kind of target, other classes, or other units.
    """
    task, known, here = str(model.about["task"]), list(model.about["target_names"]), dataset.target_names
    if dataset.task != task:
        raise UserError(f"dataset.target: the targets are {dataset.task}, the model's are {task}")
    if task == "multiclass":
        if foreign := [name for name in here if name not in known]:
            raise UserError(
                f"dataset.target: the model knows no class {', '.join(map(repr, foreign))}; its classes are "
                f"{', '.join(map(repr, known))}"
            )
        moved: np.ndarray = np.array([known.index(name) for name in here])[dataset.y]
        return moved
    if here != known and sorted(here) == sorted(known) and dataset.y.shape[1:] == (len(here),):
        _check_units(model.about["units"], {name: dataset.units[name] for name in here if name in dataset.units})
        in_order: np.ndarray = dataset.y[:, [here.index(name) for name in known]]
        return in_order
    if astray := [name for place, name in enumerate(here) if name in known and known[place : place + 1] != [name]]:
        raise UserError(
            f"dataset.{'classes' if task == 'segmentation' else 'target'}: '{astray[0]}' stands in another place than "
            "among the model's: "
            f"{', '.join(map(repr, known))}"
        )
    then, now = (_plain(names, node) for names, node in ((known, model.singles[0].cfg), (here, cfg)))
    if now != then and known != here:
        raise UserError(
            f"dataset.target: it tells of {', '.join(map(repr, here))}, the model of {', '.join(map(repr, known))}; "
            "name the same class or column by dataset.positive or dataset.target"
        )
    units = {name: dataset.units[other] for name, other in zip(known, here, strict=True) if other in dataset.units}
    _check_units(model.about["units"], units)
    return dataset.y


def _check_units(then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuses features and targets in other units than the model's; one without a unit is taken for the model's."""
    for name, unit in then.items():
        if now.get(name, unit) != unit:
            raise UserError(f"dataset.units: '{name}' is in {now[name]}, the model's in {unit}")


def _plain(names: Sequence[str], cfg: DictConfig) -> list[str]:
    """Returns targets' names without those of the columns that the config names: what is left must be the same."""
    asked = cfg.dataset.get("target") or cfg.dataset.get("target_rule")
    columns = [asked] if isinstance(asked, str) else list(asked or ())
    if len(columns) != len(names):
        return list(names)
    return [_class(name, column) for name, column in zip(names, columns, strict=True)]


def _check_classes(dataset: Dataset) -> None:
    if named(dataset.task).classifies and len(np.unique(dataset.y, axis=0)) < 2:
        raise UserError(
            "validate.data: all patients are of one class, and nothing tells how the model tells classes apart; it "
            "takes patients with and without the outcome"
        )
