"""The hand-written loop on a GPU, in each way that may be the quickest there; untouched where there is none."""

from collections.abc import Callable
from dataclasses import replace

import torch
from bench_hand import Job, Step, add_penalties, eager
from torch import Tensor

WARM_UP = 3  # steps before a CUDA graph is captured, as PyTorch asks


def compiled(job: Job, optimizer: torch.optim.Optimizer) -> Step:
    """Returns a step whose network is compiled."""
    return eager(replace(job, model=torch.compile(job.model)), optimizer)  # type: ignore[arg-type]


def half(job: Job, optimizer: torch.optim.Optimizer) -> Step:
    """Returns a step whose network computes in bfloat16 where that is safe."""

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return job.loss(output.float(), target)

    step = eager(replace(job, loss=loss), optimizer)

    def autocast(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return step(x, y)

    return autocast


def graphed(job: Job, optimizer: torch.optim.Optimizer) -> Step:
    """Returns a step that replays a CUDA graph; an epoch's smaller last batch goes without."""
    plain = eager(job, optimizer)
    x, y = job.x[: job.batch_size].clone(), job.y[: job.batch_size].clone()
    graph, loss = _capture(job, optimizer, plain, x, y)

    def step(new_x: Tensor, new_y: Tensor) -> Tensor:
        if len(new_x) != len(x):
            return plain(new_x, new_y)
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
        return loss

    return step


def _capture(
    job: Job, optimizer: torch.optim.Optimizer, plain: Step, x: Tensor, y: Tensor
) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """Returns the graph of a step, and where it leaves the loss."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            plain(x, y)
    torch.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = job.loss(job.model(x), y)
        loss.backward()
        add_penalties(job, [p for p in job.model.parameters() if p.ndim > 1])
        optimizer.step()
    return graph, loss.detach()


KINDS: dict[str, Callable[[Job, torch.optim.Optimizer], Step]] = {
    "eager": eager,
    "compiled": compiled,
    "bfloat16": half,
    "CUDA graph": graphed,
}


def kinds() -> list[str]:
    """Returns what can be tried here: ``eager`` alone without a GPU."""
    return list(KINDS) if torch.cuda.is_available() else ["eager"]
