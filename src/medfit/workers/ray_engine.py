"""Actors of a Ray cluster."""

import contextlib
import logging
import os
import secrets
import signal
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import optuna
from omegaconf import DictConfig
from pydantic import Field

from medfit.errors import UserError
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.progress import SweepDisplay
from medfit.workers import job_supervisor
from medfit.workers.job import JobOutcome, JobStop, work
from medfit.workers.signals import ENDS

MEMORY = 100 * 2**20  # bytes for the objects that actors share, which are few
PRIVATE = {
    "RAY_USAGE_STATS_ENABLED": "0",  # which Ray would send to its makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # an actor with no share of a GPU sees what this command sees
}
ON_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a Ray for one machine then answers on it alone, on Linux too
    "RAY_AUTH_MODE": "token",  # and to this command alone
}


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Runs a study in actors of a Ray cluster, which end with this command.

    Args:
        address: Of the cluster; ``auto`` for the one that this machine belongs to; None for one of this command's own.
        num_actors: At a time, each with ``sweep.workers`` workers.
        num_cpus: Of an actor.
        num_gpus: Of an actor; a fraction for a share of one.
    """

    address: str | None = None
    num_actors: Annotated[int, Field(ge=1)] = 4
    num_cpus: Annotated[float, Field(ge=0)] = 1
    num_gpus: Annotated[float, Field(ge=0)] = 0

    def check(self, cfg: DictConfig) -> None:
        """Finds what is missing.

        Raises:
            UserError: the package, or a server for several machines.
        """
        job_supervisor.check(cfg, "ray", "ray", several=self.address is not None)

    def run(self, study: optuna.Study, plan: TrialPlan, display: SweepDisplay) -> None:
        """Keeps actors at work until the study is over.

        Raises:
            KeyboardInterrupt: the user stopped it.
            StoreError: a store has been away for too long.
            UserError: there is no such cluster, it has no room for an actor, or the actors can't work.
        """
        command = uuid.uuid4().hex
        with _connected(self.address):
            self._check_room()
            actors = Actors(plan, study.study_name, command, num_cpus=self.num_cpus, num_gpus=self.num_gpus)
            job_supervisor.JobSupervisor(study, plan, display, actors, command, self.num_actors).run()

    def _check_room(self) -> None:
        import ray  # late: a quick start

        has = ray.cluster_resources()
        for name, wanted in {"CPU": self.num_cpus, "GPU": self.num_gpus}.items():
            if self.address is None and wanted > has.get(name, 0):  # another cluster may grow
                key = f"sweep.engine.num_{name.lower()}s"
                raise UserError(f"{key}={wanted:g} for each actor: this machine has {has.get(name, 0):g}")


class Actor:
    """What runs on the cluster."""

    def begin(self) -> None:
        """Answers, once there is room for the actor."""

    def run(self, plan: TrialPlan, study: str, command: str) -> JobOutcome:
        """Runs trials."""
        return work(plan, study, JobStop(command, {signal.SIGTERM: ENDS}))


@dataclass(frozen=True)
class Handle:
    """An actor, as the command knows it: what stands for it, for its beginning, and for what it returns."""

    actor: Any
    begun: Any
    result: Any


class Actors:
    """The actors of a command, as :class:`medfit.workers.job_supervisor.Jobs` asks for."""

    def __init__(self, plan: TrialPlan, study: str, command: str, **options: Any) -> None:
        import ray  # late: a quick start

        self._plan, self._study, self._command = ray.put(plan), study, command
        self._make: Any = ray.remote(**options)(Actor)

    def submit(self, count: int) -> list[Any]:
        """Asks for actors."""
        return [self._start() for _ in range(count)]

    def state(self, job: Handle) -> Literal["waits", "runs", "ended"]:
        """Returns whether an actor has begun, and ended."""
        if _is_there(job.result):
            return "ended"
        return "runs" if _is_there(job.begun) else "waits"

    def outcome(self, job: Handle) -> JobOutcome:
        """Returns how an actor ended."""
        import ray  # late: a quick start

        try:
            return ray.get(job.result)
        except ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return JobOutcome(lines[-1 if isinstance(error, ray.exceptions.RayTaskError) else 0].strip())
        finally:
            self.cancel(job)

    def cancel(self, job: Handle) -> None:
        """Ends an actor."""
        import ray  # late: a quick start

        with contextlib.suppress(ray.exceptions.RayError):
            ray.kill(job.actor)

    def _start(self) -> Handle:
        actor: Any = self._make.remote()
        return Handle(actor, actor.begin.remote(), actor.run.remote(self._plan, self._study, self._command))


def _is_there(reference: Any) -> bool:
    import ray  # late: a quick start

    return bool(ray.wait([reference], timeout=0)[0])


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connects to a cluster, or starts one; silent, and with Ctrl-C and SIGTERM as they were."""
    os.environ.update(PRIVATE)
    if address is None and "ray" not in sys.modules:  # which reads them once, when it is imported
        os.environ.update(ON_LOOPBACK, RAY_AUTH_TOKEN=secrets.token_hex(32))
    import ray  # late: a quick start

    before = signal.getsignal(signal.SIGTERM)
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": MEMORY} if address is None else {}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"sweep.engine.address: {str(error).splitlines()[0]}") from error
    finally:
        signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        ray.shutdown()
