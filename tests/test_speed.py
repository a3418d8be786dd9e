"""What makes trainings faster changes no result, and what a trial does is counted."""

import math

import pytest
from lightning.pytorch.callbacks import Callback

from medfit.preprocessing.arrays import Rows
from medfit.preprocessing.patches import _Images
from medfit.train import train

FAMILIES = {
    "mlp": ["dataset=breast_cancer", "model.dropout=0.3", "regime.l1=1e-3", "regime.batch_size=50"],
    "linear": ["dataset=diabetes", "model=linear", "regime.accumulate=2", "regime.gradient_clip=0.1"],
    "cnn1d": ["dataset=ecg5000", "model.widths=[4,4,4]", "preprocessing.jitter=0.1", "preprocessing.shift=0.2"],
    "unet": [
        "dataset=mni_tissue",
        "model.widths=[4,8]",
        "preprocessing.patch_size=[32,32]",
        "preprocessing.patches_per_image=1",
        "preprocessing.augmentation.rotation_degrees=10",
    ],
    "gan": ["dataset=mni_slices", "model=gan", "model.width=4", "preprocessing.size=28", "task.grid_size=0"],
}


class History(Callback):
    """Keeps the losses and scores of each epoch."""

    def __init__(self):
        self.found = []

    def on_train_epoch_end(self, trainer, task):
        self.found.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def history(compose, *overrides):
    watch = History()
    train(compose(*overrides, "regime.epochs=3", "regime.patience=null"), callbacks=[watch])
    return watch.found


def alike(one, other):
    """Whether the scores of all epochs are the same but for rounding."""
    assert len(one) == len(other) == 3 and one[0].keys() == other[0].keys()
    return all(
        math.isclose(epoch[name], again[name], rel_tol=2e-3, abs_tol=1e-4) or (math.isnan(epoch[name]))
        for epoch, again in zip(one, other, strict=True)
        for name in epoch
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_fast_path_gives_the_same_losses_as_the_plain_one(compose, family):
    fast, plain = (history(compose, *FAMILIES[family], f"regime.speed={speed}") for speed in ("auto", "plain"))
    assert alike(fast, plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_are_the_same_for_data_that_do_not_stay_in_memory(compose, family, monkeypatch):
    resident = history(compose, *FAMILIES[family])
    monkeypatch.setattr(Rows, "resident", False)
    monkeypatch.setattr(_Images, "resident", False)
    for epoch, again in zip(resident, history(compose, *FAMILIES[family]), strict=True):
        assert again == pytest.approx(epoch, nan_ok=True, rel=1e-6)
