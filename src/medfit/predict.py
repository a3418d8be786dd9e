"""``medfit predict``: applies a finished model to new patients; the training data need not be there any more."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
from omegaconf import DictConfig
from pydantic import Field

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.terminal.sample_bar import SampleBar
from medfit.tracking.store import Store

if TYPE_CHECKING:
    from medfit.deployment.finished_model import AnyModel

FILE = "predictions.csv"  # beside masks


@dataclass(frozen=True)
class Predict:
    """What is predicted.

    Args:
        model: The MLflow id of a finished training, or a model's address, as ``models:/name@champion``.
        data: A file or folder of new patients, of any format that the training's kind of data is read from. It needs no
            target.
        out: The CSV file that predictions go to; one that is there is replaced. Where these are masks, a folder that
            is new or empty: masks go there, and the CSV beside them. None for ``predictions.csv`` or ``predictions``.
        id: Columns that are passed on; None for the patient's column of the training data, if it is there.
        device: As torch names it, as ``cpu`` or ``cuda:1``; ``auto`` for the GPU if there is one.
    """

    model: str | None = None
    data: str | None = None
    out: str | None = None
    id: str | Annotated[list[str], Field(min_length=1)] | None = None
    device: str = "auto"


def predict(cfg: DictConfig) -> pd.DataFrame:
    """Returns what a finished model predicts for new samples, as :meth:`FinishedModel.predict` does; says what is odd.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it.

    Raises:
        UserError: there is no such model, or the samples are not what it takes.
    """
    asked: Predict = build(cfg.predict)
    return _predicted(asked, _model(cfg, asked))


def main(cfg: DictConfig) -> None:
    """Writes the predictions, and says where."""
    asked: Predict = build(cfg.predict)
    if asked.out and not Path(asked.out).expanduser().parent.is_dir():
        raise UserError(f"predict.out: there is no folder '{Path(asked.out).parent}'")
    model = _model(cfg, asked)
    out = Path(asked.out or model.predictor.OUT).expanduser()
    if files := model.predictor.WRITES_FILES:
        _make_folder(out, Path(str(asked.data)).expanduser())
    table = _predicted(asked, model, out if files else None)
    table.insert(0, "row", range(1, len(table) + 1))
    file = out / FILE if files else out
    try:
        table.to_csv(file, index=False)
    except OSError as error:
        raise UserError(f"predict.out: cannot write to '{file}' ({error.strerror})") from error
    say(f"{len(table)} rows of predictions in {file}")


def _model(cfg: DictConfig, asked: Predict) -> "AnyModel":
    if not asked.model:
        raise UserError(
            "predict.model is needed: medfit predict <run id> data=new.csv; medfit ui shows the ids of runs"
        )
    if not asked.data:
        raise UserError("predict.data is needed: give data=<a file of new patients>")
    from medfit.deployment import logged  # late: a quick start

    return logged.load(Store(cfg), asked.model, "predict.model").on(asked.device)


def _predicted(asked: Predict, model: "AnyModel", out: Path | None = None) -> pd.DataFrame:
    identifiers = [asked.id] if isinstance(asked.id, str) else asked.id
    with SampleBar() as bar:
        return model.predict(str(asked.data), identifiers, lambda line: say(f"Note: {line}."), out, bar.show)


def _make_folder(out: Path, data: Path) -> None:
    """Makes the folder of files that are predicted, beside nothing else: nobody could tell old ones from new."""
    if out.exists() and not out.is_dir():
        raise UserError(f"predict.out: '{out}' is a file; the model predicts masks, for which a folder is needed")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"predict.out: the folder '{out}' holds files; give another, or empty it")
    if data.is_dir() and out.resolve().is_relative_to(data.resolve()):
        raise UserError("predict.out: lies in predict.data, whose files are taken for images; give another folder")
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"predict.out: cannot make the folder '{out}' ({error.strerror})") from error
