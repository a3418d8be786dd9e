"""The game of generator and discriminator as one would write it by hand."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn.functional import softplus


class Game:
    """A non-saturating game without labels and penalties, with the generator's average over training.

    Args:
        cfg: The training's.
        parts: What it builds; its networks are trained, and its task scores each epoch.
    """

    def __init__(self, cfg: DictConfig, parts: Any) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.task, self.epochs = parts.task.to(self.device), cfg.regime.epochs
        self.batch_size = parts.datamodule.batch_size
        self.generator, self.discriminator = self.task.model.generator, self.task.model.discriminator
        self.decay, self.num_averaged = cfg.task.ema_decay, 0
        self.players = [
            self._adam(self.generator, cfg.regime.generator_optimizer),
            self._adam(self.discriminator, cfg.regime.discriminator_optimizer),
        ]
        self.x = parts.datamodule.arrays("train")[0].to(self.device)
        self.val = [[part.to(self.device) for part in batch] for batch in parts.datamodule.batches("val")]
        self.order = torch.Generator().manual_seed(cfg.seed)

    def train(self) -> int:
        """Trains, leaves the best epoch's weights in the task, and returns the steps of both players."""
        num_steps, best, kept = 0, float("inf"), self.task.state_dict()
        for _ in range(self.epochs):
            num_steps += self.epoch()
            if (score := self.judge()) < best:
                best, kept = score, {name: value.clone() for name, value in self.task.state_dict().items()}
        self.task.load_state_dict(kept)
        return num_steps

    def epoch(self) -> int:
        """Trains once on every image."""
        self.task.train()
        x = self.x[torch.randperm(len(self.x), generator=self.order).to(self.device)]
        batches = [batch for batch in x.split(self.batch_size) if len(batch) > 1]
        total = torch.zeros(2, device=self.device)
        for real in batches:
            total += torch.stack([self.step_discriminator(real), self.step_generator(len(real))])
            self.update_average()
        assert bool(total.isfinite().all())
        return 2 * len(batches)

    def step_discriminator(self, real: Tensor) -> Tensor:
        """Takes a step against as many generated images."""
        with torch.no_grad():
            fake = self.generator(self._noise(len(real)))
        loss = (softplus(-self.discriminator(real)) + softplus(self.discriminator(fake))).mean()
        self.players[1].zero_grad()
        loss.backward()
        self.players[1].step()
        return loss.detach()

    def step_generator(self, count: int) -> Tensor:
        """Takes a step; the discriminator's gradients are not computed."""
        loss = softplus(-self.discriminator(self.generator(self._noise(count)))).mean()
        self.players[0].zero_grad()
        loss.backward(inputs=list(self.generator.parameters()))
        self.players[0].step()
        return loss.detach()

    @torch.no_grad()
    def update_average(self) -> None:
        """Moves the averaged generator towards the present one, all tensors at once."""
        kept, now = self.task.average.module.state_dict(), self.generator.state_dict()
        share = 1 - min(self.decay, (1 + self.num_averaged) / (10 + self.num_averaged)) if self.num_averaged else 1.0
        smooth = [name for name, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_([kept[name] for name in smooth], [now[name] for name in smooth], share)
        for name in now.keys() - set(smooth):
            kept[name].copy_(now[name])
        self.num_averaged += 1

    def judge(self) -> float:
        """Returns the epoch's Frechet distance; the task's own functions compute this and its other scores."""
        task = self.task
        count = task._num_scored(sum(len(batch[0]) for batch in self.val))
        with torch.inference_mode():
            compared = [task._compare(batch, 0 if number else count) for number, batch in enumerate(self.val)]
        real, _, fake, *_ = task.join(compared)
        return task._distances(real, fake)["frechet"]

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.task.latent_size, device=self.device)

    def _adam(self, player: Any, given: DictConfig) -> torch.optim.Optimizer:
        betas = (given.beta1, given.beta2)
        return torch.optim.Adam(player.parameters(), lr=given.lr, betas=betas, fused=True)
