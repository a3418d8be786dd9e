"""Every precision trains, draws and keeps what it predicts on each kind of data, or is refused in a line."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medfit.errors import UserError
from medfit.train import train

PRECISIONS = ["bf16-true", "bf16-mixed", "64-true"]
SHORT = ["regime.epochs=2", "regime.patience=null", "regime.batch_size=16", "regime.accelerator=cpu"]


def table(folder):
    return ["dataset=breast_cancer"]


def series(folder):
    rng = np.random.default_rng(0)
    target = np.arange(60) % 2
    x = rng.normal(size=(60, 2, 40)) + 3 * target[:, None, None] * np.sin(np.arange(40))
    np.savez(folder / "beats.npz", x=x.astype(np.float32), y=target)
    return ["dataset=series_arrays", f"dataset.path={folder}/beats.npz"]


def images(folder):
    rng = np.random.default_rng(0)
    for name, bright in (("ill", 150), ("well", 60)):
        (folder / "scans" / name).mkdir(parents=True)
        for number in range(30):
            Image.fromarray(rng.normal(bright, 20, (24, 24)).clip(0, 255).astype(np.uint8)).save(
                folder / "scans" / name / f"{number}.png"
            )
    return ["dataset=image_classes", f"dataset.root={folder}/scans", "preprocessing.size=[16,16]"]


@pytest.mark.mostly_slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("data", [table, series, images])
def test_a_precision_trains_draws_and_keeps_what_it_predicts(compose, client, tmp_path, data, precision):
    scores = train(compose(*data(tmp_path), *SHORT, f"regime.precision={precision}", "tracking.plots=true"))
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    kept = pd.read_csv(client.download_artifacts(run.info.run_id, "predictions/val.csv", str(tmp_path)))
    predicted = kept.filter(like="pred").to_numpy()
    assert len(kept) and ((predicted >= 0) & (predicted <= 1)).all() and len(np.unique(predicted)) > 2
    assert np.isfinite(list(scores.values())).all()
    assert {"val_roc.png", "val_confusion.png"} <= {
        artifact.path.split("/")[-1] for artifact in client.list_artifacts(run.info.run_id, "plots")
    }


@pytest.mark.parametrize("precision", ["16-mixed", "16-true"])
def test_a_precision_of_gpus_is_refused_on_a_cpu_before_a_run_begins(compose, client, precision):
    with pytest.raises(UserError, match=f"regime.precision={precision}: needs a GPU; a CPU has .* bf16-mixed"):
        train(compose("regime=smoke", f"regime.precision={precision}", "regime.accelerator=cpu"))
    assert client.search_runs([e.experiment_id for e in client.search_experiments()]) == []


def test_a_precision_has_one_place_in_the_config(compose):
    with pytest.raises(UserError, match=r"regime.trainer.precision: give regime.precision"):
        train(compose("regime=smoke", "+regime.trainer.precision=bf16-true"))
