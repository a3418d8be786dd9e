import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medfit.errors import UserError
from medfit.train import train
from medfit.training.parts import prepare

MODEL = ["model=mlp", "model.widths=[8]", "regime.epochs=1"]


@pytest.fixture
def clinics(tmp_path):
    """Two tables with some patients in common, of two rows each: 30 of 60 in the second one were in the first."""
    rng = np.random.default_rng(0)
    for name, first in (("one", 0), ("two", 30)):
        owner = np.repeat(np.arange(first, first + 60), 2)
        x = rng.normal(size=(120, 3))
        table = pd.DataFrame({"who": [f"p{n}" for n in owner], "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
        table["sick"] = np.where(rng.random(120) < 0.5, "yes", "no")
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def config(folder, name, patient="who"):
    ignored = [] if patient else ["dataset.exclude=[who]"]
    return [
        "dataset=table",
        f"dataset.path={folder / name}.csv",
        "dataset.target=sick",
        f"dataset.patient={patient or 'null'}",
        *ignored,
        *MODEL,
    ]


@pytest.fixture
def source(compose, client, clinics):
    """The run of a training on the first table."""
    train(compose(*config(clinics, "one")))
    return client.search_runs([e.experiment_id for e in client.search_experiments()])[0].info.run_id


def shared(clinics, parts, first):
    rows = first.datamodule.rows
    then = set(first.datamodule.dataset.groups[np.concatenate([rows["train"], rows["val"]])])
    return len(then & set(parts.datamodule.groups("test")))


def test_test_patients_who_taught_the_source_are_counted_and_recorded(compose, clinics, source, capsys):
    capsys.readouterr()
    parts = prepare(compose(*config(clinics, "two"), f"model.init_from={source}"))
    count = shared(clinics, parts, prepare(compose(*config(clinics, "one"))))
    assert 0 < count < 12
    line = f"{count} of 12 test patients taught the weights of run {source}, by their keyed hashes"
    assert line in parts.leaks and line in parts.datamodule.proof["leaks"]
    assert f"Warning: {line}." in " ".join(capsys.readouterr().out.split())
    assert not any("not known" in note for note in parts.datamodule.proof["leak_scan"]["not_looked_at"])


def test_they_are_an_error_where_findings_are(compose, clinics, source):
    with pytest.raises(UserError, match=f"^dataset.strict: .* test patients taught the weights of run {source}"):
        prepare(compose(*config(clinics, "two"), f"model.init_from={source}", "dataset.strict=true"))


def test_the_same_split_of_the_same_data_has_none(compose, clinics, source):
    parts = prepare(compose(*config(clinics, "one"), f"model.init_from={source}", "seed=4"))
    assert not any("taught" in line for line in parts.leaks)
    assert not any("not known" in note for note in parts.datamodule.proof["leak_scan"]["not_looked_at"])


def test_another_split_of_rows_without_patients_is_told_by_the_rows(compose, client, clinics):
    cfg = config(clinics, "one", patient=None)
    train(compose(*cfg))
    run = client.search_runs([e.experiment_id for e in client.search_experiments()])[0].info.run_id
    then = prepare(compose(*cfg)).datamodule.rows
    parts = prepare(compose(*cfg, f"model.init_from={run}", "split.seed=1"))
    count = np.isin(parts.datamodule.rows["test"], np.concatenate([then["train"], then["val"]])).sum()
    assert f"{count} of 24 test patients taught the weights of run {run}, by their keyed hashes" in parts.leaks


def test_what_is_not_known_is_never_none(compose, client, clinics, source, tmp_path):
    weights = torch.load(client.download_artifacts(source, "checkpoint/best.ckpt"), weights_only=True)
    torch.save(weights, tmp_path / "own.ckpt")
    unknown = "whether patients who taught the weights of {} are among the {} test patients is not known"
    file = prepare(compose(*config(clinics, "two"), f"model.init_from={tmp_path / 'own.ckpt'}")).datamodule.proof
    assert unknown.format("file own.ckpt", 12) in file["leak_scan"]["not_looked_at"]
    unnamed = prepare(compose(*config(clinics, "two", patient=None), f"model.init_from={source}")).datamodule.proof
    assert unknown.format(f"run {source}", 24) in unnamed["leak_scan"]["not_looked_at"]


def test_a_run_keeps_hashes_of_its_patients_and_of_its_sources(compose, client, clinics, source):
    held = json.loads(Path(client.download_artifacts(source, "data/patients.json")).read_text())
    assert held["all_known"] and [len(hashes) for hashes in held["scopes"].values()] == [48]
    train(compose(*config(clinics, "two"), f"model.init_from={source}"))
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    new = next(run.info.run_id for run in runs if run.data.params["model.init_from"] == source)
    after = json.loads(Path(client.download_artifacts(new, "data/patients.json")).read_text())
    assert set(held["scopes"]["names"]) < set(after["scopes"]["names"]) and after["all_known"]
