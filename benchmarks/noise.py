"""The noise benchmark: what a sweep's best score is worth where there is nothing to find.

``make noise ARGS="--seeds 0 1 2 --trials 100"``. Each seed makes a table of pure noise; a sweep searches it, once as it
should not be reported and once in each fold of a cross-validation.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from medfit.config.compose import compose
from medfit.evidence import delong
from medfit.evidence.intervals import Interval
from medfit.terminal.console import show_table

RESULTS = Path(__file__).with_name("results") / "noise.md"
NUM_PATIENTS, NUM_FEATURES, NUM_FOLDS = 300, 20, 5
CHANCE = 0.5
BASELINE = "prevalence"  # which says the same of everyone
SETTINGS = ["experiment=", "dataset=table", "dataset.target=ill", "model=mlp", "regime.epochs=12", "regime.patience=6"]
SETTINGS += ["sweep/pruner=none", "task=binary", "task.monitor=val/auroc", "task.mode=max", "regime.accelerator=cpu"]
# beside the default space: the more a search may choose, the more it finds in nothing
SEARCHED = ["+sweep.space.seed={low: 0, high: 999}", "+sweep.space.preprocessing.num_best={low: 2, high: 20}"]
SEARCHED += ["+sweep.space.model.activation.choices=[relu,gelu,tanh]"]
HERE = ["sweep.workers=0", "tracking.plots=false"]
COLUMNS = ["seed of the data", "best trial, AUROC", "in its fold's validation", "nested, AUROC", "optimism", "told"]
HEAD = """# What a sweep finds where there is nothing

A table of {patients} patients with {features} random features and a random target, half of them ill: the true AUROC of
any model is .5. A sweep of {trials} trials of an MLP looks for the best validation AUROC, over the default space, the
number of features to select, the activation and the seed of the weights.

- *best trial*: the sweep's best validation AUROC with DeLong's 95 % interval on those validation patients, who chose
  epoch and trial. This is what must not be reported.
- *in its fold's validation*, *nested*: {folds}-fold cross-validation with a sweep of {trials} trials in each fold: the
  mean of the folds' best validation AUROC, and the AUROC of patients that no sweep saw, as `medfit evaluate` gives it.
  *optimism* is the difference.
- *told*: whether `medfit evaluate` says that the network does not beat the baseline.

"""


@dataclass(frozen=True)
class Outcome:
    """What was found in a table of noise.

    Args:
        seed: Of the table.
        naive: The best trial's validation AUROC, and the interval on the patients that chose it.
        inner: The mean of the folds' best validation AUROC.
        nested: The AUROC of nested cross-validation.
        warnings: Of the evaluation.
    """

    seed: int
    naive: Interval
    inner: float
    nested: Interval
    warnings: list[str]

    @property
    def told(self) -> bool:
        """Whether the evaluation says that the network is no better than the baseline."""
        return any(f"does not beat the baseline '{BASELINE}'" in line for line in self.warnings)

    @property
    def problems(self) -> list[str]:
        """What is not as it should be."""
        checks = {
            f"the best trial's interval holds {CHANCE}": self.naive.low <= CHANCE <= self.naive.high,
            f"the nested interval does not hold {CHANCE}": not self.nested.low <= CHANCE <= self.nested.high,
            "nothing is said of the baseline": not self.told,
        }
        return [f"seed {self.seed}: {problem}" for problem, wrong in checks.items() if wrong]


def table(seed: int, num_patients: int = NUM_PATIENTS) -> pd.DataFrame:
    """Returns noise: features without relation to the target, of which half is ill."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(rng.normal(size=(num_patients, NUM_FEATURES)), columns=[f"x{k}" for k in range(NUM_FEATURES)])
    return made.assign(ill=rng.permutation(np.arange(num_patients) % 2))


def play(seed: int, folder: Path, num_trials: int, num_folds: int = NUM_FOLDS) -> Outcome:
    """Searches a table of noise both ways.

    Args:
        seed: Of the table.
        folder: For it and for the runs.
        num_trials: Of each sweep.
        num_folds: Of the cross-validation.
    """
    from medfit import evaluate

    path = folder / f"noise_{seed}.csv"
    table(seed).to_csv(path, index=False)
    shared = [
        *SETTINGS,
        *SEARCHED,
        *HERE,
        f"dataset.path={path}",
        f"output_dir={folder}",
        f"sweep.num_trials={num_trials}",
    ]
    naive = best_trial(shared)
    cfg = compose([*shared, "evaluate.nested=true", f"evaluate.num_folds={num_folds}", "evaluate.num_seeds=1"])
    found = evaluate.evaluate(cfg)
    scores = found.tables["scores"].set_index(["model", "metric"])
    row = scores.loc[(evaluate.label(cfg), "auroc")]
    nested = Interval(float(row.estimate), float(row.low), float(row.high), str(row.method))
    return Outcome(seed, naive, float(found.tables["optimism"].inner.mean()), nested, found.warnings)


def best_trial(overrides: Sequence[str]) -> Interval:
    """Returns the validation AUROC of a sweep's best trial, with the interval of its stored predictions."""
    from medfit.evaluation.trainings import read_predictions
    from medfit.evidence.targets.known import named
    from medfit.study.best import choose
    from medfit.sweep import sweep
    from medfit.tracking.store import Store

    cfg = compose(overrides)
    chosen = choose(sweep(cfg), cfg)
    assert chosen is not None
    stored = read_predictions(Store(cfg), chosen.user_attrs["run_id"], "val", named("binary"))
    assert stored is not None
    return delong.interval([stored])


def main(argv: Sequence[str] | None = None) -> int:
    """Searches noise, and returns 1 if it is taken for more."""
    arguments = _parser().parse_args(argv)
    outcomes: list[Outcome] = []
    arguments.results.parent.mkdir(exist_ok=True)
    for seed in arguments.seeds:
        began = time.monotonic()
        with TemporaryDirectory(prefix="noise-", ignore_cleanup_errors=True) as folder:
            outcomes.append(play(seed, Path(folder), arguments.trials))
        arguments.results.write_text(page(outcomes, arguments.trials))
        print(f"seed {seed}: {outcomes[-1].problems or 'ok'} ({time.monotonic() - began:.0f} s)", flush=True)
    show_table("Pure noise", COLUMNS, [row(one) for one in outcomes])
    return 1 if any(one.problems for one in outcomes) else 0


def row(one: Outcome) -> list[str]:
    """Returns a line of the table."""
    return [
        str(one.seed),
        _told(one.naive),
        f"{one.inner:.3f}",
        _told(one.nested),
        f"{one.inner - one.nested.estimate:.3f}",
        "yes" if one.told else "NO",
    ]


def page(outcomes: Sequence[Outcome], num_trials: int) -> str:
    """Returns the page of results."""
    facts = {"patients": NUM_PATIENTS, "features": NUM_FEATURES, "folds": NUM_FOLDS, "trials": num_trials}
    lines = [COLUMNS, ["---:"] * len(COLUMNS), *(row(one) for one in outcomes)]
    seeds = " ".join(str(one.seed) for one in outcomes)
    notes = [
        *(f"Seed {one.seed} is told: {line}." for one in outcomes for line in one.warnings),
        f'Begun with `make noise ARGS="--seeds {seeds} --trials {num_trials}"`. Each sweep and evaluation has the '
        f"settings `{' '.join([*SETTINGS[1:], *SEARCHED])}`.",
        *(problem for one in outcomes for problem in one.problems),
    ]
    cells = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return HEAD.format(**facts) + cells + "\n" + "".join(f"- {note}\n" for note in notes)


def _told(found: Interval) -> str:
    return f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make noise", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the tables of noise")
    parser.add_argument("--trials", type=int, default=100, help="of each sweep")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table is written")
    return parser


if __name__ == "__main__":
    sys.exit(main())
