"""Multiclass through binary problems."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from medfit.errors import UserError
from medfit.tasks.classification import MultiClass

Coding = Literal["one_vs_rest", "one_vs_one", "error_correcting"]


class MultiClassByCodes(MultiClass):
    """One of several classes, by one logit for each column of a code matrix (classes x problems).

    An entry says what a class is in a problem: 1 yes, -1 no, 0 not asked. One matrix serves one-vs-rest,
    one-vs-one and error-correcting output codes; the problems share the network. A class scores by the loss of
    its codeword under the logits (loss-based decoding, Allwein et al., JMLR 2000, with the log loss), and its
    probability is the softmax of minus those losses, which Allwein et al. do not give. Random error-correcting
    codes after Dietterich & Bakiri, JAIR 1995.

    Args:
        coding: ``one_vs_rest``, ``one_vs_one`` or ``error_correcting``.
        code_size: Of ``error_correcting``: problems per class.
    """

    matrix: Tensor

    def __init__(self, *, coding: Coding, code_size: Annotated[float, Field(gt=0)] = 2.0, **kwargs: Any) -> None:
        self.codes = code_matrix(coding, len(kwargs["target_names"]), code_size)
        super().__init__(**kwargs)

    @property
    def output_size(self) -> int:
        """The number of binary problems."""
        return self.codes.shape[1]

    def prepare_targets(self, targets: Callable[[], Tensor]) -> None:
        """Keeps the code matrix beside the class weights."""
        super().prepare_targets(targets)
        self.register_buffer("matrix", self.codes)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean log loss of the problems that ask for the sample's class."""
        codes = self.matrix[target]
        losses = F.softplus(-codes * output) * codes.abs()
        return (losses.sum(dim=1) / codes.abs().sum(dim=1) * self.weights[target]).mean()

    def predict(self, output: Tensor) -> Tensor:
        """Returns the classes' probabilities."""
        losses = F.softplus(-self.matrix * output[:, None, :]) * self.matrix.abs()
        return (-losses.sum(dim=2)).softmax(dim=1)


def code_matrix(coding: Coding, num_classes: int, code_size: float = 2.0) -> Tensor:
    """Returns the code matrix of -1, 0 and 1, in the shape (classes, problems).

    Error-correcting codes are drawn at random from a fixed seed and the draw kept whose closest two classes
    differ most; no column is constant, or another's copy or complement while there are enough to choose from.

    Raises:
        UserError: too few problems to tell the classes apart.
    """
    if coding == "one_vs_rest":
        return 2 * torch.eye(num_classes) - 1
    if coding == "one_vs_one":
        pairs = torch.combinations(torch.arange(num_classes))
        matrix = torch.zeros(num_classes, len(pairs))
        matrix[pairs[:, 0], torch.arange(len(pairs))] = 1
        matrix[pairs[:, 1], torch.arange(len(pairs))] = -1
        return matrix
    return _random_codes(num_classes, max(1, round(num_classes * code_size)))


def _random_codes(num_classes: int, num_problems: int, draws: int = 200) -> Tensor:
    rng = np.random.default_rng(0)
    different = 2 ** (num_classes - 1) - 1 if num_classes < 16 else np.inf  # columns but for copies and complements
    num_problems = int(min(num_problems, different))
    best, best_distance = None, 0
    for _ in range(draws):
        columns: dict[bytes, np.ndarray] = {}
        while len(columns) < num_problems:
            column = rng.choice([-1, 1], num_classes)
            column *= column[0]
            if not (column == column[0]).all():
                columns[column.tobytes()] = column
        matrix = np.stack(list(columns.values()), axis=1)
        distance = min((matrix[i] != matrix[j]).sum() for i in range(num_classes) for j in range(i))
        if distance > best_distance:
            best, best_distance = matrix, distance
    if best is None:
        raise UserError(f"task.code_size: {num_problems} problems can't tell {num_classes} classes apart; raise it")
    return torch.from_numpy(best).float()
