"""Generation: a generator against a discriminator, scored by how far its images are from the data set's."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from medfit.errors import UserError, blame
from medfit.evidence import generation
from medfit.plots import generation as figures
from medfit.regime import AdversarialRegime, Count, NonNegative
from medfit.tasks import players
from medfit.tasks.base import Task
from medfit.tasks.features import FeatureSpace

SEED = 0  # of the noise that every epoch is scored with, whatever the run's seed: scores then differ by weights alone
LABEL_SEED = 2**40  # away from the seeds of the noise, which labels must not follow
CHUNK = 64  # images that are generated at once
MOST_SAMPLES = 2048  # generated for a split's scores, unless asked for
MOST_SYNTHETIC = 10_000  # generated to train a classifier on
NUM_SHOWN = 64  # images that figures are drawn from
METRICS = ("frechet", "mmd", "diversity", "memorisation")


class Adversarial(Task):
    """Trains a generator and a discriminator in turns, each with its own optimiser.

    Scores and samples come from the generator's average over training. They compare features (see
    :class:`medfit.tasks.features.FeatureSpace`) of generated images, always of the same noise, with those of a split's
    real images: ``frechet``, ``mmd``, ``diversity`` and ``memorisation`` of :mod:`medfit.evidence.generation`. A
    conditional model gets two classifiers at the end, one trained on generated images (``tstr_accuracy``,
    ``tstr_auroc``) and one on the training split's (``trtr_...``). Both tell real images of the split apart.

    Args:
        model: Takes the input's shape and the number of targets; has ``generator(z, label)`` with images in [0, 1],
            ``discriminator(x, label)`` with a number for each, ``latent_size``, and ``num_classes`` (0: no labels).
        regime: How to train.
        input_shape: Of one image.
        target_names: Of the classes; one means yes or no.
        train_arrays: Gives images and targets of the training split; None where weights are to be loaded.
        monitor: See :class:`Task`.
        mode: See :class:`Task`.
        loss: ``non_saturating``, ``hinge`` or ``wasserstein_gp``; see :mod:`medfit.tasks.players`.
        gradient_penalty: Weight of the gradient penalty in ``wasserstein_gp``.
        r1: Weight of half the squared gradient at real images; 0 for none.
        r1_interval: Steps of the discriminator from one such penalty to the next, which weighs as many times more.
        ema_decay: Of the generator's exponential moving average, in [0, 1); lower in the first steps.
        num_components: Of the feature space.
        num_samples: Generated images that a split is scored with; None for as many as it has, up to 2048.
        feature_network: File of a network whose features are compared; None for pixels.
        grid_size: Rows and columns of the samples shown each epoch, a class each row; 0 for none.

    Raises:
        UserError: a model that is no pair of players, a regime for one, images not in [0, 1], or no classes where the
            model needs them.
    """

    fits = frozenset({"generation", "binary", "multiclass"})
    class_share: Tensor

    def __init__(
        self,
        *,
        model: Callable[..., nn.Module],
        regime: AdversarialRegime,
        input_shape: tuple[int, ...],
        target_names: list[str],
        train_arrays: Callable[[], tuple[Tensor, Tensor]] | None,
        monitor: str,
        mode: Literal["min", "max"],
        loss: Literal["non_saturating", "hinge", "wasserstein_gp"] = "non_saturating",
        gradient_penalty: NonNegative = 10.0,
        r1: NonNegative = 0.0,
        r1_interval: Count = 4,
        ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999,
        num_components: Count = 64,
        num_samples: Annotated[int, Field(ge=2)] | None = None,
        feature_network: str | None = None,
        grid_size: Annotated[int, Field(ge=0, le=32)] = 8,
    ) -> None:
        super().__init__(monitor, mode)
        self.automatic_optimization = False
        self.regime, self.target_names, self.train_arrays = regime, target_names, train_arrays
        self.loss = players.LOSSES[loss]
        self.gradient_penalty = gradient_penalty if loss == "wasserstein_gp" else 0.0
        self.r1, self.r1_interval, self.num_samples, self.grid_size = r1, r1_interval, num_samples, grid_size
        with blame("model", TypeError, ValueError, RuntimeError):
            self.model: Any = model(input_shape, len(target_names))
        self._check_players()
        average = players.average_with_warm_up(ema_decay)
        self.average = AveragedModel(self.model.generator, avg_fn=average, use_buffers=True).requires_grad_(False)
        self.features = FeatureSpace(num_components, feature_network)
        self.register_buffer("class_share", torch.zeros(self.model.num_classes))
        if train_arrays is not None:
            self._learn_from(*train_arrays())
        self._outputs: list[tuple[Tensor, ...]] = []
        self._num_steps = 0  # of the discriminator

    def logged(self) -> list[str]:
        """Returns the names of the validation scores that it logs."""
        return [f"val/{name}" for name in METRICS]

    @property
    def class_names(self) -> list[str]:
        """Names of the classes by number; none for a model without labels."""
        names = self.target_names
        return [] if not self.model.num_classes else [f"not {names[0]}", names[0]] if len(names) == 1 else names

    @torch.no_grad()
    def sample(self, count: int, labels: Tensor | None = None, seed: int = SEED) -> Tensor:
        """Returns generated images (count, channels, size, size) in [0, 1], the same for a seed, the first n for any n.

        Args:
            count: Of images.
            labels: Class numbers (count,), for a conditional model; None draws them as often as in the training split.
            seed: Of the noise.
        """
        self.average.eval()
        weight = next(self.average.parameters())
        labels = self.draw_labels(count, seed) if labels is None else labels
        made = []
        for start, size, generator in _chunks(count, seed):
            z = torch.randn(CHUNK, self.model.latent_size, generator=generator, dtype=torch.float32)[:size]
            label = None if labels is None else labels[start : start + size].to(weight.device)
            made.append(self.average(z.to(weight), label))
        return torch.cat(made)

    def draw_labels(self, count: int, seed: int = SEED) -> Tensor | None:
        """Returns class numbers (count,), drawn as often as in the training split; None for a model without labels."""
        if not self.model.num_classes:
            return None
        bounds = self.class_share.float().cpu().cumsum(0)[:-1]
        drawn = [torch.rand(CHUNK, generator=g)[:size] for _, size, g in _chunks(count, seed + LABEL_SEED)]
        return torch.bucketize(torch.cat(drawn), bounds, right=True)

    def training_step(self, batch: list[Tensor], batch_index: int) -> None:
        """Takes a step of the discriminator, and after ``discriminator_steps`` of them one of the generator."""
        x, label = batch[0], self._labels(batch[1])
        of_generator, of_discriminator = self.optimizers()  # type: ignore[misc, union-attr]
        with self.toggled_optimizer(of_discriminator):
            self._step(of_discriminator, self.discriminator_loss(x, label))
        self._num_steps += 1
        if self._num_steps % self.regime.discriminator_steps == 0:
            with self.toggled_optimizer(of_generator):
                self._step(of_generator, self.generator_loss(x, label))
            self.average.update_parameters(self.model.generator)

    def discriminator_loss(self, real: Tensor, label: Tensor | None) -> Tensor:
        """Returns the discriminator's loss on a batch and as many generated images; logs it without penalties."""
        with torch.no_grad():
            fake = self.model.generator(self._noise(real), label)
        on_real, on_fake = self.model.discriminator(real, label), self.model.discriminator(fake, label)
        loss = self.loss.discriminator(on_real, on_fake)
        self._log("discriminator_loss", loss, len(real))
        self._log("output_on_real", on_real.mean(), len(real))
        self._log("output_on_generated", on_fake.mean(), len(real))
        if self.gradient_penalty:
            loss = loss + self.gradient_penalty * players.gradient_penalty(self.model.discriminator, real, fake, label)
        if self.r1 and self._num_steps % self.r1_interval == 0:
            loss = loss + self.r1_interval * self.r1 / 2 * players.r1(self.model.discriminator, real, label)
        return loss

    def generator_loss(self, real: Tensor, label: Tensor | None) -> Tensor:
        """Returns the generator's loss on as many images as a batch has, with its labels; logs it."""
        fake = self.model.generator(self._noise(real), label)
        loss = self.loss.generator(self.model.discriminator(fake, label))
        self._log("loss", loss, len(real))
        return loss

    def validation_step(self, batch: list[Tensor], batch_index: int) -> None:
        """Keeps real and generated features, to be scored at the epoch's end."""
        self._outputs.append(self._compare(batch, self._num_scored(self.trainer.val_dataloaders), batch_index))

    def on_validation_epoch_end(self) -> None:
        """Logs the validation scores and the epoch's samples."""
        real, _, fake, *_ = self.join(self._outputs)
        self._outputs.clear()
        self.log_dict({f"val/{name}": score for name, score in self._distances(real, fake).items()})
        if self.grid_size and hasattr(self.logger, "log_image"):
            self.logger.log_image("samples", self._grid(), self.current_epoch)

    def predict_step(self, batch: list[Tensor], batch_index: int) -> tuple[Tensor, ...]:
        """Returns real features, targets, generated features, their labels, and some images of each, real ones first.

        All that is generated comes with the first batch.
        """
        count = self._num_scored(self.trainer.predict_dataloaders)
        train = self.features.train_features
        if self.model.num_classes and train is not None:
            count = max(count, min(len(train), MOST_SYNTHETIC))
        return self._compare(batch, count, batch_index)

    def scores(self, real: Tensor, target: Tensor, fake: Tensor, label: Tensor, *images: Tensor) -> dict[str, float]:
        """Returns a split's scores."""
        found = self._distances(real, fake[: self.num_samples or min(len(real), MOST_SAMPLES)])
        if self.model.num_classes and self.train_arrays is not None:
            train = self.features.train_features, self._class_numbers(self.train_arrays()[1]).numpy()
            test = real.numpy(), self._class_numbers(target).numpy()
            for name, data in (("tstr", (fake.numpy(), label.numpy())), ("trtr", train)):
                scores = generation.transfer(data, test, self.model.num_classes)
                found |= {f"{name}_{metric}": score for metric, score in scores.items()}
        return found

    def figures(self, *outputs: Tensor) -> dict[str, Figure]:
        """Returns samples beside real images, and generated images with the training images nearest to them."""
        _, _, fake, _, real_images, images = (np.asarray(part.float()) for part in outputs)
        found = {"samples": figures.samples(images, real_images)}
        if self.train_arrays is not None:
            distances, numbers = generation.nearest(self.features.train_features, fake[: len(images)])
            training = self.train_arrays()[0][torch.from_numpy(numbers)]
            found["nearest_training_images"] = figures.nearest(images, np.asarray(training), distances)
        return found

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Returns the generator's and the discriminator's optimiser."""
        return [getattr(self.regime, f"{name}_optimizer")(getattr(self.model, name).parameters()) for name in PLAYERS]
