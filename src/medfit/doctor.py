"""``medfit doctor``: ends what killed processes left running, and sees that studies and runs agree."""

from collections.abc import Container, Iterator, Sequence

import optuna
from omegaconf import DictConfig
from optuna.trial import TrialState

from medfit.config import cache_place
from medfit.data import disk_cache
from medfit.search import trials
from medfit.study import checkup, repair, storage
from medfit.terminal.console import say, show_table
from medfit.tracking import moved
from medfit.tracking.store import Store

COLUMNS = ["study", "done", "waiting", "running", "ended now"]
RUNNING = COLUMNS.index("running")


def main(cfg: DictConfig) -> None:
    """Repairs the studies and the runs of a storage and a store; says what was found, and what to do about the rest."""
    store = Store(cfg)  # sends what was kept
    mended = moved.mend(store)
    studies = list(_studies(cfg))
    found = list(checkup.of_store(cfg, store, [study.study_name for study in studies]))
    rows, wrong = [], []
    for study in studies:
        if amiss := list(checkup.of_study(study, store)):
            found += amiss
            continue
        ended = len(repair.repair(study, cfg)) + repair.end_stale_runs(study, store)
        wrong += [f"{study.study_name}: {words}" for words in repair.disagreements(study, store)]
        rows.append([study.study_name, *map(str, (*_counts(study), ended))])
    busy = {row[0] for row in rows if row[RUNNING] != "0"}  # others may have joined whoever is noted at a sweep
    closed, elsewhere = close_abandoned(store, busy)
    if rows:
        show_table("Studies", COLUMNS, rows)
    say(f"Runs      {closed} that nobody worked on were ended; {elsewhere} run on other machines")
    from medfit.training import interrupted  # late: states take torch to read, which a mistake is told without

    left, removed = interrupted.tidy(store)
    if left or removed:
        say(f"States    {left} of trainings that can go on; {removed} that no run needs were removed")
    if (folder := cache_place.folder_of(cfg)).is_dir():
        entries, size = disk_cache.usage(folder)
        say(f"Cache     {entries} decoded files, {size / cache_place.GIB:.3g} GiB, in {folder}, which you may delete")
    if kept := store.kept():
        say(f"Kept      {kept} runs wait for the tracking server")
    _conclude(mended, found, wrong)


def _conclude(mended: Sequence[str], found: Sequence[str], wrong: Sequence[str]) -> None:
    """Says what was mended, what needs the user, and which trials and runs don't agree."""
    for heading, lines in (("Mended", mended), ("Wrong", found), ("Disagree", wrong)):
        for words in lines:
            say(f"{heading:<9} {words}")
    if wrong:
        say(f"{len(wrong)} trials and runs disagree.")
    if found:
        say(f"{len(found)} things are wrong that medfit can't mend.")
    if not wrong and not found:
        say("All is well.")


def close_abandoned(store: Store, busy: Container[str] = ()) -> tuple[int, int]:
    """Ends the runs whose process is gone, but no sweep of a busy study.

    Returns:
        How many, and how many run on other machines.
    """
    found = [(run, repair.process_of(run)) for run in store.running()]
    gone = [run for run, state in found if state == "gone" and run.data.tags.get("study") not in busy]
    for run in gone:
        store.close(run.info.run_id, "KILLED", repair.LOST.text)
    return len(gone), sum(state == "elsewhere" for _, state in found)


def _studies(cfg: DictConfig) -> Iterator[optuna.Study]:
    backend = storage.open_storage(cfg)
    for name in optuna.get_all_study_names(backend):
        yield storage.load(cfg, name, backend)


def _counts(study: optuna.Study) -> tuple[int, int, int]:
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return len(trials.done(study)), states.count(TrialState.WAITING), states.count(TrialState.RUNNING)
