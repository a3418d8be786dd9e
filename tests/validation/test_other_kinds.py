"""Validation elsewhere of models of series, images and masks."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import medfit
from image_packages import MASKS
from small_data import IMAGES, SERIES, other_images, other_series, write_masks

SMALL = {
    "series": (SERIES, ["model=cnn1d", "model.widths=[4]", "model.kernel_sizes=[5]"]),
    "images": (IMAGES, ["model=resnet", "model.depth=10", "model.width=2"]),
}


@pytest.mark.parametrize(("kind", "other"), [("series", other_series), ("images", other_images)])
def test_what_predict_gives_is_what_is_scored(run_of, validated, output_dir, tmp_path, kind, other):
    data, lines = SMALL[kind]
    run = run_of(*data.write(tmp_path), *lines)
    path, truth = other(tmp_path)
    found = validated(run, f"validate.data={path}")
    predicted = medfit.load_model(run.info.run_id, f"output_dir={output_dir}").predict(path)
    (risk,) = (predicted[name] for name in predicted if name.startswith("probability/"))
    scores = found.tables["scores"]
    own = scores[(scores.patients_of == "new patients") & (scores.metric == "auroc")].set_index("model").estimate
    assert own[lines[0].removeprefix("model=")] == pytest.approx(roc_auc_score(truth, risk), abs=1e-6)
    assert {"prevalence", "logistic", "nearest neighbour"} < set(own.index)
    assert not any("who taught the model" in note for note in found.notes)
    again = validated(run, f"validate.data={tmp_path / {'series': 'beats.csv', 'images': 'scans'}[kind]}")
    assert any(note.startswith("60 of 60 new samples are, or nearly are, samples of the") for note in again.notes)


def test_masks_are_scored_as_those_that_are_written(run_of, validated, output_dir, tmp_path):
    run = run_of(*write_masks(tmp_path / "own", 16), *MASKS)
    found = validated(run, *write_masks(tmp_path / "other", 8, seed=1))
    scores = found.tables["scores"]
    (dice,) = scores[
        (scores.patients_of == "new patients") & (scores.metric == "dice") & (scores.model == "unet")
    ].estimate
    out = tmp_path / "out"
    medfit.load_model(run.info.run_id, f"output_dir={output_dir}").predict(tmp_path / "other" / "images", out=out)
    made = []
    for file in sorted((tmp_path / "other" / "masks").glob("*.png")):
        (written,) = out.glob(f"{file.stem}*.png")
        truth, mask = np.asarray(Image.open(file)) == 1, np.asarray(Image.open(written)) == 1
        made.append(2 * (truth & mask).sum() / (truth.sum() + mask.sum()))
    assert dice == pytest.approx(np.mean(made), abs=1e-6)
