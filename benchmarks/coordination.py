"""What many workers cost: sixteen on one PostgreSQL and one MLflow server, beside one; the objective is trivial.

``python benchmarks/coordination.py [--trials 500] [--alone 100]`` prints a table. Both servers run here (PostgreSQL
from the system's packages). A trial is one epoch of a linear model on a few hundred rows, so that next to nothing but
the coordination is timed: proposing, reporting, telling, and logging a run. The time is of the steady state: from the
end of the first trials to the end of the last, by the study's own clock.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from mlflow_server import free_port, listens, stop_server, wait_for
from postgres import serve

TRIVIAL = ["experiment=", "dataset=breast_cancer", "model=linear", "regime=smoke", "regime.epochs=1"]
TRIVIAL += ["sweep/sampler=random", "sweep/pruner=none", "tracking.plots=false", "sweep.threads=1"]
TRIVIAL += ["sweep.space.regime.batch_size.choices=[512]", "regime.accelerator=cpu"]


@contextmanager
def tracking_server(database: str, folder: Path) -> Iterator[str]:
    """Runs MLflow's server on a database, and gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    command += ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    wait_for(lambda: listens(port))
    time.sleep(5)  # until its workers answer
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop_server(process, port)


def run(workers: int, trials: int, study: str, tracking: str, folder: Path) -> tuple[float, float, int]:
    """Runs a sweep; returns seconds a trial once all workers run, seconds all told, and trials that went wrong."""
    name = f"{workers}-workers"
    command = [sys.executable, "-m", "medfit", "sweep", *TRIVIAL, f"sweep.storage={study}", f"tracking.uri={tracking}"]
    command += [f"sweep.workers={workers}", f"sweep.num_trials={trials}", f"sweep.name={name}", f"output_dir={folder}"]
    began = time.perf_counter()
    with (folder / f"{name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
    whole = time.perf_counter() - began
    found = optuna.load_study(study_name=name, storage=study).trials
    ends = sorted(trial.datetime_complete for trial in found)
    steady = (ends[-1] - ends[workers - 1]).total_seconds() / (trials - workers)
    return steady, whole, sum(trial.state.name != "COMPLETE" for trial in found) + abs(len(found) - trials)


def main() -> None:
    """Prints a row for one worker and one for sixteen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--alone", type=int, default=100)
    parser.add_argument("--workers", type=int, default=16)
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with TemporaryDirectory() as name, serve() as server, tracking_server(server.database(), Path(name)) as tracking:
        study = server.database()
        alone = run(1, chosen.alone, study, tracking, Path(name))
        many = run(chosen.workers, chosen.trials, study, tracking, Path(name))
    print("| workers | trials | ms a trial | not finished, or too many | s, start to end |\n|---|---|---|---|---|")
    for workers, trials, (steady, whole, wrong) in (
        (1, chosen.alone, alone),
        (chosen.workers, chosen.trials, many),
    ):
        print(f"| {workers} | {trials} | {steady * 1000:.0f} | {wrong} | {whole:.0f} |")
    print(f"\nRatio {many[0] / alone[0]:.2f}")


if __name__ == "__main__":
    main()
