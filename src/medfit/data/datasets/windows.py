"""Windows of recordings: of a fixed length, or around annotations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medfit.errors import UserError

Marks = tuple[Sequence[float], Sequence[str]]  # seconds from the recording's start, and what is annotated there
Span = tuple[int, int, str | None]  # the first sample, the one behind the last, the annotation's class


@dataclass(frozen=True)
class Windows:
    """Where windows lie in a recording.

    Args:
        window_s: Seconds of a window; None for the whole recording.
        stride_s: Seconds from one window's start to the next one's; None for ``window_s``.
        symbols: The annotations to cut windows around, with the class of each.
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
        if self.symbols and (len(around) < 2 or not sum(around)):
            raise UserError("dataset.symbols: windows around annotations need dataset.before_s and dataset.after_s")
        if self.symbols and (self.window_s or self.stride_s):
            raise UserError("dataset.window_s: windows around annotations (dataset.symbols) take before_s and after_s")
        if not self.symbols and around:
            raise UserError("dataset.before_s and dataset.after_s lie around annotations: give dataset.symbols")
        if self.stride_s and not self.window_s:
            raise UserError("dataset.stride_s: give dataset.window_s as well")

    def spans(self, length: int, rate_hz: float | None, marks: Marks = ((), ())) -> tuple[list[Span], int]:
        """Returns the windows that lie within a recording, and how many annotated ones don't.

        Args:
            length: Of the recording, in samples.
            rate_hz: Of its samples.
            marks: Its annotations.
        """
        if rate_hz is None or not (self.symbols or self.window_s):
            return [(0, length, None)], 0
        if self.symbols:
            return self._around(length, rate_hz, marks)
        size, stride = (round((seconds or 0) * rate_hz) for seconds in (self.window_s, self.stride_s or self.window_s))
        if not size or not stride:
            raise UserError(f"dataset.window_s, dataset.stride_s: less than a sample at {rate_hz:g} Hz")
        return [(start, start + size, None) for start in range(0, length - size + 1, stride)], 0

    def _around(self, length: int, rate_hz: float, marks: Marks) -> tuple[list[Span], int]:
        assert self.symbols is not None
        before, after = (round((seconds or 0) * rate_hz) for seconds in (self.before_s, self.after_s))
        if not before + after:
            raise UserError(f"dataset.before_s, dataset.after_s: less than a sample at {rate_hz:g} Hz")
        spans: list[Span] = [
            (round(second * rate_hz) - before, round(second * rate_hz) + after, str(self.symbols[symbol]))
            for second, symbol in zip(*marks, strict=True)
            if symbol in self.symbols
        ]
        within = [span for span in spans if span[0] >= 0 and span[1] <= length]
        return within, len(spans) - len(within)
