"""Scaling to a normal distribution, in steps that exported files can hold, equal to scikit-learn's in 64 bits."""

import numpy as np
import torch
from torch import Tensor, nn

BOUND = 1e-7  # scikit-learn's: how close to its ends the distribution is cut off
LEAST = BOUND - float(np.spacing(1))
# Wichura's AS 241 (Applied Statistics 1988): numerator and denominator, from the highest power down
MIDDLE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
     1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
     687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
TAIL = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838380494, 2.05319162663775882187, 1.0),
)  # fmt: skip


class Quantiles(nn.Module):
    """Each column's place among the quantiles of the training rows, as the value of a normal distribution there.

    Args:
        quantiles: Ascending, in the shape (quantiles, columns).
        places: Of the quantiles, from 0 to 1.
    """

    quantiles: Tensor
    places: Tensor
    ends: Tensor

    def __init__(self, quantiles: np.ndarray, places: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("quantiles", torch.tensor(quantiles, dtype=torch.float64).T.contiguous())
        self.register_buffer("places", torch.tensor(places, dtype=torch.float64))
        self.register_buffer("ends", torch.tensor([LEAST, 1 - LEAST], dtype=torch.float64))  # ONNX rounds bare numbers

    def forward(self, x: Tensor) -> Tensor:
        """Returns numbers in the shape (samples, columns)."""
        quantiles, places = self.quantiles, self.places
        from_below = interpolated(x, quantiles, places)
        from_above = interpolated(-x, -quantiles.flip(1), -places.flip(0))
        place = 0.5 * (from_below - from_above)
        place = torch.where(x + BOUND > quantiles[:, -1], 1.0, place)
        place = torch.where(x - BOUND < quantiles[:, 0], 0.0, place)
        return normal(torch.minimum(torch.maximum(place, self.ends[0]), self.ends[1]))


def interpolated(x: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Returns linear interpolations, as numpy's; of equal known points, the last counts.

    Args:
        x: In the shape (samples, columns), each within the known points of its column.
        known: Ascending, in the shape (columns, points).
        values: There, of all columns, in the shape (points,).
    """
    num_columns, num_points = known.shape
    flat, start = known.flatten(), num_points * torch.arange(num_columns)
    below = torch.zeros_like(x, dtype=torch.int64)
    for power in reversed(range(num_points.bit_length())):  # a binary search for the last point that is not above
        further = (below + 2**power).clamp(max=num_points - 1)
        below = torch.where(flat[start + further] <= x, further, below)
    below = below.clamp(max=max(0, num_points - 2))
    above = (below + 1).clamp(max=num_points - 1)
    low, high = flat[start + below], flat[start + above]
    return (values[above] - values[below]) / (high - low) * (x - low) + values[below]


def normal(share: Tensor) -> Tensor:
    """Returns the values that a normal distribution lies below with these probabilities, 1e-11 to 1 - 1e-11."""
    off = share - 0.5
    middle = off * _ratio(0.180625 - off * off, MIDDLE)
    tail = _ratio((-torch.minimum(share, 1 - share).log()).sqrt() - 1.6, TAIL)
    return torch.where(off.abs() <= 0.425, middle, torch.where(off < 0, -tail, tail))


def _ratio(x: Tensor, powers: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    above, below = (_polynomial(x, factors) for factors in powers)
    return above / below


def _polynomial(x: Tensor, factors: tuple[float, ...]) -> Tensor:
    made = torch.full_like(x, factors[0])
    for factor in factors[1:]:
        made = made * x + factor
    return made
