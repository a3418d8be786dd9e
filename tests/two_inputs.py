"""A data set of two inputs a patient, a picture and a record, and a model that takes both."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medfit.data.datasets.samples import Samples
from medfit.data.kind import Kind, check_kind
from medfit.data.preprocessing.arrays import Arrays
from medfit.data.preprocessing.fitted import Fitted


class BothKind(Kind["Both"]):
    """Pictures with records."""

    samples = "pictures with records"
    preprocessing = "both"


class Both(Samples):
    """200 patients: the class is whether the picture's light and the record's first number have the same sign."""

    kind = BothKind()

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        light, number = rng.choice([-1.0, 1.0], (2, 200))
        self.pictures = (light[:, None, None, None] + rng.normal(0, 0.3, (200, 1, 6, 6))).astype(np.float32)
        self.records = (np.stack([number, rng.normal(size=200)], axis=1) + rng.normal(0, 0.1, (200, 2))).astype(
            np.float32
        )
        y = (light * number > 0).astype(np.float32)[:, None]
        super().__init__(name="both", y=y, task="binary", target_names=["same sign"], source="made up")

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        return {"picture": self.pictures[index], "record": self.records[index]}, self.y[index]

    def features(self) -> list[dict[str, str]]:
        """Returns the two inputs."""
        return [{"name": "picture", "kind": "image"}, {"name": "record", "kind": "numeric"}]

    def contents(self):
        """Yields all values."""
        yield self.pictures.tobytes()
        yield self.records.tobytes()


class BothPreprocessing:
    """Gives both as they are."""

    def __init__(self, dataset: Both) -> None:
        check_kind(dataset, "both")
        self.dataset = dataset

    def usable(self) -> np.ndarray:
        """Marks all patients."""
        return np.ones(len(self.dataset), dtype=bool)

    def fit(self, train: np.ndarray) -> "FittedBoth":
        """Learns nothing."""
        return FittedBoth(features=["picture", "record"], units={}, target_names=self.dataset.target_names)

    def prepared(self, fitted: "FittedBoth") -> Arrays:
        """Returns all samples."""
        x = {"picture": self.dataset.pictures, "record": self.dataset.records}
        return Arrays(fitted.apply(x), torch.tensor(self.dataset.y))


@dataclass(frozen=True, kw_only=True)
class FittedBoth(Fitted):
    """Nothing was learnt."""

    def apply(self, samples: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """Returns both inputs as tensors."""
        return {name: torch.from_numpy(values) for name, values in samples.items()}


class Sum(nn.Module):
    """A layer for each input, and one for both."""

    def __init__(self, input_shape: dict[str, tuple[int, ...]], output_size: int, width: int = 16) -> None:
        super().__init__()
        self.picture = nn.Linear(int(np.prod(input_shape["picture"])), width)
        self.record = nn.Linear(*input_shape["record"], width)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, output_size))

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        """Returns the outputs."""
        return self.head(self.picture(x["picture"].flatten(1)) + self.record(x["record"]))
