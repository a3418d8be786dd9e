"""A finished model: all that predicting for a new patient takes, as files without pickle.

What such files hold of the training patients is told in ``docs/using.md``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from medfit.config.stored import read_config
from medfit.data.inputs import each, parts_of
from medfit.data.preprocessing import fitted as fitted_files
from medfit.data.preprocessing.arrays import MOST_SAMPLES, MOST_VALUES
from medfit.data.preprocessing.fitted import Fitted
from medfit.deployment.expected_columns import Oddity, lines
from medfit.deployment.model_files import read_about, write_about
from medfit.deployment.new_samples import NewSamples
from medfit.errors import UserError, in_memory, out_of_memory
from medfit.evidence.decisions import Decisions
from medfit.evidence.targets.known import named
from medfit.tasks.base import Task
from medfit.training.parts import make_task

CONFIG, WEIGHTS, PREPROCESSING = "config.yaml", "weights.safetensors", "preprocessing"
HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}  # by regime.precision; the latter is of GPUs alone


class AnyModel(ABC):
    """What predicts for new patients: one training's network, or several trainings' as one.

    Attributes:
        decisions: What validation patients decided.
        about: Plain values: ``samples`` (the kind of data, in words), ``reader`` (dotted name of what reads new
            samples), ``expected`` (what that reader must know), ``target_names``, ``task``, ``units``, ``outcomes``
            (how common or large they were in the training rows), ``run_id``, ``data_sha256``.
    """

    decisions: Decisions
    about: Mapping[str, Any]

    def predict(
        self,
        source: Path | str | pd.DataFrame | Sequence[Path | str],
        identifiers: Sequence[str] | None = None,
        tell: Callable[[str], None] | None = None,
        out: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> pd.DataFrame:
        """Returns predictions for new samples, a row each, in their order.

        Args:
            source: A file or folder, as a data set of this kind reads them, a table's rows, or images' files.
            identifiers: Columns that tell the user whose each row is; None for the patient's of the training data, if
                the new ones have it.
            tell: Is given a line for each thing that is odd about the samples; no line holds a patient's value.
            out: A folder for the files of predictions that fit in no row, as masks; None leaves them out.
            progress: Is given how many of how many samples are done, after each batch.

        Returns:
            The identifiers, what the kind of target gives (:mod:`medfit.evidence.decisions`), and ``remarks``. A sample
            that the training would have left out has no prediction.

        Raises:
            UserError: the samples are not what the model takes.
        """
        source = Path(source).expanduser() if isinstance(source, str) else source
        new: NewSamples = get_object(self.about["reader"]).read(source, self.about["expected"], identifiers)
        if tell is not None:
            for line in _lines(new):
                tell(line)
        predicted = self.predictor.predict(self, new, out, _counter(int(new.usable.sum()), progress))
        if clash := sorted({str(name) for name in new.identifiers} & {*predicted, "remarks"}):
            raise UserError(f"predict.id: column '{clash[0]}' has the name of a prediction; give it another")
        predicted = predicted.set_axis(np.flatnonzero(new.usable)).reindex(range(len(new.usable)))
        return pd.concat([new.identifiers, predicted], axis=1).assign(remarks=_remarks(new.odd, len(predicted)))

    @property
    def predictor(self) -> Any:
        """The module that predicts this kind of target, as :mod:`medfit.deployment.in_rows` does."""
        return get_object(str(named(self.about["task"]).predictor))

    def on(self, device: str) -> Self:
        """Moves the networks to a device, and returns the model.

        Args:
            device: As torch names it; ``auto`` is the GPU if there is one, else the CPU. Numbers of a GPU differ from
                the CPU's by what rounding does.

        Raises:
            UserError: there is no such device.
        """
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            for single in self.singles:
                single.task.to(chosen)
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"predict.device={device}: {str(error).splitlines()[0]}") from error
        return self

    @property
    def at_once(self) -> int:
        """Samples that go through the networks together: as many as in an evaluation, fewer the larger each is."""
        values = max(sum(map(prod, parts_of(single.about["input_shape"]))) for single in self.singles)
        return int(max(1, min(MOST_SAMPLES, MOST_VALUES // values)))

    def told(self, samples: Any) -> pd.DataFrame:
        """Returns what the kind of target gives of samples, as the reader gives them."""
        preds = self.raw(samples).numpy().astype(float)
        return named(self.about["task"]).told(list(self.about["target_names"]), preds, self.decisions)

    @property
    @abstractmethod
    def singles(self) -> "Sequence[FinishedModel]":
        """The trainings that it is made of."""

    @abstractmethod
    def raw(self, samples: Any) -> Tensor:
        """Returns probabilities or numbers, in the shape (samples, outputs), of samples as the reader gives them."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes it into a folder, which is made if need be."""


@dataclass(frozen=True)
class FinishedModel(AnyModel):
    """A trained network with what was learnt before and after it.

    Args:
        cfg: Of the training; full paths are hidden.
        task: With the best weights, to predict only; on the CPU, until :meth:`on` moves it.
        fitted: The preprocessing.
        decisions: What validation patients decided.
        about: As every model's, and ``input_shape`` and ``split_sha256``.
    """

    cfg: DictConfig
    task: Task
    fitted: Fitted
    decisions: Decisions
    about: Mapping[str, Any]

    @property
    def singles(self) -> "Sequence[FinishedModel]":
        """Itself."""
        return (self,)

    def raw(self, samples: Any) -> Tensor:
        """Returns what the network makes of samples, which are prepared first."""
        return self.outputs(self.fitted.apply(samples))

    def outputs(self, x: Any) -> Tensor:
        """Returns probabilities or numbers, in the shape (samples, outputs), float32 on the CPU.

        Args:
            x: Of samples; a tensor, or several by name.
        """
        made, done, size, number = list[Tensor](), 0, self.at_once, len(parts_of(x)[0])
        with self.predicting():
            while done < number:
                try:
                    made.append(self._output(x, slice(done, done + size)))
                    done += len(made[-1])
                    continue
                except RuntimeError as error:
                    if min(size, number - done) == 1 or not out_of_memory(error):
                        raise
                size = min(size, number - done) // 2  # behind the error, which holds what did not fit
                if self.task.device.type == "cuda":
                    torch.cuda.empty_cache()
            return torch.cat(made)

    def _output(self, x: Any, some: slice) -> Tensor:
        output: Tensor = self.task(each(lambda part: self.placed(part[some]), x))
        return output.float().cpu()

    def placed(self, x: Tensor) -> Tensor:
        """Returns a tensor on the network's device, with numbers of its precision."""
        weight = next(self.task.parameters())
        return x.to(weight.device, weight.dtype)

    @contextmanager
    def predicting(self) -> Iterator[None]:
        """Lets the network compute as it did when it was evaluated: without gradients, in the training's precision."""
        kind, half = self.task.device.type, HALF.get(self.cfg.regime.get("precision", ""))
        mixed = half is not None and (half == torch.bfloat16 or kind == "cuda")
        room = "" if kind == "cpu" else "; predict.device=cpu (CUDA_VISIBLE_DEVICES= of other commands) may have more"
        told = f"one sample and the network do not fit in the memory of {kind} together{room}"
        with (
            torch.inference_mode(),
            torch.autocast(kind, half, enabled=mixed),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            in_memory(lambda: f"predict: {told}"),
        ):
            yield

    def save(self, folder: Path) -> None:
        """Writes it into a folder, which is made if need be."""
        from safetensors.torch import save_file  # late: a quick start

        self.fitted.save(folder / PREPROCESSING)
        (folder / CONFIG).write_text(OmegaConf.to_yaml(self.cfg))
        save_file({name: tensor.contiguous() for name, tensor in self.task.state_dict().items()}, folder / WEIGHTS)
        write_about(
            folder,
            {**self.about, "decisions": self.decisions.values()},
            [path for path in sorted(folder.rglob("*")) if path.is_file()],
        )

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Returns what :meth:`save` wrote.

        Args:
            folder: With its files.
            name: Of the model, for errors.

        Raises:
            UserError: it is no finished model, of another format, or a file is missing or not as it was written.
        """
        from safetensors.torch import load_file  # late: a quick start

        about = read_about(folder, name)
        decisions = Decisions.of_values(about.pop("decisions"))
        cfg = read_config((folder / CONFIG).read_text())
        task = make_task(cfg, _shape(about["input_shape"]), about["target_names"])
        weights = load_file(folder / WEIGHTS)
        try:
            _like(task, weights).load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"{name}: its weights do not fit the network that this medfit builds") from error
        frozen = task.cpu().eval().requires_grad_(False)
        return cls(cfg, frozen, fitted_files.load(folder / PREPROCESSING), decisions, about)


def _lines(new: NewSamples) -> Iterator[str]:
    """Yields what a user is told of new samples before they are predicted."""
    yield from lines(new.odd)
    if left_out := int((~new.usable).sum()):
        yield f"of {len(new.usable)} rows, {left_out} {new.unusable}, and so no prediction"


def _counter(total: int, progress: Callable[[int, int], None] | None) -> Callable[[int], None]:
    """Returns what is told of how many more samples are done, and tells how many are."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    return advance


def _remarks(odd: Sequence[Oddity], num_rows: int) -> list[str]:
    """Returns what is odd about each row."""
    found: list[list[str]] = [[] for _ in range(num_rows)]
    for one in filter(lambda one: one.remark, odd):
        for row in np.flatnonzero(one.rows).tolist():
            found[row].append(f"{one.column}: {one.what}")
    return ["; ".join(remarks) for remarks in found]


def _shape(shape: Any) -> Any:
    """Returns a shape as JSON gives it back, or those of several inputs by name."""
    return {key: tuple(sizes) for key, sizes in shape.items()} if isinstance(shape, dict) else tuple(shape)


def _like(task: Task, weights: Mapping[str, Tensor]) -> Task:
    """Returns a task with numbers of the precision that weights have."""
    name, own = next(task.named_parameters())
    return task if name not in weights or weights[name].dtype == own.dtype else task.to(weights[name].dtype)
