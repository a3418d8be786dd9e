import json
import shutil
import textwrap
from pathlib import Path

import pytest
import torch

from medfit.config import folders
from medfit.data.preprocessing.fitted import load
from medfit.errors import UserError
from medfit.evaluation.baselines import predictions
from medfit.explain import explain
from medfit.train import train
from medfit.training.parts import prepare

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ["dataset=promoters", "model.widths=[16,16,16]"]


@pytest.fixture(autouse=True)
def sequences(tmp_path, monkeypatch):
    """The example's file on the path, and its two yaml files as its docstring has them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import sequences

    shutil.copytree(folders.CONF, tmp_path / "conf")
    _, dataset, rest = (
        sequences.__doc__.split("::\n")[0],
        *sequences.__doc__.split("::\n")[1].split("\n\n    # A channel"),
    )
    (tmp_path / "conf" / "dataset" / "promoters.yaml").write_text(textwrap.dedent(dataset))
    preprocessing = textwrap.dedent("    # A channel" + rest.split("\n\nThen")[0])
    (tmp_path / "conf" / "preprocessing" / "one_hot.yaml").write_text(preprocessing)
    monkeypatch.setattr(folders, "CONF", tmp_path / "conf")
    return sequences


@pytest.fixture
def run_id(compose, client):
    train(compose(*SMALL, "regime.epochs=1"))
    experiment = client.get_experiment_by_name("promoters")
    return client.search_runs([experiment.experiment_id])[0].info.run_id


def test_a_new_kind_learns(compose):
    assert train(compose(*SMALL, "regime.epochs=30", "regime.optimizer.lr=0.01"))["val/auroc"] > 0.8


def test_its_proof_says_that_no_near_duplicates_were_looked_for(compose):
    proof = prepare(compose(*SMALL)).datamodule.proof
    assert proof["leaks"] == []
    assert proof["leak_scan"]["not_looked_at"] == ["near-duplicates were not looked for among DNA sequences"]


def test_it_has_the_baselines_that_suit_samples_of_one_shape(compose):
    assert [name for name, _ in predictions(prepare(compose(*SMALL)))] == ["prevalence", "logistic"]


def test_it_is_refused_by_the_preprocessing_of_other_kinds(compose):
    with pytest.raises(UserError, match="promoters holds DNA sequences, which take preprocessing=one_hot"):
        prepare(compose("dataset=promoters", "preprocessing=series"))


def test_an_explanation_is_refused_in_a_line(compose, run_id):
    with pytest.raises(UserError, match="^explain.run: the run's data are DNA sequences, which nothing explains yet$"):
        explain(compose(f"explain.run={run_id}"))


def test_the_run_keeps_what_was_not_looked_at(client, run_id, tmp_path):
    proof = json.loads(Path(client.download_artifacts(run_id, "data/split.json", str(tmp_path))).read_text())
    assert proof["leak_scan"]["not_looked_at"]


def test_what_was_fitted_takes_new_sequences(sequences, tmp_path):
    fitted = sequences.OneHot(sequences.Promoters()).fit(range(100))
    fitted.save(tmp_path / "fitted")
    assert torch.equal(load(tmp_path / "fitted").apply(["ACGT"])[0, :, :4], torch.eye(4))
