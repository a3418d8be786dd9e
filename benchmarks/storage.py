"""What a study's storage costs: milliseconds a trial of 32 operations, one process.

``python benchmarks/storage.py [postgresql+psycopg://...]`` prints a table.
"""

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

NUM_TRIALS = 25
REPEATS = 5
EPOCHS = 20


def trial_ms(storage: BaseStorage) -> float:
    """Returns the time of a trial: 6 values, 3 attributes, 20 reports and looks at the pruner, made and ended."""
    study = optuna.create_study(storage=storage, pruner=optuna.pruners.MedianPruner())
    began = time.perf_counter()
    for number in range(NUM_TRIALS):
        trial = study.ask()
        for name in "abcdef":
            trial.suggest_float(name, 0, 1)
        for name in "abc":
            trial.set_user_attr(name, "value")
        for epoch in range(EPOCHS):
            trial.report(epoch + number, epoch)
            trial.should_prune()
        study.tell(trial, float(number))
    return (time.perf_counter() - began) / NUM_TRIALS * 1000


def sqlite(folder: Path, write_ahead: bool) -> RDBStorage:
    """Returns a storage in a new file."""
    path = folder / f"{time.time_ns()}.db"
    if write_ahead:
        sqlite3.connect(path).execute("PRAGMA journal_mode=WAL")
    return RDBStorage(f"sqlite:///{path}")


def main(addresses: list[str]) -> None:
    """Prints the median of each storage."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with TemporaryDirectory() as name:
        folder = Path(name)
        kinds: dict[str, Callable[[], BaseStorage]] = {
            "SQLite": lambda: sqlite(folder, write_ahead=False),
            "SQLite, write-ahead log": lambda: sqlite(folder, write_ahead=True),
            "journal file": lambda: JournalStorage(JournalFileBackend(str(folder / f"{time.time_ns()}.log"))),
            **{address.split(":")[0]: lambda address=address: RDBStorage(address) for address in addresses},
        }
        print("| storage | ms a trial |\n|---|---|")
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(REPEATS):
            for kind, make in kinds.items():
                times[kind].append(trial_ms(make()))
        for kind, found in times.items():
            print(f"| {kind} | {median(found):.0f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
