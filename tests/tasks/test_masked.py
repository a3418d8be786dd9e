import pytest
import torch

from medfit.deployment.packing import withheld
from medfit.errors import UserError
from medfit.evaluate import evaluate
from medfit.explain import explain
from medfit.train import train
from medfit.training.parts import prepare
from medfit.training.trainer import fit, make_trainer

SMALL = ["model.widths=[8,8]", "model.kernel_sizes=[7,5]", "regime.batch_size=50", "regime.patience=null"]
ECG = ["dataset=ecg5000", "model=cnn1d", "split.num_patients=200", "split.stratify=false", *SMALL]
PRETRAIN = [*ECG, "task=masked"]


@pytest.fixture
def task(compose):
    return prepare(compose(*PRETRAIN)).task


def test_blocks_are_hidden_and_they_alone_are_asked_for(task):
    x = torch.randn(400, 1, 140)
    shown, hidden = task.hide(x)
    where = hidden.isfinite().reshape(x.shape)
    assert torch.equal(x[where], hidden.reshape(x.shape)[where]) and (shown[where] == 0).all()
    assert torch.equal(shown[~where], x[~where])
    assert where.float().mean() == pytest.approx(0.5, abs=0.05)
    blocks = where.reshape(400, 14, 10)
    assert (blocks.all(dim=2) | ~blocks.any(dim=2)).all()


def test_padding_is_neither_hidden_nor_asked_for(task):
    x = torch.randn(20, 1, 140)
    x[:, :, 100:] = torch.nan
    shown, hidden = task.hide(x)
    assert shown[:, :, 100:].isnan().all() and not shown[:, :, :100].isnan().any()
    assert hidden[:, 100:].isnan().all()


def test_channels_are_hidden_together_and_features_one_by_one(compose):
    images = ["dataset=mni_slices", "preprocessing.size=20", "model=resnet", "model.width=4", "model.depth=10"]
    task = prepare(compose(*images, "task=masked", "task.block=5")).task
    hidden = task.hide(torch.randn(30, 1, 20, 20))[1].isfinite().reshape(30, 20, 20)
    squares = hidden.reshape(30, 4, 5, 4, 5).transpose(2, 3).reshape(30, 16, 25)
    assert (squares.all(dim=2) | ~squares.any(dim=2)).all() and 0.3 < hidden.float().mean() < 0.7
    records = prepare(compose("dataset=breast_cancer", "task=masked", "model=mlp")).task
    hidden = records.hide(torch.randn(500, 30))[1].isfinite().float()
    assert hidden.mean(dim=0).sub(0.5).abs().max() < 0.1 and hidden.T.corrcoef().sub(torch.eye(30)).abs().max() < 0.25


def test_the_loss_is_the_mean_squared_error_of_what_was_hidden(task):
    output = torch.tensor([[1.0, 5.0, 9.0], [2.0, 0.0, 0.0]], requires_grad=True)
    target = torch.tensor([[3.0, torch.nan, torch.nan], [torch.nan, 1.0, torch.nan]])
    loss = task.loss(output, target)
    loss.backward()
    assert loss.item() == (4 + 1) / 2
    assert output.grad.tolist() == [[-2, 0, 0], [0, -1, 0]]
    assert task.loss(output, torch.full((2, 3), torch.nan)).item() == 0


@pytest.mark.parametrize("loop", [[], ["regime.speed=plain"]])
def test_it_learns_to_tell_what_is_hidden_better_than_by_the_mean(compose, loop):
    parts = prepare(compose(*PRETRAIN, *loop, "regime.epochs=25", "regime.optimizer.lr=1e-2"))
    trainer = make_trainer(parts)
    fit(trainer, parts)
    assert float(trainer.callback_metrics["val/loss"]) < 0.7  # the series are scaled to variance 1


def test_no_target_is_looked_at(compose):
    def after(flip):
        parts = prepare(compose(*PRETRAIN, "regime.epochs=1"))
        if flip:
            parts.task.training_step, step = (
                lambda batch, number: step((batch[0], batch[1] * 0), number),
                parts.task.training_step,
            )
        fit(make_trainer(parts), parts)
        return parts.task.state_dict()

    one, other = after(False), after(True)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_its_scores_are_those_of_its_best_epoch_and_alike_when_asked_again(compose, client):
    scores = train(compose(*PRETRAIN, "regime.epochs=2"))
    run = client.search_runs(["1"])[0]
    assert scores == {
        "val/loss": pytest.approx(min(m.value for m in client.get_metric_history(run.info.run_id, "val/loss")))
    }


def test_another_task_takes_all_but_its_last_layer(compose, client):
    train(compose(*PRETRAIN, "regime.epochs=1"))
    run = client.search_runs(["1"])[0].info.run_id
    parts = prepare(compose(*ECG, f"model.init_from={run}"))
    start = parts.datamodule.proof["init_from"]
    assert (start["taken"], start["new"], start["unused"]) == (4, ["head.1"], [])
    weights = torch.load(client.download_artifacts(run, "checkpoint/best.ckpt"), weights_only=True)["state_dict"]
    assert torch.equal(parts.task.model.blocks[1][0][1].weight, weights["model.blocks.1.0.1.weight"])
    assert not any("taught" in line for line in parts.leaks)


def test_no_model_is_kept_and_nothing_is_evaluated_or_explained(compose, client):
    cfg = compose(*PRETRAIN, "regime.epochs=1", "tracking.models=true")
    assert withheld(cfg, prepare(cfg)) == "task=masked predicts no outcome; its weights are for model.init_from"
    train(cfg)
    run = client.search_runs(["1"])[0]
    assert run.data.tags["no_model"].startswith("task=masked") and not client.search_logged_models(["1"])
    with pytest.raises(UserError, match="^task: there is nothing to evaluate: task=masked"):
        evaluate(cfg)
    with pytest.raises(UserError, match="^explain.run: .*nothing to explain"):
        explain(compose(*PRETRAIN, f"explain.run={run.info.run_id}"))


def test_masks_are_no_samples_for_it(compose):
    with pytest.raises(UserError, match="task=masked learns"):
        prepare(compose("dataset=mni_tissue", "task=masked"))
