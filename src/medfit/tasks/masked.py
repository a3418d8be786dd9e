"""Pretraining without labels: what is hidden of a sample is to be told from the rest."""

from collections.abc import Callable
from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from medfit.data.inputs import Shape
from medfit.evidence.targets.known import ALL
from medfit.evidence.targets.regions import Segmentation
from medfit.tasks import metrics as m
from medfit.tasks.base import one_input
from medfit.tasks.regime import Count, Regime
from medfit.tasks.supervised import Batch, Supervised

SEED = 0  # of what is hidden in validation, alike in every epoch and for every seed of a run


class Masked(Supervised):
    """Learns to tell what is hidden of a sample from the rest; no target is looked at (Vincent et al., ICML 2008).

    As in masked autoencoders (He et al., CVPR 2022), whole blocks are hidden and they alone are scored. The network's
    last layer gives all values of a sample, so any network takes part that ends in numbers for its outputs; another
    training takes all but the last layer by ``model.init_from``.

    Args:
        model: Takes the input's shape and the number of outputs.
        regime: How to train.
        input_shape: Of one sample's ``x``: records, series or images of one shape.
        target_names: Of the data set; not looked at.
        train_arrays: Not looked at.
        monitor: ``val/loss``, the mean squared error of what is hidden, in units of the prepared samples.
        mode: ``min``.
        share: Of the blocks of a sample that are hidden, on average.
        block: Samples, or pixels a side, of a block; a record's features are hidden one by one.
    """

    fits = frozenset(ALL) - {Segmentation()}  # whose batches are patches
    available: ClassVar[dict[str, m.Metric]] = {}
    has_baselines = False
    validates_in_parts = False  # what is hidden of a batch depends on those before it
    whole_batch = "task=masked takes the mean over what is hidden of each device's part of a batch"
    no_model = "task=masked predicts no outcome; its weights are for model.init_from"

    def __init__(
        self,
        *,
        model: Callable[..., nn.Module],
        regime: Regime,
        input_shape: Shape,
        target_names: list[str],
        train_arrays: Callable[[], tuple[Tensor, Tensor]] | None,
        monitor: str,
        mode: Literal["min", "max"],
        share: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        block: Count = 10,
    ) -> None:
        self.sample_shape, self.share = one_input(input_shape, "masked"), share
        self.block = block if len(self.sample_shape) > 1 else 1
        super().__init__(
            model=model,
            regime=regime,
            input_shape=input_shape,
            target_names=target_names,
            train_arrays=train_arrays,
            monitor=monitor,
            mode=mode,
            metrics=[],
        )

    @property
    def output_size(self) -> int:
        """All values of a sample."""
        return prod(self.sample_shape)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Returns the mean squared error where the target is a number: what was hidden."""
        hidden = target.isfinite()
        error = (output - target.where(hidden, output)).square()
        return error.sum() / hidden.sum().clamp(min=1)

    def predict(self, output: Tensor) -> Tensor:
        """Returns the output as it is."""
        return output

    def hide(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Returns samples with blocks of noughts, their mean, and what they hid.

        Args:
            x: Samples (samples, *shape); NaN where series are padded, which stays.
            generator: Of what is hidden; None for the training's own.

        Returns:
            The samples, and what was hidden of each (samples, values), NaN elsewhere.
        """
        sizes = self.sample_shape[1:] or self.sample_shape
        grid = [-(-size // self.block) for size in sizes]
        drawn = torch.rand(len(x), *grid, generator=generator, device=x.device)
        for axis, size in enumerate(sizes, start=1):
            drawn = drawn.repeat_interleave(self.block, dim=axis).narrow(axis, 0, size)
        if len(self.sample_shape) > 1:  # all channels at once
            drawn = drawn[:, None]
        hidden = (drawn < self.share) & x.isfinite()
        return x.masked_fill(hidden, 0.0), x.masked_fill(~hidden, torch.nan).flatten(1)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Returns the mean loss of a batch, without penalties."""
        return super().training_step(self.hide(self._x(batch)), number)

    def on_validation_epoch_start(self) -> None:
        """Hides the same in every epoch."""
        super().on_validation_epoch_start()
        self._generator = torch.Generator(self.device).manual_seed(SEED)

    def validation_step(self, batch: Batch, number: int) -> None:
        """Keeps the outputs and what was hidden."""
        super().validation_step(self.hide(self._x(batch), self._generator), number)

    def predict_step(self, batch: Batch, batch_index: int) -> Any:
        """Returns the outputs and what was hidden."""
        if batch_index == 0:
            self._generator = torch.Generator(self.device).manual_seed(SEED)
        return super().predict_step(self.hide(self._x(batch), self._generator), batch_index)

    def epoch_scores(self, outputs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Returns the loss of all that was hidden."""
        return self.scores(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))

    def scores(self, *outputs: Tensor) -> dict[str, float]:
        """Returns the loss of all that was hidden."""
        output, target = outputs
        return {"loss": float(self.loss(output, target))}

    def _x(self, batch: Batch) -> Tensor:
        x, _ = batch
        assert isinstance(x, Tensor)
        return x
