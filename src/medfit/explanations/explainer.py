"""What all kinds of data share in being explained."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from medfit.explanations.cases import Case, Question, choose, effect, targets_of
from medfit.explanations.finished_run import FinishedRun
from medfit.tasks.base import Task
from medfit.tracking.recording import pseudonyms

Attributions = list[np.ndarray]


class Prediction(nn.Module):
    """What a task's ``forward`` predicts, in float64 behind the network.

    There the slope of a sure prediction is small, where float32 would have nought.

    Args:
        task: With its weights.
    """

    def __init__(self, task: Any) -> None:
        super().__init__()
        self.task = task

    def forward(self, x: Tensor) -> Tensor:
        """Returns predictions in the shape (samples, outputs)."""
        return self.task.predict(self.task.model(x).double())


class Family(ABC):
    """Explains one kind of data.

    Args:
        finished: The run.
        split: Whose samples are explained.
        num_samples: Of the summary, drawn from the split; None for the kind's ``enough``.
        seed: Of that draw, and of each method.

    Attributes:
        methods: That suit the data, in the order they are shown.
        unsigned: Methods whose attributions have no sign.
        enough: Samples of a summary.
        num_untrained: Models with untrained weights that the sanity check compares with.
        num_checked: Questions that it asks them.
        told: ReportData of a method for the summary, such as how well it adds up.
        notes: What has to be known to read the explanations.
    """

    methods: ClassVar[tuple[str, ...]]
    unsigned: ClassVar[frozenset[str]] = frozenset()
    enough: ClassVar[int]
    num_untrained: ClassVar[int] = 5
    num_checked: ClassVar[int] = 10

    def __init__(self, finished: FinishedRun, split: str, num_samples: int | None, seed: int) -> None:
        self.cfg, self.split, self.seed = finished.cfg, split, seed
        self.task, self.data = finished.parts.task, finished.parts.datamodule
        self.dataset = self.data.dataset
        self.all_rows = np.unique(self.data.rows[split])
        count = min(num_samples or self.enough, len(self.all_rows))
        self.rows = np.sort(np.random.default_rng(seed).choice(self.all_rows, count, replace=False))
        self._folder = finished.store.folder
        self.told: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []

    @property
    def names(self) -> list[str]:
        """Of the outputs."""
        return self.dataset.target_names

    def attribute(self, method: str, task: Task, questions: Sequence[Question]) -> Attributions:
        """Returns what a method says of each question, in the shape of the input."""
        explain: Callable[[Task, Sequence[Question]], Attributions] = getattr(self, f"_{method}")
        return explain(task, questions)

    def questions(self) -> list[Question]:
        """Returns what a summary asks: each sample's predicted class, or all its outputs."""
        preds = self.predict(self.rows)
        return [
            Question(int(row), t) for row, p in zip(self.rows, preds, strict=True) for t in targets_of(self.dataset, p)
        ]

    def cases(self, count: int) -> list[Case]:
        """Returns the single cases to show."""
        return choose(self.dataset, self.all_rows, self.predict(self.all_rows), count)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Returns predictions of samples in the shape (samples, outputs)."""
        net, size = Prediction(self.task), self.data.data.evaluation_batch
        with torch.no_grad():
            made = [net(self.inputs(rows[i : i + size])) for i in range(0, len(rows), size)]
        return torch.cat(made).numpy()

    def inputs(self, rows: Sequence[int] | np.ndarray) -> Tensor:
        """Returns samples as the network sees them."""
        return self.data.data[np.asarray(rows)][0]

    def patient(self, row: int) -> str:
        """Returns a keyed hash of a sample's patient, the same as in the run's predictions."""
        return pseudonyms(self._folder, self.dataset.name, self.dataset.groups[[row]])[0]

    def effect(self, method: str) -> str:
        """Returns what a method's attributions are, in words; of Grad-CAM, what it sums up over the feature map."""
        return "slope x activation" if method == "grad_cam" else effect(self.dataset)

    @abstractmethod
    def summary(self, method: str, questions: Sequence[Question], found: Attributions) -> dict[str, Any]:
        """Returns a split's explanations as artifacts, by name."""

    @abstractmethod
    def case(self, case: Case, found: dict[str, np.ndarray]) -> Any:
        """Returns the figure of a single case.

        Args:
            case: What is shown.
            found: Each method's attribution.
        """

    @abstractmethod
    def headline(self, method: str, questions: Sequence[Question], found: Attributions) -> str:
        """Returns the gist of a summary in a few words."""

    def compare(self, questions: Sequence[Question], found: dict[str, Attributions]) -> dict[str, Any]:
        """Returns artifacts on how the methods agree; none by default."""
        return {}


def title(method: str) -> str:
    """Returns a method's name for a figure."""
    return {"shap": "SHAP", "lime": "LIME", "grad_cam": "Grad-CAM"}.get(method, method.replace("_", " "))
