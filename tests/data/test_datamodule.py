from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import RandomSampler

from medfit.config.instantiate import build, load_dataset
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.datasets.records import Records
from medfit.data.preprocessing.arrays import MOST_SAMPLES, Arrays
from medfit.data.preprocessing.table import TablePreprocessing
from medfit.data.splits import Split
from medfit.errors import UserError

NUM_ROWS = 40


def records(num_rows=NUM_ROWS, missing=False):
    """Two rows a patient, each row with a feature of its own, and a binary target."""
    x = pd.DataFrame({"a": np.arange(num_rows, dtype=float), "b": np.arange(num_rows) % 7 / 7})
    if missing:
        x.loc[::10, "b"] = np.nan
    return Records(
        name="made",
        x=x,
        y=(np.arange(num_rows) // 2 % 2).astype(np.float32)[:, None],
        task="binary",
        target_names=["t"],
        groups=np.arange(num_rows) // 2 + 100,
    )


def module(data=None, split=None, batch_size=8, seed=0, **preprocessing):
    steps = partial(TablePreprocessing, **{"scaling": "none", **preprocessing})
    return DataModule(Prepared(data or records(), steps, split or Split()), batch_size, seed)


def order(loader):
    """The rows in the order of their batches, told by their first feature."""
    return [row for x, _ in loader for row in x[:, 0].int().tolist()]


def sizes(loader):
    return [len(y) for _, y in loader]


def test_rows_are_those_of_the_split():
    made, expected = module(), Split()(records())
    assert all(np.array_equal(made.rows[name], expected[name]) for name in ("train", "val", "test"))


def test_only_usable_rows_are_divided():
    data = records(missing=True)
    rows = np.concatenate(list(module(data, missing="drop").rows.values()))
    assert np.sort(rows).tolist() == np.flatnonzero(data.x.notna().all(axis=1)).tolist()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_splits_samples_keep_their_targets(split):
    made, data = module(), records()
    x, y = made.arrays(split)
    rows = x[:, 0].int().numpy()
    assert rows.tolist() == made.rows[split].tolist() and np.array_equal(y.numpy(), data.y[rows])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_splits_patients_are_those_of_its_rows(split):
    made = module()
    assert np.array_equal(made.groups(split), records().groups[made.rows[split]])


def test_no_patient_is_in_two_splits():
    made = module()
    train, val, test = (set(made.groups(split).tolist()) for split in ("train", "val", "test"))
    assert not (train & val or train & test or val & test) and made.proof["patients_in_two_splits"] == 0


def test_the_proof_counts_what_is_in_the_splits():
    made = module()
    assert made.proof["val"]["samples"] == len(made.arrays("val")[1])


def test_training_targets_are_those_of_the_training_rows():
    made = module()
    assert np.array_equal(made.arrays("train")[1].numpy(), records().y[made.rows["train"]])


def test_preprocessing_learns_from_the_training_rows_alone():
    made = module(scaling="standard")
    ages = made.rows["train"].astype(float)
    expected = (made.rows["test"] - ages.mean()) / ages.std()
    np.testing.assert_allclose(made.arrays("test")[0][:, 0], expected, rtol=1e-5)


def test_over_sampled_rows_are_in_training_batches_as_often_as_drawn():
    data = records()
    data.strata = (np.arange(NUM_ROWS) // 2 % 4 == 0).astype(int)
    made = module(data, Split(sampling="over"))
    assert sorted(order(made.train_batches)) == made.rows["train"].tolist()
    assert len(set(made.rows["train"].tolist())) < len(made.rows["train"])


def test_the_input_shape_is_that_of_a_sample():
    assert module().input_shape == (2,)


def test_the_input_shape_follows_the_preprocessing():
    assert module(pca=1).input_shape == (1,)


def test_preprocessing_of_any_shape_of_sample_is_taken():
    class Images:
        def __init__(self, dataset):
            self.dataset = dataset

        def usable(self):
            return np.ones(len(self.dataset), dtype=bool)

        def fit(self, train):
            return None

        def prepared(self, fitted):
            return Arrays(torch.zeros(len(self.dataset), 3, 4, 4), torch.tensor(self.dataset.y))

    made = DataModule(Prepared(records(), Images, Split()), 8, 0)
    assert made.input_shape == (3, 4, 4) and next(iter(made.train_batches))[0].shape == (8, 3, 4, 4)


def test_an_epoch_takes_every_training_row_once():
    made = module()
    assert sorted(order(made.train_batches)) == made.rows["train"].tolist()


def test_a_batch_keeps_samples_with_their_targets():
    data = records()
    for x, y in module().train_batches:
        assert np.array_equal(y.numpy(), data.y[x[:, 0].int().numpy()])


@pytest.mark.parametrize(
    "batch_size, expected", [(8, [8, 8, 8]), (9, [9, 9, 6]), (23, [23]), (24, [24]), (1000, [24]), (None, [24])]
)
def test_training_batches_have_the_size_asked_for_and_none_is_of_one_sample(batch_size, expected):
    assert sizes(module(batch_size=batch_size).train_batches) == expected


def test_batches_of_one_are_made_where_they_are_asked_for():
    assert sizes(module(batch_size=1).train_batches) == [1] * 24


def test_a_single_training_row_is_a_batch():
    data = records(6)
    data.given_split = np.array(["train", "val", "val", "test", "test", "test"])
    data.groups, data.strata = np.arange(6), None
    made = module(data, min_variance=None)
    assert sizes(made.train_batches) == [1]


def test_the_same_seed_gives_the_same_order_in_every_epoch():
    one, other = module(seed=3).train_batches, module(seed=3).train_batches
    assert [order(one), order(one)] == [order(other), order(other)]


def test_the_order_changes_from_epoch_to_epoch():
    loader = module(batch_size=24).train_batches
    assert order(loader) != order(loader)


def test_another_seed_changes_the_order_and_not_the_split():
    one, other = module(seed=0), module(seed=1)
    assert order(one.train_batches) != order(other.train_batches)
    assert one.proof == other.proof


def test_another_split_seed_changes_the_split():
    assert module(split=Split(seed=0)).proof != module(split=Split(seed=1)).proof


def test_the_order_does_not_depend_on_the_global_seed():
    torch.manual_seed(0)
    one = order(module().train_batches)
    torch.manual_seed(1)
    assert order(module().train_batches) == one


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_evaluation_batches_come_in_the_data_sets_order(split):
    made = module()
    assert order(made.batches(split)) == made.rows[split].tolist()


def test_validation_batches_are_those_of_the_validation_split():
    made = module()
    assert order(made.batches("val")) == made.rows["val"].tolist()


def test_evaluation_batches_are_cut_where_a_split_is_large_and_leave_nothing_out():
    made = module(records(5 * (MOST_SAMPLES + 2)))
    assert sizes(made.batches("val")) == [MOST_SAMPLES, 2]


def test_a_config_builds_the_data(compose):
    cfg = compose("dataset=heart_disease", "experiment=null")
    steps = build(cfg.preprocessing)
    made = DataModule(Prepared(load_dataset(cfg), steps, build(cfg.split)), 32, cfg.seed)
    assert made.proof["train"]["samples"] + made.proof["val"]["samples"] + made.proof["test"]["samples"] == 303
    assert made.arrays("test")[0].isfinite().all()


def test_what_can_not_be_divided_is_refused():
    with pytest.raises(UserError, match=r"^split: 1 patients are too few to divide$"):
        module(records(2))


def test_the_proof_counts_rows_that_preprocessing_could_not_use():
    flow = module(records(missing=True), missing="drop").proof["flow"]
    assert (flow["read"], flow["unusable"], flow["divided"]) == (NUM_ROWS, 4, NUM_ROWS - 4)


def test_the_order_is_that_of_pytorchs_sampler_with_the_seed():
    made, sampler = module(seed=3), RandomSampler(range(24), generator=torch.Generator().manual_seed(3))
    for _ in range(3):
        assert order(made.train_batches) == made.rows["train"][list(sampler)].tolist()
