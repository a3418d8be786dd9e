"""A finished model: all that predicting for a new patient takes, as files without pickle and without patients' data."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from medfit.config.stored import read_config
from medfit.data.preprocessing import fitted as fitted_files
from medfit.data.preprocessing.fitted import Fitted
from medfit.deployment.expected_columns import Oddity, lines
from medfit.errors import UserError
from medfit.evidence.decisions import Decisions
from medfit.evidence.targets.known import named
from medfit.tasks.base import Task
from medfit.training.parts import make_task
from medfit.version import VERSION

FORMAT = 1  # of the files below; another one is refused
ABOUT, CONFIG, WEIGHTS, PREPROCESSING = "model.json", "config.yaml", "weights.safetensors", "preprocessing"
SAMPLES_AT_ONCE = 512


class AnyModel(ABC):
    """What predicts for new patients: one training's network, or several trainings' as one.

    Attributes:
        decisions: What validation patients decided.
        about: Plain values: ``samples`` (the kind of data, in words), ``reader`` (dotted name of what reads new
            samples), ``expected`` (what that reader must know), ``target_names``, ``task``, ``units``, ``run_id``,
            ``data_sha256``.
    """

    decisions: Decisions
    about: Mapping[str, Any]

    def predict(
        self,
        source: Path | str | pd.DataFrame,
        identifiers: Sequence[str] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> pd.DataFrame:
        """Returns predictions for new samples, a row each, in their order.

        Args:
            source: A file or folder, as a data set of this kind reads them, or a table's rows.
            identifiers: Columns that tell the user whose each row is; None for the patient's of the training data, if
                the new ones have it.
            tell: Is given a line for each thing that is odd about the samples; no line holds a patient's value.

        Returns:
            The identifiers, what the kind of target gives (:mod:`medfit.evidence.decisions`), and ``remarks``. A sample
            that the training would have left out has no prediction.

        Raises:
            UserError: the samples are not what the model takes.
        """
        source = Path(source).expanduser() if isinstance(source, str) else source
        new = get_object(self.about["reader"]).read(source, self.about["expected"], identifiers)
        predicted = self.told(new)
        predicted.loc[~new.usable] = np.nan
        if clash := sorted({str(name) for name in new.identifiers} & {*predicted, "remarks"}):
            raise UserError(f"predict.id: column '{clash[0]}' has the name of a prediction; give it another")
        left_out = int((~new.usable).sum())
        told = [f"of {len(new.usable)} rows, {left_out} have missing values, and so no prediction"] if left_out else []
        if tell is not None:
            for line in [*lines(new.odd), *told]:
                tell(line)
        return pd.concat([new.identifiers, predicted], axis=1).assign(remarks=_remarks(new.odd, len(predicted)))

    def told(self, samples: Any) -> pd.DataFrame:
        """Returns what the kind of target gives of samples, as the reader gives them."""
        preds = self.raw(samples).numpy().astype(float)
        return named(self.about["task"]).told(list(self.about["target_names"]), preds, self.decisions)

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
        task: With the best weights, on the CPU, to predict only.
        fitted: The preprocessing.
        decisions: What validation patients decided.
        about: As every model's, and ``input_shape`` and ``split_sha256``.
    """

    cfg: DictConfig
    task: Task
    fitted: Fitted
    decisions: Decisions
    about: Mapping[str, Any]

    def raw(self, samples: Any) -> Tensor:
        """Returns what the network makes of samples, which are prepared first."""
        return self.outputs(self.fitted.apply(samples))

    @torch.inference_mode()
    def outputs(self, x: Tensor) -> Tensor:
        """Returns probabilities or numbers of prepared samples, in the shape (samples, outputs), float32."""
        return torch.cat([self.task(part).float() for part in x.split(SAMPLES_AT_ONCE)])

    def save(self, folder: Path) -> None:
        """Writes it into a folder, which is made if need be."""
        from safetensors.torch import save_file  # late: a quick start

        self.fitted.save(folder / PREPROCESSING)
        (folder / CONFIG).write_text(OmegaConf.to_yaml(self.cfg))
        save_file({name: tensor.contiguous() for name, tensor in self.task.state_dict().items()}, folder / WEIGHTS)
        write_about(self, folder, [path for path in sorted(folder.rglob("*")) if path.is_file()])

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
        try:
            task.load_state_dict(load_file(folder / WEIGHTS))
        except RuntimeError as error:
            raise UserError(f"{name}: its weights do not fit the network that this medfit builds") from error
        frozen = task.cpu().eval().requires_grad_(False)
        return cls(cfg, frozen, fitted_files.load(folder / PREPROCESSING), decisions, about)


def _remarks(odd: Sequence[Oddity], num_rows: int) -> list[str]:
    """Returns what is odd about each row."""
    found: list[list[str]] = [[] for _ in range(num_rows)]
    for one in odd:
        for row in np.flatnonzero(one.rows).tolist():
            found[row].append(f"{one.column}: {one.what}")
    return ["; ".join(remarks) for remarks in found]


def write_about(model: AnyModel, folder: Path, files: Sequence[Path]) -> None:
    """Writes what a model says of itself, and what tells whether files of its folder are as they were written."""
    about = {"format": FORMAT, "medfit": VERSION, **model.about, "decisions": model.decisions.values()}
    digests = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    (folder / ABOUT).write_text(json.dumps({**about, "files": digests}, indent=1))


def read_about(folder: Path, name: str) -> dict[str, Any]:
    """Returns what :func:`write_about` wrote of a model, having made sure that its files are as they were written.

    Raises:
        UserError: there is no such file, it is of another format, or a file is missing or not as it was written.
    """
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text())
        written, files = about.pop("format"), about.pop("files")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{name}: holds no finished model of medfit ({ABOUT} is missing or broken)") from error
    if written != FORMAT:
        raise UserError(f"{name}: is of format {written}, but medfit {VERSION} reads format {FORMAT}; train again")
    for file, digest in files.items():
        if not (folder / file).is_file():
            raise UserError(f"{name}: its file {file} is missing")
        if _digest(folder / file) != digest:
            raise UserError(f"{name}: its file {file} is not as it was written")
    return about


def _shape(shape: Any) -> Any:
    """Returns a shape as JSON gives it back, or those of several inputs by name."""
    return {key: tuple(sizes) for key, sizes in shape.items()} if isinstance(shape, dict) else tuple(shape)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
