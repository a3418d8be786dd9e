"""``medfit report``: an experiment's question, data, search and results as one page without a network, and in short."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from medfit.config import folders
from medfit.errors import UserError
from medfit.terminal.console import say
from medfit.tracking.store import Store


@dataclass(frozen=True)
class Reporting:
    """What a report shows.

    Args:
        cases: Whether pictures of single patients are in it: their images, overlays, explanations and values. The page
            is made to be passed on, so not unless that is allowed.
    """

    cases: bool = False


class Report(NamedTuple):
    """What is written.

    Args:
        page: HTML, self-contained.
        summary: Markdown.
    """

    page: str
    summary: str


def report(cfg: DictConfig) -> Report:
    """Returns the report, filled from the experiment's folder and the tracker.

    Args:
        cfg: As :func:`medfit.config.compose.compose` gives it, with an experiment.

    Raises:
        UserError: no experiment is named, or nothing has been run.
    """
    from medfit.reporting import collect, markdown, page  # late: a quick start

    if not cfg.experiment:
        raise UserError("report needs an experiment: medfit report experiment=<name>")
    store = Store(cfg)
    experiment = store.client.get_experiment_by_name(cfg.experiment)
    if experiment is None:
        raise UserError(f"experiment={cfg.experiment} has no runs yet; run: medfit sweep experiment={cfg.experiment}")
    folder = folders.EXPERIMENTS / cfg.experiment
    asked = (bool(cfg.best), cfg.choices.model, cfg.report.cases)
    known = collect.collect(store, experiment.experiment_id, cfg.experiment, folder, *asked)
    return Report(page.render(known), markdown.render(known))


def main(cfg: DictConfig) -> None:
    """Writes page and summary into the experiment's folder and says where."""
    made = report(cfg)
    folder = folders.EXPERIMENTS / cfg.experiment
    for name, text in (("report.html", made.page), ("REPORT.md", made.summary)):
        path: Path = folder / name
        path.write_text(text, encoding="utf-8")
        say(f"Report    {path}")
