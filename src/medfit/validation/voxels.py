"""Updating of a segmentation: voxels' probabilities put right for patients elsewhere, and the masks that come of it.

Voxels of one patient say much the same, and there are millions of them: a bounded number is drawn, as many of each
patient, so that each counts the same. Intervals are over patients.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medfit.deployment import scored_masks
from medfit.deployment.finished_model import AnyModel
from medfit.deployment.in_masks import shares_of
from medfit.evidence import segmentation, summary, updating
from medfit.evidence.predictions import Predictions, TargetKind
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named
from medfit.evidence.updating import NONE, Divided, Line
from medfit.validation.predictions import Samples

MOST_OF_A_PATIENT, MOST_IN_ALL = 2000, 50_000
AT_ONCE = 2**20  # voxels that are put right together
Image = tuple[int, np.ndarray, np.ndarray]


def updated(
    model: AnyModel, samples: Samples, made: Predictions, parts: Divided, settings: Settings, seed: int
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Returns tables as :func:`medfit.evidence.updating.tables` gives them, with each way's Dice, and what to say.

    Args:
        model: Of masks.
        samples: The new images.
        made: Their scores, as they are stored.
        parts: Of these, who teaches and who is scored.
        settings: For the number of draws.
        seed: Of the voxels.
    """
    model.on("auto")
    found = drawn(model, samples, made.patient, seed)
    learning = np.isin(found.patient, parts.learnt_from.patient)
    learnt_from = found.rows(learning)
    tables = updating.tables(Divided(learnt_from, found.rows(~learning)), None, max(100, settings.num_resamples // 8))
    ways = {way: updating.learnt(way, learnt_from) for way in found.kind.updates}
    lines = {way: line for way, line in ways.items() if line is not None}
    scored = np.flatnonzero(~np.isin(made.patient, parts.learnt_from.patient))
    masks = {NONE: parts.scored} | _masks(model, samples, made, found.kind, scored, lines)
    about = tables["updating"][["patients", "learnt_from", "recalibration"]].drop_duplicates("recalibration")
    dice = pd.concat([_dice(own, settings).assign(recalibration=way) for way, own in masks.items()])
    tables["updating"] = pd.concat([tables["updating"], dice.merge(about, on="recalibration")], ignore_index=True)
    number = len(found) // len(np.unique(found.patient))
    return tables, [f"masks are updated by the probabilities of voxels, {number} of each patient drawn at random"]


def drawn(model: AnyModel, samples: Samples, patient: np.ndarray, seed: int) -> Predictions:
    """Returns probabilities and classes of voxels drawn at random, as many of each patient, alike of its images.

    Args:
        model: Of masks.
        samples: The images.
        patient: Whose each usable one is.
        seed: Of the draw.
    """
    rng, code = np.random.default_rng(seed), pd.factorize(patient)[0]
    number = max(1, min(MOST_OF_A_PATIENT, MOST_IN_ALL // (code.max() + 1)))
    counts = np.zeros(len(code), dtype=int)
    for own in (np.flatnonzero(code == one) for one in range(code.max() + 1)):
        counts[own] = [len(part) for part in np.array_split(np.arange(number), len(own))]
    places, preds, target = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for place, shares, mask in _images(model, samples, np.flatnonzero(counts)):
        chosen = rng.integers(0, mask.size, counts[place])  # with replacement: a small image has fewer
        preds.append(shares.reshape(len(shares), -1)[:, chosen].T)
        target.append(mask.reshape(-1)[chosen])
        places.append(np.full(counts[place], place))
    classes, binary = list(model.about["target_names"]), len(model.about["target_names"]) == 2
    one_hot = np.eye(len(classes))[np.concatenate(target)]
    columns = slice(1, None) if binary else slice(None)
    return Predictions(
        named("binary" if binary else "multiclass"),
        classes[columns],
        patient[np.concatenate(places)],
        one_hot[:, columns],
        np.concatenate(preds).astype(float)[:, columns],
    )


def _images(model: AnyModel, samples: Samples, places: np.ndarray) -> Iterator[Image]:
    """Yields places of usable images, each with its classes' probabilities and its mask on the grid of its file."""
    if len(model.singles) > 1:  # whose mean is made image by image
        for place in places.tolist():
            image = scored_masks.one_of(samples.dataset, int(samples.rows[place]))
            yield place, shares_of(model, image).float().numpy(), np.asarray(image.read.mask)
        return
    (single,) = model.singles
    prepared = samples.of(single)
    part = prepared.data.evaluation(prepared.rows[places].tolist())
    task: Any = single.task
    for batch in part.in_order():
        x, masks, *_ = part.batch(batch)
        with single.predicting():
            shares = task.shares(single.placed(x), masks.shape[1:]).float().cpu().numpy()
        yield from zip(places[batch.numpy()].tolist(), shares, masks.numpy(), strict=True)


def _masks(
    model: AnyModel,
    samples: Samples,
    made: Predictions,
    kind: TargetKind,
    scored: np.ndarray,
    lines: Mapping[str, list[Line]],
) -> dict[str, Predictions]:
    """Returns what is counted of the masks that come of voxels put right, by the way.

    Args:
        model: Of masks.
        samples: The images.
        made: The stored scores of all.
        kind: Of the voxels.
        scored: Places of the images.
        lines: That were learnt, by the way.
    """
    counts: dict[str, list[np.ndarray]] = {way: [] for way in lines}
    for _, shares, mask in _images(model, samples, scored) if lines else ():
        for way, line in lines.items():
            numbers = classes_of(shares, kind, line)
            counts[way].append(segmentation.counts(numbers, mask.astype(np.uint8), len(shares)))
    none = np.full(made.preds[scored].shape, np.nan)  # distances take long, and are not measured again
    return {
        way: Predictions(made.kind, made.names, made.patient[scored], np.stack(own).astype(float), none)
        for way, own in counts.items()
    }


def classes_of(shares: np.ndarray, kind: TargetKind, lines: Sequence[Line]) -> np.ndarray:
    """Returns each voxel's class once its probabilities are put right, uint8 in the shape (*size).

    Args:
        shares: Probabilities in the shape (classes, *size).
        kind: Of the voxels: answers of yes or no have one column, that of the class behind the background.
        lines: A line for each column.
    """
    add, times = np.array(lines).T
    flat, answers = shares.reshape(len(shares), -1), len(lines)
    found = np.empty(flat.shape[1], dtype=np.uint8)
    for start in range(0, flat.shape[1], AT_ONCE):
        some = flat[-answers:, start : start + AT_ONCE].T.astype(float)
        values = add + times * kind.linear(some)
        found[start : start + AT_ONCE] = values[:, 0] > 0 if answers == 1 else values.argmax(axis=1)
    return found.reshape(shares.shape[1:])


def _dice(own: Predictions, settings: Settings) -> pd.DataFrame:
    """Returns the Dice of each class, with intervals over patients."""
    ends = summary.draws([own], ["dice"], settings).bca()
    of_class = {name: ends[f"dice/{name}" if len(own.names) > 1 else "dice"] for name in own.names}
    rows = [
        {"column": name, "measure": "dice", "estimate": found.estimate, "low": found.low, "high": found.high}
        for name, found in of_class.items()
    ]
    return pd.DataFrame(rows)
