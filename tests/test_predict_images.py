import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fake_images import write_flat
from image_packages import IMAGES, MASKS
from medfit.__main__ import main
from medfit.deployment import logged
from medfit.errors import UserError
from medfit.tracking.store import Store
from medfit.train import train
from small_data import write_masks

RNG = np.random.default_rng(0)


def run_id(client):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_logged_models(ids)[0].source_run_id


@pytest.fixture
def scans(tmp_path):
    write_masks(tmp_path / "scans", 16)
    return tmp_path / "scans"


def test_masks_are_predicted_into_a_folder_of_their_own(compose, client, output_dir, scans, tmp_path, capsys):
    lines = ["dataset=image_masks", f"dataset.images={scans / 'images'}", f"dataset.masks={scans / 'masks'}"]
    train(compose(*lines, "dataset.classes=[background,liver]", "regime=smoke", "tracking.models=true", *MASKS))
    run, out, own = run_id(client), tmp_path / "out", f"output_dir={output_dir}"
    stored = pd.read_csv(client.download_artifacts(run, "predictions/val.csv", str(tmp_path)))
    asked = ["predict", run, f"data={scans / 'images'}", own]
    capsys.readouterr()
    assert main([*asked, f"out={out}"]) == 0
    assert "16 rows of predictions in" in (said := capsys.readouterr().out) and "16/16" in said
    table = pd.read_csv(out / "predictions.csv")
    assert sorted(path.name for path in out.glob("*.png")) == sorted(table["mask"])
    counts = [int((np.asarray(Image.open(out / name)) == 1).sum()) for name in table["mask"]]
    assert counts == table["pixels/liver"].tolist() and set(stored["predicted/liver"]) <= set(counts)
    for place, told in (
        (out, "holds files; give another, or empty it"),
        (scans / "images" / "out", "lies in predict.data"),
        (out / "predictions.csv", "is a file; the model predicts masks"),
        (tmp_path / "no" / "where", "there is no folder"),
    ):
        assert main([*asked, f"out={place}"]) == 2
        assert told in capsys.readouterr().err
    assert main(["register", run, "name=livers", own]) == 0
    assert "predicted: segmentation (background, liver)" in client.get_model_version("livers", 1).description
    capsys.readouterr()
    assert main(["serve", run, own]) == 2
    assert "takes no rows of a table; medfit predict applies it to files" in capsys.readouterr().err


def test_classes_of_images_are_predicted_into_a_table(compose, client, output_dir, scans, tmp_path):
    for number in range(16):
        folder = scans / "classes" / "ab"[number % 2]
        write_flat(folder / f"{number}.png", RNG.integers(0, 99 + 100 * (number % 2), (16, 16)).astype(np.uint8))
    root = f"dataset.root={scans / 'classes'}"
    train(compose("dataset=image_classes", root, "regime=smoke", "tracking.models=true", *IMAGES))
    run, out = run_id(client), tmp_path / "p.csv"
    assert main(["predict", run, f"data={scans / 'classes'}", f"out={out}", f"output_dir={output_dir}"]) == 0
    table = pd.read_csv(out)
    stored = pd.read_csv(client.download_artifacts(run, "predictions/val.csv", str(tmp_path)))
    assert list(table)[:2] == ["row", "file"] and len(table) == 16
    assert stored["pred/b"].round(5).isin(table["probability/b"].round(5)).all()


def test_a_generator_predicts_nothing(compose, client):
    experiment = client.create_experiment("gan")
    run = client.create_run(experiment, tags={"kind": "run", "task.targets": "generation"})
    with pytest.raises(UserError, match="it learnt generation, which predicts nothing of a sample; see medfit sample"):
        logged.load(Store(compose()), run.info.run_id, "predict.model")
