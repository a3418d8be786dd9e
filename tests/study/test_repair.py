from contextlib import nullcontext
from types import SimpleNamespace

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from medfit.errors import UserError
from medfit.study import repair, storage
from medfit.study.repair import LONGEST, LOST, Reason
from medfit.tracking import process

CFG = OmegaConf.create({"sweep": {"num_retries": 2, "retry_oom": True, "objective": ["auroc", "loss"], "storage": "x"}})


@pytest.fixture
def study():
    return optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture(autouse=True)
def no_files(monkeypatch):
    monkeypatch.setattr(storage, "lock", lambda _: nullcontext())
    monkeypatch.setattr(storage, "silent", lambda _: {2})
    monkeypatch.setattr(process, "state", lambda worker: worker.split("-")[0])


def begun(study, **attrs):
    """Takes a trial; returns it as it is stored."""
    trial = study.ask()
    for name, value in attrs.items():
        trial.set_user_attr(name, value)
    return study.trials[trial.number]


def run(status="RUNNING", run_id="r", **tags):
    return SimpleNamespace(info=SimpleNamespace(status=status, run_id=run_id), data=SimpleNamespace(tags=tags))


@pytest.mark.parametrize(
    ("retry", "attrs", "expected"),
    [
        ("never", {}, None),
        ("again", {"attempt": 9}, {}),
        ("attempt", {}, {"attempt": 2}),
        ("attempt", {"attempt": 2}, {"attempt": 3}),
        ("attempt", {"attempt": 3}, None),
        ("half", {}, {"halved": True}),
        ("half", {"halved": True}, None),
    ],
)
def test_how_a_trial_is_tried_again(study, retry, attrs, expected, monkeypatch):
    monkeypatch.setattr(repair, "_can_be_halved", lambda *_: True)
    assert repair._retry(begun(study, **attrs), Reason("why", retry), CFG) == expected
    never = OmegaConf.merge(CFG, {"sweep": {"num_retries": 0, "retry_oom": False}})
    assert repair._retry(begun(study, **attrs), Reason("why", retry), never) == (expected if retry == "again" else None)


def test_what_no_schema_allows_is_not_halved(study, monkeypatch):
    def refuse(_):
        raise UserError("no gradients are added up")

    monkeypatch.setattr(repair, "set_values", lambda cfg, _: cfg)
    monkeypatch.setattr(repair, "halved", lambda cfg: cfg)
    for check, expected in ((lambda _: None, {"halved": True}), (refuse, None)):
        monkeypatch.setattr(repair.schema, "check", check)
        assert repair._retry(begun(study), Reason("why", "half"), CFG) == expected


@pytest.mark.parametrize(("retry", "cut_off"), [("again", True), ("attempt", False), ("never", False)])
def test_a_trial_that_is_given_up_fails_with_its_reason_and_waits_again(study, retry, cut_off):
    trial = begun(study)
    repair.give_up(study, trial, Reason("w" * 600, retry), CFG)
    repair.give_up(study, trial, Reason("another", retry), CFG)  # too late
    failed, *queued = study.trials
    assert (failed.state, failed.user_attrs["failure"]) == (TrialState.FAIL, "w" * LONGEST)
    assert failed.user_attrs["cut_off"] is cut_off
    assert [other.state for other in queued] == [TrialState.WAITING] * (retry != "never")


def test_a_trial_with_scores_ends_with_those_that_the_sweep_asks_for(study):
    done, pruned = begun(study), begun(study)
    repair.finish(study, done.number, {"scores": {"loss": 0.5, "auroc": 0.9, "f1": 0.1}}, CFG)
    repair.finish(study, pruned.number, {"pruned": True, "scores": {}}, CFG)
    assert [(trial.state, trial.values) for trial in study.trials] == [
        (TrialState.COMPLETE, [0.9, 0.5]),
        (TrialState.PRUNED, None),
    ]
    lost = begun(study)
    study.tell(lost.number, state=TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError, match="trial 2 has failed"):
        repair.finish(study, lost.number, {"scores": {"auroc": 1, "loss": 0}}, CFG)


def test_running_trials_that_nobody_works_on_are_ended_and_no_others(study):
    workers = ["runs-0", "gone-1", "elsewhere-2", "elsewhere-3", "gone-4", None, "runs-6", "gone-7"]
    for worker in workers:
        begun(study, **({} if worker is None else {"worker": worker}))
    storage.of(study).set_trial_user_attr(storage.id_of(study, 7), "scores", {"auroc": 0.9, "loss": 0.5})
    left = repair.repair(study, CFG, {"runs-6": Reason("it said so", "never")}, spared=["gone-4"])
    assert [trial.number for trial in left] == [1, 2, 5, 6, 7]  # 2 has given no sign for too long
    told = {trial.number: trial.user_attrs.get("failure") for trial in study.trials if trial.state is TrialState.FAIL}
    assert told == {1: LOST.text, 2: LOST.text, 5: LOST.text, 6: "it said so"}
    assert study.trials[7].state is TrialState.COMPLETE
    assert repair.repair(study, CFG, spared=["gone-4"]) == []


class FakeStore:
    def __init__(self, runs, parents="e"):
        self.runs, self.closed = runs, {}
        self.client = SimpleNamespace(get_run=lambda _: SimpleNamespace(info=SimpleNamespace(experiment_id=parents)))

    def running(self):
        return self.runs

    def close(self, run_id, status, why):
        self.closed[run_id] = status, why

    def runs_of(self, experiment, tags):
        assert experiment == "e" and tags == {"study": tags["study"], "kind": "trial"}
        return self.runs


def ended(study):
    """Five trials: complete, pruned, failed, cut off and running."""
    for values, state, attrs in (
        ([1, 0], None, {}),
        (None, TrialState.PRUNED, {}),
        (None, TrialState.FAIL, {"failure": "no memory"}),
        (None, TrialState.FAIL, {"cut_off": True}),
    ):
        study.tell(begun(study, **attrs).number, values, state=state)
    begun(study)


def test_runs_of_trials_that_have_ended_end_as_they_did(study):
    ended(study)
    own = {"study": study.study_name}
    runs = [run(run_id=f"{number}", kind="trial", trial=f"{number}", **own) for number in range(5)]
    runs += [run(run_id=f"fold {number}", kind="fold", trial=f"{number}", **own) for number in range(2)]
    runs += [run(run_id=f"{worker}", kind="sweep", **own, **{repair.PROCESS: worker}) for worker in ("gone-", "runs-")]
    runs += [run(run_id="unnamed", kind="sweep", **own), run(run_id="other", kind="trial", trial="0", study="other")]
    runs += [run(run_id="lone", kind="run", **own, **{repair.PROCESS: "gone-"})]
    store = FakeStore(runs)
    assert repair.end_stale_runs(study, store) == len(store.closed) == 7
    assert store.closed == {
        "0": ("FINISHED", None),
        "1": ("FINISHED", None),
        "2": ("FAILED", "no memory"),
        "3": ("KILLED", LOST.text),
        "fold 0": ("FINISHED", None),
        "fold 1": ("KILLED", None),
        "gone-": ("KILLED", LOST.text),
    }


def test_what_trials_and_runs_do_not_agree_on_is_told(study):
    ended(study)
    assert (
        repair.disagreements(study, FakeStore([run(trial="0")])) != []
    )  # of a sweep without a run, none is looked for
    study.set_user_attr("run_id", "parent")
    agreed = [
        run(status, trial=f"{k}") for k, status in enumerate(["FINISHED", "FINISHED", "FAILED", "KILLED", "RUNNING"])
    ]
    assert repair.disagreements(study, FakeStore(agreed)) == []
    assert repair.disagreements(study, FakeStore(agreed[:2])) == []
    wrong = [run("RUNNING", trial="0"), *agreed[1:], agreed[1], run(trial="77")]
    assert repair.disagreements(study, FakeStore(wrong)) == [
        "trial 0 is COMPLETE, its runs ['RUNNING']",
        "trial 1 is PRUNED, its runs ['FINISHED', 'FINISHED']",
        "runs of trial 77, which the study does not have",
    ]
    assert repair.disagreements(study, FakeStore(agreed[1:])) == ["trial 0 is COMPLETE, its runs []"]
