"""The finished folds of a trial, which a trial that repeats it makes its own."""

from typing import Any

import optuna

from medfit.errors import UserError
from medfit.tracking.run import Run

NOTED = "folds"  # the trial's attribute
Scores = dict[str, float]


class FinishedFolds:
    """The finished folds of a trial, noted with it.

    Args:
        trial: The trial.
        run: The trial's run.
        key: Names the trials whose folds are the same: of one config, data, code and versions.
    """

    def __init__(self, trial: optuna.Trial, run: Run, key: str) -> None:
        self._trial, self._run, self._key = trial, run, key
        self._done: list[list[Any]] = []  # of each fold its number, its run's id and its scores
        self._before = {fold: (run_id, scores) for fold, run_id, scores in self._of_repeated()}

    def take(self, fold: int) -> Scores | None:
        """Returns the scores of a fold that was finished in the trial which this one repeats, and takes its run over.

        Returns:
            None if it is to be trained.
        """
        run_id, scores = self._before.get(fold, ("", {}))
        if not run_id or not self._is_finished(run_id):
            return None
        owner = [["mlflow.parentRunId", self._run.id], ["trial", str(self._trial.number)]]
        self._run.store.write(run_id, "tags", owner)
        self.note(fold, run_id, scores)
        return dict(scores)

    def note(self, fold: int, run_id: str, scores: Scores) -> None:
        """Notes a fold that is finished."""
        self._done.append([fold, run_id, scores])
        self._trial.set_user_attr(NOTED, {"key": self._key, "done": self._done})

    def _of_repeated(self) -> list[list[Any]]:
        number = self._trial.user_attrs.get("repeats")
        if number is None:
            return []
        noted = self._trial.study.get_trials(deepcopy=False)[number].user_attrs.get(NOTED, {})
        return list(noted["done"]) if noted.get("key") == self._key else []

    def _is_finished(self, run_id: str) -> bool:
        try:
            run = self._run.store.find(run_id, "sweep")
        except UserError:
            return False
        return bool(run.info.status == "FINISHED" and run.info.lifecycle_stage == "active")
