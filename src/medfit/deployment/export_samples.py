"""Samples that an exported file is checked with: those of the run's validation split, or made-up ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from medfit.data.inputs import each
from medfit.data.preprocessing.patch_batches import Patches
from medfit.data.preprocessing.patch_places import pad
from medfit.deployment.expected_columns import Column
from medfit.deployment.export_program import Exportable
from medfit.deployment.export_table import Cells, TableSteps
from medfit.deployment.finished_model import AnyModel
from medfit.errors import UserError
from medfit.tracking.paths import restored
from medfit.training.parts import Parts, prepare

MADE_UP = 64
AT_ONCE = 64  # samples


class Batch(NamedTuple):
    """Some samples.

    Args:
        inputs: As the file takes them, by name.
        expected: What medfit makes of them, samples first.
    """

    inputs: Mapping[str, Tensor]
    expected: Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of a table, as its preprocessing takes them."""

    x: pd.DataFrame


def of_validation(model: AnyModel, exportable: Exportable, folder: Path) -> Iterator[Batch]:
    """Yields the validation samples of the run that a finished model is of.

    Args:
        model: The finished model.
        exportable: Of it.
        folder: The output folder, which knows where data lie.

    Raises:
        UserError: the data are not there, or are others than those that the run was trained on.
    """
    first = model.singles[0]  # of several trainings
    parts = prepare(restored(first.cfg, folder), trained=True)
    data = parts.datamodule
    then, now = first.about, (data.dataset.fingerprint(), data.proof["assignment_sha256"])
    if now != (then["data_sha256"], then["split_sha256"]):
        raise UserError("the data have changed since the run was trained on them")
    if not data.validates:
        raise UserError("the run had no validation split (split.val=0)")
    return of_parts(model, exportable, parts)


def of_parts(model: AnyModel, exportable: Exportable, parts: Parts) -> Iterator[Batch]:
    """Yields the validation samples of a training."""
    data, rows = parts.datamodule, parts.datamodule.rows["val"]
    dataset: Any = data.dataset
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        if exportable.cells is not None:
            yield of_rows(model, exportable.cells, dataset.x.iloc[some])
        elif isinstance(data.data, Patches):
            yield of_prepared(model, exportable, torch.stack([_patch(data.data, row) for row in some]))
        else:
            yield of_prepared(model, exportable, data.data[some][0])


def made_up(model: AnyModel, exportable: Exportable) -> Iterator[Batch]:
    """Yields samples that are no patient's: of a table within the ranges of the training rows."""
    taken, rng = exportable.cells, np.random.default_rng(0)
    if taken is not None:
        columns = [Column(**column) for column in model.about["expected"]["columns"]]
        yield of_rows(model, taken, pd.DataFrame({c.name: _values(c, rng) for c in columns}))
        return
    inputs = {name: _normal(x, MADE_UP // 8) for name, x in exportable.inputs.items()}
    if getattr(model.singles[0].fitted, "pad", False):
        for number, series in enumerate(inputs["x"]):
            series[:, series.shape[1] - number * series.shape[1] // MADE_UP :] = torch.nan
    yield of_prepared(model, exportable, inputs if len(inputs) > 1 else next(iter(inputs.values())))


def of_noise(task: Any, exportable: Exportable) -> Iterator[Batch]:
    """Yields noise for a generator, with each of its classes in turn."""
    noise = _normal(exportable.inputs["noise"], MADE_UP // 4)
    label = torch.arange(len(noise)) % task.num_classes if task.num_classes else None
    inputs = {"noise": noise} if label is None else {"noise": noise, "label": label}
    with torch.inference_mode():
        yield Batch(inputs, task.generate(noise, label).float())


def of_rows(model: AnyModel, taken: TableSteps | Cells, x: pd.DataFrame) -> Batch:
    """Returns rows, as the preprocessing takes them."""
    lacking = torch.from_numpy(x[taken.needed].isna().any(axis=1).to_numpy().copy())[:, None]
    return Batch({"cells": taken.cells(x)}, torch.where(lacking, torch.nan, model.raw(Rows(x)).float()))


def of_prepared(model: AnyModel, exportable: Exportable, x: Any) -> Batch:
    """Returns prepared samples, of one input or of several by name."""
    inputs = x if isinstance(x, Mapping) else {next(iter(exportable.inputs)): x}
    with torch.inference_mode():
        made = [one.outputs(x) if isinstance(x, Tensor) else one.task(x).float() for one in model.singles]
        expected = torch.stack([output.double() for output in made]).mean(dim=0).float()
    return Batch(each(lambda part: part.contiguous(), inputs), expected)


def _patch(patches: Patches, row: int) -> Tensor:
    """Returns what the network sees of the middle of a whole image."""
    size: Sequence[int] = patches.source.patch_size
    x = patches.image_and_mask(row)[0]
    x = x if x.ndim - 1 == len(size) else x[:, x.shape[1] // 2]
    x = pad(x, size)
    starts = [(old - new) // 2 for old, new in zip(x.shape[1:], size, strict=True)]
    return x[(slice(None), *(slice(start, start + n) for start, n in zip(starts, size, strict=True)))]


def _values(column: Column, rng: np.random.Generator) -> Any:
    if column.kind == "categorical":
        values = rng.choice(np.array(column.levels, dtype=object), MADE_UP)
    else:
        assert column.low is not None and column.high is not None
        values = rng.uniform(column.low, column.high, MADE_UP)
        values = values.round() if column.kind == "boolean" else values
    return pd.Series(values).mask(rng.random(MADE_UP) < column.missing)


def _normal(like: Tensor, count: int) -> Tensor:
    return torch.randn(count, *like.shape[1:], generator=torch.Generator().manual_seed(0))
