"""Trains on two devices, the second of which is a process that is started here, as torchrun would."""

import os
import signal

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch.callbacks import Callback

from kept_curves import Curves
from medfit.errors import UserError
from medfit.models.mlp import MLP
from medfit.train import main
from medfit.training.checkpoints import Checkpoints
from medfit.training.parts import prepare
from medfit.training.rank_processes import all_devices
from medfit.training.trainer import BestWeights, fit, make_trainer
from medfit.workers import fork_server

TWO = ["regime.accelerator=cpu", "regime.trainer.devices=2", "regime.trainer.strategy=ddp"]


class Dies(Callback):
    """Ends the second device's process in the second epoch: killed, or with an error."""

    def __init__(self, how):
        self.how = how

    def on_train_epoch_start(self, trainer, module):
        if os.environ["LOCAL_RANK"] == "0" or trainer.current_epoch == 0:
            return
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise UserError("model: it is tired") if self.how == "refused" else ValueError("it is broken")


class Idle(MLP):
    """A network with a weight that nothing depends on."""

    def __init__(self, input_shape, output_size):
        super().__init__(input_shape, output_size, widths=[4])
        self.idle = torch.nn.Parameter(torch.zeros(1))


class Second:
    """The second device's process, while this one is the first."""

    def __init__(self, monkeypatch, cfg):
        self.monkeypatch, self.cfg = monkeypatch, cfg

    def __enter__(self):
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
        for name, value in {**place, "LOCAL_RANK": "0"}.items():
            self.monkeypatch.setenv(name, value)
        self.process = fork_server.context().Process(target=_second, args=(self.cfg, place), daemon=True)
        self.process.start()
        return self

    def __exit__(self, kind, *_):
        self.process.join(60 if kind is None else 5)
        self.status = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.monkeypatch.delenv("LOCAL_RANK")


def trained(cfg, checkpoints=None, more=()):
    """Trains on all of a config's devices; returns what was trained, the epochs' scores and the best weights."""
    parts, curves = prepare(cfg), Curves()
    best = BestWeights(parts.task)
    made = checkpoints(parts) if checkpoints else Checkpoints(parts.datamodule.order, every_min=0)
    trainer = make_trainer(parts, [best, curves, *more], checkpoints=made)
    with all_devices(cfg, trainer, parts, lambda error: None):
        fit(trainer, parts)
    return parts, curves.found, best.weights


def trained_on_two(cfg, monkeypatch, **options):
    """Does the same on two devices."""
    with Second(monkeypatch, cfg) as second:
        found = trained(cfg, **options)
    assert second.status == 0
    return found


def _second(cfg, place):
    os.environ.update(place, LOCAL_RANK="1")
    main(cfg)
