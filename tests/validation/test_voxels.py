"""Updating of masks: voxels' probabilities are put right by patients that are not scored."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from image_packages import MASKS
from medfit.evidence import segmentation, updating
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.targets.known import named
from medfit.reporting import validations
from medfit.validation import voxels
from small_data import write_masks

CLASSES = ["background", "liver", "tumour"]


class Images:
    """Images of 24 x 24 voxels: prepared samples, and a model whose probabilities of them are given."""

    def __init__(self, probabilities, masks):
        self.probabilities, self.masks, self.rows = probabilities, masks, np.arange(len(masks))
        self.about = {"target_names": CLASSES[: probabilities.shape[1]]}
        self.data = self.task = self
        self.singles = [self]

    def of(self, single):
        return self

    def evaluation(self, rows):
        masks = torch.from_numpy(self.masks).long()
        return SimpleNamespace(
            in_order=lambda: torch.arange(len(rows)).split(2),
            batch=lambda places: (torch.tensor(rows)[places], masks[torch.tensor(rows)[places]], [], []),
        )

    def shares(self, rows, size):
        assert tuple(size) == (24, 24)
        return torch.from_numpy(self.probabilities)[rows]

    def on(self, device):
        assert device == "auto"

    def placed(self, x):
        return x

    def predicting(self):
        return torch.inference_mode()


def images(number=40, classes=2, add=0.0, times=1.0):
    """Images with masks drawn by true probabilities, and a model whose log probabilities are off by a line."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1.5, (number, classes, 24, 24))
    true = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    masks = (rng.random((number, 1, 24, 24)) > np.cumsum(true, axis=1)).sum(axis=1).clip(max=classes - 1)
    told = np.log(true) * times
    told[:, -1] += add
    told = np.exp(told) / np.exp(told).sum(axis=1, keepdims=True)
    return Images(told.astype(np.float32), masks), true


def scores_of(model, patient):
    """What is stored of the masks before updating."""
    masks = model.probabilities.argmax(axis=1)
    counts = [
        segmentation.counts(a, b, len(model.about["target_names"])) for a, b in zip(masks, model.masks, strict=True)
    ]
    names = model.about["target_names"][1:]
    return Predictions(
        named("segmentation"), names, patient, np.array(counts, float), np.full((len(masks), 2, len(names)), np.nan)
    )


def test_each_patient_has_as_many_voxels_whatever_the_images(monkeypatch):
    model, _ = images(9)
    patient = np.array(["a"] * 5 + ["b"] * 3 + ["c"])
    found = voxels.drawn(model, model, patient, 0)
    assert {name: int((found.patient == name).sum()) for name in "abc"} == dict.fromkeys("abc", 2000)
    assert found.names == ["liver"] and found.kind == named("binary") and set(found.target[:, 0]) == {0.0, 1.0}
    again, other = voxels.drawn(model, model, patient, 0), voxels.drawn(model, model, patient, 1)
    assert np.array_equal(again.preds, found.preds) and not np.array_equal(other.preds, found.preds)
    monkeypatch.setattr(voxels, "MOST_IN_ALL", 9)
    assert [(voxels.drawn(model, model, patient, 0).patient == name).sum() for name in "abc"] == [3, 3, 3]
    three = voxels.drawn(images(4, 3)[0], images(4, 3)[0], patient[4:8], 0)
    assert three.names == CLASSES and three.kind == named("multiclass") and (three.target.sum(axis=1) == 1).all()
    assert three.preds.sum(axis=1) == pytest.approx(np.ones(len(three)))


def test_a_voxels_target_is_its_own():
    model, _ = images(6)
    model.probabilities[:, 1] = 0.05 + 0.9 * model.masks
    found = voxels.drawn(model, model, np.arange(6), 0)
    assert found.preds == pytest.approx(0.05 + 0.9 * found.target, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_updating_puts_right_what_is_off_and_scores_others_alone(classes, monkeypatch):
    monkeypatch.setattr(voxels, "MOST_OF_A_PATIENT", 500)
    model, true = images(40, classes, add=2.0, times=0.5)
    patient = np.repeat([f"p{number:02}" for number in range(20)], 2)
    made = scores_of(model, patient)
    parts = updating.divided(made, 0.3, 0)
    tables, (told,) = voxels.updated(model, model, made, parts, Settings("youden", 0.9, 1, None, 0.9, 200), 0)
    assert told == "masks are updated by the probabilities of voxels, 500 of each patient drawn at random"
    table, ways = (
        tables["updating"],
        ["intercept", "intercept and slope"] if classes == 2 else ["temperature", "vector"],
    )
    assert list(dict.fromkeys(table.recalibration)) == ["none", *ways]
    assert set(table.patients) == {14} and set(table[table.recalibration != "none"].learnt_from) == {6}
    cell = table[table.column == CLASSES[classes - 1]].set_index(["recalibration", "measure"])
    if classes == 2:
        (line,) = tables["updates"][tables["updates"].recalibration == ways[1]].to_dict("records")
        assert (line["intercept"], line["slope"]) == (pytest.approx(-4, abs=0.4), pytest.approx(2, abs=0.2))
    assert cell.estimate[ways[1], "calibration_error"] < 0.04 < cell.estimate["none", "calibration_error"]
    scored = ~np.isin(patient, parts.learnt_from.patient)
    right = true[scored].argmax(axis=1)
    counts = np.array([segmentation.counts(a, b, classes) for a, b in zip(right, model.masks[scored], strict=True)])
    dice = segmentation.overlaps(counts.reshape(14, 2, 3, -1).sum(axis=1))["dice"].mean(axis=0)
    found = cell.loc[(ways[1], "dice"), :]
    assert found.estimate == pytest.approx(dice[-1], abs=0.02) and found.low < found.estimate < found.high
    own = segmentation.overlaps(made.target[scored].reshape(14, 2, 3, -1).sum(axis=1))["dice"].mean(axis=0)
    assert cell.estimate["none", "dice"] == pytest.approx(own[-1]) and own[-1] < dice[-1] - 0.02
    (header, *rows) = validations.updating(table)
    assert "dice" in header and len(rows) == 3 * (1 if classes == 2 else 3)
    assert all((row[header.index("dice")] == "–") == (row[0] == "background") for row in rows)


@pytest.mark.parametrize("classes", [2, 3])
def test_voxels_that_are_left_as_they_are_keep_their_class(classes, monkeypatch):
    monkeypatch.setattr(voxels, "AT_ONCE", 100)
    model, _ = images(3, classes)
    kind = named("binary" if classes == 2 else "multiclass")
    lines = [(0.0, 1.0)] * (1 if classes == 2 else 3)
    for shares in model.probabilities:
        assert np.array_equal(voxels.classes_of(shares, kind, lines), shares.argmax(axis=0))
    moved = voxels.classes_of(model.probabilities[0], kind, [*lines[:-1], (1.0, 1.0)])
    odds = np.log(model.probabilities[0])
    assert np.array_equal(moved == classes - 1, odds[-1] + 1 > odds[:-1].max(axis=0))


def test_a_validation_of_masks_tells_of_updating(run_of, validated, tmp_path):
    run = run_of(*write_masks(tmp_path / "own", 16), *MASKS)
    there = write_masks(tmp_path / "other", 12, seed=1)
    found = validated(run, *there, "validate.update_share=0.5")
    table = found.tables["updating"]
    assert {"dice", "calibration_error", "slope", "brier"} <= set(table.measure) and set(table.column) == {"liver"}
    assert set(table.patients) == {6}
    assert "updating was learnt from 6 patients and is scored on the other 6, who taught nothing" in found.notes
    alone = validated(run, *write_masks(tmp_path / "few", 2, seed=2))
    assert "the model was not updated: too few patients" in alone.notes
