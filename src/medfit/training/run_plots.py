"""The plots of a training: of its curve, and of its predictions by the best weights."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medfit.tasks.base import Task

History = Mapping[str, Sequence[tuple[int, float]]]

CURVES, CHECKPOINT = "plots/learning_curves.png", "checkpoint/best.ckpt"


def plots(task: "Task", outputs: Mapping[str, tuple[Any, ...]], history: History) -> dict[str, Any]:
    """Returns figures by their files' names.

    Args:
        task: That made the outputs.
        outputs: By split, what the task's ``figures`` takes.
        history: ``train/loss`` and ``val/loss`` as (epoch, value).
    """
    from medfit.plots.predictions import learning_curves  # late: a quick start

    figures = {
        f"plots/{split}_{name}.png": figure
        for split, output in outputs.items()
        for name, figure in task.figures(*output).items()
    }
    return {**figures, CURVES: learning_curves(history)}
