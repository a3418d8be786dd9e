"""``medfit validate``: external validation, a finished model on the patients of another hospital, year or device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pandas as pd
from omegaconf import DictConfig
from pydantic import Field

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.reporting import validations
from medfit.terminal.console import say, show_table
from medfit.tracking.store import Store


@dataclass(frozen=True)
class Validate:
    """A validation on other patients than those of the development.

    Args:
        model: The MLflow id of a finished training or of an evaluation, or a model's address, as
            ``models:/name@champion``.
        data: A file or folder of the new patients, read as the training's data were; None with ``dataset=...``, which
            names any data set.
        dataset: The data set's settings that differ from the training's, by key: as ``dataset.target`` or
            ``dataset.patient``.
        absent: Features that are not measured there: filled as the training filled missing cells.
        subgroups: Columns, each with the edges of its bands or null for its values; none for those of the model's
            ``evaluate.subgroups`` that are there.
        update_share: Of the new patients, who teach how the model is put right for them; the others are scored.
        seed: Of the draw of these.
        num_resamples: Of the patients, for intervals.
    """

    model: str | None = None
    data: str | None = None
    dataset: Mapping[str, Any] = field(default_factory=dict)
    absent: Sequence[str] = ()
    subgroups: Mapping[str, list[float] | None] = field(default_factory=dict)
    update_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    num_resamples: Annotated[int, Field(ge=100)] = 2000


@dataclass(frozen=True)
class Validation:
    """What a validation found.

    Args:
        run_id: Of its MLflow run.
        tables: By name; ``scores`` has the development's beside the new patients'.
        opening: How many validations had scored these patients, this one among them.
        notes: What a reader must know, a line each.
    """

    run_id: str
    tables: dict[str, pd.DataFrame]
    opening: int
    notes: list[str]


def validate(cfg: DictConfig) -> Validation:
    """Scores a finished model on the patients of another data set, and says how they differ from the training's.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.

    Raises:
        UserError: there is no such model, or the data are not such that it can be scored on them.
    """
    asked: Validate = build(cfg.validate)
    if not asked.model:
        raise UserError("validate.model is needed: medfit validate <run id> data=other_hospital.csv")
    other = any(line.startswith("dataset=") for line in cfg.overrides)
    if bool(asked.data) == other:
        raise UserError(
            "validate.data is needed: give data=<a file of other patients>, read as the training's, or any data set "
            "by dataset=... dataset.path=..., one of them"
        )
    from medfit.validation.external import ExternalValidation  # late: a quick start

    found = ExternalValidation(cfg, asked, Store(cfg)).run()
    return Validation(found.run_id, found.tables, found.opening, found.notes)


def main(cfg: DictConfig) -> None:
    """Validates, and shows the scores beside the development's, and what differs."""
    found = validate(cfg)
    for title, (columns, *rows) in validations.shown(found.tables).items():
        show_table(title, columns, rows)
    for line in found.notes:
        say(f"Note: {line}.")
    say(f"Results   run {found.run_id} (medfit ui), artifacts below evidence/")
