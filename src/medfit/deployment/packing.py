"""A finished model from a training that has just ended, or from a run that has stored its weights."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from medfit.config.overrides import without_passwords
from medfit.data.dataset import Dataset
from medfit.deployment.finished_model import FinishedModel
from medfit.evidence import differences
from medfit.evidence.decisions import Decisions
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named
from medfit.training.parts import Parts


def reader_of(kind: Any) -> Any:
    """Returns the module that reads new samples of a kind of data; None where nothing does yet."""
    return None if kind.new_samples is None else get_object(kind.new_samples)


def packed(
    cfg: DictConfig, parts: Parts, tables: Mapping[str, pd.DataFrame], run_id: str, hide: Callable[[str], str]
) -> FinishedModel | None:
    """Returns the finished model of a training; None where the task or the kind of data has none, or it is withheld.

    Args:
        cfg: Of the training.
        parts: Whose task has the best weights.
        tables: The stored predictions of the splits that were scored, by name, with ``patient``.
        run_id: Of the run in MLflow.
        hide: Puts names in the place of the full paths in a text.
    """
    data, dataset = parts.datamodule, parts.datamodule.dataset
    reader, kind = reader_of(dataset.kind), named(dataset.task)
    if reader is None or kind.predictor is None or withheld(cfg, parts):
        return None
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    train = np.unique(data.rows["train"])  # each once: split.sampling=over repeats those of rare classes
    about = {
        "samples": dataset.kind.samples,
        "reader": dataset.kind.new_samples,
        "expected": json.loads(hide(json.dumps(reader.describe(dataset, train, settings)))),
        "input_shape": data.input_shape,
        "target_names": list(dataset.target_names),
        "task": dataset.task,
        "units": dict(dataset.units),
        "outcomes": outcomes(dataset, train),
        "run_id": run_id,
        "data_sha256": dataset.fingerprint(),
        "split_sha256": data.proof["assignment_sha256"],
    }
    kept = OmegaConf.create(hide(without_passwords(OmegaConf.to_yaml(cfg))))
    assert isinstance(kept, DictConfig)
    task = parts.task.eval()  # an example that is predicted must teach batch normalisation nothing
    return FinishedModel(kept, task, data.fitted, _decisions(cfg, kind, tables), about)


def withheld(cfg: DictConfig, parts: Parts) -> str | None:
    """Returns why a model's files may not be: they would hold what single patients alone have. None if they may."""
    if parts.task.no_model is not None:
        return parts.task.no_model
    data = parts.datamodule
    rows = data.fitted.rows_held()
    if rows is not None and not cfg.tracking.get("patients_in_models", False):  # a config of before has no such key
        return f"its files would hold {rows}; if they may, set tracking.patients_in_models=true"
    names = list(data.dataset.kind.private(data.dataset, data.rows["train"]))
    if not names:
        return None
    return (
        f"column '{names[0]}' holds names, free text or the like: half of the training patients or more have a value "
        "there that no other has, and a model's files would list it; leave it out by dataset.exclude"
    )


def outcomes(dataset: Dataset, rows: np.ndarray) -> dict[str, Any]:
    """Returns how common each class is in some samples, or the mean and spread of each target; what JSON can hold."""
    kind, names = named(dataset.task), dataset.target_names
    return {name: asdict(one) for name, one in differences.outcomes(dataset.y[rows], names, kind.classifies).items()}


def _decisions(cfg: DictConfig, kind: Any, tables: Mapping[str, pd.DataFrame]) -> Decisions:
    found = {split: kind.read(table) for split, table in tables.items()}
    if "val" not in found:
        return Decisions()
    decisions: Decisions = kind.decisions(found["val"], found.get("test"), Settings.of(cfg.evaluate))
    return decisions
