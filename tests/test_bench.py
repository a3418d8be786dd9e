import sys
import threading
import time
from types import SimpleNamespace

import optuna
import pytest
import torch

from medfit.config import folders
from medfit.config.compose import compose
from medfit.models.mlp import MLP
from medfit.tasks.metrics import BINARY
from medfit.training.parts import prepare
from medfit.training.trainer import BestWeights, make_trainer

sys.path.append(str(folders.ROOT / "benchmarks"))

import bench
import bench_commands
import bench_hand
import bench_jobs
import bench_players
import bench_replay
import bench_sweep_rows
import bench_sweeps
import bench_table
import bench_timers
import bench_tracking
import bench_training
import profile_sweep

WHOLE = ["regime.batch_size=null", "regime.patience=null", "regime.epochs=3"]  # no order of batches to differ by


def both(*lines):
    cfg = compose([*lines, *WHOLE])
    ours, by_hand = prepare(cfg), prepare(cfg)
    by_hand.task.load_state_dict(ours.task.state_dict())
    return cfg, ours, by_hand


def fit(parts):
    """Trains with medfit, and returns the best epoch's score; its weights are the task's then."""
    torch.manual_seed(0)
    best = BestWeights(parts.task)
    make_trainer(parts, [best]).fit(parts.task, parts.datamodule)
    parts.task.load_state_dict(best.weights)
    return best.sign * best._score


@pytest.mark.parametrize(
    "lines",
    [
        ["experiment=breast_cancer_diagnosis", "regime.l1=1e-3", "regime.l2=1e-3"],
        ["dataset=ecg5000", "model.widths=[4]", "model.kernel_sizes=[3]"],
    ],
    ids=["mlp", "cnn1d"],
)
def test_the_loop_by_hand_trains_as_medfit_does(lines):
    cfg, ours, by_hand = both(*lines)
    score = fit(ours)
    job = bench_jobs.make(cfg, by_hand)
    assert bench_hand.train(job) == 3
    assert job.judge(job.model) == pytest.approx(score, rel=1e-3)
    for made, expected in zip(job.model.parameters(), ours.task.model.parameters(), strict=True):
        torch.testing.assert_close(made, expected, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_masks_are_scored_by_hand_as_by_medfit():
    cfg, ours, by_hand = both("dataset=mni_tissue", "model.widths=[2,4]", "model.num_residual_units=0")
    score = fit(ours)
    by_hand.task.load_state_dict(ours.task.state_dict())
    job = bench_jobs.make(cfg, by_hand)
    assert -job.judge(job.model) == pytest.approx(score, abs=1e-5)


@pytest.mark.slow
def test_a_game_by_hand_is_scored_as_medfits():
    cfg, ours, by_hand = both("dataset=mni_slices", "preprocessing.size=28", "model.width=4")
    score = fit(ours)
    torch.manual_seed(0)
    game = bench_players.Game(cfg, by_hand)
    assert game.train() == 6
    assert game.judge() == pytest.approx(score, rel=0.02)


def test_a_step_by_hand_needs_no_batch_of_one():
    made = bench_hand.Job(torch.nn.Linear(2, 1), torch.ones(9, 2), torch.ones(9, 1), *[None] * 2, 4, 1, 2, 1.0, 0.0)
    rates = bench_hand.learning_rates(made)
    assert len(rates) == 4
    assert max(rates) == 1.0
    assert 0 < rates[-1] < 0.5


def test_the_replayed_network_is_the_mlp():
    mine, ours = bench_replay.network(30, [64, 32], 0.1), MLP((30,), 1, [64, 32], dropout=0.1)
    mine.load_state_dict({name.removeprefix("layers."): value for name, value in ours.state_dict().items()})
    x = torch.randn(5, 30)
    torch.testing.assert_close(mine.eval()(x), ours.eval()(x))


def test_what_trials_trained_with_is_replayed():
    values = {f"regime.{name}": 1e-3 for name in ("optimizer.lr", "optimizer.weight_decay", "l1")}
    trial = bench_sweeps.Trial({**values, "regime.batch_size": 128, "model.dropout": 0.0}, 2, 0.0, 1.0)
    given = bench_sweep_rows.given([trial], seed=0)
    metrics = {name: BINARY[name] for name in given["metrics"]}
    assert bench_replay.replay(given, metrics) == 2 * 3


def test_trials_are_read_in_the_order_of_their_ends(tmp_path):
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    first, second, left_out = study.ask(), study.ask(), study.ask()
    for epoch in range(3):
        first.report(1.0, epoch)
    second.report(1.0, 0)
    study.tell(second, 1.0)
    study.tell(first, 1.0)
    study.tell(left_out, state=optuna.trial.TrialState.FAIL)
    found = bench_sweeps.read(tmp_path)
    assert [trial.epochs for trial in found] == [1, 3]
    assert found[0].begun <= found[0].ended <= found[1].ended <= time.time()


def test_the_peak_is_of_the_time_before_a_trials_end():
    trials = [bench_sweeps.Trial({}, 1, k, k + 1.0) for k in range(3)]
    made = bench_sweeps.Sweep(9.0, trials, [(0.5, 1.0), (1.5, 5.0), (2.5, 3.0), (9.0, 8.0)])
    assert [made.peak(count) for count in (1, 2, 3)] == [1.0, 5.0, 5.0]
    assert made.phase == 3.0


def test_a_wait_within_another_counts_once_and_other_threads_by_themselves():
    waits = bench_timers.Waits()
    inner = waits.timed(lambda: time.sleep(0.05), "inner")
    waits.timed(inner, "outer")()
    assert waits.calls == {"outer": 1}
    assert waits.seconds >= 0.05
    before = waits.seconds
    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()
    assert waits.seconds == before
    assert 0 < waits.elsewhere < 0.05  # it slept


def test_parts_do_not_hold_the_parts_within_them():
    nested = bench_timers.Nested()
    inner = nested.timed(lambda: time.sleep(0.05), "inner")
    began = time.perf_counter()
    nested.timed(lambda: (time.sleep(0.02), inner(), inner()), "outer")()
    assert nested.calls == {"outer": 1, "inner": 2}
    assert nested.seconds["inner"] >= 0.1
    assert nested.seconds["outer"] >= 0.02
    assert sum(nested.seconds.values()) <= time.perf_counter() - began


def test_functions_are_put_back_and_missing_ones_told():
    owner = SimpleNamespace(there=lambda: 1)
    before = owner.there
    with bench_timers.replaced([(owner, "there"), (owner, "gone")], lambda call, name: lambda: call() + 1) as missing:
        assert owner.there() == 2
        assert len(missing) == 1 and missing[0].endswith(".gone")
    assert owner.there is before


def test_stores_are_waited_for_where_they_are_read_and_written():
    names = {f"{owner.__name__}.{name}" for owner, name in bench_tracking.stores()}
    assert {"Store.__init__", "Store.write", "Store.make_run", "RDBStorage.set_trial_param"} <= names
    assert {"_CachedStorage.get_all_trials", "RDBStorage.record_heartbeat"} <= names


def test_every_timed_function_is_there():
    for part in profile_sweep.PARTS:
        with bench_timers.replaced(profile_sweep.places(part), lambda call, name: call) as missing:
            assert [name for name in missing if not name.startswith("Adam")] == []


def test_a_row_tells_median_range_limit_and_what_is_behind():
    made = bench_table.ratio("x", "that", 1.5, {"a": [2.0, 4.0, 3.0], "b": [1.0, 2.0, 3.0]}, "ms", "3 steps")
    assert made.cells == ["x", "that", "1.5", "1 to 2", "at most 1.5", "yes", "a 3 ms, b 2 ms, 3 steps", "3"]
    least = bench_table.ratio("x", "that", 1.6, {"a": [3.0], "b": [2.0]}, at_least=True)
    assert least.cells[4:6] == ["at least 1.6", "NO"]
    assert bench_table.difference("x", "that", 0.5, {"a": [3.0], "b": [2.75]}).cells[2] == "0.25 s"


def test_the_cheapest_row_is_measured_and_written(tmp_path, capsys):
    page = tmp_path / "speed.md"
    assert bench.main(["--only", "help", "--repeats", "2", "--results", str(page)]) in (0, 1)
    assert "| help | `medfit --help`" in page.read_text()
    assert "- CPU: " in page.read_text()
    assert len(page.with_suffix(".csv").read_text().splitlines()) == 3
    assert "help: measured in" in capsys.readouterr().out


def test_a_command_that_takes_no_step_is_told():
    with pytest.raises(RuntimeError, match="took no step"):
        bench_commands.until_step([sys.executable, "-c", "print('nothing')"])


def test_the_guide_names_every_row():
    guide = (folders.ROOT / "benchmarks" / "README.md").read_text()
    assert [name for name in bench.ROWS if f"`{name}`" not in guide] == []


def test_families_have_their_configs():
    assert set(bench_training.FAMILIES) == {"mlp", "cnn1d", "unet", "gan"}
