"""How a single case is chosen and told, by what is predicted: answers, classes or numbers.

Predictions of samples have the shape (samples, outputs) here, and truths are as a data set holds them: (samples,
outputs), or class numbers (samples,).
"""

from collections.abc import Mapping, Sequence

import numpy as np


class Answers:
    """Yes or no, for each output."""

    def rankings(self, preds: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        """Returns why a sample may be worth showing, and the places of the samples, those that are it most first."""
        certainty, right = np.abs(2 * preds - 1).mean(axis=1), ((preds > 0.5) == (truth > 0.5)).all(axis=1)
        return by_certainty(certainty, right)

    def output(self, preds: np.ndarray, truth: np.ndarray) -> int:
        """Returns the number of the output of one sample to explain: the likeliest."""
        return int(preds.argmax())

    def outputs(self, preds: np.ndarray) -> Sequence[int]:
        """Returns the outputs of one sample that a summary explains: all, as none excludes another."""
        return range(len(preds))

    def words(self, names: Sequence[str], units: Mapping[str, str], preds: np.ndarray, truth: np.ndarray) -> str:
        """Returns what is predicted of one sample and what is true.

        Args:
            names: Of the outputs.
            units: Of those that have one.
            preds: In the shape (outputs,).
            truth: In the same shape, or a class number.
        """
        output = self.output(preds, truth)
        return f"{names[output]} predicted {preds[output]:.2f}, truly {'yes' if truth[output] > 0.5 else 'no'}"

    def effect(self, names: Sequence[str], units: Mapping[str, str]) -> str:
        """Returns what attributions are measured in, in words."""
        return "effect on the probability"


class Classes(Answers):
    """One of several classes."""

    def rankings(self, preds: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the samples by how sure the predicted class is, those that are right and those that are wrong."""
        return by_certainty(preds.max(axis=1), preds.argmax(axis=1) == truth)

    def outputs(self, preds: np.ndarray) -> Sequence[int]:
        """Returns the predicted class."""
        return [int(preds.argmax())]

    def words(self, names: Sequence[str], units: Mapping[str, str], preds: np.ndarray, truth: np.ndarray) -> str:
        """Returns the predicted class with its probability, and the true one."""
        output = self.output(preds, truth)
        return f"predicted {names[output]} ({preds[output]:.2f}), truly {names[int(truth)]}"


class Numbers(Answers):
    """A number, for each output."""

    def rankings(self, preds: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the samples by their error, in standard deviations of the truth."""
        std = truth.std(axis=0)
        error = (np.abs(preds - truth) / np.where(std > 0, std, 1.0)).mean(axis=1)
        order = np.argsort(error, kind="stable")
        middle = np.argsort(np.abs(error - np.median(error)), kind="stable")
        return {"least error": order, "largest error": order[::-1], "median error": middle}

    def output(self, preds: np.ndarray, truth: np.ndarray) -> int:
        """Returns the number of the output that is furthest off as a share of its size."""
        return int((np.abs(preds - truth) / np.maximum(np.abs(truth), 1e-12)).argmax())

    def words(self, names: Sequence[str], units: Mapping[str, str], preds: np.ndarray, truth: np.ndarray) -> str:
        """Returns the predicted and the true number with their unit."""
        output = self.output(preds, truth)
        unit = f" {units[names[output]]}" if units.get(names[output]) else ""
        return f"{names[output]} predicted {preds[output]:.4g}{unit}, truly {truth[output]:.4g}{unit}"

    def effect(self, names: Sequence[str], units: Mapping[str, str]) -> str:
        """Returns the unit of the predictions, where they have one in common."""
        known = {units.get(name, "") for name in names}
        unit = known.pop() if len(known) == 1 else ""
        return f"effect on the prediction ({unit})" if unit else "effect on the prediction"


def by_certainty(certainty: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the places of samples, by how sure their predictions are and whether they are right."""
    order = np.argsort(-certainty, kind="stable")
    return {
        "most confident right": order[right[order]],
        "most confident wrong": order[~right[order]],
        "least certain": order[::-1],
    }
