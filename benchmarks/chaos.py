"""The fault benchmark: sweeps and trainings to which something happens, and whether they go on as if nothing had.

``make chaos ARGS="--rounds 100 --seed 0"``. Each round is a sweep or a training in a folder of its own; its number and
the seed determine what happens to it.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

from chaos_faults import KINDS, MOUNTED, kind_of
from chaos_places import Places, can_mount
from chaos_round import NUM_TRIALS, Round, kill_all
from chaos_table import COLUMNS, Outcome, rows, write
from chaos_trainings import TRAININGS

RESULTS = Path(__file__).with_name("results") / "chaos.md"
ABOUT = {kind: (fault.__doc__ or "").strip().rstrip(".") for kind, fault in KINDS.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Plays rounds, and returns 1 if a check failed in one."""
    arguments = _parser().parse_args(argv)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, Places(Path(name)) as places:
        left_out = [] if can_mount(Path(name)) else [MOUNTED]
        for number in _numbers(arguments, left_out):
            outcomes.append(play(number, arguments.seed, places))
            _tell(outcomes[-1], arguments.seed)
    notes = [f"Left out, since nothing can be mounted here: {ABOUT[kind]}." for kind in left_out]
    notes += [f"Round {one.number}: {problem}" for one in outcomes for problem in one.problems]
    _show(rows(outcomes, ABOUT), notes[: len(left_out)])
    if arguments.only is None:
        command = f'make chaos ARGS="--rounds {arguments.rounds} --seed {arguments.seed}"'
        write(arguments.results, rows(outcomes, ABOUT), notes, command, NUM_TRIALS)
    return 1 if any(one.problems for one in outcomes) else 0


def play(number: int, seed: int, places: Places) -> Outcome:
    """Plays a round and checks it; removes its folder, unless something is wrong.

    Args:
        number: Of the round.
        seed: Of the benchmark.
        places: What rounds share.
    """
    from chaos_checks import examine  # imports medfit, after the command line was read

    outcome, started = Outcome(number, kind_of(number)), time.monotonic()
    this = Round(number, seed, Path(tempfile.mkdtemp(prefix=f"chaos-{number}-")), places.template)
    with this.stack:
        try:
            KINDS[outcome.kind](this, places)
            if outcome.kind in TRAININGS:
                outcome.problems += this.problems
            else:
                this.finish()
                examine(this, outcome)
        except Exception as error:
            outcome.problems += [*this.problems, f"{type(error).__name__}: {error}"]
        finally:
            kill_all(this.alive())
        if outcome.problems:
            _keep(this, outcome)
    if not outcome.problems:
        shutil.rmtree(this.folder)
    outcome.restarts, outcome.seconds = this.restarts, time.monotonic() - started
    return outcome


def _keep(this: Round, outcome: Outcome) -> None:
    """Leaves what a failed round left, on whichever disk, beside its command line."""
    if this.output.is_relative_to(this.folder / "disk"):
        shutil.copytree(this.output, this.folder / "runs", dirs_exist_ok=True)
    (this.folder / "problems.txt").write_text("\n".join([*this.overrides, "", *outcome.problems, ""]))
    outcome.folder = this.folder


def _numbers(arguments: argparse.Namespace, left_out: Sequence[str]) -> Iterator[int]:
    if arguments.only is not None:
        return iter([arguments.only])
    wanted = set(arguments.kinds or KINDS) - set(left_out)
    return islice((number for number in count() if kind_of(number) in wanted), arguments.rounds)


def _tell(outcome: Outcome, seed: int) -> None:
    told = f"{len(outcome.problems)} checks FAILED" if outcome.problems else "ok"
    print(f"round {outcome.number} ({outcome.kind}): {told} ({outcome.seconds:.1f} s)", flush=True)
    for problem in outcome.problems:
        print(f"  {problem}")
    if outcome.problems:
        print(f'  kept in {outcome.folder}; again: make chaos ARGS="--only {outcome.number} --seed {seed}"', flush=True)


def _show(table: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    from medfit.terminal.console import say, show_table

    show_table("Sweeps and trainings to which something happens", COLUMNS, [list(row) for row in table])
    for note in notes:
        say(note)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="N", help="play round N alone")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
