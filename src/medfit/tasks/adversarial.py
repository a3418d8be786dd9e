"""Generation by a game: a generator against a discriminator."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from medfit.data.inputs import Shape
from medfit.errors import UserError, blame
from medfit.tasks import adversarial_losses
from medfit.tasks.base import one_input
from medfit.tasks.generative import Generative, GridSize
from medfit.tasks.layers import trained
from medfit.tasks.regime import AdversarialRegime, Count, NonNegative


class Adversarial(Generative):
    """Trains a generator and a discriminator in turns, each with its own optimiser.

    Scores and samples come from the average of the generator over training. Lightning counts both optimisers' steps,
    so trainings compare by epoch.

    Args:
        model: Takes the input's shape and the number of targets; has ``generator(z, label)`` with images in [0, 1],
            ``discriminator(x, label)`` with a number for each, ``latent_size``, and ``num_classes`` (0: no labels).
        regime: How to train.
        input_shape: Of one image.
        target_names: Of the classes; one means yes or no.
        loss: ``non_saturating``, ``hinge`` or ``wasserstein_gp``; see :mod:`medfit.tasks.adversarial_losses`.
        gradient_penalty: Weight of the gradient penalty in ``wasserstein_gp``.
        r1: Weight of half the squared gradient at real images; 0 for none.
        r1_interval: Steps of the discriminator from one such penalty to the next, which weighs as many times more.
        ema_decay: Of the generator's exponential moving average, in [0, 1); lower in the first steps.
        train_arrays: This and the rest as :class:`medfit.tasks.generative.Generative` takes them.
        monitor: See there.
        mode: See there.
        num_components: See there.
        num_samples: See there.
        feature_network: See there.
        grid_size: See there.

    Raises:
        UserError: a model that is no pair of players, a regime for a single model, a gradient penalty on a
            discriminator with batch normalisation, or what ``Generative`` refuses.
    """

    def __init__(
        self,
        *,
        model: Callable[..., nn.Module],
        regime: AdversarialRegime,
        input_shape: Shape,
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
        grid_size: GridSize = 8,
    ) -> None:
        with blame("model", TypeError, ValueError, RuntimeError):
            made: Any = model(one_input(input_shape, "adversarial"), len(target_names))
        _check_players(made, regime, penalised=bool(r1) or loss == "wasserstein_gp")
        super().__init__(
            target_names=target_names,
            train_arrays=train_arrays,
            num_classes=made.num_classes,
            monitor=monitor,
            mode=mode,
            num_components=num_components,
            num_samples=num_samples,
            feature_network=feature_network,
            grid_size=grid_size,
        )
        self.model, self.regime, self.latent_size = made, regime, made.latent_size
        self.loss = adversarial_losses.LOSSES[loss]
        self.gradient_penalty = gradient_penalty if loss == "wasserstein_gp" else 0.0
        self.r1, self.r1_interval = r1, r1_interval
        average = adversarial_losses.average_with_warm_up(ema_decay)
        self.average = AveragedModel(made.generator, avg_fn=average, use_buffers=True).requires_grad_(False)
        self.configure_optimizers()
        self.automatic_optimization = False  # there are two players, each with steps of its own
        self._num_steps = 0  # of the discriminator
        self._of_discriminator = list(trained(made.discriminator).values())

    def generate(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Returns the averaged generator's images in [0, 1]."""
        return self.average.eval()(z.to(next(self.average.parameters()).dtype), label)

    def training_step(self, batch: list[Tensor], number: int) -> None:
        """Takes a step of the discriminator, and after ``discriminator_steps`` of these one of the generator."""
        x, target = batch
        label = self.labels(target)
        optimizers: Any = self.optimizers()
        of_generator, of_discriminator = optimizers
        self._step(of_discriminator, self.discriminator_loss(x, label))
        self._num_steps += 1
        if self._num_steps % self.regime.discriminator_steps == 0:
            for parameter in self._of_discriminator:
                parameter.requires_grad_(False)
            self._step(of_generator, self.generator_loss(x, label))
            for parameter in self._of_discriminator:
                parameter.requires_grad_(True)
            self.average.update_parameters(self.model.generator)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the number of steps, which says whose turn it is."""
        checkpoint["num_steps"] = self._num_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on with the turns."""
        self._num_steps = checkpoint["num_steps"]

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        """Takes a step of one player, whose gradients alone it leaves."""
        self.manual_backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        torch.clear_autocast_cache()  # it holds the weights of before the step, in lower precision

    def discriminator_loss(self, real: Tensor, label: Tensor | None) -> Tensor:
        """Returns the discriminator's loss on a batch and as many generated images, with its penalties.

        Args:
            real: Images (images, channels, size, size).
            label: Their class numbers (images,), which the generated ones take too; None without labels.
        """
        discriminator = self.model.discriminator
        with torch.no_grad():
            fake = self.model.generator(self._noise(real), label)
        on_real, on_fake = discriminator(real, label), discriminator(fake, label)
        loss = self.loss.discriminator(on_real, on_fake)
        outputs = {"output_on_real": on_real.mean(), "output_on_generated": on_fake.mean()}
        self._log({"discriminator_loss": loss, **outputs}, len(real))
        if self.gradient_penalty:
            loss = loss + self.gradient_penalty * adversarial_losses.gradient_penalty(discriminator, real, fake, label)
        if self.r1 and self._num_steps % self.r1_interval == 0:
            loss = loss + self.r1_interval * self.r1 / 2 * adversarial_losses.r1(discriminator, real, label)
        return loss

    def generator_loss(self, real: Tensor, label: Tensor | None) -> Tensor:
        """Returns the generator's loss on as many images as a batch has, with its labels."""
        fake = self.model.generator(self._noise(real), label)
        loss = self.loss.generator(self.model.discriminator(fake, label))
        self._log({"loss": loss}, len(real))
        return loss

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Returns the generator's and the discriminator's optimiser."""
        made = []
        for player in ("generator", "discriminator"):
            parameters = list(trained(getattr(self.model, player)).values())
            if not parameters:
                raise UserError(f"model.freeze: nothing of the {player} is left to train")
            with blame(f"regime.{player}_optimizer"):
                made.append(getattr(self.regime, f"{player}_optimizer")(parameters))
        return made

    def _noise(self, real: Tensor) -> Tensor:
        return torch.randn(len(real), self.latent_size, device=real.device, dtype=real.dtype)

    def _log(self, values: dict[str, Tensor], batch_size: int) -> None:
        """Logs means over an epoch."""
        for name, value in values.items():
            self.log_mean(f"train/{name}", value, batch_size)


def _check_players(model: Any, regime: Any, penalised: bool) -> None:
    """Checks that there are two of everything.

    Raises:
        UserError: there are not.
    """
    if not (hasattr(model, "generator") and hasattr(model, "discriminator")):
        raise UserError(
            f"model: {type(model).__name__} has no generator and no discriminator, which task=adversarial trains; "
            "take model=gan"
        )
    if not isinstance(regime, AdversarialRegime):
        raise UserError(
            "regime: task=adversarial trains two networks, each with its own optimiser; take regime=adversarial"
        )
    if penalised and any(isinstance(module, _BatchNorm) for module in model.discriminator.modules()):
        raise UserError(
            "model.discriminator_norm: a gradient's penalty is each image's own, which batch normalisation mixes; "
            "take spectral or none"
        )
