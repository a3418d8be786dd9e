"""The kind of target that is a number, or several."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medfit.evidence import weighted
from medfit.evidence.associations import RankCorrelation
from medfit.evidence.decisions import Decisions, numbers
from medfit.evidence.predictions import Arrays, Metric, Predictions, TargetKind, columns, mean_of, values
from medfit.evidence.settings import Settings
from medfit.evidence.single_cases import Numbers


class Regression(TargetKind):
    """Numbers in their units, a column each."""

    name = "regression"
    headline = "mae"
    predictor = "medfit.deployment.in_rows"
    smaller_is_better = frozenset({"mse", "rmse", "mae"})
    sections = frozenset({"agreement"})
    updates = ("shift", "line")
    cases = Numbers()
    association = RankCorrelation()

    def arrays(self, table: pd.DataFrame) -> Arrays:
        """Returns the columns ``target/<name>`` and ``pred/<name>``."""
        names, preds = columns(table, "pred")
        return names, values(table, "target", names), preds

    def metrics(self, predictions: Predictions) -> dict[str, Metric]:
        """Returns the metrics of errors, of each target and their mean."""
        return weighted.by_column(weighted.REGRESSION, predictions)

    def mean(self, made: Sequence[Predictions]) -> Predictions:
        """Returns the mean of each column."""
        return mean_of(made)

    def tables(
        self, tests: Sequence[Predictions], vals: Sequence[Predictions], settings: Settings
    ) -> dict[str, pd.DataFrame]:
        """Returns agreement and prediction intervals."""
        from medfit.evidence import readouts  # SciPy's statistics, which a training does without

        return readouts.of_numbers(tests, settings)

    def linear(self, preds: np.ndarray) -> np.ndarray:
        """Returns the numbers."""
        return preds

    def of_linear(self, values: np.ndarray) -> np.ndarray:
        """Returns the numbers."""
        return values

    def decisions(self, val: Predictions, test: Predictions | None, settings: Settings) -> Decisions:
        """Returns the prediction intervals."""
        from medfit.evidence import validation_decisions  # SciPy's statistics, which predicting does without

        errors_of, split = (val, "val") if test is None else (test, "test")
        return validation_decisions.of_numbers(errors_of, settings, split)

    def told(self, names: list[str], preds: np.ndarray, decisions: Decisions) -> pd.DataFrame:
        """Returns each number with its interval."""
        return numbers(names, preds, decisions)
