"""Generation, however it is trained: samples, and scores of how far they are from real images."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from medfit.errors import UserError
from medfit.evidence import generation
from medfit.evidence.targets.known import ALL
from medfit.evidence.targets.regions import Segmentation
from medfit.plots import generation as figures
from medfit.tasks.base import Task
from medfit.tasks.features import FeatureSpace
from medfit.tasks.regime import Count

SEED = 0  # of the noise that every epoch is scored with, whatever the run's seed: scores then differ by weights alone
LABEL_SEED = 2**31  # added to the seed of the noise, which labels must not follow (torch reads 32 bits of a seed)
CHUNK = 64  # images that are generated at once
MOST_SAMPLES = 2048  # generated for a split's scores, unless asked for
MOST_SYNTHETIC = 10_000  # generated to train a classifier on
GRID_PX = 600  # the least side of the samples shown each epoch
NUM_SHOWN = 64  # images that figures are drawn from
GridSize = Annotated[int, Field(ge=0, le=32)]
METRICS = ("frechet", "mmd", "diversity", "memorisation")


class Generative(Task):
    """Makes images like the training split's; a kind says how it is trained and how noise becomes images.

    Scores compare features (:class:`medfit.tasks.features.FeatureSpace`) of generated images, always of the same
    noise, with those of a split's real images: ``frechet``, ``mmd``, ``diversity`` and ``memorisation`` of
    :mod:`medfit.evidence.generation`. A conditional model gets two classifiers at the end, one trained on generated
    images (``tstr_accuracy``, ``tstr_auroc``) and one on the training split's (``trtr_...``), which both have to tell
    the classes of the split's real images.

    Args:
        target_names: Of the classes; one means yes or no.
        train_arrays: Gives images and targets of the training split; None where weights are to be loaded.
        num_classes: That images are made of; 0 for a model without labels.
        monitor: See :class:`Task`.
        mode: See :class:`Task`.
        num_components: Of the feature space.
        num_samples: Generated images that a split is scored with; None for as many as it has, up to 2048.
        feature_network: File of a network whose features are compared; None for pixels.
        grid_size: Rows and columns of the samples shown each epoch, a class each row; 0 for none.

    Attributes:
        latent_size: Numbers of noise that an image is made of.

    Raises:
        UserError: images not in [0, 1], or without classes where the model needs them.
    """

    fits = frozenset(ALL) - {Segmentation()}  # a mask is no label
    latent_size: int
    class_share: Tensor

    def __init__(
        self,
        *,
        target_names: list[str],
        train_arrays: Callable[[], tuple[Tensor, Tensor]] | None,
        num_classes: int,
        monitor: str,
        mode: Literal["min", "max"],
        num_components: Count = 64,
        num_samples: Annotated[int, Field(ge=2)] | None = None,
        feature_network: str | None = None,
        grid_size: GridSize = 8,
    ) -> None:
        super().__init__(monitor, mode)
        self.target_names, self.train_arrays, self.num_classes = target_names, train_arrays, num_classes
        self.num_samples, self.grid_size = num_samples, grid_size
        self.features = FeatureSpace(num_components, feature_network)
        self.register_buffer("class_share", torch.zeros(num_classes))
        if train_arrays is not None:
            self._learn_from(*train_arrays())

    @abstractmethod
    def generate(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Returns images in [0, 1] of noise (images, latent_size) and class numbers (images,), or None."""

    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""
        return [f"val/{name}" for name in METRICS]

    @property
    def class_names(self) -> list[str]:
        """Names of the classes by number; none for a model without labels."""
        names = self.target_names
        return [] if not self.num_classes else [f"not {names[0]}", names[0]] if len(names) == 1 else names

    @torch.no_grad()
    def sample(self, count: int, labels: Tensor | None = None, seed: int = SEED) -> Tensor:
        """Returns generated images (count, channels, size, size) in [0, 1].

        A seed means the same images every time; fewer of them are the first of more.

        Args:
            count: Of images.
            labels: Class numbers (count,), for a conditional model; None draws them as often as in the training split.
            seed: Of the noise.
        """
        labels = self.draw_labels(count, seed) if labels is None else labels
        made = []
        for start, size, generator in _chunks(count, seed):
            z = torch.randn(CHUNK, self.latent_size, generator=generator, dtype=torch.float32)[:size]
            label = None if labels is None else labels[start : start + size].to(self.device)
            made.append(self.generate(z.to(self.device), label))
        return torch.cat(made)

    def draw_labels(self, count: int, seed: int = SEED) -> Tensor | None:
        """Returns class numbers (count,), drawn as often as in the training split; None for a model without labels."""
        if not self.num_classes:
            return None
        bounds = self.class_share.float().cpu().cumsum(0)[:-1]
        drawn = [torch.rand(CHUNK, generator=g)[:size] for _, size, g in _chunks(count, seed + LABEL_SEED)]
        return torch.bucketize(torch.cat(drawn), bounds, right=True)

    def labels(self, target: Tensor) -> Tensor | None:
        """Returns class numbers (images,) of targets of any kind; None for a model without labels."""
        if not self.num_classes:
            return None
        return (target[:, 0] if target.ndim == 2 else target).long()

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        """Keeps the features of real images."""
        self._validated.append(self.features(batch[0]))

    def epoch_scores(self, outputs: list[Tensor]) -> dict[str, float]:
        """Returns how far generated images are from real ones; logs the epoch's samples."""
        real = torch.cat(outputs)
        count = self._num_scored(len(real))
        fake = self.features(self.sample(count, self.draw_labels(count)))
        self._log_samples()
        return self._distances(real, fake)

    def _log_samples(self) -> None:
        log_image = getattr(self.logger, "log_image", None)
        if self.grid_size and log_image is not None:
            rows = torch.arange(self.grid_size**2) // self.grid_size
            images = self.sample(len(rows), rows % self.num_classes if self.num_classes else None)
            grid = figures.tile(_as_arrays(images)[0], self.grid_size)
            log_image("samples", figures.enlarged(grid, GRID_PX), self.current_epoch)

    def predict_step(self, batch: list[Tensor], batch_index: int) -> tuple[Tensor, ...]:
        """Returns features of real images, their targets, features of generated ones, their labels, and some images.

        All that is generated comes with the first batch; of the images those generated come last.
        """
        count = self._num_scored(self.trainer.predict_dataloaders.num_samples)  # type: ignore[union-attr]
        if self.num_classes and self.features.train_features is not None:
            count = max(count, min(len(self.features.train_features), MOST_SYNTHETIC))
        return self._compare(batch, count if batch_index == 0 else 0)

    def scores(self, real: Tensor, target: Tensor, fake: Tensor, label: Tensor, *images: Tensor) -> dict[str, float]:
        """Returns a split's scores."""
        found = self._distances(real, fake[: self._num_scored(len(real))])
        train_labels = self._train_labels()
        if train_labels is None or self.features.train_features is None:
            return found
        (test_x, test_y, fake_x, fake_y) = _as_arrays(real, self.labels(target), fake, label)
        sets = {"tstr": (fake_x, fake_y), "trtr": (self.features.train_features, train_labels.numpy())}
        for name, train in sets.items():
            scores = generation.transfer(train, (test_x, test_y), self.num_classes)
            found |= {f"{name}_{metric}": score for metric, score in scores.items()}
        return found

    def figures(self, *outputs: Tensor) -> dict[str, Figure]:
        """Returns samples beside real images, and generated images with the training images nearest to them."""
        _, _, fake, _, real_images, images = _as_arrays(*outputs)
        found = {"samples": figures.samples(images, real_images)}
        if self.train_arrays is not None and self.features.train_features is not None:
            distances, numbers = generation.nearest(self.features.train_features, fake[: len(images)])
            training = self.train_arrays()[0][torch.from_numpy(numbers)]
            found["nearest_training_images"] = figures.nearest(images, np.asarray(training), distances)
        return found

    def _learn_from(self, images: Tensor, target: Tensor) -> None:
        """Fits the feature space on the training images, and counts the classes."""
        if not 0 <= float(images.min()) <= float(images.max()) <= 1:
            raise UserError(
                f"preprocessing: generated images lie in [0, 1], these in [{float(images.min()):.3g}, "
                f"{float(images.max()):.3g}]; with preprocessing=image set preprocessing.scaling=unit"
            )
        self.features.fit(images)
        one_class_each = target.ndim == 1 or (target.shape[1] == 1 and bool(((target == 0) | (target == 1)).all()))
        if self.num_classes and not one_class_each:
            raise UserError("model.conditional=true needs images of one class each, which this data set has none of")
        if (labels := self.labels(target)) is not None:
            self.class_share = labels.bincount(minlength=self.num_classes).float() / len(labels)

    def _train_labels(self) -> Tensor | None:
        return None if self.train_arrays is None else self.labels(self.train_arrays()[1])

    def _num_scored(self, num_real: int) -> int:
        return self.num_samples or max(2, min(num_real, MOST_SAMPLES))

    def _compare(self, batch: list[Tensor], count: int) -> tuple[Tensor, ...]:
        """Returns what ``predict_step`` does, with ``count`` generated images."""
        x, target = batch
        labels = self.draw_labels(count) if count else None
        images = self.sample(count, labels) if count else x[:0]
        if labels is None:
            labels = torch.zeros(count, dtype=torch.int64)
        shown = min(count, NUM_SHOWN)
        return self.features(x), target, self.features(images), labels, x[:shown], images[:shown]

    def _distances(self, real: Tensor, fake: Tensor) -> dict[str, float]:
        """Returns the scores that every epoch has; NaN where images are no numbers, as when a training diverged."""
        a, b = _as_arrays(real, fake)
        train = self.features.train_features
        if not np.isfinite(b).all() or len(a) < 2:
            return dict.fromkeys(METRICS, float("nan"))
        return {
            "frechet": generation.frechet_distance(a, b),
            "mmd": generation.mmd(a, b),
            "diversity": generation.diversity(a, b),
            "memorisation": float("nan") if train is None else generation.memorisation(train, a, b),
        }


def _chunks(count: int, seed: int) -> Iterator[tuple[int, int, torch.Generator]]:
    """Yields where each chunk starts, its size, and a generator that whole chunks are drawn from.

    Fewer samples are thus the first of more, and drawn on the CPU they are the same on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, CHUNK):
        yield start, min(CHUNK, count - start), generator


def _as_arrays(*tensors: Any) -> list[np.ndarray]:
    return [np.asarray(t.float().cpu() if t.is_floating_point() else t.cpu()) for t in tensors]
