"""Baselines beside the network: on the same splits, and scored by the same task."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medfit.data.preprocessing.arrays import Arrays
from medfit.evaluation.estimators import Kind, baselines, fit_predict
from medfit.evaluation.mask_baselines import MOST_BANDS, Example, MeanMask, Otsu
from medfit.evidence import segmentation as evidence
from medfit.plots.overlays import slice_of
from medfit.tasks.segmentation import Case
from medfit.terminal.console import say
from medfit.training.parts import Parts

MOST_FEATURES = 20_000  # of a sample
MOST_VALUES = 50_000_000  # of the training split: more takes the linear baseline too long
SIGNS: dict[str, Kind] = {"kinds": "table", "sampling_rate_hz": "series", "image": "images"}  # attributes of data sets
Outputs = dict[str, tuple[Any, ...]]


def predictions(parts: Parts, splits: Sequence[str] = ("val", "test")) -> Iterator[tuple[str, Outputs]]:
    """Yields each baseline's name, and for each split what the task's ``scores`` and ``table`` take.

    All are fitted on the training split alone. Tasks that nothing of the kind fits, such as generation, have none.

    Args:
        parts: As :func:`medfit.training.parts.prepare` gives them.
        splits: To predict for.
    """
    if parts.datamodule.dataset.task == "segmentation":
        yield from _of_masks(parts, splits)
    elif parts.task.has_baselines:
        yield from _of_samples(parts, splits)


def _of_samples(parts: Parts, splits: Sequence[str]) -> Iterator[tuple[str, Outputs]]:
    dataset = parts.datamodule.dataset
    num_outputs = len(dataset.target_names)
    found = baselines(dataset.task, kind_of(dataset), num_outputs)
    if too_large := _too_large(parts):
        trivial = next(iter(found))
        say(f"Baselines: only {trivial}; {too_large}")
        found = {trivial: found[trivial]}
    arrays = partial(_arrays, parts, bool(too_large))
    x, y = arrays("train")
    for name, estimator in found.items():
        outputs = {}
        for split in splits:
            its_x, its_y = arrays(split)
            preds = fit_predict(estimator, (x.numpy(), y.numpy()), its_x.numpy(), num_outputs)
            outputs[split] = (torch.from_numpy(preds), its_y)
        yield name, outputs


def kind_of(dataset: Any) -> Kind | None:
    """Returns what kind of data a data set holds; None where it is another."""
    return next((kind for sign, kind in SIGNS.items() if hasattr(dataset, sign)), None)


def _too_large(parts: Parts) -> str:
    """Returns why only what looks at no features is fitted; empty where nothing speaks against the others."""
    if not isinstance(parts.datamodule.data, Arrays):
        return "the data are not in memory"
    features = int(np.prod(parts.datamodule.input_shape))
    num_samples = len(parts.datamodule.rows["train"])
    if features > MOST_FEATURES or features * num_samples > MOST_VALUES:
        return f"{num_samples} samples of {features} values take the others too long"
    return ""


def _arrays(parts: Parts, without_x: bool, split: str) -> tuple[Tensor, Tensor]:
    if not without_x:
        return parts.datamodule.arrays(split)
    y = torch.from_numpy(parts.datamodule.dataset.y[parts.datamodule.rows[split]])
    return torch.zeros(len(y), 1), y


def _of_masks(parts: Parts, splits: Sequence[str]) -> Iterator[tuple[str, Outputs]]:
    size = len(parts.datamodule.dataset.target_names)
    made: dict[str, Otsu | MeanMask] = {"mean mask": MeanMask(size)}
    if size <= MOST_BANDS:
        made = {"Otsu": Otsu(size), **made}
    else:
        say(f"Baselines: only the mean mask; thresholds for {size} classes take too long to find")
    for name, estimator in made.items():
        estimator.fit(_examples(parts))
        yield name, {split: (_cases(parts, estimator, split),) for split in splits}


def _examples(parts: Parts) -> Iterator[Example]:
    for x, y, *_ in parts.datamodule.batches("train"):
        yield from zip(x.numpy(), y.numpy(), strict=True)


def _cases(parts: Parts, estimator: Otsu | MeanMask, split: str) -> list[Case]:
    """Returns a split's whole images as the task scores them; a hard mask has no loss."""
    size = len(parts.datamodule.dataset.target_names)
    wanted = any(name in evidence.DISTANCES for name in getattr(parts.task, "metrics", ()))
    cases = []
    images = (image for batch in parts.datamodule.batches(split) for image in zip(*batch, strict=True))
    for x, y, patient, spacing_mm in images:
        image, target = x.numpy(), y.numpy().astype(np.uint8)
        preds = estimator.predict(image)
        distances = evidence.distances_mm(preds, target, size, spacing_mm) if wanted else None
        shown = slice_of(image[0], target, preds, spacing_mm)
        cases.append(Case(patient, evidence.counts(preds, target, size), distances, shown, float("nan")))
    return cases
