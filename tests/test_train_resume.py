"""``medfit train train.resume``: a training that was interrupted goes on in its own run."""

import os
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf

import medfit.train
from medfit import doctor
from medfit.errors import UserError
from medfit.tracking import provenance
from medfit.tracking.store import PROCESS
from medfit.train import main, train
from medfit.training import interrupted as finding
from medfit.training import own_state, state_file

OFTEN = ["regime.epochs=6", "regime.patience=null", "model.dropout=0.2", "regime.checkpoint_every_min=1e-4"]


class Interruption(Callback):
    """Interrupts a training at the end of an epoch, by a signal or an error."""

    def __init__(self, by, epoch=3):
        self.by, self.epoch = by, epoch

    def on_train_epoch_end(self, trainer, module):
        if trainer.current_epoch == self.epoch:
            if isinstance(self.by, signal.Signals):
                os.kill(os.getpid(), self.by)
            else:
                raise self.by


FAULT = RuntimeError("CUDA error: an illegal memory access was encountered")


def runs(client):
    ids = [e.experiment_id for e in client.search_experiments()]
    return list(client.search_runs(ids, max_results=1000))


def curves(client, run):
    names = set(run.data.metrics) - {"fit_duration_s"}
    return {name: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)) for name in names}


def weights(client, run, folder):
    return torch.load(client.download_artifacts(run.info.run_id, "checkpoint/best.ckpt", str(folder)))["state_dict"]


def interrupt(cfg, by=FAULT, **others):
    with pytest.raises(KeyboardInterrupt if isinstance(by, signal.Signals) else type(by)):
        train(cfg, callbacks=[Interruption(by)], **others)


@pytest.fixture
def interrupted(compose, client):
    cfg = compose(*OFTEN)
    interrupt(cfg)
    (run,) = runs(client)
    return cfg, run.info.run_id


def state_of(output_dir):
    (path,) = (output_dir / "states").iterdir()
    return path


@pytest.mark.parametrize(
    "by", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, FAULT], ids=["term", "int", "usr1", "fault"]
)
@pytest.mark.parametrize("speed", ["auto", "plain"])
def test_an_interrupted_run_goes_on_and_ends_as_one_that_was_not(compose, client, output_dir, tmp_path, by, speed):
    cfg = compose(*OFTEN, f"regime.speed={speed}")
    scores = train(cfg)
    (whole,) = runs(client)
    interrupt(cfg, by)
    (run,) = [run for run in runs(client) if run.info.run_id != whole.info.run_id]
    assert run.info.status == ("FAILED" if by is FAULT else "KILLED")
    assert train(cfg, resume=run.info.run_id) == scores
    run = client.get_run(run.info.run_id)
    assert run.info.status == "FINISHED" and "failure" not in run.data.tags
    assert run.data.tags["medfit.resumed"].startswith("epoch ")
    assert len(runs(client)) == 2
    assert curves(client, run) == curves(client, whole)
    one, other = weights(client, run, tmp_path), weights(client, whole, tmp_path)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not (output_dir / "states").exists()


def test_points_that_the_store_had_of_later_epochs_are_not_there_twice(interrupted, compose, client, output_dir):
    cfg, run_id = interrupted
    path = state_of(output_dir)
    early = path.read_bytes()
    with pytest.raises(RuntimeError):
        train(cfg, callbacks=[Interruption(FAULT, epoch=5)], resume=run_id)
    path.write_bytes(early)  # as a power cut may leave an earlier state than the store's points
    train(cfg, resume=run_id)
    found = curves(client, client.get_run(run_id))
    assert [step for step, _ in found["train/loss"]] == list(range(6))
    assert [step for step, _ in found["val/auroc"]] == list(range(7))  # the best weights' after the curve


def test_auto_takes_the_newest_interrupted_run_of_the_same_config(interrupted, compose, client, capsys):
    cfg, run_id = interrupted
    train(compose(*OFTEN, "seed=1"), resume="auto")
    assert "there is no interrupted run of this config" in capsys.readouterr().out
    train(cfg, resume="auto")
    assert client.get_run(run_id).info.status == "FINISHED"
    assert len(runs(client)) == 2


def test_what_a_kill_left_of_a_state_that_was_being_written_is_removed_at_the_end(interrupted, output_dir):
    cfg, run_id = interrupted
    path = state_of(output_dir)
    (path.parent / f".{path.name}.abcd").write_bytes(b"")
    train(cfg, resume=run_id)
    assert not path.parent.exists()


def test_auto_begins_a_run_again_whose_state_is_cut_short(interrupted, client, output_dir, capsys):
    cfg, run_id = interrupted
    path = state_of(output_dir)
    path.write_bytes(path.read_bytes()[:-100])
    train(cfg, resume="auto")
    assert (
        f"Run {run_id} can't go on from its state, and begins again: '{path}' is cut short" in capsys.readouterr().out
    )
    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in curves(client, run)["train/loss"]] == list(range(6))


def test_the_command_tells_of_an_interrupted_run_and_begins_anew(interrupted, client, capsys):
    cfg, run_id = interrupted
    main(cfg)
    out = capsys.readouterr().out
    assert f"Run {run_id} of this config was interrupted; to go on: medfit train " in out
    assert f"train.resume={run_id}" in out and "model.dropout=0.2" in out
    assert client.get_run(run_id).info.status == "FAILED" and len(runs(client)) == 2


def test_the_command_goes_on_and_keeps_the_config_that_the_run_began_with(interrupted, compose, client, tmp_path):
    cfg, run_id = interrupted
    main(compose(*OFTEN, f"train.resume={run_id}"))
    kept = OmegaConf.load(client.download_artifacts(run_id, "config.yaml", str(tmp_path)))
    assert client.get_run(run_id).info.status == "FINISHED"
    assert kept.train.resume is None and list(kept.overrides) == list(cfg.overrides)


def test_an_interrupted_command_tells_how_to_go_on(compose, client, monkeypatch, capsys):
    cfg, plain = compose(*OFTEN), train
    monkeypatch.setattr(
        medfit.train, "train", lambda cfg, callbacks, resume: plain(cfg, [*callbacks, Interruption(signal.SIGINT)])
    )
    with pytest.raises(KeyboardInterrupt):
        main(cfg)
    (run,) = runs(client)
    assert f"Run {run.info.run_id} is interrupted; to go on: medfit train" in capsys.readouterr().out


def refused(cfg, run_id, why):
    with pytest.raises(UserError, match=f"train.resume: .*{why}"):
        train(cfg, resume=run_id)


def test_an_unknown_run_is_refused(interrupted):
    refused(interrupted[0], "0" * 32, "there is no run '0000")


def test_a_finished_run_is_refused(interrupted, client):
    cfg, run_id = interrupted
    train(cfg, resume=run_id)
    refused(cfg, run_id, "it is finished")


def test_a_run_without_a_state_is_refused(compose, client):
    cfg = compose("regime.epochs=6", "regime.patience=null")
    interrupt(cfg, signal.SIGTERM)
    (run,) = runs(client)
    refused(cfg, run.info.run_id, "there is no state of it in")


def test_a_state_of_another_run_is_refused(interrupted, client, output_dir):
    cfg, _ = interrupted
    interrupt(cfg)
    one, other = (output_dir / "states").iterdir()
    one.write_bytes(other.read_bytes())
    refused(cfg, one.stem.rpartition("-")[2], "is the state of run")


def test_a_state_that_is_cut_short_is_refused(interrupted, output_dir):
    cfg, run_id = interrupted
    path = state_of(output_dir)
    path.write_bytes(path.read_bytes()[:-1])
    refused(cfg, run_id, "is cut short or damaged")


def test_another_config_is_refused_by_the_values_that_changed(interrupted, compose):
    _, run_id = interrupted
    changed = compose(*OFTEN, "regime.optimizer.lr=0.5")
    refused(changed, run_id, r"its config was another: regime.optimizer.lr \(.* -> 0.5\)")
    assert train(compose(*OFTEN, "regime.checkpoint_every_min=0"), resume=run_id)  # which changes no result


def rewrite(output_dir, header=None, body=None):
    path = state_of(output_dir)
    state = state_file.read(path)
    state_file.write(path, state.header | (header or {}), state.body | (body or {}))


def test_a_state_of_other_versions_is_refused(interrupted, output_dir):
    cfg, run_id = interrupted
    rewrite(output_dir, {"versions": {**state_file.read_header(state_of(output_dir))["versions"], "torch": "1.0"}})
    refused(cfg, run_id, r"its state is of other versions: torch \(1.0 -> ")


def test_a_state_of_other_data_is_refused(interrupted, output_dir):
    cfg, run_id = interrupted
    rewrite(output_dir, {"data": {"data": "0", "split": "0"}})
    refused(cfg, run_id, "its data or their split have changed since")


def test_a_state_of_other_code_is_refused(interrupted, monkeypatch):
    cfg, run_id = interrupted
    monkeypatch.setattr(provenance, "source", lambda: "other")
    refused(cfg, run_id, "medfit's code has changed since; go on with the run's commit")


def test_weights_of_another_model_are_refused(interrupted, output_dir):
    cfg, run_id = interrupted
    kept = state_file.read(state_of(output_dir)).body["weights"]
    name = next(iter(kept))
    rewrite(output_dir, body={"weights": {**kept, name: torch.zeros(1)}})
    refused(cfg, run_id, rf"its weights are of another model: {name} has the shape \(1,\), and here the shape")


def test_a_run_of_this_process_that_still_runs_is_refused(interrupted, client):
    cfg, run_id = interrupted
    client.update_run(run_id, status="RUNNING")
    refused(cfg, run_id, "it still runs$")


@pytest.fixture
def elsewhere(interrupted, client):
    """A run of another machine, as far as is known."""
    _, run_id = interrupted
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, PROCESS, "0123456789ab/1/1")


def test_a_run_of_another_machine_that_has_just_written_its_state_is_refused(
    elsewhere, interrupted, compose, output_dir
):
    cfg, run_id = compose(*OFTEN[:-1]), interrupted[1]
    refused(cfg, run_id, "it still runs on another machine; unless it writes its state, it can go on here in 8 min")
    os.utime(state_of(output_dir), (0, time.time() - 451))
    assert train(cfg, resume=run_id)


@pytest.mark.parametrize("lives", [True, False])
def test_auto_waits_until_another_machine_is_known_to_be_dead(
    elsewhere, interrupted, compose, output_dir, client, lives, monkeypatch, capsys
):
    run_id, path, now, waited = interrupted[1], state_of(output_dir), time.time(), []

    def wait(seconds):
        waited.append(seconds)
        monkeypatch.setattr(finding.time, "time", lambda: now + 500)
        if lives:
            os.utime(path, (0, now + 400))

    monkeypatch.setattr(finding, "time", SimpleNamespace(time=time.time, sleep=wait))
    train(compose(*OFTEN[:-1]), resume="auto")
    assert waited == [pytest.approx(450, abs=20)]
    assert "may still run on another machine" in capsys.readouterr().out
    assert client.get_run(run_id).info.status == ("RUNNING" if lives else "FINISHED")


def test_a_full_disk_is_told_once_and_ends_no_training(compose, client, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own_state.state_file, "write_packed", full)
    assert train(compose(*OFTEN))
    assert capsys.readouterr().out.count("can't be written to (the disk is full): the training goes on") == 1


def test_a_short_training_writes_nothing(compose, monkeypatch, output_dir):
    written = []
    monkeypatch.setattr(own_state.state_file, "write_packed", lambda *told: written.append(told))
    train(compose("regime=smoke"))
    assert not written and not (output_dir / "states").exists()


def test_a_training_that_diverged_leaves_nothing_to_go_on_with(compose, output_dir):
    cfg = compose(*OFTEN, "regime/optimizer=sgd", "regime.optimizer.lr=1e30")
    with pytest.raises(UserError, match="loss became"):
        train(cfg)
    assert not (output_dir / "states").exists()


def test_a_part_of_an_evaluation_goes_on_by_itself_in_its_own_run(compose, client):
    cfg, tags = compose(*OFTEN), {"kind": "seed", "seed": "0", "mlflow.runName": "mlp seed 0"}
    interrupt(cfg, tags=tags)
    train(cfg, tags=tags)
    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in curves(client, run)["train/loss"]] == list(range(6))


def test_a_trial_that_is_repeated_goes_on_in_another_run_with_all_of_the_curve(compose, client, output_dir):
    cfg = compose(*OFTEN)
    interrupt(cfg, tags={"kind": "trial", "trial": "0"})
    train(cfg, tags={"kind": "trial", "trial": "7"})
    by_trial = {run.data.tags["trial"]: run for run in runs(client)}
    assert by_trial["0"].info.status == "FAILED" and by_trial["7"].info.status == "FINISHED"
    assert by_trial["7"].data.tags["medfit.resumed"].startswith("epoch ")
    assert [step for step, _ in curves(client, by_trial["7"])["train/loss"]] == list(range(6))
    assert not (output_dir / "states").exists()


def test_doctor_keeps_the_states_that_a_run_needs_and_removes_the_others(interrupted, client, output_dir, capsys):
    cfg, _ = interrupted
    path = state_of(output_dir)
    interrupt(cfg)
    (other,) = [one for one in path.parent.iterdir() if one != path]
    client.update_run(other.stem.rpartition("-")[2], status="FINISHED")
    (path.parent / f".{path.name}.abcd").write_bytes(b"")  # as a kill leaves a state that is being written
    doctor.main(cfg)
    assert "States    1 of trainings that can go on; 2 that no run needs were removed" in capsys.readouterr().out
    assert state_of(output_dir) == path


def test_a_run_that_was_deleted_is_not_gone_on_with(interrupted, client, capsys):
    cfg, run_id = interrupted
    client.delete_run(run_id)
    train(cfg, resume="auto")
    assert "there is no interrupted run" in capsys.readouterr().out
