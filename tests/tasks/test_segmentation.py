import csv
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from monai import losses
from omegaconf import OmegaConf
from sklearn.metrics import f1_score
from torch import nn

from medfit.config import folders
from medfit.config.compose import compose
from medfit.data.datamodule import DataModule, Prepared
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.data.preprocessing.patches import PatchPreprocessing
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.evidence.segmentation import COUNTS, DISTANCES, OVERLAPS, counts, distances_mm, overlaps
from medfit.models.unet import UNet
from medfit.tasks.regime import Regime
from medfit.tasks.segmentation import SLICES_AT_ONCE, Segmentation
from medfit.train import train
from medfit.training.parts import prepare

pytestmark = [  # Lightning's advice
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]
NAMES = ["background", "organ", "tumour"]
LOSSES = ["dice_cross_entropy", "dice", "cross_entropy", "focal", "tversky"]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Told(nn.Module):
    """Predicts the class whose number the image's first channel holds."""

    def __init__(self, input_shape, output_size):
        super().__init__()
        self.sure = nn.Parameter(torch.tensor(50.0))
        self.output_size = output_size

    def forward(self, x):
        classes = torch.arange(self.output_size, device=x.device).view(1, -1, *[1] * (x.ndim - 2))
        return self.sure * (x[:, :1].round() == classes)


class Conv(nn.Module):
    """Looks at a pixel and, if it is as wide, at its neighbours."""

    def __init__(self, input_shape, output_size, kernel_size=1):
        super().__init__()
        kind = nn.Conv2d if len(input_shape) == 3 else nn.Conv3d
        self.layer = kind(input_shape[0], output_size, kernel_size, padding=kernel_size // 2)

    def forward(self, x):
        return self.layer(x)


def make(model=Told, shape=(1, 8, 8), names=NAMES, **options):
    regime = Regime(optimizer=partial(torch.optim.Adam, lr=0.02), scheduler=None, epochs=1, batch_size=8)
    given = {"monitor": "val/dice", "mode": "max", "metrics": [*OVERLAPS, *DISTANCES]}
    return Segmentation(
        model=model, regime=regime, input_shape=shape, target_names=names, train_arrays=None, **(given | options)
    )


def masks(num, size=(12, 14), seed=0):
    """Class numbers in patches three pixels wide."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(num):
        mask = rng.choice(3, [-(-n // 3) for n in size], p=[0.6, 0.3, 0.1]).astype(np.uint8)
        for axis in range(len(size)):
            mask = mask.repeat(3, axis=axis)
        mask = mask[tuple(slice(n) for n in size)]
        mask.flat[:2] = 1, 2
        made.append(mask)
    return made


def predicted(preds, target, patients=None, spacing=None, task=None):
    """What ``Told`` gives for predictions that are to be made."""
    task = task or make(shape=(1, *[8] * preds[0].ndim))
    spacing = spacing or (1.0,) * preds[0].ndim
    patients = range(len(preds)) if patients is None else patients
    batches = [
        (torch.from_numpy(p)[None, None].float(), torch.from_numpy(t)[None].long(), [patient], [spacing])
        for p, t, patient in zip(preds, target, patients, strict=True)
    ]
    with torch.no_grad():
        return task, task.join([task.predict_step(batch, 0) for batch in batches])[0]


# Scores


def test_a_perfect_predictor_has_a_dice_of_one_and_no_distance():
    task, cases = predicted(masks(3), masks(3))
    scores = task.scores(cases)
    assert {scores[name] for name in OVERLAPS} == {1} and {scores[name] for name in DISTANCES} == {0}


@pytest.mark.parametrize("size", [(12, 14), (7, 8, 9)])
def test_dice_of_images_is_the_mean_of_scikit_learns(size):
    preds, target = masks(4, size, 1), masks(4, size)
    task, cases = predicted(preds, target)
    each = [f1_score(t.ravel(), p.ravel(), average=None)[1:] for p, t in zip(preds, target, strict=True)]
    organ, tumour = np.mean(each, axis=0)
    scores = task.scores(cases)
    assert scores["dice/organ"] == pytest.approx(organ) and scores["dice/tumour"] == pytest.approx(tumour)
    assert scores["dice"] == pytest.approx((organ + tumour) / 2)


def test_images_of_a_patient_are_counted_together():
    preds, target, patients = masks(5, seed=1), masks(5), [7, 3, 7, 7, 3]
    task, cases = predicted(preds, target, patients)
    each = []
    for patient in (3, 7):
        own = [number for number, p in enumerate(patients) if p == patient]
        both = (np.concatenate([part[number].ravel() for number in own]) for part in (target, preds))
        each.append(f1_score(*both, average=None)[1:])
    assert task.scores(cases)["dice"] == pytest.approx(np.mean(each))


def test_slices_of_a_volume_score_as_the_volume():
    preds, target = masks(1, (6, 12, 9), 1), masks(1, (6, 12, 9))
    task, whole = predicted(preds, target)
    flat, slices = predicted(list(preds[0]), list(target[0]), [0] * 6)
    assert {n: task.scores(whole)[n] for n in OVERLAPS} == pytest.approx({n: flat.scores(slices)[n] for n in OVERLAPS})


def test_each_patient_counts_alike_however_many_images_it_has():
    zero, one = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    task, cases = predicted([one] * 9 + [zero], [one] * 10, [0] * 9 + [1], task=make(names=NAMES[:2]))
    assert task.scores(cases)["dice"] == pytest.approx(0.5)


def test_distances_of_a_patients_images_are_averaged():
    preds, target, spacing = masks(3, seed=1), masks(3), (0.5, 2.0)
    task, cases = predicted(preds, target, [0, 0, 1], spacing)
    each = [distances_mm(p, t, 3, spacing) for p, t in zip(preds, target, strict=True)]
    expected = np.mean([(each[0] + each[1]) / 2, each[2]], axis=0).mean(axis=1)
    assert [task.scores(cases)[name] for name in DISTANCES] == pytest.approx(expected.tolist())


def test_distances_are_in_mm():
    preds, target = masks(2, (7, 8, 9), 1), masks(2, (7, 8, 9))
    found = [predicted(preds, target, spacing=spacing) for spacing in ((1.0, 1.0, 1.0), (2.5, 2.5, 2.5))]
    one, other = (task.scores(cases)["hausdorff95_mm"] for task, cases in found)
    assert other == pytest.approx(2.5 * one) and one > 0


def test_a_class_that_a_patient_neither_has_nor_is_given_counts_in_no_mean():
    both, organ = masks(1)[0], masks(1)[0].clip(max=1)
    task, cases = predicted([both, organ], [both, organ])
    assert task.scores(cases)["dice/tumour"] == 1 and task.scores(cases)["dice"] == 1


def test_a_class_that_nobody_has_is_left_out_of_the_mean_over_classes():
    organ = masks(1)[0].clip(max=1)
    task, cases = predicted([organ], [organ])
    scores = task.scores(cases)
    assert np.isnan(scores["dice/tumour"]) and np.isnan(scores["hausdorff95_mm/tumour"])
    assert scores["dice"] == 1 and scores["hausdorff95_mm"] == 0


def test_a_single_class_has_no_score_of_its_own():
    organ = masks(2)[0].clip(max=1)
    task, cases = predicted([organ], [organ], task=make(names=NAMES[:2]))
    assert list(task.scores(cases)) == [*OVERLAPS, *DISTANCES]


def test_only_metrics_that_were_asked_for_are_scored_and_measured():
    task, cases = predicted(masks(2), masks(2), task=make(metrics=["dice"]))
    assert list(task.scores(cases)) == ["dice", "dice/organ", "dice/tumour"]
    assert all(case.distances_mm is None for case in cases)


def test_what_is_said_to_be_logged_is_scored_in_validation():
    task = make()
    batches = predicted(masks(2, seed=1), masks(2))[1]
    scores = task.scores([case._replace(distances_mm=None) for case in batches])
    assert set(task.logged()) == {"val/loss", *(f"val/{name}" for name in scores)}


# Tables and figures


def test_the_table_has_a_row_each_image_in_their_order():
    preds, target = masks(5, seed=1), masks(5)
    task, cases = predicted(preds, target, [2, 0, 2, 1, 0])
    table = task.table(cases)
    columns = [*OVERLAPS, *DISTANCES, *COUNTS]
    assert list(table) == [f"{column}/{name}" for column in columns for name in NAMES[1:]]
    for row, (p, t) in enumerate(zip(preds, target, strict=True)):
        assert table["dice/tumour"][row] == pytest.approx(overlaps(counts(p, t, 3))["dice"][1])
        assert table["true/organ"][row] == (t == 1).sum()
        assert table["hausdorff95_mm/organ"][row] == pytest.approx(distances_mm(p, t, 3, (1.0, 1.0))[0, 0])


def worsened(target, share):
    """A mask from which some rows of everything are lost."""
    made = target.copy()
    made[: round(share * len(made))] = 0
    return made


@pytest.mark.parametrize(
    ("lost", "expected"),
    [([0.5, 0.0, 0.2, 0.7, 0.4], [1, 4, 3]), ([0.5, 0.0, 0.2], [1, 2, 0]), ([0.3], [0, 0, 0]), ([0.1, 0.6], [0, 1, 1])],
)
def test_figures_show_the_best_the_median_and_the_worst_patient(lost, expected, monkeypatch):
    shown = []
    monkeypatch.setattr("medfit.tasks.segmentation.overlay", lambda image, names, title: shown.append((image, title)))
    target = [masks(1, (20, 20))[0]] * len(lost)
    preds = [worsened(t, share) for t, share in zip(target, lost, strict=True)]
    task, cases = predicted(preds, target)
    assert list(task.figures(cases)) == ["overlay_best", "overlay_median", "overlay_worst"]
    for (image, title), number, name in zip(shown, expected, ["best", "median", "worst"], strict=True):
        np.testing.assert_array_equal(image.preds, preds[number])
        dice = np.nanmean(overlaps(counts(preds[number], target[number], 3))["dice"])
        assert title == f"{name} patient, Dice {dice:.3f}"


def test_a_patients_figure_is_its_image_with_most_to_see(monkeypatch):
    shown = []
    monkeypatch.setattr("medfit.tasks.segmentation.overlay", lambda image, names, title: shown.append(image))
    target = [worsened(masks(1)[0], share) for share in (1.0, 0.2, 0.6)]
    task, cases = predicted(target, target, [0, 0, 0])
    task.figures(cases)
    assert all(np.array_equal(image.target, target[1]) for image in shown)


def test_figures_can_be_drawn():
    task, cases = predicted(masks(3, (6, 7, 8), 1), masks(3, (6, 7, 8)), spacing=(3.0, 1.0, 1.0))
    for figure in task.figures(cases).values():
        figure.canvas.draw()


def test_without_any_foreground_there_are_no_figures():
    empty = [np.zeros((8, 8), np.uint8)] * 2
    task, cases = predicted(empty, empty)
    assert task.figures(cases) == {} and np.isnan(task.scores(cases)["dice"])


# Losses


def example(size=(8, 8)):
    output, target = torch.randn(2, 3, *size), torch.randint(3, (2, *size))
    return output, target, output.softmax(dim=1), nn.functional.one_hot(target, 3).movedim(-1, 1).float()


def over_pixels(x):
    """Sums over a batch's pixels, by class."""
    return x.sum(dim=(0, 2, 3))


def by_hand(name):
    output, target, p, t = example()
    dice = (1 - (2 * over_pixels(p * t) + 1e-5) / (over_pixels(p + t) + 1e-5)).mean()
    cross_entropy = -(p.log() * t).sum(dim=1).mean()
    found, extra, missed = over_pixels(p * t), over_pixels(p * (1 - t)), over_pixels((1 - p) * t)
    losses = {
        "dice": dice,
        "cross_entropy": cross_entropy,
        "dice_cross_entropy": dice + cross_entropy,
        "focal": -((1 - p) ** 2 * p.log() * t).mean(),
        "tversky": (1 - (found + 1e-5) / (found + 0.3 * extra + 0.7 * missed + 1e-5)).mean(),
    }
    return output, target, losses[name]


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_the_formula(name):
    output, target, expected = by_hand(name)
    assert float(make(loss=name).loss(output, target)) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [(8, 8), (4, 6, 8)])
def test_loss_of_a_perfect_output_is_nought(name, size):
    _, target, _, t = example(size)
    assert float(make(loss=name).loss(100 * t, target)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_without_foreground_is_finite_and_has_a_gradient(name):
    output = torch.randn(2, 3, 8, 8, requires_grad=True)
    loss = make(loss=name).loss(output, torch.zeros(2, 8, 8, dtype=torch.int64))
    loss.backward()
    assert loss.isfinite() and output.grad.isfinite().all() and output.grad.abs().sum() > 0


def test_focal_without_focus_is_cross_entropy_over_the_classes():
    output, target, expected = by_hand("cross_entropy")
    assert float(make(loss="focal", focus=0.0).loss(output, target)) == pytest.approx(float(expected) / 3, rel=1e-5)


def test_focus_and_weight_reach_monai():
    output, target, _, _ = example()
    focal = losses.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=3.5)(output, target[:, None])
    tversky = losses.TverskyLoss(softmax=True, to_onehot_y=True, batch=True, alpha=0.1, beta=0.9)(
        output, target[:, None]
    )
    assert torch.equal(make(loss="focal", focus=3.5).loss(output, target), focal)
    assert torch.allclose(make(loss="tversky", false_negative_weight=0.9).loss(output, target), tversky)


def test_predictions_are_probabilities():
    torch.testing.assert_close(make().predict(torch.randn(2, 3, 8, 8)).sum(dim=1), torch.ones(2, 8, 8))


# Inference


@pytest.mark.parametrize("size", [(8, 8), (20, 13), (5, 30), (3, 2), (8, 9)])
def test_windows_of_any_place_give_a_pixels_output_of_the_image(size):
    task, x = make(Conv), torch.randn(2, 1, *size)
    torch.testing.assert_close(task.infer(x), task.model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8, 8), (4, 20, 9), (3, 3, 3)])
def test_windows_of_any_place_give_a_voxels_output_of_the_volume(size):
    task, x = make(Conv, shape=(1, 8, 8, 8)), torch.randn(1, 1, *size)
    torch.testing.assert_close(task.infer(x), task.model(x), rtol=1e-4, atol=1e-5)


def test_an_image_as_large_as_the_window_is_seen_at_once():
    task, x = make(partial(Conv, kernel_size=5)), torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(task.infer(x), task.model(x), rtol=1e-4, atol=1e-5)


def test_a_smaller_image_is_padded_as_in_training():
    task, x = make(partial(Conv, kernel_size=5)), torch.randn(1, 1, 5, 6)
    padded = nn.functional.pad(x, (1, 1, 1, 2))
    torch.testing.assert_close(task.infer(x), task.model(padded)[..., 1:6, 1:7], rtol=1e-4, atol=1e-5)


def test_the_middle_of_a_window_weighs_more_than_its_edge():
    class Edge(Told):
        """Tells which pixels lie at the edge of what it sees."""

        def forward(self, x):
            edge = torch.ones_like(x)
            edge[..., 1:-1, 1:-1] = 0
            return self.sure / 50 * edge.expand(-1, self.output_size, -1, -1)

    output = make(Edge, overlap=0.5).infer(torch.zeros(1, 1, 8, 12))
    assert 0 < output[0, 0, 4, 4] < 0.2  # the middle of one window and the edge of another


@pytest.mark.parametrize("slices", [1, 5, SLICES_AT_ONCE + 3])
@pytest.mark.parametrize("size", [(8, 8), (5, 6), (8, 11)])
def test_a_2d_network_takes_a_volume_slice_by_slice(slices, size):
    task = make(partial(Conv, kernel_size=3), shape=(2, 8, 8))
    x = torch.randn(1, 2, slices, *size)
    expected = torch.stack([task.infer(x[:, :, number])[0] for number in range(slices)], dim=1)[None]
    torch.testing.assert_close(task.infer(x), expected, rtol=1e-4, atol=1e-5)


def test_the_loss_of_an_image_is_that_of_its_whole_output():
    task = make(Conv)
    x, y = torch.randn(1, 1, 20, 13), torch.randint(3, (1, 20, 13))
    with torch.no_grad():
        (case,) = task.predict_step((x, y, [0], [(1.0, 1.0)]), 0)
        assert case.loss == pytest.approx(float(task.loss(task.model(x), y)), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_images_of_any_precision_are_scored(dtype):
    task = make().to(dtype)
    x, y = torch.from_numpy(masks(1)[0])[None, None].to(dtype), torch.from_numpy(masks(1)[0])[None].long()
    with torch.no_grad():
        cases = task.predict_step((x, y, [0], [(1.0, 1.0)]), 0)
    assert task.scores(cases)["dice"] == 1 and task.figures(cases)


# Images that are resampled


def rings(spacing, num=3):
    """Images of thin rings that show their own masks, and what is scored of them after resampling."""
    places = np.stack(np.meshgrid(np.arange(48), np.arange(48), indexing="ij"))
    made = []
    for number in range(num):
        radius = np.hypot(*(places - np.array([22 + number, 25]).reshape(2, 1, 1)))
        mask = ((radius > 10) & (radius < 14)).astype(np.uint8) + 2 * (radius < 6).astype(np.uint8)
        made.append(Image(mask[None].astype(np.float32), mask, (1.0, 1.0)))
    data = Images(
        name="rings", names=list("abc"), readers=[partial(lambda image: image, image) for image in made],
        channels=["c"], task="segmentation", target_names=NAMES,
    )  # fmt: skip
    steps = PatchPreprocessing(data, spacing_mm=[spacing, spacing], scaling="none")
    return steps.prepared(steps.fit([0]))


def scored_rings(spacing, **options):
    """Scores of a network that gives each resampled image its resampled mask."""
    patches, task = rings(spacing), make(shape=(1, 48, 48), **options)
    batches = []
    for row in range(3):
        _, y, patients, spacings = patches.evaluation([row]).batch(torch.tensor([0]))
        seen = patches.image_and_mask(row)[1]
        batches.append((seen[None, None].float(), y, patients, spacings))
    with torch.no_grad():
        return task, task.join([task.predict_step(batch, 0) for batch in batches])[0]


def test_a_network_that_is_perfect_on_coarse_masks_is_not_called_perfect():
    task, cases = scored_rings(4.0)
    scores = task.scores(cases)
    assert scores["dice"] < 0.9 and scores["hausdorff95_mm"] > 0.9
    native = rings(1.0)
    true = [np.bincount(native.image_and_mask(row)[1].flatten(), minlength=3)[1:] for row in range(3)]
    np.testing.assert_array_equal([case.counts[2] for case in cases], true)
    assert set(task.figures(cases)) == {"overlay_best", "overlay_median", "overlay_worst"}


def test_coarser_images_are_not_rewarded():
    dice = [scored_rings(spacing)[0].scores(scored_rings(spacing)[1])["dice"] for spacing in (1.0, 2.0, 4.0, 6.0)]
    assert dice[0] == 1 and dice == sorted(dice, reverse=True) and len({*dice}) == 4


def test_the_quick_scores_of_an_epoch_are_those_of_the_end():
    task, cases = scored_rings(4.0)
    found, scores = task.epoch_scores(cases), task.scores(cases)
    assert {name: found[name] for name in OVERLAPS} == {name: scores[name] for name in OVERLAPS}


def test_the_loss_of_resampled_masks_has_a_name_of_its_own():
    task, cases = scored_rings(4.0)
    assert "loss_resampled" in task.epoch_scores(cases) and "loss" not in task.epoch_scores(cases)
    task, cases = scored_rings(1.0)
    assert "loss" in task.epoch_scores(cases) and "loss_resampled" not in task.epoch_scores(cases)


def test_the_loss_of_resampled_masks_steers_no_training():
    task, cases = scored_rings(4.0, monitor="val/loss", mode="min")
    with pytest.raises(UserError, match=r"task\.monitor=val/loss: with preprocessing\.spacing_mm .* monitor val/dice"):
        task.epoch_scores(cases)
    task, cases = scored_rings(1.0, monitor="val/loss", mode="min")
    assert task.epoch_scores(cases)["loss"] < 1e-3


# What is refused


@pytest.mark.parametrize("monitor", ["val/hausdorff95_mm", "val/surface_distance_mm/organ"])
def test_a_distance_as_monitor_is_refused(monitor):
    with pytest.raises(UserError, match=r"task\.monitor: \w+_mm takes long, so it is measured once, after training"):
        make(monitor=monitor)


def test_a_classs_own_dice_can_be_the_monitor():
    assert make(monitor="val/dice/tumour").monitor == "val/dice/tumour"


def test_unknown_metric_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"task\.metrics: there is no 'dise'; did you mean 'dice'\?"):
        make(metrics=["dise"])


def test_a_model_that_gives_no_class_for_each_pixel_is_refused():
    with pytest.raises(UserError, match=r"model: it puts out \(3, 4, 4\) .* this task needs \(3, 8, 8\)"):
        make(lambda shape, size: nn.Conv2d(1, size, 2, stride=2))


@pytest.mark.mostly_slow
@pytest.mark.parametrize("wrong", ["loss=hinge", "overlap=1", "focus=-1", "false_negative_weight=1"])
def test_a_value_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=r"task\."):
        compose(["dataset=mni_tissue", f"task.{wrong}"])


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("model=mlp", r"^model: mlp takes records of shape \(features,\), not \(1, 64, 64\)$"),
        ("model=cnn1d", r"^model: cnn1d takes series of shape \(channels, length\), not \(1, 64, 64\)$"),
        ("model=resnet", r"^model: it puts out \(3,\) for each sample, but this task needs \(3, 64, 64\)$"),
        ("preprocessing=image", r"^preprocessing=image: .* holds images with masks, which take preprocessing=patches$"),
        ("model=gan", r"^task=adversarial learns .* targets, but the data set's are segmentation$"),
        ("task=binary", r"^task=binary learns binary targets, but the data set's are segmentation$"),
        ("preprocessing.patch_size=[30,32]", r"^model: unet halves its input 3 times.*not 30 x 32$"),
    ],
)
def test_what_does_not_fit_images_with_masks_is_refused_in_one_line(choice, told):
    with pytest.raises(UserError, match=told):
        prepare(compose(["dataset=mni_tissue", "dataset.resolution_mm=4", choice]))


@pytest.mark.parametrize("model", ["unet", "attention_unet", "dyn_unet", "resnet"])
def test_networks_for_images_refuse_a_table(model):
    with pytest.raises(UserError, match=rf"^model: {model} takes images of shape \(channels, \*size\), not \(30,\)$"):
        prepare(compose(["dataset=breast_cancer", f"model={model}"]))


# Learning


def discs(num, size, seed=0):
    """Noisy images of a bright disc or ball each."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(num):
        centre = [rng.uniform(0.3 * n, 0.7 * n) for n in size]
        squares = sum((g - c) ** 2 for g, c in zip(np.ogrid[tuple(slice(n) for n in size)], centre, strict=True))
        mask = (squares < rng.uniform(0.2, 0.3) ** 2 * min(size) ** 2).astype(np.uint8)
        made.append(Image((mask + rng.normal(0, 0.3, size))[None].astype(np.float32), mask, (1.0,) * len(size)))
    return made


def in_memory(images, groups=None, names="{}.nii"):
    return Images(
        name="discs",
        names=[names.format(number) for number in range(len(images))],
        readers=[partial(lambda image: image, image) for image in images],
        channels=["c0"],
        task="segmentation",
        target_names=["background", "disc"],
        groups=groups,
    )


def learnt(images, epochs, **options):
    """The validation scores of a tiny U-Net after a real training."""
    data = DataModule(Prepared(in_memory(images), partial(PatchPreprocessing, **options), Split()), 4, 0)
    task = make(partial(UNet, widths=[4, 8, 16], num_residual_units=1), data.input_shape, ["background", "disc"])
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task, data)
    return task.scores(*task.join(trainer.predict(task, data.batches("val"))))


def test_a_u_net_learns_discs():
    assert learnt(discs(20, (24, 28)), 15)["dice"] > 0.75


def test_a_u_net_learns_balls():
    assert learnt(discs(10, (16, 16, 12)), 18, patches_per_image=2)["dice"] > 0.75


def test_a_u_net_learns_balls_from_axial_slices():
    assert learnt(discs(10, (16, 16, 12)), 4, slices="axial")["dice"] > 0.75


@pytest.mark.slow
def test_a_u_net_learns_discs_from_patches():
    assert learnt(discs(20, (40, 40)), 15, patch_size=[16, 16], patches_per_image=4)["dice"] > 0.75


# From the config

SMALL = ["dataset=mni_tissue", "dataset.resolution_mm=4", "model.widths=[4,8]", "regime=smoke"]


def test_the_same_seed_gives_the_same_scores(compose):
    chosen = [*SMALL, "preprocessing.patch_size=[32,32]", "preprocessing/augmentation=strong", "model.dropout=0.2"]
    assert train(compose(*chosen)) == train(compose(*chosen))


@pytest.mark.mostly_slow
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_precision_is_a_config_value(compose, precision):
    cfg = compose(*SMALL, f"regime.precision={precision}", "regime.epochs=1", "preprocessing/augmentation=strong", "tracking.plots=true")  # fmt: skip
    assert np.isfinite(train(cfg)["val/dice"])


@pytest.mark.mostly_slow
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_is_a_config_value(loss):
    cfg = compose(["dataset=mni_tissue", "dataset.resolution_mm=4", f"task.loss={loss}"])
    output, target, _, _ = example()
    assert torch.equal(prepare(cfg).task.loss(output, target), make(loss=loss).loss(output, target))


def test_the_config_names_all_metrics_and_the_codes_defaults():
    cfg = OmegaConf.load(folders.CONF / "task" / "segmentation.yaml")
    assert cfg.metrics == [*OVERLAPS, *DISTANCES]
    assert (cfg.loss, cfg.false_negative_weight, cfg.focus, cfg.overlap) == ("dice_cross_entropy", 0.7, 2.0, 0.25)


def artifacts(client, folder):
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return run, Path(client.download_artifacts(run.info.run_id, "", str(folder)))


def test_overlays_and_scores_of_each_slice_are_artifacts(compose, client, tmp_path):
    scores = train(compose(*SMALL, "tracking.plots=true"))
    run, folder = artifacts(client, tmp_path)
    names = {path.name for path in (folder / "plots").iterdir()}
    assert names == {"val_overlay_best.png", "val_overlay_median.png", "val_overlay_worst.png", "learning_curves.png"}
    with (folder / "predictions" / "val.csv").open() as file:
        rows = list(csv.DictReader(file))
    data = prepare(compose(*SMALL)).datamodule
    assert len(rows) == len(data.groups("val"))
    assert len({row["patient"] for row in rows}) == len(set(data.groups("val").tolist()))
    assert {"dice/grey matter", "hausdorff95_mm/white matter"} <= set(rows[0])
    assert run.data.metrics["val/hausdorff95_mm"] == pytest.approx(scores["val/hausdorff95_mm"])


def test_distances_are_measured_after_training_alone(compose, client, tmp_path):
    train(compose(*SMALL))
    run, _ = artifacts(client, tmp_path)
    assert len(client.get_metric_history(run.info.run_id, "val/dice")) == 3  # two epochs and the best weights'
    assert len(client.get_metric_history(run.info.run_id, "val/hausdorff95_mm")) == 1


@pytest.mark.slow
def test_nothing_of_a_patient_reaches_the_tracker(compose, client, tmp_path, monkeypatch, capsys):
    secret = " ".join(["Ottoline", "Quirk"])  # in pieces, as this file may be in the code's diff
    groups = np.array([f"{secret} {number // 2}" for number in range(20)])
    data = in_memory(discs(20, (16, 16)), groups, f"{secret} {{}}.nii")
    monkeypatch.setattr("medfit.training.parts.load_dataset", lambda cfg: data)
    train(compose(*SMALL, "tracking.plots=true"))
    run, folder = artifacts(client, tmp_path)
    files = "".join(p.read_bytes().decode(errors="replace") for p in folder.rglob("*") if p.is_file())
    logged = str(run.to_dictionary()) + capsys.readouterr().out + files
    assert "val/dice" in logged and secret not in logged
