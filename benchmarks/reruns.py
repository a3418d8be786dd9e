"""The committed results of the experiments again: their best values trained and scored with today's code.

``make rerun-all ARGS="--only breast_cancer_diagnosis"``. What is made lies in a temporary folder; nothing is written
into ``experiments/``. Of each experiment with a ``best.yaml``, two things are compared: the validation score in its
comment, and the rows of ``results.csv`` that an evaluation of ``best.yaml`` gives, as many digits as are committed.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from omegaconf import DictConfig

from medfit.config import folders
from medfit.config.compose import compose
from medfit.errors import UserError
from medfit.evaluate import evaluate, label
from medfit.evaluation.divisions import scheme
from medfit.reporting.formatting import plural
from medfit.reporting.results import results
from medfit.rerun import DIFFERS
from medfit.terminal.console import say
from medfit.tracking import provenance
from medfit.tracking.store import Store
from medfit.train import train

PAGE = folders.ROOT / "docs" / "reruns.md"
SCORED = ("estimate", "low", "high", "sd")  # columns of results.csv that are results
COMMENT = re.compile(r"^# Best of \d+ trials: (.+?) \(trial \d+\)", re.MULTILINE)
CHANGED = ("src", "conf", "constraints.txt", "pyproject.toml")  # that can change a result, beside the experiment's own
COLUMNS = ["experiment", "run", "compared", "same digits", "largest difference", "since the results were committed"]
NOT_RUN = "not run"
HEAD = """# The committed results again

`make rerun-all` trains the `best.yaml` of each experiment once more with today's code, in a folder of its own, and
compares what is committed: the validation score that `best.yaml` tells (four digits behind the point), and those rows
of `results.csv` that an evaluation of `best.yaml` gives, baselines included (six digits): estimates, ends of intervals,
standard deviations. Rows of other evaluations, as nested cross-validation, are not made again. A row is of the day, the
code and the machine that it names; an experiment that says "not run" has not been run again. Where digits differ, the
last column says what may be the cause: the committed files tell no machine, packages and threads.

"""
Values = dict[str, str]  # as many digits as are committed, by what they are of


@dataclass(frozen=True)
class Compared:
    """What came of an experiment.

    Args:
        name: Of the experiment.
        then: What is committed.
        now: The same today, as many digits.
    """

    name: str
    then: Values
    now: Values

    @property
    def differing(self) -> list[str]:
        """What of the committed has other digits today, or is not there."""
        return [key for key, value in self.then.items() if self.now.get(key) != value]

    @property
    def largest(self) -> str:
        """The largest difference of a number, in words."""
        both = [key for key in self.differing if key in self.now]
        if not both:
            return "–" if not self.differing else f"{len(self.differing)} are not there today"
        key = max(both, key=lambda key: abs(float(self.now[key]) - float(self.then[key])))
        return f"{key}: {self.then[key]} -> {self.now[key]}"


def again(name: str, overrides: Sequence[str] = ()) -> Compared:
    """Trains and scores an experiment's best values, and returns them beside what is committed.

    Raises:
        UserError: its data are not there, or nothing of it can be compared.
    """
    with TemporaryDirectory(prefix="medfit-rerun-") as folder:
        own = [f"output_dir={folder}", "tracking.uri=null", "tracking.plots=false", "tracking.models=false"]
        plain, cfg = (compose([f"experiment={name}/best", *lines]) for lines in ((), (*overrides, *own)))
        comment, rows = {} if cfg.sweep.folds else _of_best(name), _of_results(name, plain)
        if not comment and not rows:
            raise UserError("best.yaml tells no score of one training, and results.csv has no evaluation of it")
        now = _evaluated(cfg, label(plain)) if rows else {}
        found = _validated(cfg) if rows else train(cfg, whole=False)
        now |= {f"best.yaml {metric}": f"{value:.4f}" for metric, value in found.items()}
    return Compared(name, {**comment, **rows}, now)


def _of_best(name: str) -> Values:
    """Returns the scores that the comment of ``best.yaml`` tells."""
    found = COMMENT.search((folders.EXPERIMENTS / name / "best.yaml").read_text())
    pairs = [words.rsplit(" ", 1) for words in found[1].split(", ")] if found else []
    return {f"best.yaml {metric}": value for metric, value in pairs}


def _of_results(name: str, cfg: DictConfig) -> Values:
    """Returns the committed results on the patients of the evaluation of ``best.yaml``; none if it has none there."""
    path = folders.EXPERIMENTS / name / "results.csv"
    table = pd.read_csv(path, dtype=str) if path.exists() else pd.DataFrame(columns=["patients_of", "model"])
    table = table[table.patients_of == scheme(cfg)]
    return _values(table) if label(cfg) in set(table.model) else {}


def _evaluated(cfg: DictConfig, name: str) -> Values:
    """Returns the results of an evaluation, in which the network has a name without further overrides."""
    found = evaluate(cfg)
    table = results(found.trainings, found.tables, found.opening).replace({"model": {label(cfg): name}})
    return _values(table.map(lambda cell: f"{cell:.6g}" if isinstance(cell, float) else cell))


def _validated(cfg: DictConfig) -> Mapping[str, float]:
    """Returns the validation scores of the training of an evaluation that has the seed of the sweep's trials."""
    store = Store(cfg)
    (seed,) = [run for run in store.runs_of_kind(["seed"]) if run.data.tags["seed"] == str(cfg.seed)]
    metrics: Mapping[str, float] = seed.data.metrics
    return metrics


def _values(table: pd.DataFrame) -> Values:
    """Returns the cells of a table of results that hold a number, by what they are of."""
    return {
        f"{row['model']} {row['metric']} {column}": str(row[column])
        for row in table.to_dict("records")
        for column in SCORED
        if str(row.get(column, "nan")) != "nan"
    }


def _since(name: str) -> str:
    """Returns what has changed since an experiment's results were committed, in words."""
    own = f"experiments/{name}"
    commit = _git("log", "-1", "--format=%h", "--", f"{own}/results.csv", f"{own}/best.yaml").strip()
    if not commit:
        return "nobody knows: they are in no commit"
    paths = _git("diff", "--name-only", commit, "--", *CHANGED, f"{own}/config.yaml").split()
    code = [path for path in paths if path.startswith(("src/", "conf/"))]
    told = [path for path in paths if path not in code]
    told += [f"{plural(len(code), 'file')} of code and configs"] if code else []
    return f"{commit}: {', '.join(told) or 'nothing'} changed"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folders.ROOT), *arguments], capture_output=True, text=True).stdout


def row(done: Compared) -> str:
    """Returns an experiment's row of the page."""
    facts, wrong = provenance.environment(), len(done.differing)
    today = datetime.now(UTC).date().isoformat()
    commit = _git("rev-parse", "--short", "HEAD").strip() + (" and changes" if provenance.code()["diff"] else "")
    threads = plural(torch.get_num_threads(), "thread")
    machine = f"{facts['cpu'] or facts['processor']}, {threads}, torch {torch.__version__}"
    digits = f"{len(done.then) - wrong} of {len(done.then)}"
    because = _since(done.name) if wrong else "–"
    what = ", ".join(sorted({"best.yaml" if key.startswith("best.yaml ") else "results.csv" for key in done.then}))
    cells = [done.name, f"{today}, {commit}, {machine}", f"{len(done.then)} numbers of {what}"]
    return _line([*cells, digits, done.largest, because])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def page(rows: Mapping[str, str], before: str) -> str:
    """Returns the page: rows of today, those that it had before of other experiments, and which were not run.

    Args:
        rows: Of today, by experiment.
        before: The page as it was.
    """
    had = {line.split("|")[1].strip(): line for line in before.splitlines() if line.startswith("| ")}
    swept = [name.removesuffix("/best") for name in folders.experiments() if name.endswith("/best")]
    others = [name for name in folders.experiments() if f"{name}/best" not in folders.experiments() and "/" not in name]
    lines = [rows.get(name) or had.get(name) or _line([name, NOT_RUN, *["–"] * (len(COLUMNS) - 2)]) for name in swept]
    table = [_line(COLUMNS), f"|{'---|' * len(COLUMNS)}", *lines]
    rest = f"\n\nWithout a `best.yaml`, and so not compared: {', '.join(others)}." if others else ""
    return HEAD + "\n".join(table) + rest + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the experiments, and writes the page; returns 0 if all digits are the same, else 3."""
    swept = [name.removesuffix("/best") for name in folders.experiments() if name.endswith("/best")]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=swept, default=swept, help="experiments; all by default")
    parser.add_argument("--set", nargs="+", default=[], help="overrides for each, as dataset.download=true")
    asked = parser.parse_args(argv)
    rows, same = {}, True
    for name in asked.only:
        try:
            done = again(name, asked.set)
        except UserError as error:
            say(f"{name}: {NOT_RUN}: {error}")
            same = False
            continue
        rows[name], same = row(done), same and not done.differing
        say(f"{name}: {len(done.then) - len(done.differing)} of {len(done.then)} numbers have the same digits")
        for key in done.differing:
            say(f"  {key}: {done.then[key]} -> {done.now.get(key, 'not there')}")
        PAGE.write_text(page(rows, PAGE.read_text() if PAGE.exists() else ""))  # each time, as the next may take hours
    return 0 if same else DIFFERS


if __name__ == "__main__":
    sys.exit(main())
