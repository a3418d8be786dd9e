import io
import os
import time

import pytest
from rich.console import Console

from medfit.terminal import progress
from medfit.terminal.progress import SweepDisplay, SweepState, WorkerState, seconds_left


def state(done=12, **others):
    known = {"num_trials": 30, "objective": "val/auroc", "finished": 10, "pruned": 2, "best": "0.9912 (trial 7)"}
    return SweepState(done=done, **{**known, **others})


def terminal(width=80, height=24, file=None):
    size = {"width": width, "height": height}
    file = file or io.StringIO()
    return Console(file=file, force_terminal=True, color_system=None, _environ={"TERM": "xterm"}, **size)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Every update is drawn."""
    monkeypatch.setattr(progress, "REDRAW_S", 0.0)


def drawn(*states, **size):
    """Returns the lines of the last picture."""
    console = terminal(**size)
    with SweepDisplay(console) as display:
        for one in states:
            display.update(one)
        shown = console.file.getvalue()
    return shown.rpartition("\x1b[2K")[2].replace("\r", "").removeprefix("\x1b[?25l").rstrip().splitlines()


def said(*calls, width=80):
    """Returns what is said where there is no terminal, for calls of methods by name."""
    console = Console(file=io.StringIO(), width=width)
    with SweepDisplay(console) as display:
        for name, *arguments in calls:
            getattr(display, name)(*arguments)
    return console.file.getvalue().splitlines()


def test_a_terminal_shows_the_trials_the_best_and_the_time_left():
    line, *_ = drawn(state(seconds_left=62.4))
    start, _, end = line.partition(" 12/30")
    assert start.startswith("trials ━") and end == "  best val/auroc 0.9912 (trial 7)  1:02 left" and len(line) == 80


def test_a_terminal_shows_counts_and_a_line_for_each_worker():
    workers = [WorkerState(13, 7, 40, score=0.9731), WorkerState(14), WorkerState()]
    _, *lines = drawn(state(failed=1, running=2, workers=workers))
    assert lines[0] == "10 finished, 2 pruned, 1 failed, 2 running"
    assert [line.rstrip() for line in lines[1:]] == [
        "worker 1  trial 13  epoch 7/40  0.9731", "worker 2  trial 14  starting", "worker 3  idle"
    ]  # fmt: skip


def test_workers_on_folds_say_which():
    lines = drawn(state(workers=[WorkerState(3, 7, 40, "fold 2/5 epoch", 0.5)]))
    assert lines[-1].rstrip() == "worker 1  trial 3  fold 2/5 epoch 7/40  0.5000"


def test_a_note_stands_above_the_workers():
    assert drawn(state(note="waiting", workers=[WorkerState()]))[2] == "waiting"


def test_without_a_trial_there_is_no_best_and_no_time():
    assert drawn(state(0, best=""))[0].split() == ["trials", "0/30"]


def test_several_objectives_have_no_best():
    best = {"objective": "val/dice, val/hausdorff_mm", "best": "3 on the Pareto front"}
    assert drawn(state(**best))[0].endswith(" 12/30  3 on the Pareto front")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width):
    workers = [WorkerState(13, 7, 40, "fold 2/5 epoch", 0.9731), WorkerState()]
    everything = state(seconds_left=5000, note="a word " * 40, workers=workers, best="0.9912 (trial 7)" * 20)
    lines = drawn(everything, width=width)
    assert len(lines) == 5 and max(map(len, lines)) <= width


def test_more_workers_than_fit_on_the_terminal_are_left_out():
    assert len(drawn(state(workers=[WorkerState()] * 50), height=10)) == 10


def test_more_trials_than_wanted_fill_the_bar():
    assert drawn(state(31))[0].partition(" 31/30")[0].removeprefix("trials ").strip("━") == ""


def test_a_failed_trial_is_told_above_in_one_line():
    console = terminal()
    with SweepDisplay(console) as display:
        display.update(state())
        display.ended(12, "FAIL", None, 1.0, "DivergedError: the [loss]\nbecame nan", state(13))
        display.ended(13, "FAIL", None, 1.0, "a long reason " * 20, state(14))
        display.ended(14, "COMPLETE", 0.9, 1.0, "", state(15))
    shown = console.file.getvalue()
    assert "trial 12 failed: DivergedError: the [loss] became nan\n" in shown
    (line,) = [line for line in shown.splitlines() if "trial 13 failed: a long" in line]
    assert line.endswith("…") and len(line[line.index("trial 13") :]) == 80
    assert "trial 14" not in shown and " 15/30" in shown


def test_what_is_left_at_the_end_is_the_bar_and_the_counts():
    console = terminal()
    with SweepDisplay(console) as display:
        display.update(state(seconds_left=60, note="a note", workers=[WorkerState(3)]))
        before = len(console.file.getvalue())
    last = console.file.getvalue()[before:]
    assert "12/30" in last and "10 finished" in last and last.endswith("\x1b[?25h")  # the cursor is back
    assert "worker" not in last and "note" not in last and "left" not in last


def test_updates_are_drawn_now_and_then(monkeypatch):
    monkeypatch.setattr(progress, "REDRAW_S", 60.0)
    console = terminal()
    with SweepDisplay(console) as display:
        display.update(state(1))
        display.update(state(2))
        assert " 1/30" in console.file.getvalue() and " 2/30" not in console.file.getvalue()
    assert " 2/30" in console.file.getvalue()  # the last is, in the end


def test_without_an_update_nothing_is_shown():
    console = terminal()
    with SweepDisplay(console):
        pass
    assert console.file.getvalue() == "" and said() == []


def test_without_a_terminal_each_trial_is_a_line():
    ended = [
        ("ended", 12, "COMPLETE", 0.97312, 3.21, "", state(13)),
        ("ended", 13, "PRUNED", 0.5, 2.0, "", state(14)),
        ("ended", 14, "PRUNED", None, 2.0, "", state(14, best="")),
        ("ended", 15, "FAIL", None, 1.0, "DivergedError: the [loss]\nbecame nan " + "x" * 80, state(15)),
    ]
    assert said(*ended) == [
        "trial 13/30 finished: val/auroc 0.9731, best 0.9912 (trial 7) (3.2 s)",
        "trial 14/30 pruned: val/auroc 0.5000, best 0.9912 (trial 7) (2.0 s)",
        "trial 14/30 pruned (2.0 s)",
        "trial 15/30 failed: DivergedError: the [loss] became nan " + "x" * 80,
    ]


def test_without_a_terminal_a_trial_of_several_objectives_tells_the_first():
    several = state(13, objective="val/dice, val/hausdorff_mm", best="3 on the Pareto front")
    (line,) = said(("ended", 12, "COMPLETE", 0.9, 3.0, "", several))
    assert line == "trial 13/30 finished: val/dice 0.9000, 3 on the Pareto front (3.0 s)"


def test_without_a_terminal_trials_of_earlier_commands_are_told_once():
    lines = said(("update", state(before=12)), ("update", state(before=12)))
    assert lines == ["12 of 30 trials were done before"]
    assert said(("update", state())) == []


def test_without_a_terminal_a_note_is_told_when_it_changes():
    notes = ["", "one", "one", "two", "", "two"]
    assert said(*(("update", state(note=note)) for note in notes)) == ["one", "two", "two"]


def test_a_terminal_without_a_cursor_gets_lines():
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with SweepDisplay(console) as display:
        display.update(state(before=12))
    assert console.file.getvalue() == "12 of 30 trials were done before\n"


def test_a_terminal_that_vanishes_ends_the_display_and_nothing_else():
    ours, theirs = os.openpty()
    file = os.fdopen(theirs, "w")
    console = terminal(file=file)
    with SweepDisplay(console) as display:
        display.update(state())
        shown = b""
        while b"12/30" not in shown:  # it comes in parts
            shown += os.read(ours, 10_000)
        os.close(ours)
        display.update(state(13))
        assert console.quiet
        display.ended(13, "FAIL", None, 1.0, "a reason", state(14))
    with pytest.raises(OSError):
        file.close()


@pytest.mark.parametrize("name", ["update", "ended"])
def test_a_pipe_that_breaks_ends_the_display_and_nothing_else(monkeypatch, name):
    reader, writer = os.pipe()
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # rich would put the null device in stdout's place
    arguments = (state(before=3),) if name == "update" else (1, "COMPLETE", 0.5, 1.0, "", state())
    os.close(reader)
    file = os.fdopen(writer, "w")
    console = Console(file=file)
    with SweepDisplay(console) as display:
        getattr(display, name)(*arguments)
    assert console.quiet
    with pytest.raises(OSError):
        file.close()


def test_other_errors_are_told():
    with pytest.raises(KeyError), SweepDisplay(terminal()) as display:
        display.update(state())
        raise KeyError


def test_an_update_costs_little(monkeypatch):
    monkeypatch.setattr(progress, "REDRAW_S", 0.1)
    workers = [WorkerState(number, 7, 40, score=0.9) for number in range(8)]
    with SweepDisplay(terminal()) as display:
        started = time.perf_counter()
        for done in range(1000):
            display.update(state(done, workers=workers))
        assert time.perf_counter() - started < 1.0


def test_the_time_left_is_the_median_trials_times_those_missing_over_the_workers():
    assert seconds_left([1.0, 9.0, 2.0], 6, 3) == 4.0
    assert seconds_left([1.0], 0, 3) == 0.0
    assert seconds_left([1.0], -2, 1) == 0.0
    assert seconds_left([], 6, 3) is None


@pytest.mark.parametrize("seconds, shown", [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7262, "2:01:02")])
def test_the_time_left_is_shown_as_a_clock(seconds, shown):
    assert drawn(state(seconds_left=seconds))[0].endswith(f"  {shown} left")


def test_states_do_not_share_their_workers():
    one, other = (SweepState(num_trials=1, objective="val/loss") for _ in range(2))
    one.workers.append(WorkerState())
    assert other.workers == []
