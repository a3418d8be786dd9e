"""Series of many lengths: each transformed as alone, padded behind its end or cropped."""

from functools import partial

import lightning as L
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from sklearn.preprocessing import StandardScaler

from medfit.config.compose import compose
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.training.parts import prepare
from series_steps import (
    AUGMENTATIONS,
    LENGTHS,
    NUM_SERIES,
    TRAIN,
    augment,
    batch,
    noise,
    options,
    prepared_by,
    ragged,
    ragged_series,
    series,
    transformed,
)


def padding(x):
    """How many samples are NaN at the end of each series; all others must be numbers, in all channels."""
    gone = np.isnan(np.asarray(x))
    assert (gone == gone[:, :1]).all()
    num = gone[:, 0].sum(axis=1)
    assert all((row[0] == (np.arange(len(row[0])) >= len(row[0]) - n)).all() for row, n in zip(gone, num, strict=True))
    return num.tolist()


def prepared(x, train=TRAIN, **chosen):
    """All series of many lengths, unscaled unless asked for."""
    return prepared_by(SeriesPreprocessing(ragged_series(x), **{"scaling": "none", **chosen}), train)[:][0].numpy()


@settings(max_examples=25, deadline=None)
@given(options(), st.integers(0, 1000))
def test_series_of_many_lengths_are_each_transformed_as_alone(chosen, seed):
    chosen["scaling"] = "per_series"
    x = ragged(seed)
    together = prepared(x, **chosen)
    for made, one in zip(together, x, strict=True):
        alone = transformed(one[None], [0], **chosen)[0]
        np.testing.assert_array_equal(made[:, : alone.shape[1]], alone)
        assert np.isnan(made[:, alone.shape[1] :]).all()


@settings(max_examples=15, deadline=None)
@given(options(), st.integers(1, 2**32 - 1))
def test_of_many_lengths_other_series_never_change_the_training_series(chosen, seed):
    mine, other = ragged(), ragged()
    other[len(TRAIN) :] = [1e3 * series for series in ragged(seed)[len(TRAIN) :]]
    before, after = prepared(mine, **chosen), prepared(other, **chosen)
    np.testing.assert_array_equal(before[TRAIN], after[TRAIN])


def test_series_of_many_lengths_are_padded_to_the_longest_with_nan():
    made = prepared(ragged())
    assert made.shape == (NUM_SERIES, 2, 90) and made.dtype == np.float32
    assert padding(made) == [90 - length for length in LENGTHS]


def test_of_many_lengths_scaling_by_the_training_split_is_scikit_learns():
    x = ragged(missing=0)
    scalers = [StandardScaler().fit(np.concatenate([x[i][c] for i in TRAIN])[:, None]) for c in (0, 1)]
    made = prepared(x, scaling="train")
    for row, one in zip(made, x, strict=True):
        expected = [scaler.transform(one[c][:, None])[:, 0] for c, scaler in enumerate(scalers)]
        np.testing.assert_allclose(row[:, : one.shape[1]], expected, atol=1e-5)


def test_cropping_leaves_the_shortest_length():
    x = ragged(missing=0)
    np.testing.assert_array_equal(prepared(x, length="crop"), np.stack([one[:, :44] for one in x]).astype(np.float32))


def test_cropping_comes_before_scaling():
    made = prepared(ragged(), length="crop", scaling="per_series")
    np.testing.assert_allclose(made.std(axis=2), 1, rtol=1e-5)


def test_a_length_in_samples_crops_and_pads():
    made = prepared(ragged(), length=61)
    assert made.shape[2] == 61 and padding(made) == [max(0, 61 - length) for length in LENGTHS]


def test_a_length_beyond_the_longest_pads_all():
    assert padding(prepared(ragged(), length=100)) == [100 - length for length in LENGTHS]


def test_series_of_one_length_are_cropped_and_padded_by_a_number_too():
    assert transformed(noise(), length=50).shape[2] == 50
    assert padding(transformed(noise(), length=70)) == [10] * NUM_SERIES


@pytest.mark.parametrize("length", ["pad", "crop"])
def test_series_of_one_length_stay_as_they_are(length):
    assert np.array_equal(transformed(noise(missing=0), length=length), noise(missing=0).astype(np.float32))


def test_a_length_of_none_is_refused():
    with pytest.raises(UserError, match=r"preprocessing\.length"):
        compose(["dataset=ecg5000", "preprocessing.length=0"])


def padded_batch(size=300):
    """Series of 4 to 20 samples, padded with NaN, and their lengths."""
    lengths = torch.arange(size) % 17 + 4
    return batch(size).masked_fill(torch.arange(20) >= lengths[:, None, None], torch.nan), lengths


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_leaves_the_padding_in_place(kind):
    x, _ = padded_batch()
    made = augment(x, **{kind: AUGMENTATIONS[kind]})
    assert torch.equal(made.isnan(), x.isnan()) and not torch.equal(made.nan_to_num(), x.nan_to_num())


def test_a_shift_turns_each_series_within_its_own_length():
    x, lengths = padded_batch()
    for turned, before, length in zip(augment(x, shift=0.5), x, lengths.tolist(), strict=True):
        steps = [s for s in range(-(length // 2), length // 2 + 1) if torch.equal(before[:, :length].roll(s, 1), turned[:, :length])]  # fmt: skip
        assert steps


def test_a_time_mask_is_a_share_of_each_series_own_length():
    x, lengths = padded_batch(5000)
    gone = (augment(x, time_mask=0.5) == 0)[:, 0].sum(dim=1)
    assert (gone <= lengths // 2).all() and (gone == lengths // 2).any()


def test_a_time_mask_lies_anywhere_within_a_series_own_length():
    x = batch(3000).masked_fill(torch.arange(20) >= 10, torch.nan)
    assert (augment(x, time_mask=0.3) == 0)[:, 0].any(dim=0).tolist() == [True] * 10 + [False] * 10


class Spy(Callback):
    """Keeps the batches that the model is given."""

    def __init__(self):
        self.seen = {"train": [], "val": [], "predict": []}

    def on_fit_start(self, trainer, module):
        module.model.register_forward_pre_hook(lambda *given: self.keep(*given))

    def keep(self, model, batch):
        self.seen["train" if model.training else "val"].append(batch[0].clone())

    def on_fit_end(self, trainer, module):
        self.keep = lambda *_: None

    def on_predict_batch_start(self, trainer, module, batch, index, loader=0):
        self.seen["predict"].append(batch[0].clone())


def spied(*overrides):
    """A real fit and prediction: the batches that the model was given, and the data module."""
    small = ["dataset=ecg5000", "model.widths=[2]", "model.kernel_sizes=[3]", "regime.batch_size=null"]
    parts, spy = prepare(compose([*small, "regime.accelerator=cpu", *overrides])), Spy()
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[spy],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(parts.task, parts.datamodule)
    trainer.predict(parts.task, parts.datamodule.batches("test"))
    return spy.seen, parts.datamodule


@pytest.fixture(scope="module")
def augmented():
    return spied(*(f"preprocessing.{name}={value}" for name, value in AUGMENTATIONS.items()))


def in_order(x):
    """Series sorted, so that those of a shuffled batch can be compared."""
    return x[np.lexsort(x[:, 0].numpy().T)]


def test_training_batches_are_augmented(augmented):
    seen, data = augmented
    stored = {row.numpy().tobytes() for row in data.arrays("train")[0]}
    kept = sum(row.numpy().tobytes() in stored for row in seen["train"][0])
    assert len(seen["train"][0]) == 400 and kept == 0


def test_each_epoch_is_augmented_anew(augmented):
    one, other = (in_order(x) for x in augmented[0]["train"])
    assert not torch.equal(one, other)


def test_validation_batches_are_not_augmented(augmented):
    seen, data = augmented
    assert len(seen["val"]) == 2  # after each epoch
    assert all(torch.equal(x, data.arrays("val")[0]) for x in seen["val"])


def test_batches_to_predict_are_not_augmented(augmented):
    seen, data = augmented
    assert torch.equal(torch.cat(seen["predict"]), data.arrays("test")[0])


def test_the_stored_series_are_as_before_the_training(augmented):
    data = augmented[1]
    again = prepared_by(SeriesPreprocessing(data.dataset), data.rows["train"])
    assert torch.equal(data.data[:][0], again[:][0])


def test_without_augmentation_training_batches_are_the_stored_series():
    seen, data = spied()
    assert torch.equal(in_order(seen["train"][0]), in_order(data.arrays("train")[0]))


def test_the_data_module_outside_a_training_augments_nothing():
    steps = partial(SeriesPreprocessing, **AUGMENTATIONS)
    data = DataModule(Prepared(series(noise()), steps, Split()), None, 0)
    x = torch.cat([x for x, _ in data.train_batches])
    assert torch.equal(in_order(x), in_order(data.arrays("train")[0]))
