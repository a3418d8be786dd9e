"""``medfit rerun``: a finished run again, with the code that it had, and whether its numbers come back."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from medfit.again import beside, causes, checkout, link, outcome, own_process, place, repeatable
from medfit.again.recorded import WHERE, Recorded, read
from medfit.config import folders
from medfit.config.instantiate import build
from medfit.errors import UserError
from medfit.terminal.console import say, show_table
from medfit.tracking.store import Store

DIFFERS = 3  # the exit status where a number is another; 1 is Python's own, of an error that nobody foresaw
MOST_SHOWN = 40  # numbers of a sweep or an evaluation; a file has them all


@dataclass(frozen=True)
class Rerun:
    """What is done again.

    Args:
        run: The MLflow id of a finished training, sweep or evaluation.
        here: Whether today's code runs, not the run's own.
        tolerance: How far apart, relatively, two numbers may be that are the same but for rounding.
    """

    run: str | None = None
    here: bool = False
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 1e-6


@dataclass(frozen=True)
class Done:
    """What came of a rerun.

    Args:
        run: The new run's id.
        numbers: Of both runs.
        causes: What differs, in words, by its kind.
        folder: The new run's output folder, if it has one of its own.
        link: The id of the run that tells of it in the old run's store; None where the new run is there itself.
    """

    run: str
    numbers: list[outcome.Number]
    causes: dict[str, str]
    folder: Path | None = None
    link: str | None = None

    @property
    def same(self) -> bool:
        """Whether there are numbers, and all are the same, but for rounding."""
        return bool(self.numbers) and all(number.same for number in self.numbers)


def rerun(cfg: DictConfig) -> Done:
    """Does a run again, and says what differs before.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it; it says where runs are kept.

    Raises:
        UserError: there is no such run, or its code or its data are not there.
    """
    asked: Rerun = build(cfg.rerun)
    if not asked.run:
        raise UserError(f"{WHERE} is needed: medfit rerun <run id>; medfit ui shows the ids")
    store = Store(cfg)
    recorded = read(store, asked.run)
    if recorded.diff and not store.local and not asked.here:
        raise UserError(
            f"{WHERE}: run {asked.run} had changes to its commit (code.diff), which do not run here: whoever "
            "can write to the server could have put code there; rerun.here=true takes today's code"
        )
    with (
        place.made(cfg, store, recorded, asked.here) as there,
        _code(recorded, asked.here) as (project, changed),
        _ready(recorded, there, project, changed) as (process, found),
    ):
        return _finished(store, recorded, there, process, found, asked.tolerance)


@contextmanager
def _code(recorded: Recorded, here: bool) -> Iterator[tuple[Path, list[str]]]:
    """Gives the project's folder whose code is to run, and what of it differs from the run's."""
    if not here:
        with checkout.checked_out(recorded) as tree:
            yield tree, []
        return
    try:
        with checkout.checked_out(recorded) as tree:
            changed = checkout.changed(tree, folders.ROOT)
    except UserError as error:
        changed = [f"it can't be compared: {str(error).removeprefix(f'{WHERE}: ').removesuffix(f'; {checkout.HERE}')}"]
    yield folders.ROOT, changed


@contextmanager
def _ready(
    recorded: Recorded, there: place.Place, project: Path, changed: Sequence[str]
) -> Iterator[tuple[own_process.Again, dict[str, str]]]:
    """Gives the process that is ready to do a run again, and what differs, once it has said so."""
    say(f"{recorded.what.capitalize()} {recorded.id} again, with {recorded.code(there.here)}.")
    asked = {
        "what": recorded.what,
        "config": OmegaConf.to_yaml(there.config),
        "tags": {"kind": "run", **link.tags(recorded, there.here)},
        "threads": recorded.environment.get("threads"),
    }
    with own_process.started(project, asked) as process:
        now = process.answer()
        found = causes.found(recorded, now, changed)
        _say(found, causes.not_recorded(recorded, now))
        if chance := repeatable.not_fixed(recorded):
            say(f"Note: not everything can be equal: {chance}.")
        yield process, found


def _finished(
    store: Store,
    recorded: Recorded,
    there: place.Place,
    process: own_process.Again,
    found: dict[str, str],
    tolerance: float,
) -> Done:
    """Lets the process do its work, and returns what came of it; a place of its own is told of in the old store."""
    with link.opened(store, recorded, there) if there.own else nullcontext() as told:
        theirs, new = there.new_run(process.finish())
        chance = repeatable.not_fixed(recorded)
        stored = (store, recorded.run), (theirs, new)
        numbers, others = beside.numbers(recorded.what, *stored, not chance, tolerance)
        if others:
            say(f"Note: {len(others)} trials of then had values that none has now, and are not compared.")
        found = found | ({"chance": chance} if chance else {})
        done = Done(new.info.run_id, numbers, found)
        if told is None:
            return done
        link.join(told, theirs, done.run)
        link.log(told, numbers, found)
        return Done(done.run, numbers, found, there.folder, told.id)


def _say(found: Mapping[str, str], unknown: list[str]) -> None:
    """Says what differs, before anything is done."""
    for kind, words in found.items():
        say(f"Differs from then: {kind}: {words}")
    if not found:
        say("Nothing that both record differs: installed versions, machine, data, split, first weights and code.")
    if unknown:
        say(f"Note: not recorded then, so not compared: {', '.join(unknown)}.")


def main(cfg: DictConfig) -> int:
    """Does a run again, and says number by number whether the result is the same.

    Returns:
        The exit status: 0 if it is, else 3.
    """
    done = rerun(cfg)
    shown = outcome.first(done.numbers, MOST_SHOWN) if done.folder else done.numbers
    rows = [[n.name, *("–" if value is None else str(value) for value in (n.then, n.now)), n.verdict] for n in shown]
    show_table("Then and now", ["number", "then", "now", "is it the same?"], rows)
    if len(shown) < len(done.numbers):
        say(f"{len(done.numbers) - len(shown)} more are not shown here, where those that differ have precedence.")
    say(outcome.in_words(done.numbers, done.causes))
    if done.folder:
        say(f"Run {done.run} in {done.folder}; run {done.link} tells of it here, with all numbers in numbers.csv.")
    else:
        say(f"Run {done.run}, whose tag rerun.of names the other. Compare the two with: medfit ui")
    return 0 if done.same else DIFFERS
