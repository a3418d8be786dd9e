import numpy as np
import pandas as pd
import pytest

from fake_images import write_nifti
from image_packages import MASKS
from medfit.deployment.ensemble import Ensemble
from medfit.deployment.packing import packed
from medfit.deployment.scored_masks import scored
from medfit.training.parts import prepare
from medfit.training.trainer import make_trainer, predictions

AFFINES = [np.diag([1, 1.2, 1.5, 1.0]), np.array([[0, -1.2, 0, 4], [0, 0, 1.5, 5], [1.0, 0, 0, 6], [0, 0, 0, 1]])]


def volumes(folder):
    """Two volumes of each patient, of other axes, sizes and spacings."""
    rng = np.random.default_rng(0)
    for number in range(16):
        mask = rng.integers(0, 2, (9, 12, 7 + number % 2)).astype(np.uint8)
        name, affine = f"p{number // 2}_{number % 2}.nii.gz", AFFINES[number % 2]
        write_nifti(folder / "images" / name, (mask + rng.normal(0, 1, mask.shape)).astype(np.float32), affine)
        write_nifti(folder / "masks" / name, mask, affine)
    return [f"dataset.images={folder / 'images'}", f"dataset.masks={folder / 'masks'}", "dataset.patient='(p.)_'"]


@pytest.mark.parametrize("sliced", [["preprocessing.slices=coronal"], ["preprocessing.patch_size=[8,8,8]"]])
def test_images_are_counted_and_measured_as_an_evaluation_does(compose, tmp_path, sliced):
    metrics = ["preprocessing.spacing_mm=[2,2,2]", "task.metrics=[dice,hausdorff95_mm,surface_distance_mm]"]
    lines = ["dataset=image_masks", "dataset.classes=[background,liver]", *volumes(tmp_path)]
    cfg = compose(*lines, *MASKS, *metrics, *sliced)
    parts = prepare(cfg)
    outputs = predictions(parts, make_trainer(parts), ("val",))["val"]
    stored, rows = parts.task.table(*outputs), parts.datamodule.rows["val"]
    model = packed(cfg, parts, {}, "run", str)
    for one in (model, Ensemble.of([model, model], model.decisions, "run")):
        found = scored(one, parts.datamodule.dataset, rows)
        pd.testing.assert_frame_equal(model.task.table(found), stored)
        assert [image.patient for image in found] == [image.patient for image in outputs[0]]
        own, known = model.task.scores(found), parts.task.scores(*outputs)
        assert own == known and len(own) == 3
    assert len(rows) > len({image.patient for image in found}) and np.isfinite(list(own.values())).all()
