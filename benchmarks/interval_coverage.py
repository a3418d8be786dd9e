"""The coverage benchmark: how often 95 % intervals hold the truth, in simulated studies where it is known.

``make coverage ARGS="--studies 1000 --seed 0"``. Patients are measured once to four times, alike within the patient.
``--only DeLong --patients 60`` tries one interval on studies of one size, and leaves the page of results as it is;
``--only readouts`` tries what stands in an evaluation's other tables, and writes their page; ``--only Bias``: its own.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import coverage_readouts
import numpy as np
from coverage_designs import ALIKE, DESIGNS, Design, mean_dice

from medfit.evidence import delong
from medfit.evidence.intervals import Interval, Resamples
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import draws
from medfit.terminal.console import say, show_table

RESULTS = Path(__file__).with_name("results") / "coverage.md"
NUM_PATIENTS = (60, 120, 300)
LOWEST, HIGHEST = 0.93, 0.97
ROWS = "rows resampled"
READOUTS = "readouts"
ROW_RESAMPLES = 500  # they are many rows, and the interval is there to be worse
COLUMNS = ["metric", "patients", "interval", "covers the truth, %", "mean width", "below it, %", "above it, %"]
HEAD = """# How often intervals hold the truth

{studies} simulated studies a line. Each patient has one to four measurements (at random, of like numbers), two of
which correlate with {alike:g}. Intervals resample patients, {resamples} times; those marked * are what
`medfit evaluate` gives, and have to cover the truth in {lowest:.0f} to {highest:.0f} % of the studies. For contrast,
*{rows}* is the percentile interval where each measurement counts as a patient ({row_resamples} resamples).

"""
READOUTS_HEAD = """# How often the intervals of an evaluation's other tables hold the truth

Simulated studies, patients measured one to four times (two of their measurements correlate with {alike:g}).
*Resamples*: of each study, where an interval resamples as `evaluate.num_resamples` says. Each interval is held against
the truth of its own study: the rate at the threshold that was chosen there, the coverage of the width that was found
there. *±* is the standard error from the number of studies; *below*, *above*: intervals that lie below or above the
truth.

"""


@dataclass(frozen=True)
class Study:
    """A simulated study.

    Args:
        made: Its predictions.
        metric: That is asked for.
        num_resamples: Of its patients.
    """

    made: Predictions
    metric: str
    num_resamples: int

    @cached_property
    def drawn(self) -> Resamples:
        """The metric under resampled patients, as an evaluation draws them."""
        return draws([self.made], [self.metric], Settings(num_resamples=self.num_resamples))


Method = Callable[[Study], Interval]
METHODS: dict[str, Method] = {
    "DeLong": lambda study: delong.interval([study.made]),
    "BCa": lambda study: study.drawn.bca()[study.metric],
    "percentile": lambda study: study.drawn.percentile()[study.metric],
    ROWS: lambda study: _of_rows(study).drawn.percentile()[study.metric],
}


def methods(design: Design, only: str | None = None) -> dict[str, Method]:
    """Returns the intervals that are tried, by name.

    Args:
        design: Of the studies.
        only: The one that is wanted; None for all that suit the metric.
    """
    suited = {name: method for name, method in METHODS.items() if name != "DeLong" or design.metric == "auroc"}
    return {name: method for name, method in suited.items() if only in (None, name)}


def simulate(
    design: Design, num_patients: int, num_studies: int, num_resamples: int, seed: int, tried: Mapping[str, Method]
) -> dict[str, np.ndarray]:
    """Returns each interval's ends, in the shape (studies, 2).

    Args:
        design: Of the studies.
        num_patients: Of each.
        num_studies: To draw.
        num_resamples: Of the patients.
        seed: Of the studies.
        tried: Intervals by name.
    """
    rng = np.random.default_rng([seed, num_patients])
    ends: dict[str, list[tuple[float, float]]] = {name: [] for name in tried}
    for _ in range(num_studies):
        study = Study(design.simulate(rng, num_patients), design.metric, num_resamples)
        for name, method in tried.items():
            found = method(study)
            ends[name].append((found.low, found.high))
    return {name: np.array(pairs) for name, pairs in ends.items()}


def coverage(ends: np.ndarray, truth: float) -> tuple[float, float, float]:
    """Returns the shares of intervals that hold the truth, lie below it, and lie above it; one that is NaN does none.

    Args:
        ends: In the shape (studies, 2).
        truth: That they should hold.
    """
    low, high = ends.T
    return float(((low <= truth) & (truth <= high)).mean()), float((high < truth).mean()), float((low > truth).mean())


def rows(design: Design, num_patients: int, ends: Mapping[str, np.ndarray]) -> tuple[list[list[str]], list[str]]:
    """Returns the table's rows, and what is wrong with the interval that medfit gives."""
    table, problems = [], []
    for name, pairs in ends.items():
        truth = (design.truth_of_rows if name == ROWS else design.truth)().value
        held, below, above = coverage(pairs, truth)
        error, width = np.sqrt(held * (1 - held) / len(pairs)), float(np.mean(pairs[:, 1] - pairs[:, 0]))
        mark = "*" if name == design.default else ""
        shares = [f"{100 * held:.1f} ± {100 * error:.1f}", f"{width:.3g}", f"{100 * below:.1f}", f"{100 * above:.1f}"]
        table.append([design.name, str(num_patients), name + mark, *shares])
        if mark and not LOWEST <= held <= HIGHEST:
            problems.append(f"{design.name}, {num_patients} patients: {name} covers the truth in {100 * held:.1f} %")
    return table, problems


def main(argv: Sequence[str] | None = None) -> int:
    """Simulates studies, and returns 1 if an interval that medfit gives covers too little or too much."""
    arguments = _parser().parse_args(argv)
    whole, problems = tuple(arguments.patients) == NUM_PATIENTS, []
    if arguments.only is None or arguments.only in METHODS:
        table, wrong = examine(arguments)
        problems += _told(table, wrong)
        if whole and not arguments.only:
            arguments.results.parent.mkdir(exist_ok=True)
            arguments.results.write_text(page(arguments, table, wrong))
    if arguments.only not in METHODS:
        table = examine_readouts(arguments, arguments.results.with_name("coverage_readouts.md") if whole else None)
        problems += _told(table, list(filter(None, map(coverage_readouts.problem, table))))
    return 1 if problems else 0


def _told(table: list[list[str]], problems: list[str]) -> list[str]:
    columns = [*COLUMNS, "studies", "resamples"][: max(map(len, table), default=len(COLUMNS))]
    show_table("How often 95 % intervals hold the truth", columns, table)
    for problem in problems:
        say(problem)
    return problems


def examine_readouts(arguments: argparse.Namespace, path: Path | None) -> list[list[str]]:
    """Returns a line for each interval of an evaluation's other tables and size of studies.

    Args:
        arguments: What is tried.
        path: The page, written after each line, with the lines of others that it has; None for none.
    """
    kept = {} if path is None or arguments.only in (None, READOUTS) else lines_of(path)
    table, settings = list[list[str]](), Settings(num_resamples=arguments.resamples)
    for readout in coverage_readouts.READOUTS:
        if arguments.only not in (None, READOUTS, readout.name):
            continue
        for number in [*(readout.smaller if path else ()), *arguments.patients]:
            found = coverage_readouts.measured(readout, number, arguments.studies, settings, arguments.seed)
            table.append([*coverage_readouts.row(readout, number, found), str(arguments.resamples)])
            kept[readout.name, number] = table[-1]
            print(coverage_readouts.problem(table[-1]) or f"{readout.name}, {number} patients: ok", flush=True)
            if path:
                path.write_text(page_of_readouts(arguments, kept))
    return table


def lines_of(path: Path) -> dict[tuple[str, int], list[str]]:
    """Returns the lines of a page's table by interval and number of patients; none of a page that is not there."""
    rows = (
        [line[2:-2].split(" | ") for line in path.read_text().splitlines() if line[:2] == "| "] if path.exists() else []
    )
    return {(row[0], int(row[1])): row for row in rows[2:]}


def page_of_readouts(arguments: argparse.Namespace, kept: Mapping[tuple[str, int], list[str]]) -> str:
    """Returns the page of results of an evaluation's other tables, in the order of the intervals and the patients."""
    head = READOUTS_HEAD.format(alike=ALIKE)
    names = [readout.name for readout in coverage_readouts.READOUTS]
    known = [key for key in kept if key[0] in names]
    table = [kept[key] for key in sorted(known, key=lambda key: (names.index(key[0]), key[1]))]
    columns = [*COLUMNS[:4], "median width", *COLUMNS[5:], "studies", "resamples"]
    lines = [columns, ["---", "---:", "---", *["---:"] * 6], *table]
    begun = f'`make coverage ARGS="--only readouts --seed {arguments.seed}"`, or a line alone by its name.'
    notes = [begun, *filter(None, map(coverage_readouts.problem, table))]
    return head + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n- " + "\n- ".join(notes) + "\n"


def examine(arguments: argparse.Namespace) -> tuple[list[list[str]], list[str]]:
    """Returns the table's rows for all kinds and sizes of studies, and what is wrong."""
    began, table, problems = time.monotonic(), list[list[str]](), list[str]()
    for design in [design for design in DESIGNS if methods(design, arguments.only)]:
        for number in arguments.patients:
            tried = methods(design, arguments.only)
            ends = simulate(design, number, arguments.studies, arguments.resamples, arguments.seed, tried)
            made, wrong = rows(design, number, ends)
            table, problems = [*table, *made], [*problems, *wrong]
            told = "; ".join(wrong) or f"{design.name}, {number} patients: ok"
            print(f"{told} ({time.monotonic() - began:.0f} s)", flush=True)
    return table, problems


def page(arguments: argparse.Namespace, table: Sequence[Sequence[str]], problems: Sequence[str]) -> str:
    """Returns the page of results."""
    asked = f"--studies {arguments.studies} --resamples {arguments.resamples} --seed {arguments.seed}"
    lines = [COLUMNS, ["---", "---:", "---", *["---:"] * 4], *table]
    notes = [
        "*±*: the standard error of the share, from the number of studies; *below*, *above*: intervals that lie below "
        "or above the truth.",
        *(f"{design.name}: {_about(design)}." for design in DESIGNS),
        f"Mean Dice of images, which is what *{ROWS}* estimates: {mean_dice(by_patient=False).value:.4f}.",
        f'Begun with `make coverage ARGS="{asked}"`.',
        *problems,
    ]
    return (
        _head(arguments) + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n- " + "\n- ".join(notes) + "\n"
    )


def _of_rows(study: Study) -> Study:
    """Returns a study where each measurement counts as a patient."""
    made = replace(study.made, patient=np.arange(len(study.made)))
    return replace(study, made=made, num_resamples=ROW_RESAMPLES)


def _head(arguments: argparse.Namespace) -> str:
    shares = {"lowest": 100 * LOWEST, "highest": 100 * HIGHEST}
    numbers = {"studies": arguments.studies, "resamples": arguments.resamples, "row_resamples": ROW_RESAMPLES}
    return HEAD.format(alike=ALIKE, rows=ROWS, **shares, **numbers)


def _about(design: Design) -> str:
    """Returns the truth, how it is known, and what it is of."""
    truth = design.truth()
    known = f"by simulating 2 million patients, ± {truth.error:.5f}" if truth.error else "by formula"
    words = {
        "auroc": "over measurements: of a random case's and a random other's",
        "dice": "a patient's images count as one: their voxels are summed, then patients are averaged",
        "mae": "over measurements: a patient with more of them counts more",
    }
    return f"truth {truth.value:.4f}, {known} ({words[design.metric]})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make coverage", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each kind and size")
    parser.add_argument("--resamples", type=int, default=Settings().num_resamples, help="of the patients of a study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patients", type=int, nargs="+", default=list(NUM_PATIENTS), help="of a study")
    known = [*METHODS, READOUTS, *(readout.name for readout in coverage_readouts.READOUTS)]
    parser.add_argument("--only", choices=known, metavar="INTERVAL", help=f"of {', '.join(known)}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
