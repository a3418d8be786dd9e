"""What a run recorded, and which runs are done again."""

import pytest

from medfit.errors import UserError
from medfit.rerun import rerun


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({}, "is of another program than medfit"),
        ({"kind": "run"}, "is of another program than medfit"),
        ({"mlflow.source.name": "medfit", "kind": "sweep"}, "came to no end"),
        ({"mlflow.source.name": "medfit", "kind": "evaluation"}, "came to no end"),
        (
            {"mlflow.source.name": "medfit", "kind": "seed", "mlflow.parentRunId": "f00"},
            r"test split, which an evaluation alone may open; give the id of its evaluation \(f00\)$",
        ),
        ({"mlflow.source.name": "medfit", "kind": "baseline"}, "it is a part of its evaluation; give the id of that$"),
        ({"mlflow.source.name": "medfit", "kind": "fold"}, "it is a part of its trial; give the id of the sweep$"),
        ({"mlflow.source.name": "medfit", "kind": "rerun"}, "it tells of another run that was done again"),
        ({"mlflow.source.name": "medfit", "kind": "odd"}, "is no training, sweep or evaluation"),
        ({"mlflow.source.name": "medfit", "kind": "trial", "pruned": "true"}, "was stopped early"),
        ({"mlflow.source.name": "medfit", "kind": "run"}, "came to no end"),
    ],
)
def test_a_run_that_is_no_finished_training_is_one_line(compose, client, tags, told):
    run = client.create_run(client.create_experiment("other"), tags=tags)
    with pytest.raises(UserError, match=rf"rerun\.run: run {run.info.run_id} .*{told}"):
        rerun(compose(f"rerun.run={run.info.run_id}"))


def test_an_unknown_run_and_none_are_one_line(compose):
    with pytest.raises(UserError, match=r"rerun\.run: there is no run 'abc'"):
        rerun(compose("rerun.run=abc"))
    with pytest.raises(UserError, match=r"rerun\.run is needed: medfit rerun <run id>"):
        rerun(compose())
