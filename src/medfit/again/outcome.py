"""Whether a training's scores came back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SECONDS = "_s"  # with what the names of durations end, which are no result


@dataclass(frozen=True)
class Number:
    """A score of a finished training and of the same training now; None where one has it not.

    Args:
        name: As MLflow has it.
        then: Of the finished training.
        now: Of this one.
        tolerance: How far apart, relatively, the two may be that are the same but for rounding.
    """

    name: str
    then: float | None
    now: float | None
    tolerance: float

    @property
    def same(self) -> bool:
        """Whether the two are the same, but for rounding."""
        if self.then is None or self.now is None:
            return False
        return math.isclose(self.then, self.now, rel_tol=self.tolerance, abs_tol=0)

    @property
    def verdict(self) -> str:
        """How far the two are the same, in words."""
        if self.then is None or self.now is None:
            return "not there then" if self.then is None else "not there now"
        if self.then == self.now:
            return "same to the last digit"
        if self.same:
            return f"same within {self.tolerance:g}"
        return f"differs by {self.now - self.then:+.3g}"


def compared(then: Mapping[str, float], now: Mapping[str, float], tolerance: float) -> list[Number]:
    """Returns the numbers of two trainings beside each other, by name; durations are left out."""
    names = sorted(name for name in then.keys() | now.keys() if not name.endswith(SECONDS))
    return [Number(name, then.get(name), now.get(name), tolerance) for name in names]


def in_words(numbers: Sequence[Number], causes: Mapping[str, str]) -> str:
    """Returns whether a training came back, and what can be why not.

    Args:
        numbers: As :func:`compared` gives them.
        causes: What differs, by its kind.
    """
    wrong = sum(not number.same for number in numbers)
    if not numbers:
        return "Neither training has a score to compare."
    if all(number.then == number.now for number in numbers):
        return f"All {len(numbers)} numbers are the same to the last digit."
    if not wrong:
        return f"All {len(numbers)} numbers are the same within {numbers[0].tolerance:g}, relatively. {_why(causes)}"
    return f"{wrong} of {len(numbers)} numbers differ. {_why(causes)}"


def _why(causes: Mapping[str, str]) -> str:
    if not causes:
        return (
            "Nothing else that is compared differs: what a run does not record does, or the training is not repeatable."
        )
    told = "; ".join(f"{kind} ({words})" for kind, words in causes.items())
    cause = (
        "What differs, and so is the cause: " if len(causes) == 1 else "What differs, one or several of it the cause: "
    )
    return f"{cause}{told}."
