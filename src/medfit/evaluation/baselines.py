"""Baselines beside the network: on the same splits, and scored by the same task."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from hydra.utils import get_object
from torch import Tensor

from medfit.data.inputs import parts_of
from medfit.data.preprocessing.arrays import Arrays
from medfit.evaluation.estimators import Third, baselines, fit_predict
from medfit.evaluation.mask_baselines import MOST_BANDS, Example, MeanMask, Otsu
from medfit.evidence import segmentation as evidence
from medfit.plots.overlays import slice_of
from medfit.tasks.native_grid import linear, nearest
from medfit.tasks.segmentation import ScoredImage
from medfit.terminal.console import say
from medfit.training.parts import Parts

MOST_FEATURES = 20_000  # of a sample
MOST_VALUES = 50_000_000  # of the training split: more takes the linear baseline too long
Outputs = dict[str, tuple[Any, ...]]


def predictions(parts: Parts, splits: Sequence[str] = ("val", "test")) -> Iterator[tuple[str, Outputs]]:
    """Yields each baseline's name, and for each split what the task's ``scores`` and ``table`` take.

    All are fitted on the training split alone. Tasks that nothing of the kind fits, such as generation, have none.

    Args:
        parts: As :func:`medfit.training.parts.prepare` gives them.
        splits: To predict for.
    """
    yield from get_object(parts.datamodule.dataset.kind.baselines)(parts, splits)


def of_samples(parts: Parts, splits: Sequence[str], third: Third | None = None) -> Iterator[tuple[str, Outputs]]:
    """Yields the trivial and the linear baseline, which suit samples of one shape, whatever their kind.

    Args:
        parts: As :func:`predictions` takes them.
        splits: To predict for.
        third: One more, that suits the kind of data.
    """
    if not parts.task.has_baselines:
        return
    dataset = parts.datamodule.dataset
    num_outputs = len(dataset.target_names)
    found = baselines(dataset.task, third, num_outputs)
    if too_large := why_too_large(parts):
        trivial = next(iter(found))
        say(f"Baselines: only {trivial}; {too_large}")
        found = {trivial: found[trivial]}
    arrays = partial(_arrays, parts, bool(too_large))
    x, y = arrays("train")
    patient = np.asarray(parts.datamodule.groups("train"))
    for name, estimator in found.items():
        outputs = {}
        for split in splits:
            its_x, its_y = arrays(split)
            preds = fit_predict(estimator, (x.numpy(), y.numpy()), its_x.numpy(), num_outputs, patient)
            outputs[split] = (torch.from_numpy(preds), its_y)
        yield name, outputs


def of_records(parts: Parts, splits: Sequence[str]) -> Iterator[tuple[str, Outputs]]:
    """Yields the trivial, the linear and the tree baseline."""
    yield from of_samples(parts, splits, "trees")


def of_neighbours(parts: Parts, splits: Sequence[str]) -> Iterator[tuple[str, Outputs]]:
    """Yields the trivial and the linear baseline, and the nearest neighbour."""
    yield from of_samples(parts, splits, "neighbour")


def why_too_large(parts: Parts) -> str:
    """Returns why only what looks at no features is fitted; empty where nothing speaks against the others."""
    if not isinstance(parts.datamodule.data, Arrays):
        return "the data are not in memory"
    features = sum(int(np.prod(part)) for part in parts_of(parts.datamodule.input_shape))
    num_samples = len(parts.datamodule.rows["train"])
    if features > MOST_FEATURES or features * num_samples > MOST_VALUES:
        return f"{num_samples} samples of {features} values take the others too long"
    return ""


def _arrays(parts: Parts, without_x: bool, split: str) -> tuple[Tensor, Tensor]:
    if not without_x:
        x, y = parts.datamodule.arrays(split)
        return torch.cat([part.flatten(1) for part in parts_of(x)], dim=1) if isinstance(x, Mapping) else x, y
    y = torch.from_numpy(parts.datamodule.targets(split))
    return torch.zeros(len(y), 1), y


def of_masks(parts: Parts, splits: Sequence[str]) -> Iterator[tuple[str, Outputs]]:
    """Yields thresholds by Otsu's method and the mean mask."""
    size = len(parts.datamodule.dataset.target_names)
    made: dict[str, Otsu | MeanMask] = {"mean mask": MeanMask(size)}
    if size <= MOST_BANDS:
        made = {"Otsu": Otsu(size), **made}
    else:
        say(f"Baselines: only the mean mask; thresholds for {size} classes take too long to find")
    for name, estimator in made.items():
        estimator.fit(_examples(parts))
        yield name, {split: (_scored_images(parts, estimator, split),) for split in splits}


def _examples(parts: Parts) -> Iterator[Example]:
    for x, y, *_ in parts.datamodule.batches("train"):
        yield from zip(x.numpy(), nearest(y, x.shape[2:]).numpy(), strict=True)


def _scored_images(parts: Parts, estimator: Otsu | MeanMask, split: str) -> list[ScoredImage]:
    """Returns a split's whole images as the task scores them; a hard mask has no loss."""
    size = len(parts.datamodule.dataset.target_names)
    wanted = any(name in evidence.DISTANCES for name in getattr(parts.task, "metrics", ()))
    scored = []
    images = (image for batch in parts.datamodule.batches(split) for image in zip(*batch, strict=True))
    for x, y, patient, spacing_mm in images:
        target = y.numpy().astype(np.uint8)
        preds = nearest(torch.from_numpy(estimator.predict(x.numpy()))[None], y.shape)[0].numpy()
        distances = evidence.distances_mm(preds, target, size, spacing_mm) if wanted else None
        shown = slice_of(linear(x[None, :1], y.shape)[0, 0].numpy(), target, preds, spacing_mm)
        scored.append(ScoredImage(patient, evidence.counts(preds, target, size), distances, shown, float("nan")))
    return scored
