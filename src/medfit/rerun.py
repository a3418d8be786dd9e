"""``medfit rerun``: a finished training again, with the code that it had, and whether its scores come back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from medfit.again import causes, checkout, outcome, training
from medfit.again.recorded import WHERE, Recorded, read
from medfit.config import folders
from medfit.config.instantiate import build
from medfit.config.stored import read_config
from medfit.errors import UserError
from medfit.terminal.console import say, show_table
from medfit.tracking.store import Store, address


@dataclass(frozen=True)
class Rerun:
    """What is done again.

    Args:
        run: The MLflow id of a finished training.
        here: Whether today's code trains, not the run's own.
        tolerance: How far apart, relatively, two scores may be that are the same but for rounding.
    """

    run: str | None = None
    here: bool = False
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 1e-6


def rerun(cfg: DictConfig) -> tuple[str, list[outcome.Number], dict[str, str]]:
    """Trains again, and says what differs before.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it; it says where runs are kept.

    Returns:
        The new run's id, the numbers of both, and what differs, in words, by its kind.

    Raises:
        UserError: there is no such training, or its code or its data are not there.
    """
    asked: Rerun = build(cfg.rerun)
    if not asked.run:
        raise UserError(f"{WHERE} is needed: medfit rerun <run id>; medfit ui shows the ids")
    store = Store(cfg)
    recorded = read(store, asked.run)
    if recorded.diff and not store.local and not asked.here:
        raise UserError(
            f"{WHERE}: run {asked.run} had changes to its commit (code.diff), which do not run here: whoever "
            "can write to the server could have put code there; rerun.here=true trains with today's code"
        )
    with _code(recorded, asked.here) as (project, changed):
        new, found = _trained(cfg, store, recorded, project, changed)
    numbers = outcome.compared(recorded.run.data.metrics, store.find(new, WHERE).data.metrics, asked.tolerance)
    return new, numbers, found


@contextmanager
def _code(recorded: Recorded, here: bool) -> Iterator[tuple[Path, list[str]]]:
    """Gives the project's folder whose code is to train, and what of it differs from the run's."""
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


def _trained(
    cfg: DictConfig, store: Store, recorded: Recorded, project: Path, changed: list[str]
) -> tuple[str, dict[str, str]]:
    """Returns the id of the run of the training, and what differs; says the latter before it trains."""
    own = project == folders.ROOT
    changes = " and its changes" if recorded.diff else ""
    code = "today's code" if own else f"its own code (commit {recorded.commit[:12]}{changes})"
    say(f"Run {recorded.id} again, with {code}.")
    asked = {
        "config": _config(cfg, store, recorded, own),
        "tags": _tags(recorded, code),
        "threads": recorded.environment.get("threads"),
    }
    with training.started(project, asked) as process:
        now = process.answer()
        found = causes.found(recorded, now, changed)
        _say(found, causes.not_recorded(recorded, now))
        process.tell({"begin": True})
        return str(process.answer()["run"]), found


def _config(cfg: DictConfig, store: Store, recorded: Recorded, here: bool) -> str:
    """Returns the recorded config, as YAML, with the store of today, and if here with the names of classes of today."""
    own: Any = read_config(recorded.config) if here else OmegaConf.create(recorded.config)
    own.output_dir, own.tracking.uri = str(store.folder), address(cfg)
    return OmegaConf.to_yaml(own)


def _tags(recorded: Recorded, code: str) -> dict[str, str]:
    name = recorded.run.info.run_name
    return {
        "kind": "run",
        "rerun.of": recorded.id,
        "mlflow.runName": f"{name} again",
        "mlflow.note.content": f"Run {recorded.id} ({name}) again, with {code}.",
    }


def _say(found: Mapping[str, str], unknown: list[str]) -> None:
    """Says what differs, before anything is trained."""
    for kind, words in found.items():
        say(f"Differs from then: {kind}: {words}")
    if not found:
        say("Nothing that both record differs: installed versions, machine, data, split, first weights and code.")
    if unknown:
        say(f"Note: not recorded then, so not compared: {', '.join(unknown)}.")


def main(cfg: DictConfig) -> None:
    """Trains again, and says number by number whether the result is the same."""
    new, numbers, found = rerun(cfg)
    rows = [[n.name, *("–" if value is None else repr(value) for value in (n.then, n.now)), n.verdict] for n in numbers]
    show_table("Then and now", ["number", "then", "now", "is it the same?"], rows)
    say(outcome.in_words(numbers, found))
    say(f"Run {new}, whose tag rerun.of names the other. Compare the two with: medfit ui")
