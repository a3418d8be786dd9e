"""Explanations of segmentations: what each class is found by."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from medfit.data.preprocessing.patch_places import pad
from medfit.explanations.cases import Case, Question
from medfit.explanations.explainer import Attributions, Family, title
from medfit.explanations.image import grad_cam, grey_window
from medfit.plots import explanation_maps as figures
from medfit.tasks.base import Task
from medfit.tasks.native_grid import class_numbers


class Window(NamedTuple):
    """What is explained of an image: the part around the predicted classes that the network sees at once.

    Args:
        x: In the shape (1, channels, *size).
        preds: Predicted classes (*size).
        target: True classes (*size).
        dice: Mean over the classes but the background that are in the whole image, or predicted there.
    """

    x: Tensor
    preds: np.ndarray
    target: np.ndarray
    dice: float


class MeanProbability(nn.Module):
    """A class's mean probability over a region, which stays the same whatever is changed in the image.

    Args:
        task: With its weights.
        regions: Of each class, in the shape (classes, *size).
    """

    def __init__(self, task: Any, regions: Tensor) -> None:
        super().__init__()
        self.task, self.regions = task, regions

    def forward(self, x: Tensor) -> Tensor:
        """Returns mean probabilities in the shape (samples, classes)."""
        inside = (self.task.predict(self.task.model(x).double()) * self.regions).flatten(2).sum(dim=2)
        return inside / self.regions.flatten(1).sum(dim=1).clamp(min=1)


class Masks(Family):
    """Images with masks.

    Explained is the mean probability of a class over the voxels that are predicted as it (Vinogradova et al., AAAI
    2020, have the sum of logits), in the window that the network sees around them. Grad-CAM takes the bottleneck.
    """

    methods = ("grad_cam", "occlusion")
    unsigned = frozenset({"grad_cam"})
    enough: ClassVar[int] = 4
    num_untrained = 2
    num_checked = 2

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.windows = {int(row): self._window(int(row)) for row in self.rows}
        sums = [window.x.mean(dim=(0, *range(2, window.x.ndim))) for window in self.windows.values()]
        self.grey = torch.stack(sums).mean(dim=0)

    def questions(self) -> list[Question]:
        """Returns what a summary asks: each class that is predicted in an image's window."""
        return [
            Question(row, int(label))
            for row, window in self.windows.items()
            for label in np.unique(window.preds)
            if label > 0
        ]

    def cases(self, count: int) -> list[Case]:
        """Returns the images with the highest, the lowest and the median Dice among those of the summary."""
        order = sorted({question.row for question in self.questions()}, key=lambda row: -self.windows[row].dice)
        places = {"highest Dice": 0, "lowest Dice": len(order) - 1, "median Dice": len(order) // 2}
        chosen: dict[int, str] = {}
        for why, place in places.items() if order else ():
            chosen.setdefault(order[place], why)
        return [
            Case(Question(row, label), f"{why} of those explained, {self.windows[row].dice:.2f}: {self.names[label]}")
            for row, why in list(chosen.items())[:count]
            for label in [int(np.bincount(self.windows[row].preds[self.windows[row].preds > 0]).argmax())]
        ]

    def summary(self, method: str, questions: Sequence[Question], found: Attributions) -> dict[str, Any]:
        """Returns how attribution falls with the distance from the predicted region, as a table and a figure."""
        table = pd.concat(
            [self._by_distance(question, values) for question, values in zip(questions, found, strict=True)]
        )
        means = table.groupby(["target", "distance_mm"], as_index=False)["mean_size"].mean()
        return {".csv": means, ".png": figures.by_distance(means, title(method), self.effect(method))}

    def case(self, case: Case, found: dict[str, np.ndarray]) -> Any:
        """Returns the slice with most attribution beside each method's map, with the predicted region's outline."""
        window = self.windows[case.question.row]
        region = window.preds == case.question.target
        named = {title(method): (values, self.effect(method)) for method, values in found.items()}
        aspect = self.data.data.source.spacing(case.question.row)[-2:]
        return figures.maps(window.x[0].mean(dim=0).numpy(), named, case.title, region, aspect)

    def headline(self, method: str, questions: Sequence[Question], found: Attributions) -> str:
        """Returns how much of the attribution lies in the regions that it explains."""
        shares = [
            np.abs(values)[self.windows[q.row].preds == q.target].sum() / np.abs(values).sum()
            for q, values in zip(questions, found, strict=True)
            if values.any()
        ]
        return f"{np.mean(shares):.0%} of it within the region" if shares else "nothing"

    def _grad_cam(self, task: Task, questions: Sequence[Question]) -> Attributions:
        return [grad_cam(self._net(task, q.row), self.windows[q.row].x, q.target).numpy() for q in questions]

    def _occlusion(self, task: Task, questions: Sequence[Question]) -> Attributions:
        return [
            grey_window(self._net(task, q.row), self.windows[q.row].x, self.grey, q.target).numpy() for q in questions
        ]

    def _net(self, task: Task, row: int) -> nn.Module:
        labels = torch.arange(len(self.names)).view(-1, *[1] * self.windows[row].preds.ndim)
        return MeanProbability(task, (torch.from_numpy(self.windows[row].preds) == labels).double())

    def _window(self, row: int) -> Window:
        x, target = self.data.data.image_and_mask(row)
        native: Tensor = self.data.data.native_mask(row)
        task: Any = self.task
        with torch.no_grad():
            output = task.infer(x[None])
            preds = output.argmax(dim=1)[0].to(torch.uint8)
            dice = _dice(class_numbers(output, native.shape)[0].numpy(), native.numpy())
        if x.ndim - 1 > len(task.window):  # a 2D network: the slice with most of the classes
            place = int((preds > 0).flatten(1).sum(dim=1).argmax())
            x, preds, target = x[:, place], preds[place], target[place]
        part = _around((preds > 0).numpy(), task.window)
        x, preds, target = (pad(values[(..., *part)], task.window) for values in (x, preds, target))
        return Window(x[None], preds.numpy(), target.numpy(), dice)

    def _by_distance(self, question: Question, values: np.ndarray) -> pd.DataFrame:
        """Returns mean sizes, as shares of the largest, by whole mm from the region's border, below 0 inside."""
        from scipy.ndimage import distance_transform_edt  # late: a quick start

        region = self.windows[question.row].preds == question.target
        spacing = self.data.data.source.spacing(question.row)[-region.ndim :]
        outside, inside = (distance_transform_edt(part, sampling=spacing) for part in (~region, region))
        distance = np.round(outside - inside).astype(int)
        sizes = pd.Series(np.abs(values).ravel()).groupby(distance.ravel()).mean()
        sizes /= sizes.max() or 1.0
        return pd.DataFrame({"target": self.names[question.target], "distance_mm": sizes.index, "mean_size": sizes})


def _around(marked: np.ndarray, size: Sequence[int]) -> tuple[slice, ...]:
    """Returns a window of a size around the middle of what is marked, or of all where nothing is."""
    middle = np.argwhere(marked).mean(axis=0) if marked.any() else np.array(marked.shape) / 2
    starts = [
        int(np.clip(round(m) - n // 2, 0, max(0, whole - n)))
        for m, n, whole in zip(middle, size, marked.shape, strict=True)
    ]
    return tuple(slice(start, start + n) for start, n in zip(starts, size, strict=True))


def _dice(preds: np.ndarray, target: np.ndarray) -> float:
    labels = np.union1d(preds[preds > 0], target[target > 0])
    scores = [2 * ((preds == c) & (target == c)).sum() / ((preds == c).sum() + (target == c).sum()) for c in labels]
    return float(np.mean(scores)) if scores else float("nan")
