"""``medfit predict``: applies a finished model to new patients; the training data need not be there any more."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from omegaconf import DictConfig
from pydantic import Field

from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.terminal.sample_bar import SampleBar
from medfit.tracking.store import Store


@dataclass(frozen=True)
class Predict:
    """What is predicted.

    Args:
        model: The MLflow id of a finished training, or a model's address, as ``models:/name@champion``.
        data: A file or folder of new patients, of any format that the training's kind of data is read from. It needs no
            target.
        out: The CSV file that predictions go to; one that is there is replaced.
        id: Columns that are passed on; None for the patient's column of the training data, if it is there.
        device: As torch names it, as ``cpu`` or ``cuda:1``; ``auto`` for the GPU if there is one.
    """

    model: str | None = None
    data: str | None = None
    out: str = "predictions.csv"
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
    if not asked.model:
        raise UserError(
            "predict.model is needed: medfit predict <run id> data=new.csv; medfit ui shows the ids of runs"
        )
    if not asked.data:
        raise UserError("predict.data is needed: give data=<a file of new patients>")
    from medfit.deployment import logged  # late: a quick start

    model = logged.load(Store(cfg), asked.model, "predict.model").on(asked.device)
    identifiers = [asked.id] if isinstance(asked.id, str) else asked.id
    with SampleBar() as bar:
        return model.predict(asked.data, identifiers, lambda line: say(f"Note: {line}."), progress=bar.show)


def main(cfg: DictConfig) -> None:
    """Writes the predictions, and says where."""
    out = Path(cfg.predict.out).expanduser()
    if not out.parent.is_dir():
        raise UserError(f"predict.out: there is no folder '{out.parent}'")
    table = predict(cfg)
    table.insert(0, "row", range(1, len(table) + 1))
    try:
        table.to_csv(out, index=False)
    except OSError as error:
        raise UserError(f"predict.out: cannot write to '{out}' ({error.strerror})") from error
    say(f"{len(table)} rows of predictions in {out}")
