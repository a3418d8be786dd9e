"""Explanations of time series: which moments count."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from medfit.data.dataset import SeriesDataset
from medfit.explanations.attributions import integrated_gradients, occlusion
from medfit.explanations.cases import Case, Question, effect
from medfit.explanations.explainer import Attributions, Family, Prediction, title
from medfit.plots import explanations as figures
from medfit.tasks.base import Task

NUM_WINDOWS = 20  # that a series' length is divided into
OVERLAP = 2  # windows that cover a sample


class Signal(Family):
    """Series of one or more channels.

    Both methods compare with a flat line: each channel's mean over the training series. Occlusion lays a window of a
    twentieth of the length over one channel after another, and moves it by half its width.
    """

    methods = ("integrated_gradients", "occlusion")
    enough: ClassVar[int] = 60
    dataset: SeriesDataset

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        series = self.inputs(self.data.rows["train"])
        self.flat = series.nanmean(dim=(0, 2))[None, :, None]
        self.length = series.shape[2]
        self.rate_hz = self.cfg.preprocessing.get("resample_hz") or self.dataset.sampling_rate_hz
        self.width = max(1, round(self.length / NUM_WINDOWS))
        self.told["occlusion"] = {f"window_{'s' if self.rate_hz else 'samples'}": self.width / (self.rate_hz or 1)}

    @property
    def time(self) -> np.ndarray:
        """When each sample is, in seconds, or in samples where the rate is not known."""
        return np.arange(self.length) / (self.rate_hz or 1)

    def summary(self, method: str, questions: Sequence[Question], found: Attributions) -> dict[str, Any]:
        """Returns the mean size along time of each predicted class or target, as a table and a figure."""
        sizes, signals = self._means(questions, found)
        channels = self.dataset.channels
        tables = [
            pd.DataFrame({"target": name, "channel": channel, self._axis("_"): self.time, "mean_size": values})
            for name, size in sizes.items()
            for channel, values in zip(channels, size, strict=True)
        ]
        figure = figures.along_time(
            self.time, signals, sizes, channels, (self._axis(), self._amplitude(), effect(self.dataset)), title(method)
        )
        return {".csv": pd.concat(tables, ignore_index=True), ".png": figure}

    def case(self, case: Case, found: dict[str, np.ndarray]) -> Any:
        """Returns the signal, coloured by each method's attribution."""
        x = self.inputs([case.question.row])[0].numpy()
        labels = (self._axis(), self._amplitude(), effect(self.dataset))
        named = {title(method): values for method, values in found.items()}
        return figures.coloured_signal(self.time, x, named, self.dataset.channels, labels, case.title)

    def headline(self, method: str, questions: Sequence[Question], found: Attributions) -> str:
        """Returns when attributions are largest."""
        mean = np.nanmean(np.abs(np.stack(found)), axis=0)
        channel, place = np.unravel_index(mean.argmax(), mean.shape)
        where = f"{self.dataset.channels[channel]} at " if len(mean) > 1 else "at "
        return where + (f"{self.time[place]:.3g} s" if self.rate_hz else f"sample {place}")

    def _integrated_gradients(self, task: Task, questions: Sequence[Question]) -> Attributions:
        made, gaps = [], []
        for question in questions:
            x, flat = self._input(question)
            values, gap = integrated_gradients(Prediction(task), x, flat, question.target)
            made.append(values.numpy())
            gaps.append(abs(gap))
        if task is self.task:
            self.told["integrated_gradients"] = {"largest_convergence_delta": max(gaps)}
        return made

    def _occlusion(self, task: Task, questions: Sequence[Question]) -> Attributions:
        window, stride = (1, self.width), (1, max(1, self.width // OVERLAP))
        return [
            occlusion(Prediction(task), *self._input(question), question.target, window, stride).numpy()
            for question in questions
        ]

    def _input(self, question: Question) -> tuple[Tensor, Tensor]:
        x = self.inputs([question.row])
        return x, self.flat.expand_as(x).masked_fill(x.isnan(), torch.nan)

    def _means(
        self, questions: Sequence[Question], found: Attributions
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Returns mean sizes and mean signals (channels, length) by target, over what is no padding."""
        sizes, signals = {}, {}
        for target in sorted({question.target for question in questions}):
            places = [i for i, question in enumerate(questions) if question.target == target]
            x = self.inputs([questions[i].row for i in places])
            size = torch.from_numpy(np.abs(np.stack([found[i] for i in places]))).masked_fill(x.isnan(), torch.nan)
            sizes[self.names[target]] = size.nanmean(dim=0).numpy()
            signals[self.names[target]] = x.nanmean(dim=0).numpy()
        return sizes, signals

    def _axis(self, space: str = " ") -> str:
        return (f"time{space}(s)" if space == " " else "time_s") if self.rate_hz else "sample"

    def _amplitude(self) -> str:
        """Returns what the network saw: series are scaled before."""
        if self.cfg.preprocessing.get("scaling") != "none":
            return "standard deviations"
        units = {self.dataset.units.get(channel, "") for channel in self.dataset.channels}
        return units.pop() if len(units) == 1 else ""
