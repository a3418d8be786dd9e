"""A training as one would write it by hand: a plain PyTorch loop over tensors that lie in memory.

Imports torch alone, as it also runs in a process of its own whose imports are counted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Job:
    """What is trained, and how.

    Args:
        model: The network, on its device.
        x: Training samples, on the same.
        y: Their targets.
        loss: Takes output and target; gives the mean.
        judge: Gives the network's validation score, small where it is good; all other scores are computed, too.
        batch_size: Samples.
        epochs: That are run.
        planned_epochs: That the learning rate's schedule is laid out for.
        lr: Highest learning rate.
        weight_decay: AdamW's.
        l1: Penalty on the sum of absolute weights (not biases).
        l2: Penalty on the sum of squared weights (not biases).
        warmup: Share of all steps in which the learning rate rises.
        seed: Of the batches' order.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    judge: Callable[[nn.Module], float]
    batch_size: int
    epochs: int
    planned_epochs: int
    lr: float
    weight_decay: float
    l1: float = 0.0
    l2: float = 0.0
    warmup: float = 0.1
    seed: int = 0


def train(job: Job, make_step: Callable[[Job, torch.optim.Optimizer], Step] | None = None) -> int:
    """Trains, leaves the best epoch's weights in the network, and returns the number of optimiser steps.

    Args:
        job: What to train.
        make_step: Gives a function that takes one step on a batch and returns its loss; None for :func:`eager`.
    """
    optimizer = make_optimizer(job)
    step = (make_step or eager)(job, optimizer)
    rates = iter(learning_rates(job))
    generator = torch.Generator().manual_seed(job.seed)
    best, kept, num_steps = math.inf, job.model.state_dict(), 0
    for _ in range(job.epochs):
        num_steps += epoch(job, optimizer, step, rates, generator)
        if (score := job.judge(job.model)) < best:
            best, kept = score, {name: value.clone() for name, value in job.model.state_dict().items()}
    job.model.load_state_dict(kept)
    return num_steps


def epoch(job: Job, optimizer: Any, step: Step, rates: Any, generator: torch.Generator) -> int:
    """Trains once on every sample, in a new order, and returns the number of steps."""
    job.model.train()
    order = torch.randperm(len(job.x), generator=generator).to(job.x.device)
    batches = list(zip(job.x[order].split(job.batch_size), job.y[order].split(job.batch_size), strict=True))
    if len(batches[-1][0]) == 1 and len(batches) > 1:  # a batch of one has no variance to normalise
        del batches[-1]
    total = torch.zeros((), device=job.x.device)
    for x, y in batches:
        set_rate(optimizer, next(rates))
        total += step(x, y) * len(x)
    assert math.isfinite(float(total))
    return len(batches)


def eager(job: Job, optimizer: torch.optim.Optimizer) -> Step:
    """Returns a step as PyTorch runs it without help."""
    weights = [p for p in job.model.parameters() if p.ndim > 1]

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = job.loss(job.model(x), y)
        loss.backward()
        add_penalties(job, weights)
        optimizer.step()
        return loss.detach()

    return step


def add_penalties(job: Job, weights: list[Any]) -> None:
    """Adds the penalties' gradients, which is quicker than to differentiate their sums."""
    gradients = [w.grad for w in weights] if job.l1 or job.l2 else []
    if job.l1:
        torch._foreach_add_(gradients, torch._foreach_sign([w.detach() for w in weights]), alpha=job.l1)
    if job.l2:
        torch._foreach_add_(gradients, [w.detach() for w in weights], alpha=2 * job.l2)


def make_optimizer(job: Job) -> torch.optim.Optimizer:
    """Returns AdamW in its quickest form; on a GPU one that a CUDA graph can hold."""
    if job.x.is_cuda:
        rate: Any = torch.tensor(job.lr, device=job.x.device)
        return torch.optim.AdamW(
            job.model.parameters(), lr=rate, weight_decay=job.weight_decay, fused=True, capturable=True
        )
    return torch.optim.AdamW(job.model.parameters(), lr=job.lr, weight_decay=job.weight_decay, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def learning_rates(job: Job) -> list[float]:
    """Returns the rate of each step: a linear warm-up, then half a cosine."""
    size, rest = len(job.x), len(job.x) % job.batch_size
    steps = job.planned_epochs * max(1, size // job.batch_size + (rest > 1))
    rising = math.ceil(job.warmup * steps)
    up = [job.lr * (step + 1) / rising for step in range(rising)]
    down = [job.lr * (1 + math.cos(math.pi * step / (steps - rising))) / 2 for step in range(steps - rising)]
    return up + down


def judge_whole(
    x: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor], scores: Callable[[Tensor, Tensor], dict[str, float]]
) -> Callable[[nn.Module], float]:
    """Returns a judge that takes the validation split at once.

    Args:
        x: Its samples.
        y: Its targets.
        loss: As of :class:`Job`.
        scores: Takes output and target; gives all scores, of which ``monitor`` counts.
    """

    def judge(model: nn.Module) -> float:
        model.eval()
        with torch.inference_mode():
            output = model(x)
            float(loss(output, y))
            return scores(output, y)["monitor"]

    return judge
