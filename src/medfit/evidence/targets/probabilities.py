"""Kinds of target whose predictions are probabilities: yes or no, several labels, one of several classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from medfit.evidence import weighted
from medfit.evidence.associations import Area, AreaOfPairs
from medfit.evidence.decisions import Decisions, answers, classes
from medfit.evidence.odds import TINY, logit
from medfit.evidence.predictions import Arrays, Metric, Predictions, TargetKind, columns, mean_of, values
from medfit.evidence.settings import Settings
from medfit.evidence.single_cases import Classes


class Probabilities(TargetKind):
    """What all kinds of classification have in common."""

    headline = "auroc"
    smaller_is_better = frozenset({"cross_entropy", "brier", "calibration_error"})
    classifies = True
    predictor = "medfit.deployment.in_rows"
    sections = frozenset({"calibration", "decisions"})

    def mean(self, made: Sequence[Predictions]) -> Predictions:
        """Returns the mean of each column."""
        return mean_of(made)

    def tables(
        self, tests: Sequence[Predictions], vals: Sequence[Predictions], settings: Settings
    ) -> dict[str, pd.DataFrame]:
        """Returns thresholds, calibration and decision curves."""
        from medfit.evidence import readouts  # SciPy's statistics, which a training does without

        return readouts.of_probabilities(tests, vals, settings)


class MultiLabel(Probabilities):
    """Several yes-or-no answers per sample, a column each."""

    name = "multilabel"
    several_answers = True
    updates = ("intercept", "intercept and slope")
    association = Area()

    def arrays(self, table: pd.DataFrame) -> Arrays:
        """Returns the columns ``target/<label>`` and ``pred/<label>``."""
        names, preds = columns(table, "pred")
        return names, values(table, "target", names), preds

    def metrics(self, predictions: Predictions) -> dict[str, Metric]:
        """Returns the metrics of yes and no, of each label and their mean."""
        return weighted.by_column(weighted.BINARY, predictions)

    def areas(self, names: Sequence[str]) -> dict[str, int]:
        """Returns the AUROC of each column."""
        return {"auroc": 0} if len(names) == 1 else {f"auroc/{name}": place for place, name in enumerate(names)}

    def tempered(self, preds: np.ndarray, temperature: float) -> np.ndarray:
        """Returns probabilities whose log odds are divided by the temperature."""
        return self.of_linear(self.linear(preds) / temperature)

    def linear(self, preds: np.ndarray) -> np.ndarray:
        """Returns log odds."""
        return logit(preds)

    def of_linear(self, values: np.ndarray) -> np.ndarray:
        """Returns probabilities of log odds."""
        return 1 / (1 + np.exp(-np.clip(values, -500, 500)))

    def normalised(self, preds: np.ndarray) -> np.ndarray:
        """Returns them as they are: each column stands alone."""
        return preds

    def decisions(self, val: Predictions, test: Predictions | None, settings: Settings) -> Decisions:
        """Returns the threshold and the recalibration of each answer."""
        from medfit.evidence import validation_decisions  # SciPy's statistics, which predicting does without

        return validation_decisions.of_answers(val, settings)

    def told(self, names: list[str], preds: np.ndarray, decisions: Decisions) -> pd.DataFrame:
        """Returns each answer's decision and probabilities."""
        return answers(names, preds, decisions)

    def likelihood(self, preds: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Returns the probability of each answer that is true."""
        return np.where(target > 0.5, preds, 1 - preds)


class Binary(MultiLabel):
    """Yes or no."""

    name = "binary"
    several_answers = False

    def compared_areas(self, names: Sequence[str]) -> dict[str, int]:
        """Returns the AUROC."""
        return self.areas(names)

    def right(self, predictions: Predictions) -> np.ndarray:
        """Marks the rows whose answer is right."""
        return (predictions.preds[:, 0] > 0.5) == (predictions.target[:, 0] > 0.5)

    def num_events(self, tests: Sequence[Predictions]) -> float:
        """Returns how many patients have a sample that is positive."""
        return float(len({patient for test in tests for patient in test.patient[test.target[:, 0] > 0.5].tolist()}))

    def strata(self, y: np.ndarray) -> np.ndarray:
        """Returns the answers."""
        return y[:, 0].astype(int)

    def class_names(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the names of yes and no."""
        return {"1": names[0], "0": f"not {names[0]}"} if names else {}


class MultiClass(Probabilities):
    """One of several classes, a column each, of which one is 1."""

    name = "multiclass"
    updates = ("temperature", "vector")
    cases = Classes()
    association = AreaOfPairs()

    def arrays(self, table: pd.DataFrame) -> Arrays:
        """Returns the columns ``pred/<class>``, and from the column ``target`` one for each class."""
        names, preds = columns(table, "pred")
        return names, (table["target"].astype(str).to_numpy()[:, None] == np.array(names)[None]).astype(float), preds

    def metrics(self, predictions: Predictions) -> dict[str, Metric]:
        """Returns the metrics over all classes."""
        return weighted.of_classes(predictions)

    def right(self, predictions: Predictions) -> np.ndarray:
        """Marks the rows whose likeliest class is the true one."""
        return predictions.preds.argmax(axis=1) == predictions.target.argmax(axis=1)

    def strata(self, y: np.ndarray) -> np.ndarray:
        """Returns the class numbers."""
        return y

    def tempered(self, preds: np.ndarray, temperature: float) -> np.ndarray:
        """Returns probabilities whose logarithms are divided by the temperature, with a sum of 1."""
        return self.of_linear(self.linear(preds) / temperature)

    def linear(self, preds: np.ndarray) -> np.ndarray:
        """Returns log probabilities; one of 0 counts as one in a million."""
        return np.log(np.clip(preds, TINY, 1))

    def of_linear(self, values: np.ndarray) -> np.ndarray:
        """Returns probabilities with a sum of 1."""
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def normalised(self, preds: np.ndarray) -> np.ndarray:
        """Returns numbers with a sum of 1 in each row; all alike where all are 0."""
        total = preds.sum(axis=1, keepdims=True)
        return np.where(total > 0, preds / np.where(total > 0, total, 1), 1 / preds.shape[1])

    def decisions(self, val: Predictions, test: Predictions | None, settings: Settings) -> Decisions:
        """Returns the recalibration of the classes."""
        from medfit.evidence import validation_decisions  # SciPy's statistics, which predicting does without

        return validation_decisions.of_classes(val)

    def told(self, names: list[str], preds: np.ndarray, decisions: Decisions) -> pd.DataFrame:
        """Returns the likeliest class, and each class's probabilities."""
        tempered = None if decisions.temperature is None else self.tempered(preds, decisions.temperature)
        return classes(names, preds, tempered)

    def likelihood(self, preds: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Returns the probability of the true class, and 1 for all others."""
        return np.where(target > 0.5, preds, 1.0)
