import json

import nibabel
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image as Picture

from medfit.__main__ import main
from medfit.config.instantiate import _load_dataset
from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.errors import UserError
from medfit.sample import load, sample
from medfit.tracking.store import Store
from medfit.train import train

SIZE = 28


class Squares(Images):
    """Images that are bright at the top (class 0) or at the bottom."""

    there = True  # whether the data can still be read

    def __init__(self, channels=1):
        if not self.there:
            raise UserError("the data are gone")
        label = np.arange(60) % 2
        x = np.zeros((60, channels, SIZE, SIZE), dtype=np.float32)
        x[label == 0, :, : SIZE // 2], x[label == 1, :, SIZE // 2 :] = 1, 1
        super().__init__(
            names=[f"square {i}" for i in range(60)],
            readers=[lambda i=i: Image(x[i]) for i in range(60)],
            channels=["red", "green", "blue"][:channels],
            y=label[:, None].astype(np.float32),
            name="squares",
            task="binary",
            target_names=["low"],
        )


def trained(compose, client, *overrides, **data):
    """A short training's run id."""
    fixed = ["preprocessing=image", "preprocessing.scaling=none", "model=gan", "model.width=4", "task.grid_size=0"]
    cfg = compose("dataset=breast_cancer", *fixed, "regime.epochs=1", "regime.accelerator=cpu", *overrides)
    cfg.dataset = OmegaConf.create({"_target_": f"{__name__}.Squares", **data})
    train(cfg)
    return runs(client)[0].info.run_id


def runs(client):
    return client.search_runs([e.experiment_id for e in client.search_experiments()])


@pytest.fixture
def asked(compose):
    """A config that asks for samples of a run."""

    def composed(run, **values):
        return compose(f"sample.run={run}", *(f"sample.{key}={value}" for key, value in values.items()))

    return composed


def pixels(file):
    return np.asarray(Picture.open(file))


def test_images_are_written_as_png_with_a_grid(compose, client, asked, output_dir):
    run = trained(compose, client)
    files = sample(asked(run, num_samples=5))
    folder = output_dir / "samples" / run
    assert [file.name for file in files] == [f"sample_{i}.png" for i in range(5)]
    assert {file.name for file in folder.iterdir()} == {file.name for file in files} | {
        "sample_grid.png",
        "samples.json",
    }
    assert pixels(files[0]).shape == (SIZE, SIZE)
    assert pixels(files[0]).dtype == np.uint8
    assert pixels(folder / "sample_grid.png").shape == (3 * SIZE, 2 * SIZE)


@pytest.mark.slow
def test_png_holds_the_tasks_images(compose, client, asked):
    run = trained(compose, client)
    files = sample(asked(run, num_samples=3, seed=7))
    images = load(Store(compose()), run).sample(3, seed=7)
    expected = (images[:, 0] * 255).round().byte().numpy()
    assert np.array_equal(np.stack([pixels(file) for file in files]), expected)


@pytest.mark.slow
def test_colour_images_are_written_in_colour(compose, client, asked):
    files = sample(asked(trained(compose, client, channels=3), num_samples=2))
    assert pixels(files[0]).shape == (SIZE, SIZE, 3)


@pytest.mark.slow
def test_nifti_holds_floats_and_is_upright(compose, client, asked):
    run = trained(compose, client)
    (file,) = sample(asked(run, num_samples=1, format="nifti"))
    volume = nibabel.load(file)
    image = load(Store(compose()), run).sample(1)[0, 0].numpy()
    assert volume.shape == (SIZE, SIZE, 1)
    assert np.allclose(volume.get_fdata()[:, ::-1, 0].T, image)


@pytest.mark.slow
def test_nifti_of_colour_images_has_channels_last(compose, client, asked):
    (file,) = sample(asked(trained(compose, client, channels=3), num_samples=1, format="nifti"))
    assert nibabel.load(file).shape == (SIZE, SIZE, 1, 3)


@pytest.mark.slow
def test_seed_repeats_the_images_and_another_makes_others(compose, client, asked, tmp_path):
    run = trained(compose, client)
    first, again, other = (
        [file.read_bytes() for file in sample(asked(run, num_samples=2, seed=seed, folder=tmp_path / str(place)))]
        for place, seed in enumerate((1, 1, 2))
    )
    assert first == again
    assert first != other


@pytest.mark.slow
def test_images_go_to_the_folder(compose, client, asked, tmp_path):
    files = sample(asked(trained(compose, client), num_samples=1, folder=tmp_path / "here"))
    assert files == [tmp_path / "here" / "sample_0.png"]


@pytest.mark.slow
def test_what_was_written_says_what_it_is_of(compose, client, asked, tmp_path):
    run = trained(compose, client, "model.conditional=true")
    sample(asked(run, num_samples=2, seed=3, label="low", folder=tmp_path / "here"))
    about = json.loads((tmp_path / "here" / "samples.json").read_text())
    assert about == {f"low_{i}.png": {"generated_by_run": run, "seed": 3, "class": "low"} for i in range(2)}


@pytest.mark.slow
def test_images_of_another_class_replace_none_and_leave_their_record(compose, client, asked, tmp_path):
    run = trained(compose, client, "model.conditional=true")
    (low,) = sample(asked(run, num_samples=1, label="low", folder=tmp_path))
    before = low.read_bytes()
    (other,) = sample(asked(run, num_samples=1, label=0, folder=tmp_path))
    about = json.loads((tmp_path / "samples.json").read_text())
    assert {name: of["class"] for name, of in about.items()} == {low.name: "low", other.name: "not low"}
    assert low.read_bytes() == before and other != low


@pytest.mark.mostly_slow
@pytest.mark.parametrize(("label", "number"), [("low", 1), ("not low", 0), (1, 1), (0, 0)])
def test_label_is_a_name_or_a_number(compose, client, asked, label, number):
    run = trained(compose, client, "model.conditional=true")
    files = sample(asked(run, num_samples=2, label=f"'{label}'" if isinstance(label, str) else label))
    expected = load(Store(compose()), run).sample(2, torch.full((2,), number))[:, 0]
    assert np.array_equal(np.stack([pixels(f) for f in files]), (expected * 255).round().byte().numpy())


@pytest.mark.slow
def test_data_need_not_be_there_any_more(compose, client, asked, monkeypatch):
    run = trained(compose, client)
    _load_dataset.cache_clear()
    monkeypatch.setattr(Squares, "there", False)
    assert len(sample(asked(run, num_samples=2))) == 2


@pytest.mark.slow
def test_run_is_left_as_it_was(compose, client, asked):
    run = trained(compose, client)
    before = client.get_run(run).to_dictionary()
    sample(asked(run, num_samples=1))
    assert client.get_run(run).to_dictionary() == before


@pytest.mark.slow
def test_command_says_where_the_images_are(compose, client, output_dir, capsys):
    run = trained(compose, client)
    assert main(["sample", f"output_dir={output_dir}", f"sample.run={run}", "sample.num_samples=2"]) == 0
    assert f"2 images of run {run} in {output_dir / 'samples' / run}" in capsys.readouterr().out


def refused(cfg, match):
    with pytest.raises(UserError, match=match) as refusal:
        sample(cfg)
    assert "\n" not in str(refusal.value)


def test_no_run_is_told_how_to_name_one(compose):
    refused(compose(), r"sample\.run is needed: give sample\.run=")


def test_unknown_run_is_refused(asked):
    refused(asked("0123abcd"), r"sample\.run: there is no run '0123abcd'")


def test_run_that_generates_nothing_is_refused(compose, client, asked):
    train(compose("dataset=breast_cancer", "model=linear", "regime=smoke"))
    refused(asked(runs(client)[0].info.run_id), "is of task=binary, which generates nothing")


@pytest.mark.slow
def test_run_without_weights_is_refused(compose, client, asked, tmp_path):
    cfg = compose("dataset=breast_cancer", "preprocessing=image", "model=gan")
    run = client.create_run(client.create_experiment("stopped", tmp_path.as_uri())).info.run_id
    client.log_text(run, OmegaConf.to_yaml(cfg), "config.yaml")
    refused(asked(run), r"\(running\) has no checkpoint/shapes\.json; it must be a training that came to its end")


def test_run_of_something_else_is_refused(client, asked, tmp_path):
    run = client.create_run(client.create_experiment("others", tmp_path.as_uri())).info.run_id
    refused(asked(run), r"has no config\.yaml")


@pytest.mark.slow
def test_unknown_label_is_refused_with_the_known_ones(compose, client, asked):
    run = trained(compose, client, "model.conditional=true")
    refused(asked(run, label="lwo"), r"there is no class 'lwo'; did you mean 'low'\? \(known: not low, low, or their")


@pytest.mark.slow
def test_number_that_no_class_has_is_refused(compose, client, asked):
    refused(asked(trained(compose, client, "model.conditional=true"), label=2), "there is no class '2'")


@pytest.mark.slow
def test_label_for_a_model_without_classes_is_refused(compose, client, asked):
    refused(asked(trained(compose, client), label="low"), "so it has no classes")


@pytest.mark.slow
def test_folder_that_cannot_be_written_is_refused(compose, client, asked, tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(asked(trained(compose, client), folder=tmp_path / "file"), r"sample\.folder: cannot write to")


@pytest.mark.parametrize("override", ["sample.num_samples=0", "sample.format=jpeg", "sample.seed=-1"])
def test_value_out_of_range_is_refused(compose, override):
    with pytest.raises(UserError, match=override.split("=")[0]):
        compose(override)


@pytest.mark.slow
def test_what_is_sampled_is_no_part_of_a_training(compose, client):
    train(compose("dataset=breast_cancer", "model=linear", "regime=smoke", "sample.seed=3"))
    assert not any(name.startswith("sample") for name in runs(client)[0].data.params)
