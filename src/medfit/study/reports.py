"""What a trial reports after each epoch, stored with few visits to the study."""

import copy
import time
from typing import Any

from optuna.trial import FrozenTrial

CURVE = "curve"  # the user attribute of a trial that has ended: all that it reported
PAUSE_S = 1.0  # between two reports that others see of a running trial


class ReportBuffer:
    """A trial's storage that passes its reports on once in a while, and all of them as one attribute at its end.

    The trial itself knows each of its reports at once, so that pruners decide after every epoch.

    Args:
        storage: Of the study.
    """

    def __init__(self, storage: Any) -> None:
        self._storage, self._curve = storage, dict[int, float]()
        self._since = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Keeps a report, and stores it if the last one that was stored is old."""
        self._trial_id = trial_id
        self._curve[step] = intermediate_value
        if time.monotonic() - self._since > PAUSE_S:
            self._since = time.monotonic()
            self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value)

    def flush(self) -> None:
        """Stores the last report, and the attribute with all of them."""
        if self._curve:
            self._storage.set_trial_user_attr(self._trial_id, CURVE, self._curve)
            self._storage.set_trial_intermediate_value(self._trial_id, *list(self._curve.items())[-1])


def with_all_reports(trial: FrozenTrial) -> FrozenTrial:
    """Returns a trial that has ended with each of its reports; another as it is."""
    if CURVE not in trial.user_attrs:
        return trial
    whole = copy.copy(trial)
    whole.intermediate_values = {int(step): value for step, value in trial.user_attrs[CURVE].items()}
    return whole
