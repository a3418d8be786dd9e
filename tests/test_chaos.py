import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from medfit.config import folders

sys.path.append(str(folders.ROOT / "benchmarks"))

import chaos
from chaos_faults import KINDS, MOUNTED
from chaos_places import Places, can_mount

SEED = 0
ALONE = [kind for kind in KINDS if kind != "everything"]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with Places(tmp_path_factory.mktemp("places")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ALONE)), ids=ALONE)
def test_a_sweep_goes_on_as_if_nothing_had_happened(number: int, places: Places, tmp_path: Path) -> None:
    if ALONE[number] == MOUNTED and not can_mount(tmp_path):
        pytest.skip("nothing can be mounted here")
    outcome = chaos.play(number, SEED, places)
    assert not outcome.problems, f"kept in {outcome.folder}"


def test_the_same_number_and_seed_choose_the_same() -> None:
    one, two, other = (chaos.Round(7, seed, Path(), Path()).random.random() for seed in (0, 0, 1))
    assert one == two != other


def test_a_trial_that_changes_after_its_end_is_noticed(tmp_path: Path) -> None:
    this = chaos.Round(0, SEED, tmp_path, tmp_path)
    this.output.mkdir()
    study = optuna.create_study(storage=f"sqlite:///{this.output / 'optuna.db'}")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    this.look()
    this.look()
    assert not this.problems
    with closing(sqlite3.connect(this.output / "optuna.db")) as database:
        database.execute("UPDATE trial_values SET value = 7 WHERE trial_id = 2")
        database.commit()
    this.look()
    (problem,) = this.problems
    assert problem.startswith("trial 1 was ('COMPLETE', (0.") and "is ('COMPLETE', (7.0,)" in problem


def test_a_kind_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chaos.main(["--kinds", "worker-kiled"])
    assert "invalid choice: 'worker-kiled'" in capsys.readouterr().err


def test_a_failed_round_is_in_the_table_with_the_way_to_play_it_again(tmp_path: Path) -> None:
    outcomes = [
        chaos.Outcome(0, "hang", 1, 8, 1, ["a place is empty"], 12.0),
        chaos.Outcome(10, "hang", 0, 7, 0, [], 8.0),
    ]
    rows = chaos.rows(outcomes, {"hang": "Trials hang"})
    assert rows[0] == ["Trials hang", "2", "1", "15", "1", "1", "10.0"]
    chaos.write(tmp_path / "chaos.md", rows, ["Round 0: a place is empty"], "make chaos", 7)
    assert "| Trials hang | 2 | 1 | 15 | 1 | 1 | 10.0 |" in (tmp_path / "chaos.md").read_text()
