"""Windows of recordings: of a fixed length, around annotations, or along annotations that last."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medfit.errors import UserError

Span = tuple[int, int, str | None]  # the first sample, the one behind the last, the annotation's class
Spans = tuple[list[Span], Counter[str]]  # with how many are not as one may think, by what is said of them
BEYOND = "{} annotated windows reach beyond an end"
BRIEF = "{} annotations are shorter than a window"
LASTING = "{} annotations last longer than dataset.after_s, and give one window each, around their onset"


@dataclass(frozen=True)
class Mark:
    """An annotation.

    Args:
        second: Of the recording at which it begins.
        symbol: What is annotated.
        lasts_s: Its seconds; 0 where it is of a moment.
    """

    second: float
    symbol: str
    lasts_s: float = 0.0


@dataclass(frozen=True)
class Windows:
    """Where windows lie in a recording.

    With ``symbols``, windows tile the duration of annotations that last (``window_s``), or lie around annotations
    (``before_s`` and ``after_s``). Where nothing lies before an annotation, and it lasts longer than ``after_s``,
    windows tile it as well.

    Args:
        window_s: Seconds of a window; None for the whole recording.
        stride_s: Seconds from one window's start to the next one's; None for a window's seconds.
        symbols: The annotations to cut windows from, with the class of each.
        before_s: Seconds of a window before its annotation.
        after_s: Seconds from its annotation on.

    Raises:
        UserError: options that don't go together.
    """

    window_s: float | None = None
    stride_s: float | None = None
    symbols: Mapping[str, str | int] | None = None
    before_s: float | None = None
    after_s: float | None = None

    def __post_init__(self) -> None:
        around = [value for value in (self.before_s, self.after_s) if value is not None]
        if self.symbols and not self.window_s and (len(around) < 2 or not sum(around)):
            raise UserError(
                "dataset.symbols: windows around annotations need dataset.before_s and dataset.after_s, "
                "windows along annotations that last need dataset.window_s"
            )
        if self.symbols and self.window_s and around:
            raise UserError("dataset.window_s: windows around annotations take before_s and after_s alone")
        if not self.symbols and around:
            raise UserError("dataset.before_s and dataset.after_s lie around annotations: give dataset.symbols")
        if self.stride_s and not (self.window_s or (self.symbols and not self.before_s)):
            raise UserError("dataset.stride_s: give dataset.window_s as well")

    def spans(self, length: int, rate_hz: float | None, marks: Sequence[Mark] = ()) -> Spans:
        """Returns the windows that lie within a recording, and what is to be said of the others.

        Args:
            length: Of the recording, in samples.
            rate_hz: Of its samples.
            marks: Its annotations.
        """
        if rate_hz is None or not (self.symbols or self.window_s):
            return [(0, length, None)], Counter()
        if self.symbols:
            return self._annotated(length, rate_hz, marks)
        size, stride = self._samples(rate_hz)
        return [(start, start + size, None) for start in range(0, length - size + 1, stride)], Counter()

    def _samples(self, rate_hz: float) -> tuple[int, int]:
        """Returns the samples of a window from its annotation on, and those from one window's start to the next's."""
        seconds = self.window_s or self.after_s or 0
        size, stride = (round(value * rate_hz) for value in (seconds, self.stride_s or seconds))
        if self.window_s and not (size and stride):
            raise UserError(f"dataset.window_s, dataset.stride_s: less than a sample at {rate_hz:g} Hz")
        return size, max(1, stride)

    def _annotated(self, length: int, rate_hz: float, marks: Sequence[Mark]) -> Spans:
        assert self.symbols is not None
        before, (after, stride) = round((self.before_s or 0) * rate_hz), self._samples(rate_hz)
        if not before + after:
            raise UserError(f"dataset.before_s, dataset.after_s: less than a sample at {rate_hz:g} Hz")
        spans: list[Span] = []
        told: Counter[str] = Counter()
        for mark in (mark for mark in marks if mark.symbol in self.symbols):
            lasts, onset = round(mark.lasts_s * rate_hz), round(mark.second * rate_hz)
            if self.window_s and lasts < after:
                told[BRIEF] += 1
                continue
            if before and lasts > after:
                told[LASTING] += 1
            steps = [0] if before or lasts <= after else range(0, lasts - after + 1, stride)
            spans += [(onset + step - before, onset + step + after, str(self.symbols[mark.symbol])) for step in steps]
        within = [span for span in spans if span[0] >= 0 and span[1] <= length]
        told[BEYOND] += len(spans) - len(within)
        return within, told


def in_words(told: Mapping[str, int]) -> str:
    """Returns what is to be said of windows, behind a semicolon each."""
    return "".join(f"; {what.format(number)}" for what, number in told.items() if number)
