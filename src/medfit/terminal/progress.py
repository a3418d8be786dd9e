"""Live progress on the terminal."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from medfit.terminal.console import console

REDRAW_S = 0.1  # between two pictures of a sweep
BAR = (10, 40)  # columns, at least and at most
ENDS = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}  # Optuna's words, and ours


def bar(unit: str) -> Progress:
    """Returns a bar that shows how many units are done, a word on the best, and the time left."""
    return Progress(
        TextColumn(unit),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=False,
    )


@dataclass
class WorkerState:
    """What one worker of a sweep does.

    Args:
        trial: The trial's number; None for an idle worker.
        epoch: Epochs that are finished.
        num_epochs: Of how many.
        unit: What they are, as ``epoch`` or ``fold 2/5 epoch``.
        score: The objective's latest.
    """

    trial: int | None = None
    epoch: int = 0
    num_epochs: int = 0
    unit: str = "epoch"
    score: float | None = None


@dataclass
class SweepState:
    """How far a sweep has come.

    Args:
        num_trials: That the study is to have.
        objective: Its name, or their names.
        done: Trials that count to the number.
        finished: Of these.
        pruned: Of these.
        failed: Of these.
        running: Trials, in all processes.
        best: The best score, in words.
        before: Trials that were done by earlier commands.
        workers: Of this command.
        note: What else there is to know.
        seconds_left: An estimate; None for none.
    """

    num_trials: int
    objective: str
    done: int = 0
    finished: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    best: str = ""
    before: int = 0
    workers: list[WorkerState] = field(default_factory=list)
    note: str = ""
    seconds_left: float | None = None


def seconds_left(durations: Sequence[float], missing: int, workers: int) -> float | None:
    """Returns how long a sweep still takes; None before its first trial has ended.

    Args:
        durations: In seconds, of this command's trials.
        missing: Trials still to end.
        workers: That share them.
    """
    return median(durations) * max(0, missing) / workers if durations else None


class SweepDisplay:
    """Shows how a sweep goes: live on a terminal, else a line for each trial that ends.

    Args:
        console: Where; once it can't be written to, as when its terminal was closed, it stays silent.
    """

    def __init__(self, console: Console = console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._state: SweepState | None = None
        self._drawn, self._note = 0.0, ""

    def __enter__(self) -> "SweepDisplay":
        return self

    def __exit__(self, *_: Any) -> None:
        with self._writing():
            if self._live.is_started and self._state:
                self._live.update(Group(*_summary(replace(self._state, seconds_left=None), self._console.width)))
            self._live.stop()

    def update(self, state: SweepState) -> None:
        """Shows where the sweep stands; may be called often."""
        with self._writing():
            if not self._console.is_interactive:
                self._tell(state)
            elif time.monotonic() - self._drawn > REDRAW_S:
                self._draw(state)
        self._state = state

    def ended(
        self, number: int, state_name: str, score: float | None, seconds: float, reason: str, state: SweepState
    ) -> None:
        """Shows that a trial has ended.

        Args:
            number: The trial's.
            state_name: ``COMPLETE``, ``PRUNED`` or ``FAIL``.
            score: Of the (first) objective, if there is one.
            seconds: That it took.
            reason: Of a failure.
            state: Where the sweep stands now.
        """
        with self._writing():
            if not self._console.is_interactive:
                self._tell(state)
                self._say(_line(state_name, score, seconds, reason, state))
            else:
                self._draw(state)
                if state_name == "FAIL":
                    self._warn(f"trial {number} failed: {' '.join(reason.split())}")
        self._state = state

    def _draw(self, state: SweepState) -> None:
        width = self._console.width
        self._live.update(Group(*_summary(state, width), *_notes(state, width), _workers(state)))
        self._live.start()
        self._live.refresh()
        self._drawn = time.monotonic()

    def _warn(self, text: str) -> None:
        """Prints a line above the live ones, as much as fits in it."""
        self._console.print(_cut(Text(text, style="red"), self._console.width), soft_wrap=True)

    def _tell(self, state: SweepState) -> None:
        """Says what is new beside the trials that end."""
        if self._state is None and state.before:
            self._say(f"{state.before} of {state.num_trials} trials were done before")
        if state.note and state.note != self._note:
            self._say(state.note)
        self._note = state.note

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SystemExit):  # SystemExit is rich's answer to a broken pipe
            self._console.quiet = True


def _summary(state: SweepState, width: int) -> tuple[Table, Text]:
    """Returns the bar's line and that of the counts."""
    done = f" {state.done}/{state.num_trials}"
    left = "" if state.seconds_left is None else f"  {_clock(state.seconds_left)} left"
    best = f"  {_best(state, state.objective)}" if state.best else ""
    free = width - len("trials ") - len(done) - len(left)
    size = min(max(free - len(best), BAR[0]), BAR[1])
    line = Table.grid()
    words = Text.assemble(done, _cut(Text(best), free - size), left)
    line.add_row("trials ", ProgressBar(state.num_trials, min(state.done, state.num_trials), width=size), words)
    counts = f"{state.finished} finished, {state.pruned} pruned, {state.failed} failed, {state.running} running"
    return line, _cut(Text(counts), width)


def _notes(state: SweepState, width: int) -> list[Text]:
    return [_cut(Text(state.note, style="yellow"), width)] if state.note else []


def _workers(state: SweepState) -> Table:
    """Returns a line for each worker."""
    columns = (Column(no_wrap=True, overflow="ellipsis") for _ in range(4))
    table = Table.grid(*columns, padding=(0, 2, 0, 0))
    for index, worker in enumerate(state.workers, start=1):
        doing = ["idle"]
        if worker.trial is not None:
            epochs = f"{worker.unit} {worker.epoch}/{worker.num_epochs}" if worker.num_epochs else "starting"
            doing = [f"trial {worker.trial}", epochs, "" if worker.score is None else f"{worker.score:.4f}"]
        table.add_row(f"worker {index}", *doing)
    return table


def _line(state_name: str, score: float | None, seconds: float, reason: str, state: SweepState) -> str:
    """Returns what is said of a trial that has ended."""
    head = f"trial {state.done}/{state.num_trials} {ENDS[state_name]}"
    if state_name == "FAIL":
        return f"{head}: {' '.join(reason.split())}"
    reached = "" if score is None else f"{state.objective.split(', ')[0]} {score:.4f}"
    facts = ", ".join(filter(None, [reached, _best(state)]))
    return f"{head}{': ' if facts else ''}{facts} ({seconds:.1f} s)"


def _best(state: SweepState, name: str = "") -> str:
    """Returns the best score, under a name; of several objectives there is none, and the words tell all."""
    if not state.best or "," in state.objective:
        return state.best
    return " ".join(filter(None, ["best", name, state.best]))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _cut(text: Text, width: int) -> Text:
    text.truncate(max(0, width), overflow="ellipsis")
    return text
