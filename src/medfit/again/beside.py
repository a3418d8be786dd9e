"""A finished run's numbers beside those of the same run now."""

from typing import TYPE_CHECKING

from medfit.again import stored_numbers, trials_beside
from medfit.again.outcome import Number, Value, compared
from medfit.tracking.store import Store

if TYPE_CHECKING:
    import mlflow.entities

Stored = tuple[Store, "mlflow.entities.Run"]


def numbers(what: str, then: Stored, now: Stored, fixed: bool, tolerance: float) -> tuple[list[Number], list[int]]:
    """Returns the numbers of two runs beside each other, and which trials of a sweep are not compared.

    Args:
        what: They are: ``training``, ``sweep`` or ``evaluation``.
        then: The finished run, and the store that has it.
        now: The new one.
        fixed: Whether the sampler of a sweep must propose the same again.
        tolerance: As :class:`medfit.again.outcome.Number` takes it.
    """
    if what == "sweep":
        best = compared(_best(then), _best(now), tolerance)
        of_trials, others = trials_beside.beside(
            stored_numbers.trials_of(*then), stored_numbers.trials_of(*now), fixed, tolerance
        )
        return [*best, *of_trials], others
    if what == "evaluation":
        return compared(stored_numbers.of_evaluation(*then), stored_numbers.of_evaluation(*now), tolerance), []
    return compared(stored_numbers.of_training(then[1]), stored_numbers.of_training(now[1]), tolerance), []


def _best(stored: Stored) -> dict[str, Value]:
    """Returns the scores of a sweep's best trial, which the sweep's run has as its own."""
    return {f"best trial: {name}": value for name, value in stored_numbers.of_training(stored[1]).items()}
