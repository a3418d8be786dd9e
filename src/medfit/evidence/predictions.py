"""Stored predictions, read back, and what depends on the kind of their targets: the contract of the kinds.

Both are in one module since each is made of the other. The kinds themselves are in :mod:`medfit.evidence.targets`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from medfit.errors import UserError
from medfit.evidence.associations import Association
from medfit.evidence.decisions import Decisions
from medfit.evidence.settings import Settings
from medfit.evidence.single_cases import Answers

Metric = Callable[[np.ndarray], np.ndarray]  # weights in the shape (resamples, rows) in, (resamples,) out
Arrays = tuple[list[str], np.ndarray, np.ndarray]  # names of the columns, target and preds


@dataclass(frozen=True)
class Predictions:
    """One model's predictions of a split, a row each sample.

    Args:
        kind: Of the targets.
        names: Of the columns: the positive class, labels, classes or targets; a segmentation's classes but the
            background.
        patient: Whose each row is, in the shape (rows,).
        target: 0 or 1 (one column of a row is 1 for multiclass) or numbers, in the shape (rows, columns); voxels found,
            predicted and true for a segmentation, in the shape (rows, 3, columns).
        preds: Probabilities or numbers, in the shape (rows, columns); distances in mm, in the shape
            (rows, 2, columns), for a segmentation, NaN where not measured.
    """

    kind: "TargetKind"
    names: list[str]
    patient: np.ndarray
    target: np.ndarray
    preds: np.ndarray

    def __len__(self) -> int:
        return len(self.patient)

    def rows(self, chosen: np.ndarray) -> "Predictions":
        """Returns some rows, by their numbers or marks."""
        return replace(self, patient=self.patient[chosen], target=self.target[chosen], preds=self.preds[chosen])

    def by_patient(self) -> "Predictions":
        """Returns a row each patient where the kind is scored so, all rows otherwise."""
        return self.kind.by_patient(self)

    def metrics(self) -> dict[str, Metric]:
        """Returns the kind's metrics, each a function of the rows' weights.

        Where there are several columns, ``metric`` is the mean over them and ``metric/column`` each one's own;
        multiclass has its means alone.
        """
        return self.kind.metrics(self)


class TargetKind:
    """A kind of target: all that depends on what is predicted, and nothing that needs torch.

    A kind is a subclass that says what differs; what it leaves as it is here is what a kind has that predicts nothing
    that could be stored. Kinds have no state: two objects of one kind are equal.

    Attributes:
        name: The word for it in configs, schemas and the tags of runs.
        headline: The metric that decides whether one model is better than another; empty where none is known.
        smaller_is_better: The metrics of which that is true.
        classifies: Whether the predictions are probabilities.
        several_answers: Whether a sample may have several of the classes at once.
        sections: Sections of the report that not all kinds have: ``calibration``, ``decisions``, ``agreement`` and
            ``patients``.
        of_images: Whether the data can be nothing but images.
        predictor: Dotted name of the module that predicts new samples, as :mod:`medfit.deployment.in_rows` does those
            whose predictions are a row each, as :meth:`told` gives them; None where nothing is predicted.
        updates: Ways to put predictions right for patients elsewhere, see :mod:`medfit.evidence.updating`.
        cases: How a single case is chosen and told.
        association: How a column is held against the targets.
    """

    name = ""
    headline = ""
    smaller_is_better: frozenset[str] = frozenset()
    classifies = False
    several_answers = False
    sections: frozenset[str] = frozenset()
    of_images = False
    predictor: str | None = None
    updates: tuple[str, ...] = ()
    cases = Answers()
    association = Association()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TargetKind) and type(self) is type(other) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def read(self, table: pd.DataFrame) -> Predictions:
        """Returns the predictions of a run's ``predictions/<split>.csv``.

        Args:
            table: With ``patient``, and the columns that the kind's ``arrays`` takes.

        Raises:
            UserError: the columns are not those of this kind.
        """
        try:
            names, target, preds = self.arrays(table)
            return Predictions(self, names, table["patient"].astype(str).to_numpy(), target, preds)
        except KeyError as error:
            raise UserError(
                f"the stored predictions are not those of a {self.name} task: there is no column {error}"
            ) from error

    def arrays(self, table: pd.DataFrame) -> Arrays:
        """Returns what a table of stored predictions holds; raises KeyError where a column lacks."""
        raise UserError(f"medfit reads no stored predictions of a task of the kind '{self.name}'")

    def metrics(self, predictions: Predictions) -> dict[str, Metric]:
        """Returns the metrics, by name; see :meth:`Predictions.metrics`."""
        return {}

    def by_patient(self, predictions: Predictions) -> Predictions:
        """Returns the rows that are scored: those of the samples."""
        return predictions

    def mean(self, made: Sequence[Predictions]) -> Predictions | None:
        """Returns the predictions of the mean of several models, from each one's of the same rows.

        None where what is stored does not tell.
        """
        return None

    def truth(self, predictions: Predictions) -> np.ndarray:
        """Returns what no model can change, and all models that are compared have in common."""
        return predictions.target

    def tables(
        self, tests: Sequence[Predictions], vals: Sequence[Predictions], settings: Settings
    ) -> dict[str, pd.DataFrame]:
        """Returns an evaluation's tables that this kind alone has, by name.

        Args:
            tests: Each training's predictions of the test split.
            vals: Each training's predictions of the validation split; no rows where there is none.
            settings: How to read them.
        """
        return {}

    def areas(self, names: Sequence[str]) -> dict[str, int]:
        """Returns the metrics that are the area under one ROC curve, whose interval is DeLong's: the column of each."""
        return {}

    def compared_areas(self, names: Sequence[str]) -> dict[str, int]:
        """Returns those areas of which two models are compared by DeLong's test: the column of each."""
        return {}

    def right(self, predictions: Predictions) -> np.ndarray | None:
        """Marks the rows that are right as a whole; None where a row is neither right nor wrong."""
        return None

    def tempered(self, preds: np.ndarray, temperature: float) -> np.ndarray:
        """Returns probabilities whose log odds (or log probabilities of classes) are divided by a number.

        Args:
            preds: Probabilities, in the shape (rows, columns).
            temperature: The number; above 1 it makes them less extreme.
        """
        raise self._no_probabilities()

    def linear(self, preds: np.ndarray) -> np.ndarray:
        """Returns what a line puts right: log odds, log probabilities of classes, or numbers, (rows, columns)."""
        raise TypeError(f"no line puts predictions of the kind '{self.name}' right")

    def of_linear(self, values: np.ndarray) -> np.ndarray:
        """Returns the predictions that :meth:`linear` makes the values of; those of classes have a sum of 1."""
        raise TypeError(f"no line puts predictions of the kind '{self.name}' right")

    def normalised(self, preds: np.ndarray) -> np.ndarray:
        """Returns positive numbers (rows, columns) made to probabilities that may stand beside each other."""
        raise self._no_probabilities()

    def likelihood(self, preds: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Returns factors, in the shape (rows, columns), whose product is the probability of the targets."""
        raise self._no_probabilities()

    def decisions(self, val: Predictions, test: Predictions | None, settings: Settings) -> Decisions:
        """Returns what validation patients teach about new ones' predictions.

        Args:
            val: Predictions of the validation split.
            test: Of the test split, if it was scored: how far predictions are off, which changes none of them.
            settings: How to read them.
        """
        return Decisions()

    def told(self, names: list[str], preds: np.ndarray, decisions: Decisions) -> pd.DataFrame:
        """Returns the predictions of new samples as a user reads them, a row each.

        Args:
            names: Of the outputs.
            preds: In the shape (samples, outputs).
            decisions: What the validation patients taught.
        """
        raise UserError(f"predictions of the kind '{self.name}' fit in no table")

    def _no_probabilities(self) -> TypeError:
        return TypeError(f"predictions of the kind '{self.name}' are no probabilities")

    def num_events(self, tests: Sequence[Predictions]) -> float:
        """Returns how many patients have the event, where there is one kind of event; else NaN."""
        return np.nan

    def strata(self, y: np.ndarray) -> np.ndarray | None:
        """Returns each sample's class for stratified splits; None where it has none.

        Args:
            y: The targets as a data set holds them.
        """
        return None

    def class_names(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the names of the classes by the numbers under which a split counts them.

        Args:
            names: Of the targets.
        """
        return {str(place): name for place, name in enumerate(names)}


def mean_of(made: Sequence[Predictions]) -> Predictions:
    """Returns the mean of predictions, a column each; the rows have to be the same ones in the same order."""
    first = made[0]
    for other in made[1:]:
        if not (np.array_equal(first.patient, other.patient) and np.array_equal(first.target, other.target)):
            raise ValueError("predictions of the same rows in the same order alone have a mean")
    return replace(first, preds=np.mean([one.preds for one in made], axis=0))


def read_csv(path: Path) -> pd.DataFrame:
    """Returns a run's stored predictions; words stay words, as a class may be called "1" or "NA"."""
    table: pd.DataFrame = pd.read_csv(
        path, dtype={"patient": str, "target": str}, keep_default_na=False, na_values=[""]
    )
    return table


def columns(table: pd.DataFrame, prefix: str) -> tuple[list[str], np.ndarray]:
    """Returns the names of the columns ``<prefix>/<name>`` and their values, in the shape (rows, names)."""
    names = [str(column).removeprefix(f"{prefix}/") for column in table if str(column).startswith(f"{prefix}/")]
    return names, values(table, prefix, names)


def values(table: pd.DataFrame, prefix: str, names: Sequence[str]) -> np.ndarray:
    """Returns the columns ``<prefix>/<name>``, in the shape (rows, names)."""
    return table[[f"{prefix}/{name}" for name in names]].to_numpy(dtype=float)
