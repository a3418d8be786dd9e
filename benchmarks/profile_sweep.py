"""Where the time of a sweep goes, by part: a sweep of the default experiment in this process, with timers.

``python benchmarks/profile_sweep.py [--trials 20]`` prints a table and writes it to ``results/profile.md``.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench_timers import Nested, Place, replaced

RESULTS = Path(__file__).with_name("results") / "profile.md"
ALL = "*"  # all public methods
PARTS: dict[str, list[str]] = {  # as module:function or module:Class.method, where the caller finds it
    "composing the config": [
        "medfit.config.compose:compose",
        "medfit.config.compose:change",
        "medfit.sweep:read_space",
    ],
    "checking the config and a first preparation": ["medfit.sweep:check", "medfit.config.schema:check"],
    "opening stores": [
        "medfit.tracking.store:Store.__init__",
        "medfit.study.storage:open_storage",
        "medfit.study.storage:load",
        "medfit.sweep:open_study",
    ],
    "trial: its values and config": ["medfit.study.trial:suggest_config"],
    "trial: preparing data and task": ["medfit.training.parts:prepare"],
    "trial: making the trainer": ["medfit.training.trainer:make_trainer"],
    "trial: fitting, steps": [
        "medfit.training.fast:_Epochs._train",
        "torch:Tensor.backward",
        "torch.optim:Adam.step",
        "torch.optim:Optimizer.zero_grad",
    ],
    "trial: fitting, validation": ["medfit.training.fast:_Epochs._validate"],
    "trial: metrics": ["medfit.tasks.per_output:Columns.scores"],
    "trial: fitting, Lightning and the rest": ["lightning.pytorch.trainer.trainer:Trainer.fit"],
    "trial: predicting": ["lightning.pytorch.trainer.trainer:Trainer.predict"],
    "trial: plots": [
        "medfit.deployment.best_trial:finish",
        "medfit.plots.predictions:classification",
        "matplotlib.figure:Figure.savefig",
    ],
    "tracking: MLflow": [
        f"medfit.tracking.store:Store.{ALL}",
        f"medfit.tracking.run:Run.{ALL}",
        "medfit.tracking.recording:_facts",
        "medfit.tracking.recording:prediction_files",
    ],
    "tracking: Optuna": [
        f"optuna.storages._cached_storage:_CachedStorage.{ALL}",
        f"optuna.storages:RDBStorage.{ALL}",
        "optuna.study:Study.tell",
    ],
    "Optuna's sampler": ["optuna.study:Study.ask", f"medfit.search.sampler:Resumable.{ALL}"],
    "end: study page, best.yaml": [
        "medfit.sweep:_log_study",
        "medfit.study.best:show",
        "medfit.plots.study:study_page",
    ],
}
IMPORTS, REST = "imports and the interpreter's start", "the rest"
USED = ["medfit.sweep", "medfit.models.mlp", "medfit.data.preprocessing.table", "medfit.tasks.classification"]
USED += ["medfit.data.datasets.breast_cancer", "mlflow.tracking.client", "mlflow.store.tracking.sqlalchemy_store"]
HEAD = """# Where the time of a sweep goes

A sweep of {trials} trials of the default experiment in one process (`sweep.workers=0`), {seconds:.1f} s in all. A part
does not hold the parts within it; `imports` are all of the run, wherever they happen.

| part | s | share | ms a trial | calls |
|---|---:|---:|---:|---:|
"""


def places(part: str) -> list[Place]:
    """Returns a part's functions, whether they are there or not."""
    found: list[Place] = []
    for line in PARTS[part]:
        module, _, path = line.partition(":")
        owner: Any = importlib.import_module(module)
        *inner, name = path.split(".")
        for step in inner:
            owner = getattr(owner, step)
        names = [own for own, member in vars(owner).items() if _public(own, member)] if name == ALL else [name]
        found += [(owner, own) for own in names]
    return found


def _public(name: str, member: Any) -> bool:
    return not name.startswith("_") and callable(member) and not isinstance(member, type | staticmethod | classmethod)


def profile(num_trials: int) -> tuple[Nested, float, list[str]]:
    """Runs a sweep; returns its timers, the seconds of this process, and the functions that were not there."""
    import psutil
    from bench_sweeps import SETTINGS

    nested, missing = Nested(), list[str]()
    began = psutil.Process().create_time()
    bootstrap: Any = sys.modules["_frozen_importlib"]
    nested.add(IMPORTS, time.time() - began)
    with ExitStack() as stack:
        stack.enter_context(replaced([(bootstrap, "_find_and_load")], partial(_timed, nested, IMPORTS)))
        for module in USED:
            importlib.import_module(module)
        for part in PARTS:
            missing += stack.enter_context(replaced(places(part), partial(_timed, nested, part)))
        from medfit.__main__ import main

        folder = stack.enter_context(TemporaryDirectory(prefix="profile-"))
        settings = ["sweep.workers=0", f"sweep.num_trials={num_trials}", f"output_dir={folder}"]
        main(["sweep", *SETTINGS, *settings])
        seconds = time.time() - began
    return nested, seconds, missing


def _timed(nested: Nested, part: str, call: Callable[..., Any], _: str) -> Callable[..., Any]:
    return nested.timed(call, part)


def rows(nested: Nested, seconds: float, num_trials: int) -> list[list[str]]:
    """Returns the table: a part, its seconds, its share, milliseconds a trial, and how often it was called."""
    known = {part: nested.seconds.get(part, 0.0) for part in (IMPORTS, *PARTS)}
    known[REST] = seconds - sum(known.values())
    return [
        [
            part,
            f"{own:.2f}",
            f"{100 * own / seconds:.1f} %",
            f"{1000 * own / num_trials:.1f}" if part not in (IMPORTS, REST) else "",
            str(nested.calls.get(part, "")),
        ]
        for part, own in known.items()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Profiles a sweep, shows the table and writes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the table is written")
    arguments = parser.parse_args(argv)
    nested, seconds, missing = profile(arguments.trials)
    table = rows(nested, seconds, arguments.trials)
    from bench_table import facts

    from medfit.terminal.console import show_table

    show_table(f"{arguments.trials} trials, {seconds:.1f} s", ["part", "s", "share", "ms a trial", "calls"], table)
    notes = [f"{name}: {value}" for name, value in facts().items()]
    notes += [f"Not there, so not timed by itself: {name}" for name in missing]
    cells = "".join(f"| {' | '.join(row)} |\n" for row in table)
    arguments.results.parent.mkdir(exist_ok=True)
    head = HEAD.format(trials=arguments.trials, seconds=seconds)
    arguments.results.write_text(head + cells + "\n" + "".join(f"- {note}\n" for note in notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
