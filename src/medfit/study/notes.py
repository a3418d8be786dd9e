"""What is noted of a running trial, and what is known of the others: with few visits to the database."""

import copy
import time
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import or_, select

from medfit.study.rows import COMPLETE, STATE, TRIALS, USER_ATTRS, Notes, attr, insert, write
from medfit.tracking import process

WAIT_S = 2.0  # that a note may wait, so that others see how far a trial has come


class NotingStorage(RDBStorage):
    """Optuna's database storage, which knows the trials that it took itself, and writes what is noted of them together.

    A trial that is taken has the user attribute ``worker``, the process that took it. Its values, attributes and
    reports wait until :meth:`flush`, for at most :data:`WAIT_S` seconds while more of them come, or until its state
    changes.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._taken: dict[int, FrozenTrial] = {}  # by id, with all that is noted
        self._ended: FrozenTrial | None = None  # the last of them, whose reports may be many to read again
        self._notes: dict[int, Notes] = {}
        self._flushed = time.monotonic()
        super().__init__(*args, **kwargs)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        made = super()._create_new_trial(study_id, template_trial)
        if made.state is TrialState.RUNNING:
            made.user_attrs.setdefault("worker", process.identity())
            self._taken[made._trial_id] = _copy(made)
        return made

    def _get_prepared_new_trial(self, study_id: int, template_trial: FrozenTrial | None, session: Any) -> Any:
        made = super()._get_prepared_new_trial(study_id, template_trial, session)
        if template_trial is None:  # it is taken at once; in one transaction, as a process may be killed after each
            insert(session.connection(), USER_ATTRS, int(made.trial_id), [attr("worker", process.identity())])
        return made

    def _set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
        previous_distribution: BaseDistribution | None,
    ) -> None:
        given = trial_id, param_name, param_value_internal, distribution, previous_distribution
        if trial_id not in self._taken or previous_distribution is None:
            self.flush()  # in the order in which they are proposed
            super()._set_trial_param(*given)
        else:
            check_distribution_compatibility(previous_distribution, distribution)
            self._note(trial_id).params[param_name] = param_value_internal, distribution
        if trial := self._taken.get(trial_id):
            trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
            trial.distributions = {**trial.distributions, param_name: distribution}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keeps an attribute, to be written soon."""
        if trial_id not in self._taken:
            super().set_trial_user_attr(trial_id, key, value)
            return
        self._note(trial_id).user_attrs[key] = self._taken[trial_id].user_attrs[key] = value
        self._flush_in_time()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keeps an attribute of a sampler's or a pruner's, to be written soon."""
        if trial_id not in self._taken:
            super().set_trial_system_attr(trial_id, key, value)
            return
        self._note(trial_id).system_attrs[key] = self._taken[trial_id].system_attrs[key] = value
        self._flush_in_time()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Keeps a report, to be written soon."""
        if trial_id not in self._taken:
            super().set_trial_intermediate_value(trial_id, step, intermediate_value)
            return
        self._note(trial_id).reports[step] = self._taken[trial_id].intermediate_values[step] = intermediate_value
        self._flush_in_time()

    def flush(self) -> None:
        """Writes what waits; what can't be written is lost, as it would be had it not waited.

        So is what waits of a trial that another process has ended; whatever this one sets of it next is refused.

        Raises:
            StorageInternalError: the database can't be written to.
        """
        waiting, self._notes, self._flushed = self._notes, {}, time.monotonic()
        for trial_id, notes in waiting.items():
            with _create_scoped_session(self.scoped_session, True) as session:
                connection = session.connection()
                if connection.execute(STATE, {"trial_id": trial_id}).scalar_one().is_finished():
                    self._taken.pop(trial_id, None)
                else:
                    write(connection, trial_id, notes)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Returns a trial, with its notes."""
        known = self._known(trial_id)
        return _copy(known) if known else super().get_trial(trial_id)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Reads trials in full only if they are not known."""
        if states is not None:
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        new = or_(TRIALS.c.trial_id > trial_id_greater_than, TRIALS.c.trial_id.in_(included_trial_ids))
        asked = select(TRIALS.c.trial_id, TRIALS.c.state).where(TRIALS.c.study_id == study_id, new)
        with _create_scoped_session(self.scoped_session) as session:
            rows = session.execute(asked.order_by(TRIALS.c.trial_id)).all()
        trials = [_copy(known) for trial_id, state in rows if (known := self._known(trial_id, state))]
        if not trials:
            return super()._get_trials(study_id, None, included_trial_ids, trial_id_greater_than)
        if others := {trial_id for trial_id, _ in rows} - {trial._trial_id for trial in trials}:
            trials += super()._get_trials(study_id, None, others, rows[-1].trial_id)
        return sorted(trials, key=lambda trial: trial._trial_id)

    def _known(self, trial_id: int, state: TrialState | None = None) -> FrozenTrial | None:
        """Returns a trial that this process took; not if the database has another state for it."""
        for trial in (self._taken.get(trial_id), self._ended):
            if trial and trial._trial_id == trial_id and state in (None, trial.state):
                return trial
        return None

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Changes a trial's state, after its notes are written."""
        try:
            self.flush()
            changed = super().set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:  # it was taken for dead, and is another worker's
            self._taken.pop(trial_id, None)
            raise
        if state.is_finished():
            self._end(trial_id, state, values)
        elif changed:
            self._taken[trial_id] = super().get_trial(trial_id)
            self.set_trial_user_attr(trial_id, "worker", process.identity())
            self.flush()
        return changed

    def _end(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        if ended := self._taken.pop(trial_id, None):
            ended.state, ended.values = state, None if values is None else list(values)
            with _create_scoped_session(self.scoped_session) as session:
                ended.datetime_complete = session.execute(COMPLETE, {"trial_id": trial_id}).scalar_one()
            self._ended = ended

    def _note(self, trial_id: int) -> Notes:
        if trial_id not in self._notes:
            self._notes[trial_id] = Notes()
        return self._notes[trial_id]

    def _flush_in_time(self) -> None:
        if time.monotonic() - self._flushed > WAIT_S:
            self.flush()


def flush(study: optuna.Study) -> None:
    """Writes what waits of a study's trials."""
    storage = getattr(study._storage, "_backend", None)
    if isinstance(storage, NotingStorage):
        storage.flush()


def _copy(trial: FrozenTrial) -> FrozenTrial:
    """Returns a trial that nobody else changes."""
    made = copy.copy(trial)
    made.params, made.distributions = dict(trial.params), dict(trial.distributions)
    made.user_attrs, made.system_attrs = dict(trial.user_attrs), dict(trial.system_attrs)
    made.intermediate_values = dict(trial.intermediate_values)
    return made
