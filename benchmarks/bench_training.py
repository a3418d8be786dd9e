"""Seconds of whole trainings, by medfit and by hand."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from bench_table import Result, ratio

MOST = 1.15
FAMILIES = {  # epochs: so that a training takes seconds
    "mlp": ["experiment=breast_cancer_diagnosis", "regime.epochs=300"],
    "cnn1d": ["dataset=ecg5000", "regime.epochs=10"],
    "unet": ["dataset=mni_tissue", "regime.epochs=5"],
    "gan": ["experiment=xray_generation", "regime.epochs=1"],
}
OTHER_IMAGES = ["dataset=mni_slices", "regime.epochs=10"]  # bundled; where the X-rays are not there


def row(family: str, repeats: int, seed: int) -> list[Result]:
    """Returns the time of an optimiser step by medfit, over that by hand.

    Args:
        family: Of :data:`FAMILIES`.
        repeats: Of each side, after one that is not timed.
        seed: Of weights and batches.
    """
    sides = {"medfit": _Medfit(family, seed), **{kind: _ByHand(family, seed, kind) for kind in _kinds(family)}}
    for side in sides.values():
        side.seconds()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            times[name].append(side.seconds())
    return [_result(family, sides["medfit"], times)]


def _result(family: str, side: "_Side", times: dict[str, list[float]]) -> Result:
    steps = {name: [1000 * seconds / side.num_steps for seconds in found] for name, found in times.items()}
    ours = steps.pop("medfit")
    best = min(steps, key=lambda kind: median(steps[kind]))
    what = f"training of {family} on {side.cfg.choices.dataset}, ms a step, over a loop by hand"
    found = {"medfit": ours, f"by hand{'' if best == 'eager' else f' ({best})'}": steps[best]}
    return ratio(f"training-{family}", what, MOST, found, "ms", f"{side.num_steps} steps")


def _kinds(family: str) -> list[str]:
    if family == "gan":
        return ["eager"]
    from bench_gpu import kinds

    return kinds()


class _Side:
    """A training that can be repeated; each side has networks of its own, which the other's tricks do not reach.

    Args:
        family: Of :data:`FAMILIES`.
        seed: Of weights and batches.
    """

    def __init__(self, family: str, seed: int) -> None:
        from medfit.config import folders
        from medfit.config.compose import compose
        from medfit.training.parts import prepare

        lines = FAMILIES[family]
        if family == "gan" and not (folders.ROOT / "data" / "pneumoniamnist.npz").exists():
            lines = OTHER_IMAGES
        # no early end, so that both sides take as many steps
        self.cfg = compose([*lines, f"seed={seed}", "regime.patience=null"])
        self.parts = prepare(self.cfg)
        self._start = {name: value.clone() for name, value in self.parts.task.state_dict().items()}

    @property
    def num_steps(self) -> int:
        """Optimiser steps of a training, of both players together."""
        players = 2 if self.cfg.choices.task == "adversarial" else 1
        return players * self.cfg.regime.epochs * len(self.parts.datamodule.train_batches)

    def seconds(self) -> float:
        """Returns the seconds of a training from the first weights on."""
        import torch

        self.parts.task.load_state_dict(self._start)
        self.parts.task.train()
        torch.use_deterministic_algorithms(False)  # what Lightning chose is for the whole process
        train = self.ready()
        began = time.perf_counter()
        train()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - began

    def ready(self) -> Callable[[], Any]:
        """Returns what is timed."""
        raise NotImplementedError


class _Medfit(_Side):
    """medfit's training, without a run to log to."""

    def ready(self) -> Callable[[], Any]:
        from medfit.training.trainer import BestWeights, fit, make_trainer

        task = self.parts.task
        trainer = make_trainer(self.parts, callbacks=[BestWeights(task)], logger=None)
        return lambda: fit(trainer, self.parts)


class _ByHand(_Side):
    """The loop by hand, its tensors being there."""

    def __init__(self, family: str, seed: int, kind: str) -> None:
        super().__init__(family, seed)
        self.kind = kind

    def ready(self) -> Callable[[], Any]:
        from bench_gpu import KINDS
        from bench_hand import train
        from bench_jobs import make
        from bench_players import Game

        if self.cfg.choices.task == "adversarial":
            game = Game(self.cfg, self.parts)
            return lambda: self.check(game.train())
        job = make(self.cfg, self.parts)
        return lambda: self.check(train(job, KINDS[self.kind]))

    def check(self, num_steps: int) -> None:
        """Refuses a loop that took other steps than medfit."""
        if num_steps != self.num_steps:
            raise RuntimeError(f"{num_steps} steps by hand, {self.num_steps} by medfit")
