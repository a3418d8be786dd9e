import pytest
from hydra.errors import HydraException

from medfit.config.overrides import as_override, parsed
from medfit.tracking.run import LONGEST_PARAM, create_run
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
