"""Which threads and which GPU a worker may use."""

import os
from dataclasses import dataclass

from omegaconf import DictConfig

from medfit.errors import UserError
from medfit.tracking import provenance


@dataclass(frozen=True)
class Device:
    """What one worker may use.

    Args:
        threads: For computing.
        gpu: As ``CUDA_VISIBLE_DEVICES`` names it; None for no choice.
    """

    threads: int
    gpu: str | None = None

    def take(self) -> None:
        """Makes this process use nothing else.

        This is before CUDA is first used, except by the first worker, which may have checked the config: it goes on
        with the first GPU, which is the one that :func:`assign` gives it.
        """
        import threadpoolctl  # late: a quick start
        import torch

        if self.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        torch.set_num_threads(self.threads)
        threadpoolctl.threadpool_limits(self.threads)


def assign(cfg: DictConfig) -> list[Device]:
    """Returns what each of ``sweep.workers`` workers uses: GPUs in turn, and the processor's cores divided.

    Raises:
        UserError: there are more workers than the GPUs take.
    """
    workers = cfg.sweep.workers
    threads = cfg.sweep.threads or max(1, _cores() // workers)
    gpus = [] if cfg.regime.accelerator == "cpu" else visible_gpus()
    if not gpus:
        return [Device(threads)] * workers
    if workers > len(gpus) * cfg.sweep.workers_per_gpu:
        raise UserError(
            f"sweep.workers={workers}: there are {len(gpus)} GPUs, for sweep.workers_per_gpu="
            f"{cfg.sweep.workers_per_gpu} workers each; raise that if they fit, or lower sweep.workers"
        )
    return [Device(threads, gpus[index % len(gpus)]) for index in range(workers)]


def visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if provenance.remembers_no_gpu():
        return []
    import torch  # late: a quick start

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    count = torch.cuda.device_count()
    return named[:count] if named else [str(index) for index in range(count)]


def _cores() -> int:
    """Returns how many cores this process may use; fewer where OMP_NUM_THREADS says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdigit() and int(asked) else cores
