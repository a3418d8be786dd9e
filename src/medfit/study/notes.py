"""What is noted of a running trial, and what is known of the others: with few visits to the database."""

import contextlib
import copy
import time
from collections.abc import Container
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import insert

WAIT_S = 2.0  # that a note may wait, so that others see how far a trial has come
RECENT_S = 1.0  # that what is known of other trials may be old


class NotingStorage(RDBStorage):
    """Optuna's database storage, which writes a trial's attributes and reports together, in one transaction.

    They wait until :meth:`flush`, for at most :data:`WAIT_S` seconds while more of them come, or until the storage is
    asked for trials or to change one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._attrs: dict[tuple[int, str], Any] = {}
        self._reports: dict[tuple[int, int], float] = {}
        self._flushed = time.monotonic()
        super().__init__(*args, **kwargs)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keeps an attribute, to be written soon."""
        self._attrs[trial_id, key] = value
        self._flush_in_time()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Keeps a report, to be written soon."""
        self._reports[trial_id, step] = intermediate_value
        self._flush_in_time()

    def flush(self) -> None:
        """Writes what waits; what can't be written is lost, as it would be had it not waited.

        Raises:
            UpdateFinishedTrialError: the trial has ended.
            StorageInternalError: the database can't be written to.
        """
        attrs, reports = self._attrs, self._reports
        self._attrs, self._reports, self._flushed = {}, {}, time.monotonic()
        if not attrs and not reports:
            return
        with _create_scoped_session(self.scoped_session, True) as session:
            for trial_id in {trial_id for trial_id, _ in [*attrs, *reports]}:
                state: Any = models.TrialModel.find_or_raise_by_id(trial_id, session).state
                self.check_trial_is_updatable(trial_id, state)
            for (trial_id, key), value in attrs.items():
                self._set_trial_attr_without_commit(session, models.TrialUserAttributeModel, trial_id, key, value)
            if reports:
                rows = [_report(trial_id, step, value) for (trial_id, step), value in reports.items()]
                session.execute(insert(models.TrialIntermediateValueModel), rows)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Returns a trial, with its notes."""
        self._flush_if_possible()
        return super().get_trial(trial_id)

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        self._flush_if_possible()
        return super()._get_trials(*args, **kwargs)

    def set_trial_state_values(self, *args: Any, **kwargs: Any) -> bool:
        """Changes a trial's state, after its notes are written."""
        self._flush_if_possible()
        return super().set_trial_state_values(*args, **kwargs)

    def _flush_in_time(self) -> None:
        if time.monotonic() - self._flushed > WAIT_S:
            self.flush()

    def _flush_if_possible(self) -> None:
        with contextlib.suppress(UpdateFinishedTrialError):  # taken for dead, and another worker's: who ends it is told
            self.flush()


class Recent(optuna.Study):
    """A study whose trials are read once in a while: pruners ask for them after every epoch.

    Args:
        study: The study.
    """

    def __init__(self, study: optuna.Study) -> None:
        vars(self).update(vars(study))
        self._read: tuple[float, list[FrozenTrial]] = (-RECENT_S, [])

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """Returns the trials, as they were a moment ago."""
        if time.monotonic() - self._read[0] >= RECENT_S:
            self._read = time.monotonic(), super().get_trials(deepcopy=False)
        found = [trial for trial in self._read[1] if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found


def flush(study: optuna.Study) -> None:
    """Writes what waits of a study's trials."""
    storage = getattr(study._storage, "_backend", None)
    if isinstance(storage, NotingStorage):
        storage.flush()


def _report(trial_id: int, step: int, value: float) -> dict[str, Any]:
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"trial_id": trial_id, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}
