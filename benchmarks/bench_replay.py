"""The trials of a sweep by hand, in a process that imports torch: ``python bench_replay.py <file>``.

The file holds the prepared tensors and what each trial trained with. The scores of an epoch are those of the task, by
its own functions; the seconds that their import takes are printed, and are no part of what is compared.
"""

import sys
import time
from functools import partial
from typing import Any

import bench_hand
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

Metrics = dict[str, Any]


def network(num_features: int, widths: list[int], dropout: float) -> nn.Sequential:
    """Returns the default multi-layer perceptron."""
    layers: list[nn.Module] = []
    for into, out in zip([num_features, *widths], widths, strict=False):
        layers += [nn.Linear(into, out), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def scores(metrics: Metrics, output: Tensor, target: Tensor) -> dict[str, float]:
    """Returns what the task computes each epoch; ``monitor`` is the cross-entropy."""
    preds, truth = output.sigmoid()[:, 0].contiguous(), target[:, 0].contiguous()
    found = {name: float(metric(preds, truth)) for name, metric in metrics.items()}
    return found | {"monitor": found["cross_entropy"]}


def replay(given: dict[str, Any], metrics: Metrics) -> int:
    """Trains all trials one after the other, and returns the number of optimiser steps."""
    x, y, val_x, val_y = given["tensors"]
    loss = binary_cross_entropy_with_logits
    judge = bench_hand.judge_whole(val_x, val_y, loss, partial(scores, metrics))
    num_steps = 0
    for trial in given["trials"]:
        torch.manual_seed(given["seed"])
        values = dict(trial)
        model = network(x.shape[1], given["widths"], values.pop("dropout"))
        num_steps += bench_hand.train(bench_hand.Job(model, x, y, loss, judge, seed=given["seed"], **values))
    return num_steps


def main() -> None:
    """Prints the steps, and the seconds that importing the metrics took."""
    given = torch.load(sys.argv[1], weights_only=True)
    began = time.perf_counter()
    from medfit.tasks.metrics import BINARY

    seconds = time.perf_counter() - began
    print(replay(given, {name: BINARY[name] for name in given["metrics"]}), seconds)


if __name__ == "__main__":
    main()
