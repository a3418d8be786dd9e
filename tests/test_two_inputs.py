"""A data set whose samples have two inputs goes all the way, or is refused in a line."""

import shutil

import pytest
import torch

from medfit.config import folders
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.inputs import in_words, num_places
from medfit.data.preprocessing.arrays import Arrays
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.evaluate import evaluate
from medfit.explain import explain
from medfit.train import train
from medfit.training.fast import FastTrainer
from medfit.training.parts import prepare
from medfit.training.trainer import fit, make_trainer
from two_inputs import Both, BothPreprocessing

DATASET = """defaults:
  - override /task@_global_.task: binary
  - override /preprocessing@_global_.preprocessing: both
  - override /model@_global_.model: sum
_target_: two_inputs.Both
"""
OWN = ["dataset=both", "regime.epochs=40", "regime.patience=null", "regime.optimizer.lr=0.01", "regime.batch_size=32"]
SHAPE = {"picture": (1, 6, 6), "record": (2,)}


@pytest.fixture(autouse=True)
def choices(tmp_path, monkeypatch):
    """The choices of the data set, its preprocessing and its model."""
    shutil.copytree(folders.CONF, tmp_path / "conf")
    for group, name, text in (
        ("dataset", "both", DATASET),
        ("preprocessing", "both", "_target_: two_inputs.BothPreprocessing\n_partial_: true\n"),
        ("model", "sum", "_target_: two_inputs.Sum\n_partial_: true\nwidth: 16\n"),
    ):
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(folders, "CONF", tmp_path / "conf")


def test_both_inputs_are_learnt_from(compose):
    assert train(compose(*OWN))["val/auroc"] > 0.9  # either alone tells nothing


def test_both_loops_give_the_same_losses(compose):
    found = []
    for speed, kind in (("auto", True), ("plain", False)):
        parts = prepare(compose(*OWN, "regime.epochs=2", f"regime.speed={speed}"))
        trainer = make_trainer(parts)
        assert isinstance(trainer, FastTrainer) == kind
        fit(trainer, parts)
        found.append({name: float(value) for name, value in trainer.callback_metrics.items()})
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_batches_have_the_parts_of_the_same_samples():
    data = Both()
    module = DataModule(Prepared(data, BothPreprocessing, Split()), 30, 0)
    for batches in (module.train_batches, module.batches("val")):
        for x, y in batches:
            same = torch.sign(x["picture"].mean(dim=(1, 2, 3))) == torch.sign(x["record"][:, 0])
            assert torch.equal(same, y[:, 0] > 0.5) and len(y) > 0
    assert module.input_shape == SHAPE and module.data.nbytes == 200 * 4 * (36 + 2 + 1)


def test_a_shape_of_several_parts_is_told_and_measured():
    assert in_words(SHAPE) == "1 x 6 x 6 and 2" and in_words((3, 8)) == "3 x 8"
    assert num_places(SHAPE) == 36 and num_places((30,)) == 1 and num_places((3, 8, 4)) == 32


def test_parts_of_other_numbers_of_samples_are_refused():
    with pytest.raises(ValueError, match="2 samples, but 3 targets"):
        Arrays({"a": torch.zeros(3, 1), "b": torch.zeros(2, 1)}, torch.zeros(3, 1))


def test_it_is_evaluated_beside_baselines_of_both_inputs(compose, experiments):
    found = evaluate(compose(*OWN, "evaluate.num_seeds=1")).tables["scores"]
    area = found[found["metric"] == "auroc"].set_index("model")["estimate"]
    (network,) = area.drop(["prevalence", "logistic"])
    assert network > 0.9 and area["logistic"] < 0.7  # a sum of both inputs tells nothing


@pytest.mark.parametrize(
    ("model", "path"),
    [("mlp", "model: it"), ("cnn1d", "model: it"), ("unet", "model: it"), ("gan", "task=adversarial")],
)
def test_a_model_for_one_input_refuses_two_in_a_line(compose, model, path):
    with pytest.raises(UserError, match=f"^{path} takes one input a sample, not several .picture, record.$"):
        prepare(compose("dataset=both", f"model={model}"))


def test_an_explanation_is_refused_in_a_line(compose, client):
    train(compose(*OWN, "regime.epochs=1"))
    (run,) = client.search_runs([client.get_experiment_by_name("both").experiment_id])
    with pytest.raises(UserError, match="pictures with records, which nothing explains yet"):
        explain(compose(f"explain.run={run.info.run_id}"))
