"""Jobs of a SLURM cluster, by submitit."""

import contextlib
import getpass
import logging
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna
import psutil
from omegaconf import DictConfig
from pydantic import Field

from medfit.config import folders
from medfit.errors import UserError
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.progress import SweepDisplay
from medfit.workers import job_supervisor
from medfit.workers.job import JobOutcome, JobStop, work
from medfit.workers.signals import ENDS

Count = Annotated[int, Field(ge=1)]
ASK_S = 10.0  # between two questions to SLURM
PREEMPTED_S = 5.0  # from SIGTERM to submitit's signal, if there is to be one
SQUEUE = ["squeue", "--noheader", "--array", "--format=%i %T"]
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")


@dataclass(frozen=True, kw_only=True)
class Submitit:
    """Runs a study in jobs of a cluster, which go on if this command is killed.

    Args:
        cluster: ``slurm``, or ``local`` for processes of this machine in its place.
        num_jobs: At a time, each with ``sweep.workers`` workers.
        minutes: Of a job; what it can't finish is left to the next.
        folder: Of the jobs' logs, visible to all machines; None for ``jobs`` in the output folder.
        partition: Of the cluster; None for its default.
        gpus_per_node: Of a job.
        cpus_per_task: Of a job.
        mem_gb: Memory of a job in GB.
        additional: Further options of ``sbatch``.
    """

    cluster: Literal["slurm", "local"] = "slurm"
    num_jobs: Count = 4
    minutes: Count = 240
    folder: str | None = None
    partition: str | None = None
    gpus_per_node: Count | None = None
    cpus_per_task: Count | None = None
    mem_gb: Annotated[float, Field(gt=0)] | None = None
    additional: dict[str, Any] = field(default_factory=dict)

    def check(self, cfg: DictConfig) -> None:
        """Finds what is missing.

        Raises:
            UserError: the package, SLURM, or a server for several machines.
        """
        on_slurm = self.cluster == "slurm"
        job_supervisor.check(cfg, "submitit", "submitit", several=on_slurm)
        if on_slurm and not (shutil.which("sbatch") and shutil.which("srun")):
            raise UserError("sweep.engine.cluster=slurm: there is no SLURM here (sbatch and srun are not found)")

    def run(self, study: optuna.Study, plan: TrialPlan, display: SweepDisplay) -> None:
        """Keeps jobs at work until the study is over.

        Raises:
            KeyboardInterrupt: the user stopped it.
            StoreError: a store has been away for too long.
            UserError: the cluster refused a job, or the jobs can't work.
        """
        command = uuid.uuid4().hex
        folder = folders.ROOT / self.folder if self.folder else folders.output_dir(plan.cfg) / "jobs"
        batch = Batch(self, folder, Job(plan, study.study_name, command, self.minutes))
        job_supervisor.JobSupervisor(study, plan, display, batch, command, self.num_jobs).run()


@dataclass(frozen=True)
class Job:
    """What runs in a job.

    Args:
        plan: Of the study.
        study: Its name.
        command: That submitted the job.
        minutes: That the job has.
    """

    plan: TrialPlan
    study: str
    command: str
    minutes: float

    def __call__(self) -> JobOutcome:
        """Runs trials; lets submitit put the job into the queue again if it is cut off."""
        from submitit import JobEnvironment  # late: a quick start

        again = signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]  # the job is preempted, or out of time
        stop = JobStop(self.command, {signal.SIGTERM: ENDS, again: ENDS}, self.minutes)
        outcome = work(self.plan, self.study, stop)
        if again in stop.heard:  # and nothing is running any more
            signal.raise_signal(again)
        if signal.SIGTERM in stop.heard:
            time.sleep(PREEMPTED_S)
            sys.exit("the job was cancelled")
        return outcome

    def checkpoint(self) -> Any:
        """Returns what submitit is to run when the job's turn comes again: the same, for the study knows the rest."""
        from submitit.helpers import DelayedSubmission  # late: a quick start

        return DelayedSubmission(self)


class Batch:
    """The jobs of a command, as :class:`medfit.workers.job_supervisor.Jobs` asks for."""

    def __init__(self, engine: Submitit, folder: Path, job: Job) -> None:
        from submitit import AutoExecutor  # late: a quick start

        logging.getLogger("submitit").setLevel(logging.CRITICAL)  # what goes wrong is told by us
        self._job, self._on_slurm = job, engine.cluster == "slurm"
        self._listed, self._asked = dict[str, str](), 0.0
        self._executor = AutoExecutor(folder, cluster=engine.cluster)
        self._executor.update_parameters(
            name="medfit",
            timeout_min=engine.minutes,
            gpus_per_node=engine.gpus_per_node,
            cpus_per_task=engine.cpus_per_task,
            mem_gb=engine.mem_gb,
            slurm_partition=engine.partition,
            slurm_additional_parameters=engine.additional,
        )

    def submit(self, count: int) -> list[Any]:
        """Submits jobs, as an array if there are several.

        Raises:
            UserError: the cluster refused them.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError  # late: a quick start

        self._asked = 0.0
        try:
            with _no_interrupts():
                return list(self._executor.submit_array([self._job] * count))
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise UserError(f"sweep/engine=submitit: {' '.join(str(error).split())}") from error

    def state(self, job: Any) -> Literal["waits", "runs", "ended"]:
        """Returns whether a job has begun, and ended; by its result, or by what the cluster says."""
        if not self._on_slurm:
            return "ended" if job.done() else "runs"
        if job.paths.result_pickle.exists():
            return "ended"
        if time.monotonic() - self._asked > ASK_S:
            self._ask()
        state = self._listed.get(job.job_id)
        return "ended" if state is None else "waits" if state in WAITING else "runs"

    def outcome(self, job: Any) -> JobOutcome:
        """Returns how a job ended; of one without a result, the last of its words."""
        if job.paths.result_pickle.exists() and job.exception() is None:
            return job.result()
        said = [line for line in (job.stderr() or "").splitlines() if line.strip() and not line.startswith("srun:")]
        return JobOutcome(f"{said[-1].strip() if said else 'it ended without a word'} ({job.paths.stderr})")

    def cancel(self, job: Any) -> None:
        """Ends a job."""
        if self._on_slurm:
            job.cancel(check=False)
        else:
            _kill(int(job.job_id))

    def _ask(self) -> None:
        """Asks SLURM for this user's jobs; while it does not answer, the last answer stands."""
        self._asked = time.monotonic()
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            command = [*SQUEUE, f"--user={getpass.getuser()}"]
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
            self._listed = dict(line.split(maxsplit=1) for line in answer.splitlines() if " " in line.strip())


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Lets processes that start here, in the terminal's group, hear no Ctrl-C: it is this command's."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
