"""The speed benchmark: how much longer medfit takes than what it does would take by itself.

``make bench ARGS="--only training-mlp sweep --repeats 5"``. Each row has a limit; README.md tells what each compares.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import bench_checkpoints
import bench_commands
import bench_sweep_rows
import bench_tracking
import bench_training
from bench_table import COLUMNS, Result, facts, write

RESULTS = Path(__file__).with_name("results") / "speed.md"
REPEATS = 5
Row = Callable[[int, int], list[Result]]  # takes the number of repeats and the seed
ROWS: dict[str, Row] = {
    **{f"training-{family}": partial(bench_training.row, family) for family in bench_training.FAMILIES},
    "sweep": bench_sweep_rows.against_hand,
    "trial": bench_sweep_rows.further_trial,
    "memory": bench_sweep_rows.memory,
    "workers": bench_sweep_rows.parallel,
    "tracking": bench_tracking.short,
    "tracking-long": bench_tracking.long,
    "checkpoints": bench_checkpoints.row,
    "help": bench_commands.usage,
    "mistake": bench_commands.mistakes,
    "start": bench_commands.starts,
}
NOTES = [
    "Each row is run once untimed before: Python's bytecode and medfit's caches are made by the first run.",
    "`trial` and `memory` come from the same sweeps. Memory is the sum over all processes of the sweep, looked at "
    "every second; what processes share counts once (PSS; where the system does not tell it, USS, which leaves it out)",
    "`workers`: all sides run the same 40 trainings, of values drawn at random and without pruning; with the default "
    "sampler and pruner two workers would run other trainings than one. One worker uses a second core, too: the "
    "sweep's own process watches over it, and its run is written in the background.",
    "`sweep`: by hand, each trial runs as many epochs as in the sweep; the import of the metrics' library is left out.",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures the rows, and returns 1 if one exceeds its limit."""
    arguments = _parser().parse_args(argv)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # commands are timed as they run for a user: the second time
    results: list[Result] = []
    for name in arguments.only or ROWS:
        began = time.monotonic()
        results += ROWS[name](arguments.repeats, arguments.seed)
        print(f"{name}: measured in {time.monotonic() - began:.0f} s", flush=True)
    _show(results)
    if not arguments.only or arguments.results != RESULTS:  # a part does not replace the whole
        write(arguments.results, results, [*NOTES, _command(arguments)])
    return 0 if all(result.met for result in results) else 1


def _show(results: Sequence[Result]) -> None:
    from medfit.terminal.console import say, show_table

    show_table("Speed", COLUMNS, [result.cells for result in results])
    for name, value in facts().items():
        say(f"{name}: {value}")


def _command(arguments: argparse.Namespace) -> str:
    only = f" --only {' '.join(arguments.only)}" if arguments.only else ""
    return f'Begun with `make bench ARGS="--repeats {arguments.repeats} --seed {arguments.seed}{only}"`.'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--repeats", type=_count, default=REPEATS, help="of each row")
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and samplers")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table is written; all rows, or this")
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


if __name__ == "__main__":
    sys.exit(main())
