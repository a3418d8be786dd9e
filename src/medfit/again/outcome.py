"""Whether the numbers of a run came back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SECONDS = "_s"  # with what the names of durations end, which are no result
Value = float | str  # a word is a sweep's value that is no number, as a layer's kind


@dataclass(frozen=True)
class Number:
    """A number of a finished run and of the same run now; None where one has it not.

    Args:
        name: As MLflow has it, or a table's row and column.
        then: Of the finished run.
        now: Of this one.
        tolerance: How far apart, relatively, the two may be that are the same but for rounding.
    """

    name: str
    then: Value | None
    now: Value | None
    tolerance: float

    @property
    def exact(self) -> bool:
        """Whether the two are the same to the last digit."""
        return self.then is not None and self.then == self.now

    @property
    def same(self) -> bool:
        """Whether the two are the same, but for rounding."""
        if isinstance(self.then, float) and isinstance(self.now, float):
            return math.isclose(self.then, self.now, rel_tol=self.tolerance, abs_tol=0)
        return self.exact

    @property
    def verdict(self) -> str:
        """How far the two are the same, in words."""
        if self.then is None or self.now is None:
            return "not there then" if self.then is None else "not there now"
        if self.exact:
            return "same" if isinstance(self.then, str) else "same to the last digit"
        if self.same:
            return f"same within {self.tolerance:g}"
        if isinstance(self.then, str) or isinstance(self.now, str):
            return "differs"
        return f"differs by {self.now - self.then:+.3g}"


def compared(then: Mapping[str, Value], now: Mapping[str, Value], tolerance: float) -> list[Number]:
    """Returns the numbers of two runs beside each other, by name; durations are left out."""
    names = [name for name in dict.fromkeys([*then, *now]) if not name.endswith(SECONDS)]
    return [Number(name, then.get(name), now.get(name), tolerance) for name in names]


def first(numbers: Sequence[Number], most: int) -> list[Number]:
    """Returns so many numbers at most, in their order: those that differ before others."""
    places = sorted(range(len(numbers)), key=lambda place: (numbers[place].same, place))[:most]
    return [numbers[place] for place in sorted(places)]


def in_words(numbers: Sequence[Number], causes: Mapping[str, str]) -> str:
    """Returns whether a run came back, and what can be why not.

    Args:
        numbers: As :func:`compared` gives them.
        causes: What differs, by its kind.
    """
    wrong = sum(not number.same for number in numbers)
    if not numbers:
        return "Neither run has a number to compare."
    if all(number.exact for number in numbers):
        return f"All {len(numbers)} numbers are the same to the last digit."
    if not wrong:
        return f"All {len(numbers)} numbers are the same within {numbers[0].tolerance:g}, relatively. {_why(causes)}"
    return f"{wrong} of {len(numbers)} numbers differ. {_why(causes)}"


def _why(causes: Mapping[str, str]) -> str:
    if not causes:
        return "Nothing else that is compared differs: what a run does not record does, or it is not repeatable."
    told = "; ".join(f"{kind} ({words})" for kind, words in causes.items())
    cause = (
        "What differs, and so is the cause: " if len(causes) == 1 else "What differs, one or several of it the cause: "
    )
    return f"{cause}{told}."
