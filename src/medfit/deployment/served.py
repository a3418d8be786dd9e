"""What MLflow calls to load a finished model and to predict with it, in its own server, too."""

from pathlib import Path
from typing import Any

import pandas as pd

from medfit.deployment import ensemble
from medfit.deployment.finished_model import AnyModel
from medfit.errors import UserError

MARK = "\u2063"  # invisible, around what the model itself says in an error, which MLflow puts among the rows


class Served:
    """A finished model whose refusals MLflow's server answers as the request's mistakes.

    Args:
        model: The model.
    """

    def __init__(self, model: AnyModel) -> None:
        self.model = model

    def predict(self, samples: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Returns what :meth:`AnyModel.predict` does of a table's rows.

        Raises:
            MlflowException: the rows are not what the model takes; no value of theirs is told.
        """
        from mlflow.exceptions import MlflowException  # late: a quick start

        try:
            told = self.model.predict(samples)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(f"{MARK}{error}{MARK}") from None
        return told.astype(object).where(told.notna(), None) if told.isna().any(axis=None) else told  # JSON has no NaN


def _load_pyfunc(path: str) -> Served:
    """Returns the model in a folder; MLflow calls it by this name."""
    return Served(ensemble.load(Path(path), "the model"))
