"""How a run that was done again and the old one tell of each other."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pandas as pd

from medfit.again.outcome import Number
from medfit.again.place import Place
from medfit.again.recorded import Recorded
from medfit.errors import interruption
from medfit.terminal.console import say
from medfit.tracking.run import Run
from medfit.tracking.store import Store

OF = "rerun.of"  # the new run's tag that names the old one
OPENING = "test_opening"  # how many evaluations had scored the test patients, this one among them


def tags(recorded: Recorded, here: bool) -> dict[str, str]:
    """Returns the tags of a new run, its name and description among them.

    Args:
        recorded: The old run.
        here: Whether today's code runs.
    """
    name = recorded.run.info.run_name
    return {
        OF: recorded.id,
        "mlflow.runName": f"{name} again",
        "mlflow.note.content": f"Run {recorded.id} ({name}) again, with {recorded.code(here)}.",
    }


@contextmanager
def opened(store: Store, recorded: Recorded, there: Place) -> Iterator[Run]:
    """Opens a run in the old one's store that tells of a rerun elsewhere, and ends it truthfully.

    That of an evaluation counts as an opening of the test split.

    Args:
        store: That has the finished run.
        recorded: What it recorded.
        there: Where it is done again.
    """
    experiment_id = recorded.run.info.experiment_id
    own = {"kind": "rerun", "rerun.what": recorded.what, "rerun.folder": str(there.folder.relative_to(store.folder))}
    if recorded.what == "evaluation":
        own[OPENING] = str(store.openings(experiment_id) + 1)
        say(f"Note: this is opening number {own[OPENING]} of the experiment's test patients.")
    told = tags(recorded, there.here)
    run = Run(store, store.make_run(experiment_id, told["mlflow.runName"], {**told, **own}), experiment_id)
    try:
        run.log_files({"config.yaml": recorded.config})
        yield run
    except BaseException as error:
        run.end("KILLED" if interruption(error) else "FAILED")
        raise
    run.end("FINISHED")


def join(told: Run, theirs: Store, new: str) -> None:
    """Lets the new run and the one that tells of it name each other, and the new one the old.

    Args:
        told: The run that tells of it in the old run's store.
        theirs: The store that has the new run.
        new: The new run's id.
    """
    shared = (OF, OPENING, "mlflow.runName", "mlflow.note.content")
    tags = told.store.find(told.id, OF).data.tags
    theirs.write(new, "tags", [[key, tags[key]] for key in shared if key in tags])
    told.set_tag("rerun.run", new)


def log(told: Run, numbers: Sequence[Number], causes: Mapping[str, str]) -> None:
    """Logs what came of a rerun, in the run that tells of it: both runs' numbers, and what differs."""
    rows = [[number.name, number.then, number.now, number.verdict] for number in numbers]
    table = pd.DataFrame(rows, columns=["number", "then", "now", "verdict"], dtype=object)
    told.set_tag("rerun.same", str(bool(numbers) and all(number.same for number in numbers)).lower())
    told.log_files({"numbers.csv": table, "differs.json": dict(causes)})
