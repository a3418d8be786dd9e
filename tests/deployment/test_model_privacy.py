"""Nothing of a patient is in a finished model, its card, its store, and what is said when it predicts and serves."""

import json
import re
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asgi import ask
from medfit.__main__ import main
from medfit.serve import application
from medfit.train import train

WARD, PATIENT = "nevesdraw"[::-1], "rellumqz"[::-1]  # backwards, as this file may be in the diff that is logged
AGE = 40_000 + 711.8125
PEOPLE = re.compile(f"(?i){PATIENT}|40711[.]8".encode() + b"|" + re.escape(struct.pack("<d", AGE)))
PLACE = re.compile(f"(?i){WARD}".encode())


@pytest.fixture
def clinic(tmp_path):
    """Sixty patients with names, one of whom has an age that no other has."""
    path = tmp_path / WARD / "clinic.csv"
    path.parent.mkdir()
    rng = np.random.default_rng(0)
    rows = {
        "mrn": [f"{PATIENT}{i}" for i in range(60)],
        "age": np.where(np.arange(60) == 30, AGE, rng.normal(60, 9, 60)),
        "stage": rng.choice(["I", "II"], 60),
        "ill": np.arange(60) % 2,
    }
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def holding(folder: Path, secret: re.Pattern[bytes]) -> list[str]:
    """The files in a folder that tell a secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    return [path.name for path in files if secret.search(path.read_bytes()) or secret.search(path.name.encode())]


def test_a_patient_is_nowhere_but_in_the_predictions(clinic, compose, client, output_dir, capfd, caplog):
    lines = ["dataset=table", f"dataset.path={clinic}", "dataset.target=ill", "dataset.patient=mrn"]
    train(compose("model=linear", "regime=smoke", "tracking.models=true", "split.test=0.1", *lines))
    (model,) = client.search_logged_models([one.experiment_id for one in client.search_experiments()])
    run, where = model.source_run_id, f"output_dir={output_dir}"
    assert main(["register", run, "name=masses", "alias=champion", where]) == 0
    assert PEOPLE.search(client.get_model_version("masses", 1).description.encode()) is None
    new, out = clinic.with_name("new.csv"), clinic.with_name("p.csv")
    row = {"mrn": f"{PATIENT}7", "age": str(AGE), "stage": f"{PATIENT}8"}
    wrong = [
        ({"age": PATIENT}, 2),
        ({"age": f"{AGE};{PATIENT}"}, 2),
        ({"age": "inf", "stage": PATIENT}, 2),
        ({}, 0),
    ]
    for change, status in wrong:
        pd.DataFrame([row | change]).to_csv(new, index=False)
        assert main(["predict", "models:/masses@champion", f"data={new}", f"out={out}", where]) == status
    assert f"{PATIENT}7" in out.read_text()  # the user's own file
    pd.DataFrame([row]).drop(columns="age").to_csv(new, index=False)
    assert main(["predict", "models:/masses@champion", f"data={new}", f"out={out}", where]) == 2
    app = application(next((output_dir / "artifacts").rglob("MLmodel")).parent)
    for change, _ in wrong[:3]:
        status, told = ask(app, json.dumps({"dataframe_records": [row | change]}).encode(), "application/json")
        assert status == 400 and PEOPLE.search(told) is None
        status, told = ask(app, pd.DataFrame([row | change]).to_csv(index=False).encode(), "text/csv")
        assert status == 400 and PEOPLE.search(told) is None
    said = capfd.readouterr()
    told = (said.out + said.err + caplog.text).replace(str(clinic.parent), "")  # the user's own folder, on the terminal
    assert PEOPLE.search(told.encode()) is None and "Traceback" not in told
    assert holding(output_dir / "artifacts", PEOPLE) == []
    assert holding(Path(model.artifact_location.removeprefix("file://")), PLACE) == []
    assert not any(PEOPLE.search(path.read_bytes()) for path in output_dir.glob("mlflow.db*"))
