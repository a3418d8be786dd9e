"""What a job does that a command has submitted: it joins the study, as the same command in a second terminal would."""

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from signal import Signals

from medfit.config.instantiate import load_dataset
from medfit.errors import StoreError, UserError
from medfit.study import comparability, storage
from medfit.study.budget import Budget
from medfit.study.repair import Reason
from medfit.study.trial_plan import TrialPlan
from medfit.terminal.progress import SweepDisplay
from medfit.workers import worker
from medfit.workers.pool import Local
from medfit.workers.signals import Stop

STOP = "stop"  # the study's attribute: which command ends its jobs, and 1: after the running trials, 2: now
MARGIN_S = 120.0  # of a job's time, for the scheduler's signal and for what comes after a trial
OUT_OF_TIME = Reason("the time of the job that ran it was over; give jobs more minutes", "attempt")


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Args:
        trouble: What went wrong; nothing where all is well.
        final: Whether it would go wrong in any other job, too.
    """

    trouble: str = ""
    final: bool = False


class JobStop(Stop):
    """Ends the workers of a job when the command says so that it works for, or when its time is nearly up.

    Args:
        command: The command.
        weights: What each signal counts.
        minutes: That the job has; None for no limit.
    """

    def __init__(self, command: str, weights: Mapping[Signals, int], minutes: float | None = None) -> None:
        super().__init__(weights)
        self._command, self._seconds = command, math.inf if minutes is None else 60 * minutes
        self._started = time.monotonic()

    @property
    def why(self) -> Reason | None:
        """Why trials are cut off: for want of time, which counts as an attempt, or through no fault of theirs."""
        return OUT_OF_TIME if self._left() < MARGIN_S else None

    def look(self, budget: Budget) -> None:
        """Hears the command; lets no trial begin that might not end in time, but uses half the time in any case."""
        command, count = budget.attrs.get(STOP, ("", 0))
        longest = max((trial.duration.total_seconds() for trial in budget.done if trial.duration), default=0.0)
        if command == self._command:
            self.count = max(self.count, count)
        if self._left() < min(longest + MARGIN_S, self._seconds / 2):
            self.count = max(self.count, 1)

    def _left(self) -> float:
        return self._seconds - (time.monotonic() - self._started)


def work(plan: TrialPlan, name: str, stop: Stop) -> JobOutcome:
    """Runs workers on this machine until the study has enough trials, or the job is stopped."""
    try:
        study = worker.open_study(plan, name)
        with storage.guarded(storage.url(plan.cfg)), storage.lock(storage.url(plan.cfg)):
            now = comparability.conditions(plan.cfg, plan.space, load_dataset(plan.cfg))
            comparability.check_unchanged(
                study, now, plan.cfg, plan.space
            )  # the code may have changed while the job was waiting
        with SweepDisplay() as display, contextlib.suppress(KeyboardInterrupt):
            Local().run(study, plan, display, stop)
    except StoreError as error:
        return JobOutcome(str(error))
    except UserError as error:
        return JobOutcome(str(error), final=True)
    return JobOutcome()
