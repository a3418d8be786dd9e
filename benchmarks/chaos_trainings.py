"""Rounds of the fault benchmark that are one training: hit at random moments, it has to end as if it had not been."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from chaos_places import Places
from chaos_round import START_UP_S, Round, kill_all, tree

MOST_KILLS = 3
OFTEN = 1e-3  # minutes from one state to the next
PLAIN = [
    *("experiment=", "regime.accelerator=cpu", "tracking.plots=false", "tracking.models=false", "regime.patience=null"),
    f"regime.checkpoint_every_min={OFTEN}",
]
FAMILIES = {
    "mlp": ["dataset=breast_cancer", "model.dropout=0.3", "regime.epochs=300"],
    "linear": ["dataset=diabetes", "model=linear", "regime.accumulate=2", "regime.epochs=300"],
    "cnn1d": ["dataset=ecg5000", "model.widths=[4,4,4]", "preprocessing.jitter=0.1", "regime.epochs=12"],
    "unet": [
        *("dataset=mni_tissue", "model.widths=[4,8]", "preprocessing.patch_size=[32,32]", "regime.epochs=12"),
        *("preprocessing.patches_per_image=1", "preprocessing.augmentation.rotation_degrees=10"),
    ],
    "gan": ["dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "regime.epochs=8"],
}


def training_killed(this: Round, places: Places) -> None:
    """A training is killed, up to three times."""
    _play(this, lambda process: kill_all(tree(process)))


def training_interrupted(this: Round, places: Places) -> None:
    """A training hears SIGTERM or Ctrl-C, up to three times."""

    def interrupt(process: psutil.Popen) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, this.random.choice([signal.SIGTERM, signal.SIGINT]))

    _play(this, interrupt)


def training_cut_short(this: Round, places: Places) -> None:
    """The power fails: a training is killed, and its state is cut short."""

    def cut(process: psutil.Popen) -> None:
        kill_all(tree(process))
        process.wait()
        for path in _states(this):
            os.truncate(path, int(this.random.random() * path.stat().st_size))

    _play(this, cut)


TRAININGS: dict[str, Callable[[Round, Places], None]] = {
    "training-killed": training_killed,
    "training-interrupted": training_interrupted,
    "training-cut-short": training_cut_short,
}


def _play(this: Round, hit: Callable[[psutil.Popen], None]) -> None:
    """Trains without a fault, then with some, and compares."""
    family, speed = this.random.choice(list(FAMILIES)), this.random.choice(["auto", "plain"])
    command = ["train", *PLAIN, *FAMILIES[family], f"regime.speed={speed}"]
    whole = this.folder / "whole"
    if this.template:
        whole.mkdir(parents=True)
        shutil.copy(this.template, whole / "mlflow.db")
    this.end(this.start(*command, f"output_dir={whole}"))
    lasting = _runs(whole)[0].data.metrics["fit_duration_s"]
    stateless = 0
    for _ in range(this.random.randint(1, MOST_KILLS)):
        process = this.start(*command, f"output_dir={this.output}", "train.resume=auto")
        _wait(this, process, lasting)
        stateless += not _states(this)
        hit(process)
        this.end(process, 0, 130, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
        if this.status == 0 or _finished(this):  # hit, perhaps, as it went: nothing is left to go on with
            break
    while this.status != 0 and not _finished(this) and this.restarts < MOST_KILLS:
        this.restarts += 1
        this.end(this.start(*command, f"output_dir={this.output}", "train.resume=auto"), 0)
    this.problems += _differences(this, whole, stateless)


def _wait(this: Round, process: psutil.Popen, lasting: float) -> None:
    """Waits for a random moment of a training, or, sometimes, of its start-up."""
    early = this.random.random() < 0.1
    delay = this.random.uniform(0, START_UP_S if early else lasting)
    before = {path: path.stat().st_mtime for path in _states(this)}
    while not early and process.poll() is None and not _newer(this, before):
        time.sleep(0.01)
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(delay)


def _newer(this: Round, before: dict[Path, float]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_mtime > before.get(path, 0) for path in _states(this))
    return False


def _finished(this: Round) -> bool:
    return any(run.info.status == "FINISHED" for run in _runs(this.output))


def _states(this: Round) -> list[Path]:
    return list((this.output / "states").glob("*.state"))


def _differences(this: Round, whole: Path, stateless: int) -> Iterator[str]:
    """Yields what is not as in a training that nothing happened to.

    Args:
        this: The round.
        whole: Where that one's results lie.
        stateless: How often a training was hit before it had a state, so that the next one began a run of its own.
    """
    import torch  # after the command line was read

    (reference,), runs = _runs(whole), _runs(this.output)
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if len(finished) != 1 or len(runs) > 1 + stateless:
        yield f"runs are {[run.info.status for run in runs]}, after {stateless} hits without a state"
    if not finished:
        return
    for name in sorted(set(reference.data.metrics) - {"fit_duration_s"}):
        one, other = (_points(*where, name) for where in ((whole, reference), (this.output, finished[0])))
        if one != other:
            yield f"{name} has {len(other)} points, not the {len(one)} of the training that nothing happened to"
    kept = [_weights(*where, torch) for where in ((whole, reference), (this.output, finished[0]))]
    if any(not torch.equal(value, kept[1][name]) for name, value in kept[0].items()):
        yield "its weights are others than those of the training that nothing happened to"
    if left := [path for path in _states(this) if finished[0].info.run_id not in path.name]:  # which `doctor` removes
        yield f"{len(left)} states are left"
    if alive := this.alive():
        yield f"{len(alive)} processes are left"


def _client(folder: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def _runs(folder: Path) -> list[Any]:
    client = _client(folder)
    return list(client.search_runs([one.experiment_id for one in client.search_experiments()], "tags.kind = 'run'"))


def _points(folder: Path, run: Any, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in _client(folder).get_metric_history(run.info.run_id, name))


def _weights(folder: Path, run: Any, torch: Any) -> dict[str, Any]:
    path = _client(folder).download_artifacts(run.info.run_id, "checkpoint/best.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]
