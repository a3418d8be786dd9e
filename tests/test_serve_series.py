"""A served model of series answers as predict does (one of images takes files, and is not served)."""

import json
import shutil

import pandas as pd
import pytest

import asgi
import medfit
from fake_series import signals
from medfit.serve import application
from medfit.train import train
from model_server import SECRET, asked_by_many, serving, try_to_break
from small_data import SERIES


@pytest.fixture
def series(compose, client, tmp_path):
    """Trains a model of series; returns its run's id."""
    small = ["model=cnn1d", "model.widths=[4]", "model.kernel_sizes=[5]", "regime=smoke", "tracking.models=true"]
    train(compose(*SERIES.write(tmp_path), *small))
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_logged_models(ids)[0].source_run_id


@pytest.fixture
def rows():
    """Series as requests have them."""
    x, _ = signals(30, 40, 60, seed=7)
    return [{"I": one[0].tolist(), "II": one[1].tolist()} for one in x]


@pytest.fixture
def app(series, output_dir, tmp_path):
    """The server's application, without its process."""
    files = next((output_dir / "artifacts").rglob("MLmodel")).parent
    return application(shutil.copytree(files, tmp_path / "served"))


@pytest.mark.slow
def test_a_server_of_series_answers_a_thousand_requests_as_predict_does(series, rows, output_dir, launch, tmp_path):
    expected = medfit.load_model(series, f"output_dir={output_dir}").predict(pd.DataFrame(rows))
    (name,) = (name for name in expected if name.startswith("probability/"))
    assert expected[name].nunique() == len(rows)
    with serving(launch, series, output_dir, tmp_path / "log.txt") as address:
        for number, answer in enumerate(asked_by_many(address, rows)):
            assert answer[name] == pytest.approx(expected[name][number % len(rows)], abs=1e-6)


@pytest.mark.slow
def test_malformed_requests_never_break_a_server_of_series(app, rows, capfd, caplog):
    try_to_break(app, rows[0], ["I", "II", "who", "other"])
    whole = capfd.readouterr()
    assert SECRET.rstrip("0") not in whole.out + whole.err + caplog.text and "Traceback" not in whole.err
    assert asgi.ask(app, json.dumps({"dataframe_records": rows[:1]}).encode(), "application/json")[0] == 200


def refusal(app, *records):
    status, told = asgi.ask(app, json.dumps({"dataframe_records": list(records)}).encode(), "application/json")
    assert status == 400, told
    return json.loads(told)["message"]


def test_a_field_that_is_wrong_is_named(app, rows):
    lacking = {"I": rows[0]["I"]}
    assert refusal(app, lacking) == "predict.data: there is no channel 'II', which the model needs"
    for wrong in (
        4711.815,
        "4711.815",
        [["4711.815"]],
        ["queen4711.815"],
        [10**400],
        [],
        {"a": 4711.815},
        [4711.815, [1.0]],
    ):
        line = refusal(app, rows[0], {**rows[1], "II": wrong})
        expected = "predict.data: row 2: expected a list of numbers in each channel (I, II); in 'II' is none"
        assert line == expected
    line = refusal(app, {**rows[0], "II": rows[0]["II"][:-3]})
    assert line == "predict.data: row 1: the channels' lists are of different lengths (I, II)"
    assert refusal(app, {**rows[0], "I": [1e300] * len(rows[0]["II"])}).startswith(
        "predict.data: series 1, channel 'I',"
    )
