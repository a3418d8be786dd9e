"""What more workers bring: trials an hour of the default experiment with one and with two workers, by turns.

``python benchmarks/workers.py [--trials 40] [--repeats 3]`` prints a table. The rate is of the steady state: from the
end of the first trial to the end of the last, as the study's own times tell.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import optuna


def sweep(workers: int, trials: int) -> tuple[float, float]:
    """Runs a sweep of its own; returns trials a second once it runs, and its seconds all told."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "medfit", "sweep", "experiment=", "dataset=breast_cancer"]
        command += [f"sweep.workers={workers}", f"sweep.num_trials={trials}", f"output_dir={folder}"]
        subprocess.run([*command, "sweep/pruner=none"], check=True, stdout=subprocess.DEVNULL, env=os.environ)
        whole = time.perf_counter() - began
        (study,) = optuna.get_all_study_names(address := f"sqlite:///{Path(folder) / 'optuna.db'}")
        ends = sorted(t.datetime_complete for t in optuna.load_study(study_name=study, storage=address).trials)
        return (trials - workers) / (ends[-1] - ends[workers - 1]).total_seconds(), whole


def main() -> None:
    """Prints a row for each repeat, and the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| one worker, trials/s | two workers, trials/s | ratio | whole, s | whole, s |\n|---|---|---|---|---|")
    ratios = []
    for _ in range(chosen.repeats):
        (one, one_s), (two, two_s) = sweep(1, chosen.trials), sweep(2, chosen.trials)
        ratios.append(two / one)
        print(f"| {one:.2f} | {two:.2f} | {two / one:.2f} | {one_s:.0f} | {two_s:.0f} |", flush=True)
    print(f"\nMedian ratio {median(ratios):.2f}")


if __name__ == "__main__":
    main()
