import numpy as np
import pandas as pd
import pytest
import torch

from fake_images import write_decathlon, write_medmnist
from medfit.evaluation import baselines as module
from medfit.evaluation.baselines import predictions
from medfit.evidence import segmentation as evidence
from medfit.training.parts import prepare


def all_of(parts, splits=("val", "test")):
    return dict(predictions(parts, splits))


def scores(parts, split="test"):
    return {name: parts.task.scores(*outputs[split]) for name, outputs in predictions(parts, [split])}


@pytest.fixture
def volumes(compose, tmp_path):
    """A few volumes with bright boxes, to segment."""
    write_decathlon(tmp_path / "Task")

    def composed(*more):
        chosen = ["dataset=decathlon", f"dataset.root={tmp_path / 'Task'}", "model.widths=[4,8]", *more]
        return prepare(compose(*chosen))

    return composed


@pytest.mark.parametrize(
    ("dataset", "names"),
    [
        ("breast_cancer", ["prevalence", "logistic", "gradient boosting"]),
        ("diabetes", ["mean", "ridge", "gradient boosting"]),
        ("ecg5000", ["prevalence", "logistic", "nearest neighbour"]),
    ],
)
def test_kind_of_the_data_chooses_the_baselines(compose, dataset, names):
    parts = prepare(compose(f"dataset={dataset}"))
    assert list(all_of(parts)) == names


def test_outputs_are_what_the_task_takes(compose):
    parts = prepare(compose("dataset=breast_cancer"))
    for outputs in all_of(parts).values():
        for split, (preds, target) in outputs.items():
            assert torch.equal(target, parts.datamodule.arrays(split)[1])
            assert (preds.shape, preds.dtype) == (target.shape, torch.float32)
            assert len(parts.task.table(preds, target)) == len(parts.datamodule.rows[split])


@pytest.mark.parametrize("dataset", ["breast_cancer", "heart_disease"])
def test_what_looks_at_the_features_beats_the_prevalence(compose, dataset):
    found = scores(prepare(compose(f"dataset={dataset}")))
    assert found["prevalence"]["auroc"] == 0.5
    assert min(found["logistic"]["auroc"], found["gradient boosting"]["auroc"]) > 0.85


@pytest.mark.parametrize("dataset", ["diabetes", "heart_rate"])
def test_what_looks_at_the_features_beats_the_mean(compose, dataset):
    found = scores(prepare(compose(f"dataset={dataset}")))
    assert min(found["ridge"]["r2"], found["gradient boosting"]["r2"]) > found["mean"]["r2"] + 0.04


def test_nearest_neighbour_reaches_the_archives_accuracy(compose):
    found = scores(prepare(compose("dataset=ecg5000")))
    assert found["nearest neighbour"]["accuracy"] == pytest.approx(0.925, abs=0.01)  # UCR archive: error 0.0751


def test_scores_of_other_splits_teach_nothing(compose):
    parts = prepare(compose("dataset=breast_cancer"))
    before = all_of(parts)
    rows = np.concatenate([parts.datamodule.rows[split] for split in ("val", "test")])
    parts.datamodule.data.tensors[1][rows] = 1 - parts.datamodule.data.tensors[1][rows]
    for name, outputs in all_of(parts).items():
        for split, (preds, target) in outputs.items():
            assert torch.equal(preds, before[name][split][0])
            assert torch.equal(target, 1 - before[name][split][1])


def test_masks_of_other_splits_teach_nothing(volumes, monkeypatch):
    parts = volumes()
    before = all_of(parts, ["test"])
    image_and_mask, train = type(parts.datamodule.data).image_and_mask, set(parts.datamodule.rows["train"].tolist())

    def emptied(self, row):
        x, mask = image_and_mask(self, row)
        return (x, mask) if row in train else (x, torch.zeros_like(mask))

    monkeypatch.setattr(type(parts.datamodule.data), "image_and_mask", emptied)
    for name, outputs in all_of(parts, ["test"]).items():
        for old, new in zip(before[name]["test"][0], outputs["test"][0], strict=True):
            np.testing.assert_array_equal(new.counts[1], old.counts[1])  # what was predicted
            assert not new.counts[2].any()


def test_segmentation_has_thresholds_and_the_mean_mask(volumes):
    parts = volumes()
    found = scores(parts)
    assert list(found) == ["Otsu", "mean mask"]
    assert found["Otsu"]["dice"] > 0.95  # boxes of their own brightness
    assert found["mean mask"]["dice"] == 1  # at the same place in each volume


def test_masks_are_scored_as_they_were_read_whatever_the_spacing(volumes):
    fine, coarse = (all_of(volumes(*more), ["test"]) for more in ((), ("preprocessing.spacing_mm=[3,3,3]",)))
    for name in fine:
        for one, other in zip(fine[name]["test"][0], coarse[name]["test"][0], strict=True):
            np.testing.assert_array_equal(one.counts[2], other.counts[2])  # what is true
    assert any((image.counts[0] < image.counts[2]).any() for image in coarse["Otsu"]["test"][0])


@pytest.mark.slow
def test_masks_are_scored_on_the_patients_and_voxels_of_the_network(volumes):
    parts = volumes()
    with torch.no_grad():
        of_network = [case for batch in parts.datamodule.batches("test") for case in parts.task.predict_step(batch, 0)]
    for outputs in all_of(parts, ["test"]).values():
        for own, other in zip(outputs["test"][0], of_network, strict=True):
            assert own.patient == other.patient
            np.testing.assert_array_equal(own.counts[2], other.counts[2])
            assert (own.distances_mm is None) == (other.distances_mm is None)
        assert len(parts.task.table(*outputs["test"])) == len(of_network)
        assert set(parts.task.figures(*outputs["test"])) == {"overlay_best", "overlay_median", "overlay_worst"}


@pytest.mark.slow
def test_distances_are_measured_where_they_are_asked_for(volumes):
    parts = volumes("task.metrics=[dice,hausdorff95_mm]")
    for outputs in all_of(parts, ["val"]).values():
        assert all(case.distances_mm.shape == (2, 2) for case in outputs["val"][0])
    parts = volumes("task.metrics=[dice]")
    assert all(case.distances_mm is None for case in all_of(parts, ["val"])["Otsu"]["val"][0])


@pytest.mark.slow
def test_volumes_that_a_flat_network_takes_by_slices_have_the_same_scores(volumes):
    whole, sliced = scores(volumes()), scores(volumes("preprocessing.slices=axial"))
    for name, values in whole.items():
        assert sliced[name]["dice"] == pytest.approx(values["dice"], abs=1e-6)


def test_more_classes_than_thresholds_can_part_have_the_mean_mask_alone(volumes, monkeypatch, capsys):
    monkeypatch.setattr(module, "MOST_BANDS", 2)
    assert list(all_of(volumes(), ["val"])) == ["mean mask"]
    assert "only the mean mask" in capsys.readouterr().out


def test_large_samples_have_the_trivial_baseline_alone(compose, monkeypatch, capsys):
    parts = prepare(compose("dataset=ecg5000"))
    whole = all_of(parts)["prevalence"]
    monkeypatch.setattr(module, "MOST_FEATURES", 100)
    found = all_of(parts)
    assert "only prevalence; 400 samples of 140 values" in capsys.readouterr().out
    assert list(found) == ["prevalence"]
    assert all(torch.equal(a, b) for s in whole for a, b in zip(found["prevalence"][s], whole[s], strict=True))


def test_images_have_a_linear_baseline_and_the_nearest_neighbour(compose, tmp_path):
    path = write_medmnist(tmp_path / "pneumoniamnist.npz")
    parts = prepare(compose("dataset=pneumonia_mnist", f"dataset.root={path.parent}"))
    assert list(all_of(parts)) == ["prevalence", "logistic", "nearest neighbour"]


@pytest.mark.slow
def test_generator_has_no_baselines(compose):
    assert all_of(prepare(compose("dataset=mni_slices", "model=gan"))) == {}


@pytest.mark.parametrize("targets", ["[a,b]", "[c,d]"])
def test_several_targets_have_all_baselines(compose, tmp_path, targets):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    table = pd.DataFrame(x, columns=["u", "v"]).assign(a=x[:, 0] > 0, b=x[:, 1] > 0.5, c=x[:, 0] * 3, d=x.sum(axis=1))
    others = {"[a,b]": "[c,d]", "[c,d]": "[a,b]"}[targets]
    table.to_csv(tmp_path / "t.csv", index=False)
    chosen = [f"dataset.path={tmp_path / 't.csv'}", f"dataset.target={targets}", f"dataset.exclude={others}"]
    found = all_of(prepare(compose("dataset=table", *chosen)))
    assert list(found)[-1] == "gradient boosting"
    assert all(outputs["test"][0].shape[1] == 2 for outputs in found.values())


def test_counts_of_a_case_are_those_of_its_mask(volumes):
    parts = volumes()
    case = all_of(parts, ["val"])["mean mask"]["val"][0][0]
    overlap = evidence.overlaps(case.counts)["dice"]
    assert overlap == pytest.approx([1, 1])
