"""What reports take of runs that were done again."""

import pytest

from medfit.reporting import history
from medfit.reporting.collect import ReportData
from medfit.reporting.finished_runs import finished, records
from medfit.tracking.store import Store


@pytest.fixture
def store(compose):
    return Store(compose())


@pytest.fixture
def run(client):
    """Makes a finished run of an experiment, and returns its id."""
    experiment = client.create_experiment("own")

    def made(start, **tags):
        plain = {name.replace("__", "."): value for name, value in tags.items()}
        new = client.create_run(experiment, start_time=start, tags=plain, run_name=f"run {start}")
        client.set_terminated(new.info.run_id)
        return new.info.run_id

    made.experiment = experiment
    return made


def test_a_training_again_is_no_training_of_a_report(store, run):
    own = run(1, kind="run")
    run(2, kind="run", rerun__of=own)
    assert [record.id for record in finished(store, run.experiment, "run")] == [own]


def test_evaluations_again_are_counted_and_listed_in_the_order_of_their_beginnings(store, run):
    run(1, kind="evaluation", test_opening="1")
    run(2, kind="rerun", rerun__what="evaluation", test_opening="2")
    run(3, kind="rerun", rerun__what="sweep")
    run(4, kind="evaluation", test_opening="3")
    assert store.openings(run.experiment) == 3
    evaluations, reruns = (
        records(store, run.experiment, tags) for tags in ({"kind": "evaluation"}, {"rerun.what": "evaluation"})
    )
    rows = history.openings(ReportData("own", "?", evaluations=evaluations, reruns=reruns))
    assert [(row[0], row[2]) for row in rows[1:]] == [("1st", "run 1"), ("2nd", "run 2"), ("3rd", "run 4")]
