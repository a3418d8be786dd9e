"""A network, with its preprocessing where there is one inside, as one program for any number of samples."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from medfit.data.inputs import Shape
from medfit.data.preprocessing.table import FittedTable
from medfit.deployment import export_mean
from medfit.deployment.ensemble import Ensemble
from medfit.deployment.export_mean import Mean, OwnCells
from medfit.deployment.export_table import Cells, TableSteps
from medfit.deployment.finished_model import AnyModel, FinishedModel
from medfit.errors import UserError

EXAMPLES = 2  # samples that a program is traced with; of one, it would take one alone
TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")  # tell where medfit lies
PROBABILITIES = ("binary", "multilabel", "multiclass", "segmentation")


@dataclass(frozen=True)
class Exportable:
    """What becomes one file.

    Args:
        network: Takes the inputs in their order, to predict only.
        inputs: Two made-up samples by the names of the inputs, samples first.
        output: The name of what it puts out.
        cells: What it takes of a table's row; None of other kinds of data.
    """

    network: nn.Module
    inputs: dict[str, Tensor]
    output: str
    cells: TableSteps | Cells | None = None


class OfPrepared(nn.Module):
    """A task of prepared samples, of one input or of several by name.

    Args:
        task: Predicts.
        names: Of the inputs, if there are several.
    """

    def __init__(self, task: nn.Module, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.task, self.names = task, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns predictions as float32."""
        x = dict(zip(self.names, inputs, strict=True)) if self.names else inputs[0]
        output: Tensor = self.task(x)
        return output.float()


class OfTable(nn.Module):
    """A task of a table's cells; a row that the preprocessing can't take has NaN for predictions.

    Args:
        steps: From cells to features.
        task: Predicts.
    """

    def __init__(self, steps: TableSteps, task: nn.Module) -> None:
        super().__init__()
        self.steps, self.task = steps, task

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns predictions as float32 (samples, outputs) of cells as float64 (samples, columns)."""
        (cells,) = inputs
        features = self.steps(cells)
        output: Tensor = self.task(features).float()
        if not self.steps.needed:
            return output
        return torch.where(features.isnan().any(dim=1, keepdim=True), torch.nan, output)


class OfNoise(nn.Module):
    """A generator's images.

    Args:
        generator: Makes them of noise, and of class numbers where it knows classes.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns images in [0, 1]."""
        images: Tensor = self.generator(*inputs)
        return images.float()


def of_model(model: AnyModel) -> Exportable:
    """Returns what a finished model's file does.

    Raises:
        UserError: its trainings have no mean in one file.
    """
    several = [_of_single(single) for single in model.singles]
    first = several[0]
    if not isinstance(model, Ensemble):
        return first
    taken = [one.cells for one in several if isinstance(one.cells, TableSteps)]
    if not taken:
        export_mean.check_alike(model)
        return replace(first, network=Mean([one.network for one in several]).eval())
    joined = export_mean.joined_cells(taken)
    own = [nn.Sequential(OwnCells(joined, steps), one.network) for steps, one in zip(taken, several, strict=True)]
    return replace(first, network=Mean(own).eval(), cells=joined)


def _of_single(model: FinishedModel) -> Exportable:
    output = "probabilities" if model.about["task"] in PROBABILITIES else "predictions"
    if isinstance(model.fitted, FittedTable):
        steps = TableSteps(model.fitted, bool(model.about.get("expected", {}).get("drop_missing")))
        cells = torch.zeros(EXAMPLES, len(steps.columns), dtype=torch.float64)
        return Exportable(OfTable(steps, model.task).eval(), {"cells": cells}, output, steps)
    shape: Shape = model.about["input_shape"]
    names = tuple(shape) if isinstance(shape, Mapping) else ()
    shapes = shape if isinstance(shape, Mapping) else {"x": shape}
    inputs = {name: torch.zeros(EXAMPLES, *sizes) for name, sizes in shapes.items()}
    return Exportable(OfPrepared(model.task, names).eval(), inputs, output)


def of_generator(task: Any) -> Exportable:
    """Returns what a generator's file does: images of noise, by the generator's average over training."""
    inputs = {"noise": torch.zeros(EXAMPLES, task.latent_size)}
    if task.num_classes:
        inputs["label"] = torch.zeros(EXAMPLES, dtype=torch.int64)
    return Exportable(OfNoise(task.average.module).eval(), inputs, "images")


def traced(exportable: Exportable) -> torch.export.ExportedProgram:
    """Returns the program, which tells nothing of where it was made.

    Raises:
        UserError: the network does other things with other samples, which no file can hold.
    """
    batch = ({0: torch.export.Dim("batch")},) * len(exportable.inputs)  # of the networks' *inputs
    with quiet():
        try:
            program = torch.export.export(
                exportable.network.requires_grad_(False),
                tuple(exportable.inputs.values()),
                dynamic_shapes=(batch,),
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(f"export: the network can't be put in one file: {str(error).splitlines()[0]}") from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for trace in TRACES:
                node.meta.pop(trace, None)
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps PyTorch's words on its own parts from the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
