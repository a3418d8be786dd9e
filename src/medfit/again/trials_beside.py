"""The trials of a sweep beside those of the same sweep now."""

from collections.abc import Sequence

from medfit.again.outcome import Number, compared
from medfit.again.stored_numbers import Trial

ENDED = ("COMPLETE", "PRUNED", "FAIL")


def beside(
    then: Sequence[Trial], now: Sequence[Trial], fixed: bool, tolerance: float
) -> tuple[list[Number], list[int]]:
    """Returns the numbers of two sweeps' trials beside each other, and which trials of then are not compared.

    A trial goes with that of its number if both have the same values; else with another of its values, as a trial that
    was repeated shifts the numbers of those behind it; else with that of its number, if the order of trials is fixed.

    Args:
        then: The finished sweep's trials.
        now: This one's.
        fixed: Whether the sampler must propose the same again.
        tolerance: As :class:`medfit.again.outcome.Number` takes it.
    """
    pairs, left = _pairs(_counted(then), _counted(now), tolerance)
    numbers, others = [], []
    for own, other in pairs:
        other = other or (left.pop(own.number, None) if fixed else None)
        if other is not None or fixed:
            numbers += compared(_of(own, own), _of(own, other), tolerance)
        else:
            others.append(own.number)
    for more in left.values() if fixed else ():
        numbers += compared({}, _of(more, more), tolerance)
    return numbers, others


def _counted(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials that ended, without those that failed and were tried again."""
    ended = [trial for trial in trials if trial.state in ENDED]
    return [
        trial
        for trial in ended
        if trial.state != "FAIL" or not any(t.params == trial.params and t.number > trial.number for t in ended)
    ]


def _pairs(
    then: Sequence[Trial], now: Sequence[Trial], tolerance: float
) -> tuple[list[tuple[Trial, Trial | None]], dict[int, Trial]]:
    """Returns each trial of then with one of now that has its values, if there is one; and what is left, by number."""
    left = {trial.number: trial for trial in now}
    pairs: list[tuple[Trial, Trial | None]] = []
    for trial in then:
        alike = [one for one in left.values() if _alike(trial, one, tolerance)]
        other = min(alike, key=lambda one: (one.number != trial.number, one.number), default=None)
        if other is not None:
            del left[other.number]
        pairs.append((trial, other))
    return pairs, left


def _alike(one: Trial, other: Trial, tolerance: float) -> bool:
    return all(number.same for number in compared(one.params, other.params, tolerance))


def _of(named: Trial, trial: Trial | None) -> dict[str, float | str]:
    """Returns what is compared of a trial; its names have the number of another that it is compared with."""
    if trial is None:
        return {}
    shown = {"state": trial.state, **trial.values, **trial.params}
    return {f"trial {named.number}: {name}": value for name, value in shown.items()}
