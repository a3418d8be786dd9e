import numpy as np
import pytest
from hydra.errors import HydraException

from medfit.config.overrides import as_override, parsed
from medfit.tracking.run import LONGEST_PARAM, create_run, reopen_run
from medfit.tracking.store import Store


@pytest.fixture
def run(compose):
    return create_run(Store(compose()), "any", "one", {"kind": "run"})


def test_metrics_whose_names_differ_by_signs_that_mlflow_refuses_are_two(run, client):
    for step in range(2):
        run.log_metrics({"dice/liver (left)": 0.25 + step, "dice/liver [left]": 0.5 + step, "loss": 1.0}, step)
    run.end("FINISHED")
    assert client.get_run(run.id).data.metrics == {"dice/liver _left_": 1.25, "dice/liver _left__2": 1.5, "loss": 1.0}
    points = client.get_metric_history(run.id, "dice/liver _left_")
    assert [(point.step, point.value) for point in points] == [(0, 0.25), (1, 1.25)]


def test_a_param_that_is_too_long_can_not_be_taken_for_a_whole_one(run, client):
    fits, longer = "x" * LONGEST_PARAM, [f"column {number}" for number in range(1000)]
    run.log_params({"fits": fits, "dataset.features": longer, "word": "x" * (LONGEST_PARAM + 1)})
    run.end("FINISHED")
    params = client.get_run(run.id).data.params
    assert params["fits"] == fits
    for name, whole in (("dataset.features", as_override(longer)), ("word", "x" * (LONGEST_PARAM + 1))):
        kept, _, told = params[name].partition(" ... ")
        assert whole.startswith(kept) and told == "[cut here; config.yaml has all of it"
        assert len(params[name]) == LONGEST_PARAM
        with pytest.raises(HydraException):
            parsed(params[name])


@pytest.mark.parametrize("name", ["plain", "of/a kind"])
def test_where_artifacts_went_is_known_by_any_name(compose, output_dir, name):
    store = Store(compose())
    then = output_dir.parent / "before"
    experiment = client_experiment(store, name, (then / "artifacts" / name).as_uri())
    assert store.moved_from(experiment) == then
    assert store.moved_from(client_experiment(store, name + "2", (then / "elsewhere" / name).as_uri())) is None


def client_experiment(store, name, location):
    return store.client.get_experiment(store.client.create_experiment(name, location))


def points(client, run, name="loss"):
    return sorted((point.step, point.value) for point in client.get_metric_history(run.id, name))


def test_a_run_that_goes_on_has_each_point_once_and_those_that_were_never_sent(run, client):
    for step in range(5):
        run.log_metrics({"loss": float(step), "dice (left)": 1.0, "dice [left]": 2.0}, step)
        if step == 2:
            curves = run.curves()
    run.end("FAILED")
    again = reopen_run(run.store, run.id)
    again.go_on({**curves, "points": {**curves["points"], "other": [[0, 7.0]]}}, continued=True)
    for step in range(3, 7):
        again.log_metrics({"loss": float(step), "dice [left]": 2.0}, step)
    again.end("FINISHED")
    assert points(client, run) == [(step, float(step)) for step in range(7)]
    assert points(client, run, "other") == [(0, 7.0)]
    assert points(client, run, "dice _left__2") == [(step, 2.0) for step in range(7)]
    assert again.history["loss"] == [(step, float(step)) for step in range(7)]


def test_another_run_takes_up_all_of_a_curve(run, client):
    run.log_metrics({"loss": 1.0}, 0)
    other = create_run(run.store, "any", "two", {})
    other.go_on(run.curves(), continued=False)
    other.log_metrics({"loss": 2.0}, 1)
    other.end("FINISHED")
    assert points(client, other) == [(0, 1.0), (1, 2.0)]


def test_several_points_of_a_step_are_as_many_after_going_on(run, client):
    for value in (1.0, 2.0):
        run.log_metrics({"loss": value}, 0)
    run.end("FAILED")
    again = reopen_run(run.store, run.id)
    again.go_on({}, continued=True)
    for value in (1.0, 2.0, 3.0):
        again.log_metrics({"loss": value}, 0)
    again.end("FINISHED")
    assert [value for _, value in points(client, run)] == [1.0, 2.0, 3.0]


def test_an_image_of_a_step_is_there_once_after_going_on(run, client):
    image = np.zeros((2, 2), np.uint8)
    run.log_image("of/a kind", image, 3)
    run.end("FAILED")
    again = reopen_run(run.store, run.id)
    again.go_on({}, continued=True)
    for step in (3, 4):
        again.log_image("of/a kind", image, step)
    again.end("FINISHED")
    names = [file.path for file in client.list_artifacts(run.id, "images") if file.path.endswith(".png")]
    assert sorted(name.split("+")[2] for name in names) == ["3", "4"]


def test_a_run_that_goes_on_is_no_failure_any_more(run, client):
    run.set_tag("failure", "a fault")
    run.end("FAILED")
    reopen_run(run.store, run.id).end("FINISHED")
    assert "failure" not in client.get_run(run.id).data.tags
