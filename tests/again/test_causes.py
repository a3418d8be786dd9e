from types import SimpleNamespace

from medfit.again import causes
from medfit.again.recorded import Recorded

ENVIRONMENT = {
    "python": "3.12.1",
    "platform": "Linux",
    "cpu": "Xeon",
    "cpu_count": 8,
    "threads": 2,
    "gpu": None,
    "versions": {"numpy": "2.0", "torch": "2.5", "Zope": "1", "medfit": "0.1"},
}


def differing(code=(), environment=None, **changed):
    tags = {"init_from.sha256": "w"}
    run = SimpleNamespace(data=SimpleNamespace(tags=tags))
    recorded = Recorded(run, "", "", ENVIRONMENT, "d", "s")
    now = {"data": "d", "split": "s", "weights": "w", "environment": {**ENVIRONMENT, **(environment or {})}}
    return causes.found(recorded, {**now, **changed}, code)


def test_nothing_differs_where_all_is_the_same():
    assert differing() == {}


def test_what_changes_no_number_is_no_difference():
    assert differing(environment={"cpu_count": 16, "versions": {**ENVIRONMENT["versions"], "medfit": "0.2"}}) == {}


def test_each_kind_is_named():
    assert list(differing(data="other")) == ["data"]
    assert list(differing(split="other")) == ["split"]
    assert list(differing(weights="")) == ["first weights"]
    assert differing(code=["src/medfit/models/mlp.py"]) == {"code": "src/medfit/models/mlp.py"}
    assert differing(environment={"python": "3.13.0"}) == {"installed versions": "python 3.12.1 -> 3.13.0"}
    assert differing(environment={"cpu": "EPYC"}) == {"machine": "processor Xeon -> EPYC"}
    assert differing(environment={"gpu": "H100", "threads": 4}) == {"machine": "threads 2 -> 4; GPU none -> H100"}


def test_packages_are_named_those_that_numbers_depend_on_first():
    versions = {"numpy": "2.1", "torch": "2.6", "abc": "3", "medfit": "0.1"}
    told = differing(environment={"versions": versions})["installed versions"]
    assert told == "torch 2.5 -> 2.6; numpy 2.0 -> 2.1; abc none -> 3; zope 1 -> none"


def test_many_differences_are_counted():
    told = differing(code=[f"{number}.py" for number in range(7)])["code"]
    assert told == "0.py; 1.py; 2.py; 3.py; 4.py; 2 more"


def test_what_was_not_recorded_is_no_difference_and_is_named():
    now = {"environment": {**ENVIRONMENT, "vectors": "AVX2"}}
    old = Recorded(None, "", "", {key: ENVIRONMENT[key] for key in ("platform", "threads", "gpu", "python")}, "d", "s")
    assert causes.not_recorded(old, now) == ["installed versions", "processor", "vector instructions"]
