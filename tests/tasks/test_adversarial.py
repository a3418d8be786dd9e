import copy
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf
from torch import nn

from each_step import EachStep
from kept_curves import Curves
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.errors import UserError
from medfit.models.gan import GAN
from medfit.models.mlp import MLP
from medfit.tasks import adversarial_losses, generative
from medfit.tasks.adversarial import Adversarial
from medfit.tasks.features import FeatureSpace
from medfit.tasks.regime import AdversarialRegime, Regime, adam
from medfit.train import train
from medfit.training.parts import prepare
from medfit.training.trainer import DivergedError

LOSSES = list(adversarial_losses.LOSSES)
SIZE = 28
LONGER = ["regime.epochs=30", "model.width=16", "model.discriminator_norm=none", "regime.batch_size=16", "task.r1=0.1"]
LONGER += [f"regime.{player}_optimizer.lr=2e-3" for player in ("generator", "discriminator")]
LONGER += ["task.ema_decay=0.9"]
SEEDS = (0, 1, 2)  # two networks that learn from each other take another path on another processor
regime = partial(
    AdversarialRegime,
    generator_optimizer=partial(adam, lr=1e-3),
    discriminator_optimizer=partial(adam, lr=1e-3),
    epochs=1,
    batch_size=32,
)


def blobs(count, seed=0):
    """Bright spots in the left (class 0) or the right half, and which it is."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, count)
    row, column = random.uniform(10, 18, count), random.uniform(5, 9, count) + 14 * label
    grid = np.arange(SIZE)
    vertical, horizontal = (np.exp(-((grid - place[:, None]) ** 2) / 32) for place in (row, column))
    return (vertical[:, :, None] * horizontal[:, None])[:, None].astype(np.float32), label


class Blobs(Images):
    """In memory, of any of the kinds that a generator takes."""

    def __init__(self, count=240, kind="binary", shape=(SIZE, SIZE), scale=1.0):
        x, label = blobs(count)
        x = scale * np.resize(x, (count, 1, *shape))
        column = label[:, None].astype(np.float32)
        y = {
            "binary": column,
            "multiclass": label.astype(np.int64),
            "multilabel": np.hstack([column, 1 - column]),
            "regression": column * 1.5,
            "generation": None,
        }[kind]
        super().__init__(
            names=[f"blob {i}" for i in range(count)],
            readers=[lambda i=i: Image(x[i]) for i in range(count)],
            channels=["grey"],
            y=y,
            name="blobs",
            task=kind,
            target_names=["right"] if kind in ("binary", "regression") else [] if y is None else ["left", "right"],
        )


def cfg_of(compose, *overrides, **data):
    """A config of a small training on blobs."""
    fixed = ["dataset=breast_cancer", "preprocessing=image", "preprocessing.scaling=none", "regime.accelerator=cpu"]
    small = ["model.width=4", "regime.batch_size=32", "regime.epochs=1", "task.grid_size=0", "task.num_components=8"]
    cfg = compose(*fixed, "model=gan", *small, *overrides)
    cfg.dataset = OmegaConf.create({"_target_": f"{__name__}.Blobs", **data})
    return cfg


def make(y=None, x=None, **kwargs):
    images, label = blobs(60)
    x = torch.from_numpy(images) if x is None else x
    y = torch.from_numpy(label).float()[:, None] if y is None else y
    model = {key: kwargs.pop(key) for key in ("conditional", "discriminator_norm") if key in kwargs}
    given = {
        "model": partial(GAN, width=4, latent_size=6, **model),
        "regime": regime(),
        "input_shape": (1, SIZE, SIZE),
        "target_names": ["right"],
        "train_arrays": lambda: (x, y),
        "monitor": "val/frechet",
        "mode": "min",
        "num_components": 8,
    }
    return Adversarial(**(given | kwargs))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# Losses


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        (
            "non_saturating",
            lambda r, f: -np.log(1 / (1 + np.exp(-r))).mean() - np.log(1 - 1 / (1 + np.exp(-f))).mean(),
            lambda f: -np.log(1 / (1 + np.exp(-f))).mean(),
        ),
        ("hinge", lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(), lambda f: -f.mean()),
        ("wasserstein_gp", lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
    ],
)
def test_loss_has_the_hand_value(name, discriminator, generator):
    real, fake = np.array([0.5, -1.0, 2.0]), np.array([-0.3, 1.5, -2.0])
    loss = adversarial_losses.LOSSES[name]
    assert float(loss.discriminator(*map(torch.from_numpy, (real, fake)))) == pytest.approx(discriminator(real, fake))
    assert float(loss.generator(torch.from_numpy(fake))) == pytest.approx(generator(fake))


@pytest.mark.parametrize("name", LOSSES)
def test_discriminator_is_rewarded_for_telling_apart(name):
    loss, high, low = adversarial_losses.LOSSES[name].discriminator, torch.full((4,), 0.5), torch.full((4,), -0.5)
    assert loss(high, low) < loss(low, high)


@pytest.mark.parametrize("name", LOSSES)
def test_generator_is_rewarded_for_being_taken_for_real(name):
    loss = adversarial_losses.LOSSES[name].generator
    assert loss(torch.full((4,), 0.5)) < loss(torch.full((4,), -0.5))


def test_generators_loss_does_not_vanish_where_it_is_found_out():
    fake = torch.full((1,), -20.0, requires_grad=True)
    adversarial_losses.LOSSES["non_saturating"].generator(fake).backward()
    assert fake.grad.item() == pytest.approx(-1)


def test_r1_of_a_linear_discriminator_is_the_squared_norm_of_its_weights():
    weight = torch.randn(1, 1, 4, 4)
    penalty = adversarial_losses.r1(lambda x, label: (x * weight).sum(dim=(1, 2, 3)), torch.rand(5, 1, 4, 4), None)
    assert float(penalty) == pytest.approx(float(weight.square().sum()), rel=1e-5)


def test_r1_is_the_mean_of_each_images_own_gradient_by_hand():
    network, x = GAN((1, SIZE, SIZE), 1, width=4, discriminator_norm="none").discriminator, torch.rand(3, 1, SIZE, SIZE)
    by_hand = []
    for image in x:
        image = image[None].clone().requires_grad_()
        network(image).backward()
        by_hand.append(float(image.grad.square().sum()))
    assert float(adversarial_losses.r1(network, x, None).detach()) == pytest.approx(np.mean(by_hand), rel=1e-4)


def test_gradient_penalty_of_a_linear_discriminator_is_the_hand_value():
    weight = torch.randn(1, 1, 4, 4)
    penalty = adversarial_losses.gradient_penalty(
        lambda x, label: (x * weight).sum(dim=(1, 2, 3)), torch.rand(5, 1, 4, 4), torch.rand(5, 1, 4, 4), None
    )
    assert float(penalty) == pytest.approx((float(weight.norm()) - 1) ** 2, rel=1e-5)


def test_gradient_penalty_is_taken_between_real_and_generated():
    seen = []

    def discriminator(x, label):
        seen.append(x)
        return x.square().sum(dim=(1, 2, 3))

    adversarial_losses.gradient_penalty(discriminator, torch.zeros(500, 1, 1, 1), torch.ones(500, 1, 1, 1), None)
    places = seen[0].detach().flatten()
    assert 0 <= places.min() < 0.1 < 0.9 < places.max() <= 1
    assert float(places.mean()) == pytest.approx(0.5, abs=0.06)


def test_gradient_penalty_is_the_mean_of_each_points_own_gradient_by_hand():
    network = GAN((1, SIZE, SIZE), 1, width=4, discriminator_norm="none").discriminator
    x = torch.rand(3, 1, SIZE, SIZE)
    by_hand = []
    for image in x:
        image = image[None].clone().requires_grad_()
        network(image).backward()
        by_hand.append((float(image.grad.norm()) - 1) ** 2)
    assert float(adversarial_losses.gradient_penalty(network, x, x, None).detach()) == pytest.approx(
        np.mean(by_hand), rel=1e-4
    )


@pytest.mark.parametrize(
    "penalty", [adversarial_losses.r1, lambda d, x, y: adversarial_losses.gradient_penalty(d, x, x, y)]
)
def test_penalty_reaches_the_discriminators_weights(penalty):
    network = GAN((1, SIZE, SIZE), 1, width=4, discriminator_norm="spectral").discriminator
    penalty(network, torch.rand(3, 1, SIZE, SIZE), None).backward()
    assert network.head.parametrizations.weight.original.grad.abs().sum() > 0


def discriminator_loss(task, steps=0):
    torch.manual_seed(1)
    task._log, task._num_steps = lambda *_: None, steps
    return task.discriminator_loss(torch.rand(4, 1, SIZE, SIZE), None).item()


@pytest.mark.parametrize(("step", "factor"), [(0, 3), (1, 0), (2, 0), (3, 3)])
def test_r1_is_added_every_so_many_steps_and_weighs_as_many_times_more(step, factor):
    torch.manual_seed(0)
    with_r1 = make(r1=10.0, r1_interval=3, discriminator_norm="none")
    without = make(discriminator_norm="none")
    without.model.load_state_dict(with_r1.model.state_dict())
    torch.manual_seed(1)
    penalty = adversarial_losses.r1(without.model.discriminator, torch.rand(4, 1, SIZE, SIZE), None).item()
    added = discriminator_loss(with_r1, step) - discriminator_loss(without, step)
    assert added == pytest.approx(factor * 10 / 2 * penalty, abs=1e-5)


def test_gradient_penalty_weighs_what_it_is_told():
    tasks = [make(loss="wasserstein_gp", gradient_penalty=w, discriminator_norm="none") for w in (0.0, 1.0, 3.0)]
    for task in tasks[1:]:
        task.model.load_state_dict(tasks[0].model.state_dict())
    none, one, three = map(discriminator_loss, tasks)
    assert one > none
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)


@pytest.mark.parametrize("loss", ["non_saturating", "hinge"])
def test_other_losses_have_no_gradient_penalty(loss):
    assert make(loss=loss, gradient_penalty=10.0).gradient_penalty == 0


# Training


@pytest.mark.mostly_slow
@pytest.mark.parametrize("norm", ["spectral", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_finite(compose, loss, norm):
    watch = Curves()
    overrides = [f"task.loss={loss}", "task.r1=1.0", f"model.discriminator_norm={norm}", "regime.epochs=2"]
    scores = train(cfg_of(compose, *overrides), callbacks=[watch])
    assert set(watch.found[-1]) >= {
        "train/loss",
        "train/discriminator_loss",
        "train/output_on_real",
        "train/output_on_generated",
    }
    assert np.isfinite(list(watch.found[-1].values())).all()
    assert np.isfinite(list(scores.values())).all()


@pytest.mark.mostly_slow
@pytest.mark.parametrize(("kind", "conditional"), [("generation", False), ("multiclass", False), ("multiclass", True)])
def test_every_kind_of_data_trains(compose, kind, conditional):
    scores = train(cfg_of(compose, f"model.conditional={str(conditional).lower()}", kind=kind))
    assert ("val/tstr_auroc" in scores) == conditional


@pytest.mark.slow
def test_generator_learns_the_data(compose):
    nearer, diversity = [], []
    for seed in SEEDS:
        watch = Curves()
        scores = train(cfg_of(compose, *LONGER, f"seed={seed}"), callbacks=[watch])
        nearer.append(scores["val/frechet"] / watch.found[0]["val/frechet"])
        diversity.append(scores["val/diversity"])
    assert np.median(nearer) < 0.4
    assert np.median(diversity) > 0.5


def test_discriminator_takes_its_steps_for_each_of_the_generator(compose):
    class Count(EachStep):
        steps = ()

        def note(self, trainer, task, optimizer):
            of_generator = optimizer.param_groups[0]["params"][0] is next(task.model.generator.parameters())
            self.steps = (*self.steps, "g" if of_generator else "d")

    count = Count()
    train(cfg_of(compose, "regime.discriminator_steps=3", "regime.batch_size=24"), callbacks=[count])
    assert "".join(count.steps) == "dddgdddg"  # 144 training images: six batches


def test_players_move_only_in_their_own_steps():
    task = make()
    before = copy.deepcopy(task.model.state_dict())
    optimizers = task.configure_optimizers()
    task._log = lambda *_: None
    x = torch.rand(4, 1, SIZE, SIZE)
    task.discriminator_loss(x, None).backward()
    assert all(p.grad is None for p in task.model.generator.parameters())
    optimizers[1].step()
    changed = {k for k, v in task.model.state_dict().items() if not torch.equal(v, before[k])}
    assert any(k.startswith("discriminator") for k in changed)
    assert not any(k.startswith("generator") and k.endswith("weight") for k in changed)


def test_each_optimizer_has_its_own_rate_and_betas(compose):
    overrides = ["generator_optimizer.lr=0.1", "discriminator_optimizer.beta1=0.2", "generator_optimizer.beta2=0.7"]
    task = prepare(cfg_of(compose, *(f"regime.{line}" for line in overrides))).task
    generator, discriminator = (o.param_groups[0] for o in task.configure_optimizers())
    assert (generator["lr"], generator["betas"]) == (0.1, (0.5, 0.7))
    assert (discriminator["lr"], discriminator["betas"]) == (5e-4, (0.2, 0.999))


def test_diverged_training_is_told_as_such(compose):
    overrides = [f"regime.{player}_optimizer.lr=1e38" for player in ("generator", "discriminator")]
    with pytest.raises(DivergedError, match="the training loss became"):
        train(cfg_of(compose, *overrides, "model.discriminator_norm=none", "task.loss=wasserstein_gp"))


@pytest.mark.slow
def test_training_is_repeatable(compose):
    first, second = (train(cfg_of(compose)) for _ in range(2))
    assert first == second


def test_samples_are_logged_each_epoch(compose, client):
    train(cfg_of(compose, "task.grid_size=3", "regime.epochs=2"))
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    images = [file.path for file in client.list_artifacts(run.info.run_id, "images") if file.path.endswith("png")]
    assert len([path for path in images if "compressed" not in path]) == 2 or len(images) >= 2


@pytest.mark.mostly_slow
@pytest.mark.parametrize("conditional", [False, True])
def test_figures_are_logged(compose, client, conditional):
    train(cfg_of(compose, "tracking.plots=true", f"model.conditional={str(conditional).lower()}"))
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    names = {file.path for file in client.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/val_samples.png", "plots/val_nearest_training_images.png"} <= names


# Average of the generator


def test_average_is_the_hand_computation():
    average = torch.optim.swa_utils.AveragedModel(
        layer := nn.Linear(1, 1), avg_fn=adversarial_losses.average_with_warm_up(0.3)
    )
    values, by_hand = [2.0, 5.0, -1.0, 4.0, 0.0], None
    for count, value in enumerate(values):
        nn.init.constant_(layer.weight, value)
        average.update_parameters(layer)
        decay = min(0.3, (1 + count) / (10 + count))
        by_hand = value if by_hand is None else decay * by_hand + (1 - decay) * value
    assert average.module.weight.item() == pytest.approx(by_hand)


def test_average_covers_normalisations_running_means():
    task = make(ema_decay=0.5)
    name = "layers.0.running_mean"
    for value in (1.0, 3.0):
        task.model.generator.get_buffer(name).fill_(value)
        task.average.update_parameters(task.model.generator)
    decay = 2 / 11
    assert task.average.module.get_buffer(name)[0].item() == pytest.approx(decay * 1 + (1 - decay) * 3)


def test_average_without_decay_is_the_generator_itself():
    task = make(ema_decay=0.0)
    for _ in range(3):
        for p in task.model.generator.parameters():
            nn.init.normal_(p)
        task.average.update_parameters(task.model.generator)
    pairs = zip(task.average.module.parameters(), task.model.generator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_average_does_not_train():
    assert not any(p.requires_grad for p in make().average.parameters())


def test_samples_come_from_the_average():
    task = make()
    before = task.sample(2)
    for p in task.model.generator.parameters():
        nn.init.zeros_(p)
    assert torch.equal(task.sample(2), before)


# Samples


def test_samples_are_the_same_for_a_seed():
    task = make()
    torch.manual_seed(1)
    first = task.sample(3, seed=5)
    torch.manual_seed(2)
    assert torch.equal(task.sample(3, seed=5), first)


def test_samples_of_another_seed_are_others():
    task = make()
    assert not torch.allclose(task.sample(3, seed=5), task.sample(3, seed=6))


def test_fewer_samples_are_the_first_of_more():
    task = make(conditional=True)
    assert torch.allclose(task.sample(70)[:5], task.sample(5), atol=1e-6)
    assert torch.equal(task.draw_labels(70)[:5], task.draw_labels(5))


def test_sampling_leaves_the_global_random_state_alone():
    task = make(conditional=True)
    state = torch.get_rng_state()
    task.sample(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_are_drawn_as_often_as_in_the_training_split():
    y = torch.tensor([0, 1, 1, 1]).repeat(15)
    labels = make(y, conditional=True, target_names=["a", "b"]).draw_labels(4000)
    assert float(labels.float().mean()) == pytest.approx(0.75, abs=0.03)


def test_labels_of_a_class_that_is_lacking_are_never_drawn():
    labels = make(torch.full((60,), 1), conditional=True, target_names=["a", "b", "c"]).draw_labels(500)
    assert labels.unique().tolist() == [1]


def test_labels_do_not_follow_the_noise():
    labels = make(conditional=True).draw_labels(2000).float()
    noise = torch.randn(2000, generator=torch.Generator().manual_seed(generative.SEED))
    assert abs(float(torch.corrcoef(torch.stack([labels, noise]))[0, 1])) < 0.08


@pytest.mark.slow
def test_labels_steer_what_is_made(compose):
    kept, found = [], []

    class Keep(Callback):
        def on_fit_start(self, trainer, task):
            kept.append(task)

    for seed in SEEDS:
        scores = train(cfg_of(compose, *LONGER, "model.conditional=true", f"seed={seed}"), callbacks=[Keep()])
        left, right = (kept[-1].sample(40, torch.full((40,), k)).mean(dim=(0, 1, 2)) for k in (0, 1))
        sides = left[:14].sum() / left[14:].sum(), right[14:].sum() / right[:14].sum()
        found.append((*map(float, sides), scores["val/trtr_auroc"], scores["val/tstr_auroc"]))
    left, right, real, generated = np.median(found, axis=0)
    assert min(left, right) > 4  # times as bright on the side that was asked for
    assert real > 0.99
    assert generated > 0.7


@pytest.mark.parametrize(
    ("names", "conditional", "expected"),
    [(["right"], True, ["not right", "right"]), (["a", "b"], True, ["a", "b"]), (["right"], False, [])],
)
def test_classes_have_names(names, conditional, expected):
    assert make(torch.arange(60) % 2, target_names=names, conditional=conditional).class_names == expected


# Scores


def outputs_of(task, batches):
    loader = SimpleNamespace(num_samples=sum(len(x) for x, _ in batches))
    task._trainer = SimpleNamespace(predict_dataloaders=loader, barebones=False)
    with torch.no_grad():
        return task.join([task.predict_step(batch, i) for i, batch in enumerate(batches)])


def real(count=40, seed=9):
    x, label = blobs(count, seed)
    return torch.from_numpy(x), torch.from_numpy(label).float()[:, None]


def test_scores_are_the_ones_that_are_said_to_be_logged():
    task = make()
    assert [f"val/{name}" for name in task.scores(*outputs_of(task, [real()]))] == task.logged()


def test_scores_do_not_depend_on_the_global_random_state():
    task = make(conditional=True)
    first = task.scores(*outputs_of(task, [real()]))
    torch.manual_seed(123)
    assert task.scores(*outputs_of(task, [real()])) == first


def test_scores_do_not_depend_on_the_batches():
    task, (x, y) = make(), real()
    whole = task.scores(*outputs_of(task, [(x, y)]))
    parts = task.scores(*outputs_of(task, [(x[:15], y[:15]), (x[15:30], y[15:30]), (x[30:], y[30:])]))
    assert parts == pytest.approx(whole, rel=1e-3)


def test_scores_of_a_checkpoint_are_the_same(compose):
    task = make(conditional=True)
    other = make(conditional=True)
    other.load_state_dict(task.state_dict())
    assert other.scores(*outputs_of(other, [real()])) == task.scores(*outputs_of(task, [real()]))


@pytest.mark.parametrize(("asked", "expected"), [(None, 40), (7, 7), (100, 100)])
def test_as_many_images_are_generated_as_asked_for_or_as_there_are(asked, expected):
    task = make(num_samples=asked)
    assert len(outputs_of(task, [real()])[2]) == expected


def test_number_of_generated_images_is_capped(monkeypatch):
    monkeypatch.setattr(generative, "MOST_SAMPLES", 10)
    assert len(outputs_of(make(), [real()])[2]) == 10


def test_classifier_learns_from_as_many_generated_images_as_there_are_real_ones():
    assert len(outputs_of(make(conditional=True), [real(40)])[2]) == 60


def test_best_possible_generator_scores_as_real_images_do():
    task = make()
    task.generate = lambda z, label: real(len(z), 77)[0]
    scores, start = (t.scores(*outputs_of(t, [real(60)])) for t in (task, make()))
    assert scores["frechet"] < 0.2 * start["frechet"]
    assert scores["diversity"] == pytest.approx(1, abs=0.15)
    assert scores["memorisation"] == pytest.approx(1, abs=0.3)


def test_classifier_trained_on_images_of_their_class_is_as_good_as_on_real_ones():
    task, (x, y) = make(conditional=True), real(200, 77)
    by_class = [x[y[:, 0] == k] for k in (0, 1)]
    task.generate = lambda z, label: torch.stack([by_class[int(k)][i] for i, k in enumerate(label)])
    scores = task.scores(*outputs_of(task, [real(60)]))
    assert (scores["tstr_accuracy"], scores["tstr_auroc"]) == (1, 1)
    assert (scores["trtr_accuracy"], scores["trtr_auroc"]) == (1, 1)


def test_classifier_trained_on_images_of_the_wrong_class_is_wrong():
    task, (x, y) = make(conditional=True), real(200, 77)
    by_class = [x[y[:, 0] == k] for k in (1, 0)]
    task.generate = lambda z, label: torch.stack([by_class[int(k)][i] for i, k in enumerate(label)])
    assert task.scores(*outputs_of(task, [real(60)]))["tstr_accuracy"] == 0


def test_copies_of_training_images_are_found_out():
    task = make()
    task.generate = lambda z, label: torch.from_numpy(blobs(60)[0])[: len(z)]
    assert task.scores(*outputs_of(task, [real(60)]))["memorisation"] == pytest.approx(0, abs=1e-3)


def test_collapsed_generator_is_found_out():
    task = make()
    task.generate = lambda z, label: torch.from_numpy(blobs(60)[0])[:1].repeat(len(z), 1, 1, 1)
    assert task.scores(*outputs_of(task, [real(60)]))["diversity"] == pytest.approx(0, abs=1e-3)


def test_images_that_are_no_numbers_have_no_scores():
    task = make()
    task.generate = lambda z, label: torch.full((len(z), 1, SIZE, SIZE), torch.nan)
    assert np.isnan(list(task.scores(*outputs_of(task, [real()])).values())).all()


# Feature space


def test_feature_space_is_fitted_on_training_images_alone(compose):
    parts = prepare(cfg_of(compose))
    x = parts.datamodule.arrays("train")[0].flatten(1)
    assert torch.allclose(parts.task.features.mean, x.mean(dim=0), atol=1e-5)


def test_components_are_orthonormal_and_explain_the_most():
    x = torch.from_numpy(blobs(80)[0])
    space = FeatureSpace(5)
    space.fit(x)
    assert torch.allclose(space.components @ space.components.T, torch.eye(5), atol=1e-5)
    expected = torch.linalg.svdvals(x.flatten(1) - x.flatten(1).mean(dim=0))[:5] ** 2 / 79
    assert torch.allclose(space(x).var(dim=0), expected, rtol=1e-3)


def test_training_features_are_those_of_the_training_images():
    x = torch.from_numpy(blobs(30)[0])
    space = FeatureSpace(5)
    space.fit(x)
    assert np.allclose(space.train_features, space(x).numpy(), atol=1e-5)


def test_fewer_images_than_components_have_fewer_components():
    space = FeatureSpace(64)
    space.fit(torch.from_numpy(blobs(10)[0]))
    assert space(torch.rand(2, 1, SIZE, SIZE)).shape == (2, 10)


def test_components_of_many_images_are_fitted_on_some_of_them(monkeypatch):
    monkeypatch.setattr("medfit.tasks.features.MOST_FITTED", 20)
    x = torch.from_numpy(blobs(50)[0])
    space = FeatureSpace(5)
    space.fit(x)
    assert torch.allclose(space.mean, x[::3].flatten(1).mean(dim=0), atol=1e-6)
    assert len(space.train_features) == 50


def test_checkpoint_holds_the_components_but_no_image_of_a_patient():
    state = make().features.state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        "mean": (SIZE * SIZE,),
        "components": (8, SIZE * SIZE),
    }


def test_task_without_data_takes_a_checkpoint():
    task, other = make(conditional=True), make(conditional=True, train_arrays=None)
    other.load_state_dict(task.state_dict())
    x = torch.rand(3, 1, SIZE, SIZE)
    assert torch.equal(other.features(x), task.features(x))
    assert torch.equal(other.sample(70), task.sample(70))


def test_task_without_data_scores_all_but_what_takes_them():
    task, other = make(conditional=True), make(conditional=True, train_arrays=None)
    other.load_state_dict(task.state_dict())
    scores = other.scores(*outputs_of(other, [real()]))
    assert np.isnan(scores.pop("memorisation"))
    expected = task.scores(*outputs_of(task, [real()]))
    assert scores == {name: pytest.approx(expected[name]) for name in ("frechet", "mmd", "diversity")}


@pytest.fixture
def network(tmp_path):
    """A file of a network that gives the mean of each row."""

    class Rows(nn.Module):
        def forward(self, x):
            return x.mean(dim=3)

    path = tmp_path / "rows.pt2"
    batch = {0: torch.export.Dim("batch")}
    torch.export.save(torch.export.export(Rows(), (torch.rand(4, 1, SIZE, SIZE),), dynamic_shapes=(batch,)), path)
    return str(path)


def test_components_of_a_network_are_of_its_features(network):
    task = make(feature_network=network)
    assert task.features.mean.shape == (SIZE,)
    assert torch.allclose(task.features.mean, torch.from_numpy(blobs(60)[0]).mean(dim=(0, 1, 3)), atol=1e-5)


def test_network_of_features_is_not_kept_with_the_weights(network):
    assert make(feature_network=network).state_dict().keys() == make().state_dict().keys()


def test_network_of_features_is_not_needed_to_sample(network):
    task = make(feature_network=network)
    other = make(feature_network="gone.pt2", train_arrays=None)
    other.load_state_dict(task.state_dict())
    assert torch.equal(other.sample(2), task.sample(2))


def test_file_that_holds_no_network_is_refused(tmp_path):
    path = tmp_path / "wrong.pt2"
    path.write_text("nothing")
    with pytest.raises(UserError, match=r"task\.feature_network: '.*wrong\.pt2' is no network"):
        make(feature_network=str(path))


def test_network_for_other_images_is_refused(network):
    with pytest.raises(UserError, match=r"task\.feature_network: it does not take images of \(60, 1, 32, 32\)"):
        make(feature_network=network, x=torch.rand(60, 1, 32, 32), input_shape=(1, 32, 32))


# What is refused


def refused(cfg, match):
    with pytest.raises(UserError, match=match) as refusal:
        prepare(cfg)
    assert "\n" not in str(refusal.value)


def test_images_that_are_not_square_are_refused(compose):
    refused(cfg_of(compose, shape=[28, 32]), "model: gan takes square images, not 28 x 32 pixels")


def test_images_of_a_wrong_size_are_refused(compose):
    refused(cfg_of(compose, shape=[20, 20]), "model: gan takes images of 28 to 128 pixels, not 20 x 20")


def test_images_that_are_not_within_0_and_1_are_refused(compose):
    refused(cfg_of(compose, scale=300.0), r"preprocessing: generated images lie in \[0, 1\], these in \[.*, 300\]")


def test_model_that_is_no_pair_of_players_is_refused(compose):
    refused(compose("dataset=breast_cancer", "model=mlp", "task=adversarial"), "model: MLP has no generator")


def test_table_is_refused(compose):
    refused(compose("dataset=breast_cancer", "model=gan"), r"model: gan takes flat images .* not \(30,\)")


def test_regime_for_a_single_model_is_refused(compose):
    cfg = compose("dataset=breast_cancer", "preprocessing=image", "model=gan", "regime=default")
    cfg.dataset = OmegaConf.create({"_target_": f"{__name__}.Blobs"})
    refused(cfg, "regime: task=adversarial trains two networks")


def test_classes_of_data_without_any_are_refused(compose):
    refused(cfg_of(compose, "model.conditional=true", kind="generation"), "model: conditional=true needs images with")


@pytest.mark.parametrize(
    "target", [torch.zeros(60, 0), torch.ones(60, 2), torch.full((60, 1), 0.5)], ids=["none", "labels", "numbers"]
)
def test_targets_without_one_class_each_are_refused(target):
    with pytest.raises(UserError, match=r"model\.conditional=true needs images of one class each"):
        make(target, conditional=True)


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_images_with_targets_that_are_no_classes_can_be_generated_without_them(compose, kind):
    assert "val/frechet" in train(cfg_of(compose, kind=kind))


@pytest.mark.parametrize("override", ["task.loss=wasserstein_gp", "task.r1=1.0"])
def test_gradients_penalty_on_batch_normalisation_is_refused(compose, override):
    refused(cfg_of(compose, "model.discriminator_norm=batch", override), "which batch normalisation mixes")


def test_optimizer_that_refuses_its_values_is_told_as_such():
    with pytest.raises(UserError, match=r"regime\.discriminator_optimizer: Invalid learning rate"):
        make(regime=regime(discriminator_optimizer=partial(torch.optim.SGD, lr=-1.0)))


def test_unknown_monitor_is_refused_with_the_list():
    with pytest.raises(UserError, match=r"'val/fid' is not logged; .*val/frechet"):
        make(monitor="val/fid")


def test_supervised_regime_is_no_adversarial_one():
    single = Regime(optimizer=torch.optim.SGD, scheduler=None, epochs=1, batch_size=None)
    with pytest.raises(UserError, match="take regime=adversarial"):
        make(regime=single)


def test_supervised_model_is_refused_by_its_name():
    with pytest.raises(UserError, match="model: MLP has no generator"):
        make(model=partial(MLP, widths=[3]), input_shape=(4,))


@pytest.mark.mostly_slow
@pytest.mark.parametrize(
    "override",
    [
        "task.loss=wgan",
        "task.r1=-1",
        "task.ema_decay=1",
        "task.num_components=0",
        "task.num_samples=1",
        "task.grid_size=-1",
    ],
)
def test_value_out_of_range_is_refused(compose, override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        cfg_of(compose, override)
