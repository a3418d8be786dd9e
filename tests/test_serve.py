import json
import shutil

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

import asgi
import medfit
from medfit.__main__ import main
from medfit.deployment.served import Served
from medfit.evaluate import evaluate
from medfit.serve import application
from medfit.train import train
from model_server import SECRET, ask, asked_by_many, serving, try_to_break

NAMES = ["mean radius", "mean texture"]


@pytest.fixture
def trained(compose, client):
    train(compose("model=linear", "regime=smoke", "tracking.models=true"))
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_logged_models(ids)[0].source_run_id


@pytest.fixture
def rows():
    return load_breast_cancer(as_frame=True).data


@pytest.fixture
def address(launch, trained, output_dir, tmp_path):
    """Where a server of the model answers."""
    with serving(launch, trained, output_dir, tmp_path / "log.txt") as address:
        yield address


def check_clients(address, rows, expected):
    """Each answer to a thousand requests of many clients is what ``predict`` gives of its row."""
    for number, answer in enumerate(asked_by_many(address, rows.to_dict("records"))):
        assert answer["probability/malignant"] == pytest.approx(expected[number % len(rows)], abs=1e-6)


@pytest.mark.slow
def test_a_server_answers_as_predict_does_and_bad_requests_with_a_line(address, trained, output_dir, rows, tmp_path):
    expected = medfit.load_model(trained, f"output_dir={output_dir}").predict(rows)["probability/malignant"]
    check_clients(address, rows, expected)
    status, text = ask(address, rows.head(3).to_csv(index=False), "text/csv")
    assert status == 200 and len(json.loads(text)["predictions"]) == 3
    secret = rows.head(1).drop(columns="mean radius").assign(**{"mean texture": 987654.25})
    for content, kind in (
        (secret.to_csv(index=False), "text/csv"),
        (rows.head(1).assign(**{"mean texture": "queen987654"}).to_csv(index=False), "text/csv"),
        ("{", "application/json"),
        ("{}", "application/json"),
        (json.dumps({"dataframe_split": 1}), "application/json"),
        (json.dumps({"inputs": [[1, 2]]}), "application/json"),
        ("", "text/csv"),
    ):
        status, text = ask(address, content, kind)
        assert 400 <= status < 500, (content[:40], text)
        assert "Traceback" not in text and "987654" not in text and json.loads(text)["message"].count("\n") == 0
    told = json.loads(ask(address, secret.to_csv(index=False), "text/csv")[1])["message"]
    assert told == "predict.data: there is no column 'mean radius', which the model needs"
    assert "987654" not in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_a_served_ensemble_answers_all_as_predict_does(launch, compose, client, output_dir, tmp_path, rows):
    few = ["evaluate.num_seeds=2", "evaluate.num_resamples=100", "tracking.models=true"]
    evaluate(compose("model=linear", "regime=smoke", *few))
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(ids, "tags.kind = 'evaluation'")
    model = medfit.load_model(run.info.run_id, f"output_dir={output_dir}")
    assert len(model.singles) == 2
    expected = model.predict(rows)["probability/malignant"]
    with serving(launch, run.info.run_id, output_dir, tmp_path / "log.txt") as address:
        check_clients(address, rows, expected)


@pytest.fixture
def app(trained, output_dir, tmp_path):
    """The server's application, without its process."""
    files = next((output_dir / "artifacts").rglob("MLmodel")).parent
    return application(shutil.copytree(files, tmp_path / "served"))


@pytest.mark.slow
def test_malformed_requests_never_break_the_server(app, rows, capfd, caplog):
    try_to_break(app, rows.iloc[0].to_dict(), [*NAMES, "other"])
    whole = capfd.readouterr()
    assert SECRET.rstrip("0") not in whole.out + whole.err + caplog.text and "Traceback" not in whole.err
    assert asgi.ask(app, rows.head(1).to_csv(index=False).encode(), "text/csv")[0] == 200


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"mean texture": [1]}, "predict.data: column 'mean texture' holds lists or mappings, not numbers or words"),
        (
            {"mean texture": "queen"},
            "predict.data: 1 cells of column 'mean texture' are not numeric (first in data row 1)",
        ),
        ({"mean texture": float("inf")}, "predict.data: 1 cells of column 'mean texture' are infinite or beyond 1e+30"),
    ],
)
def test_a_bad_field_is_named(app, rows, content, line):
    body = json.dumps({"dataframe_records": [{**rows.iloc[0].to_dict(), **content}]})
    status, told = asgi.ask(app, body.encode(), "application/json")
    assert status == 400 and json.loads(told)["message"].startswith(line)


def test_what_mlflow_loads_predicts_as_the_model(trained, output_dir, rows):
    import mlflow.pyfunc

    folder = next((output_dir / "artifacts").rglob("MLmodel")).parent
    loaded = mlflow.pyfunc.load_model(str(folder))
    told = loaded.predict(rows.head(5))
    pd.testing.assert_frame_equal(told, medfit.load_model(str(folder)).predict(rows.head(5)))
    assert {column.name for column in loaded.metadata.get_input_schema().inputs} == set(rows)


def test_a_refusal_is_the_requests_mistake(trained, output_dir, rows):
    from mlflow.exceptions import MlflowException

    folder = next((output_dir / "artifacts").rglob("MLmodel")).parent
    with pytest.raises(MlflowException, match="there is no column 'mean radius'") as error:
        Served(medfit.load_model(str(folder))).predict(rows.drop(columns="mean radius"))
    assert error.value.get_http_status_code() == 400


def test_what_lacks_is_told_in_a_line(output_dir, capsys):
    assert main(["serve", f"output_dir={output_dir}"]) == 2
    assert capsys.readouterr().err.startswith("medfit: serve.model is needed")
