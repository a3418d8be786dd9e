from functools import partial

import lightning as L
import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine

from medfit.data.datamodule import DataModule, Prepared
from medfit.data.datasets.records import Records
from medfit.data.preprocessing.table import TablePreprocessing
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.models.linear import Linear
from medfit.models.mlp import MLP
from medfit.tasks.classification import MultiClass
from medfit.tasks.metrics import CLASSES
from medfit.tasks.output_codes import MultiClassByCodes, code_matrix
from medfit.tasks.regime import Regime
from medfit.train import train

pytestmark = [  # Lightning's advice
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]
CODINGS = ["one_vs_rest", "one_vs_one", "error_correcting"]
SIZES = [3, 4, 5, 8, 12]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make(coding, num_classes=4, model=Linear, target=None, input_shape=(5,), regime=None, **kwargs):
    optimizer = partial(torch.optim.Adam, lr=0.05)
    return MultiClassByCodes(
        coding=coding,
        model=model,
        regime=regime or Regime(optimizer=optimizer, scheduler=None, epochs=40, batch_size=16),
        input_shape=input_shape,
        target_names=[f"class {k}" for k in range(num_classes)],
        train_arrays=lambda: (None, torch.arange(num_classes) if target is None else target),
        monitor="val/loss",
        mode="min",
        metrics=list(CLASSES),
        **kwargs,
    )


def distances(matrix):
    """Of each two classes: in how many problems that ask for both they differ."""
    return [int((matrix[i] * matrix[j] < 0).sum()) for i in range(len(matrix)) for j in range(i)]


def log_loss(margin):
    return np.log1p(np.exp(-margin))


# The matrices


@pytest.mark.parametrize("size", SIZES)
def test_one_vs_rest_asks_for_each_class_once(size):
    matrix = code_matrix("one_vs_rest", size).numpy()
    assert (matrix == np.where(np.eye(size) == 1, 1, -1)).all()


@pytest.mark.parametrize("size", SIZES)
def test_one_vs_one_has_a_problem_for_each_pair(size):
    assert code_matrix("one_vs_one", size).shape == (size, size * (size - 1) // 2)


@pytest.mark.parametrize("size", SIZES)
def test_one_vs_one_asks_for_two_classes_in_each_problem(size):
    matrix = code_matrix("one_vs_one", size).numpy()
    assert ((matrix == 1).sum(axis=0) == 1).all()
    assert ((matrix == -1).sum(axis=0) == 1).all()


@pytest.mark.parametrize("size", SIZES)
def test_one_vs_one_asks_for_each_class_against_every_other(size):
    matrix = code_matrix("one_vs_one", size).numpy()
    assert (np.abs(matrix).sum(axis=1) == size - 1).all()
    assert distances(matrix) == [1] * (size * (size - 1) // 2)


@pytest.mark.parametrize("size", SIZES)
def test_error_correcting_codes_answer_every_problem_for_every_class(size):
    assert set(code_matrix("error_correcting", size).unique().tolist()) == {-1, 1}


@pytest.mark.parametrize(("size", "columns"), [(2, 1), (3, 3), (4, 7), (5, 10), (8, 16), (20, 40)])
def test_error_correcting_codes_have_two_problems_a_class_while_there_are_so_many(size, columns):
    assert code_matrix("error_correcting", size).shape == (size, columns)


def test_code_size_is_the_number_of_problems_per_class():
    assert code_matrix("error_correcting", 8, 3.5).shape == (8, 28)


@pytest.mark.parametrize("size", SIZES)
def test_no_column_of_error_correcting_codes_is_constant(size):
    matrix = code_matrix("error_correcting", size)
    assert (matrix.sum(dim=0).abs() < size).all()


@pytest.mark.parametrize(("size", "code_size"), [*((size, 2.0) for size in SIZES), (5, 3.0)])
def test_no_column_of_error_correcting_codes_is_anothers_copy_or_complement(size, code_size):
    matrix = code_matrix("error_correcting", size, code_size)
    alike = (matrix.T @ matrix).abs() == size
    assert torch.equal(alike, torch.eye(matrix.shape[1], dtype=torch.bool))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [2, *SIZES])
def test_each_two_classes_differ(coding, size):
    assert min(distances(code_matrix(coding, size))) > 0


@pytest.mark.parametrize("size", [5, 8, 12])
def test_error_correcting_codes_bear_a_wrong_answer(size):
    assert min(distances(code_matrix("error_correcting", size))) >= 3


def test_error_correcting_codes_are_the_same_each_time():
    assert torch.equal(code_matrix("error_correcting", 8), code_matrix("error_correcting", 8))


@pytest.mark.parametrize("code_size", [0.3, 0.01])
def test_too_few_problems_are_refused(code_size):
    with pytest.raises(UserError, match=r"task.code_size: 1 problems can't tell 3 classes apart; raise it"):
        code_matrix("error_correcting", 3, code_size)


# Losses and probabilities


def test_one_vs_rest_gives_the_softmax_of_the_logits():
    output = 3 * torch.randn(50, 4)
    assert torch.allclose(make("one_vs_rest").predict(output), output.softmax(dim=1), atol=1e-5)


@pytest.mark.parametrize("coding", CODINGS)
def test_probabilities_are_those_of_loss_based_decoding(coding):
    task = make(coding)
    matrix, output = task.matrix.numpy(), 3 * torch.randn(6, task.output_size)
    expected = np.zeros((6, 4))
    for sample, logits in enumerate(output.numpy()):
        losses = np.zeros(4)
        for k in range(4):
            for problem, logit in enumerate(logits):
                if matrix[k, problem] != 0:
                    losses[k] += log_loss(matrix[k, problem] * logit)
        expected[sample] = np.exp(-losses) / np.exp(-losses).sum()
    np.testing.assert_allclose(task.predict(output).numpy(), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("coding", CODINGS)
def test_loss_is_the_mean_log_loss_of_the_problems_asked(coding):
    task = make(coding)
    target, output = torch.tensor([0, 3, 1]), torch.randn(3, task.output_size)
    by_hand = []
    for label, logits in zip(target, output.numpy(), strict=True):
        codes = task.matrix[label].numpy()
        by_hand.append(np.mean([log_loss(c * o) for c, o in zip(codes, logits, strict=True) if c != 0]))
    assert float(task.loss(output, target)) == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_loss_weighs_samples_by_their_class():
    target = torch.tensor([0, 0, 0, 1, 2, 3])
    weighted = make("one_vs_one", target=target, class_weight="balanced")
    plain, output = make("one_vs_one", target=target), torch.randn(6, 6)
    each = [float(plain.loss(output[[i]], target[[i]])) for i in range(6)]
    by_hand = np.mean([float(weighted.weights[k]) * loss for k, loss in zip(target, each, strict=True)])
    assert float(weighted.loss(output, target)) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("coding", CODINGS)
def test_codeword_of_a_class_is_decoded_as_the_class(coding):
    task = make(coding, num_classes=8)
    assert task.predict(5 * task.matrix).argmax(dim=1).tolist() == list(range(8))


def test_wrong_answer_is_corrected():
    task = make("error_correcting", num_classes=8)
    for problem in range(task.output_size):
        output = 5 * task.matrix.clone()
        output[:, problem] *= -1
        assert task.predict(output).argmax(dim=1).tolist() == list(range(8))


@pytest.mark.parametrize("coding", CODINGS)
def test_probabilities_sum_to_one_for_large_logits(coding):
    task = make(coding)
    assert task.predict(1000 * torch.randn(20, task.output_size)).sum(dim=1).tolist() == pytest.approx([1] * 20)


def test_network_has_an_output_for_each_problem():
    assert make("one_vs_one", num_classes=5).model(torch.randn(2, 5)).shape == (2, 10)


def test_code_matrix_is_kept_with_the_weights():
    task = make("error_correcting")
    assert torch.equal(task.state_dict()["matrix"], code_matrix("error_correcting", 4))


# Learning


def records(load):
    data = load(as_frame=True)
    return Records(
        name="flowers", x=data.data, y=data.target.to_numpy(), task="multiclass", target_names=data.target_names
    )


@pytest.mark.parametrize("kind", [MultiClass, *(partial(MultiClassByCodes, coding=coding) for coding in CODINGS)])
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_three_classes_are_learnt(kind, load):
    L.seed_everything(0, verbose=False)
    regime = Regime(optimizer=partial(torch.optim.Adam, lr=0.02), scheduler=None, epochs=20, batch_size=16)
    data = DataModule(Prepared(records(load), TablePreprocessing, Split()), regime.batch_size, seed=0)
    task = kind(
        model=partial(MLP, widths=[16]),
        regime=regime,
        input_shape=data.input_shape,
        target_names=data.dataset.target_names,
        train_arrays=lambda: data.arrays("train"),
        monitor="val/accuracy",
        mode="max",
        metrics=["accuracy"],
    )
    trainer = L.Trainer(
        max_epochs=regime.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(task, data)
    x, y = data.arrays("test")
    assert task.scores(task.eval()(x).detach(), y)["accuracy"] >= 0.8  # two of the three alone give .67


@pytest.mark.mostly_slow
@pytest.mark.parametrize("coding", CODINGS)
def test_coding_is_chosen_in_the_config(coding, compose, tmp_path):
    flowers = load_iris(as_frame=True)
    flowers.data.assign(species=flowers.target_names[flowers.target]).to_csv(tmp_path / "iris.csv", index=False)
    chosen = ["dataset=table", f"dataset.path={tmp_path / 'iris.csv'}", "dataset.target=species"]
    chosen += ["task=multiclass_codes", f"task.coding={coding}", "regime=smoke", "regime.optimizer.lr=0.01"]
    assert train(compose(*chosen))["val/auroc"] > 0.8
