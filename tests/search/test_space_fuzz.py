"""Every part of a search space is given near misses of what it takes: a line for the user, or the space that is meant."""

import math

import pytest
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from medfit.config.compose import compose
from medfit.errors import UserError
from medfit.search.space import read_space

WORDS = {"no": False, "off": False, "false": False, "0": False, "yes": True, "on": True, "true": True, "1": True}
NUMBERS = ["1e-3", "2.0", "-1", "nan", "inf", "0x10", " 7 "]
OTHERS = [True, False, 0, 1, 3, -1, 0.5, 1.0, 2.5, 10**30, 10**400, math.inf, -math.inf, math.nan, None, "", "é"]
OTHERS += ["${nowhere}", "${seed}", "???", [], {}, [1.0], ["2"], [[8], [16]], [8, "x", None], [True], [math.nan], [{}]]
OTHERS += [{"a": 1}, {1: "x"}, {"regime.epochs": "no"}, {"task.nothing": 1}, {"model": ["mlp", "linear"]}]
RANGES = {
    "regime.optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "regime.epochs": {"low": 5, "high": 20},
    "model.dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
}


def with_entry(cfg, path, entry):
    changed = cfg.copy()
    changed.sweep.space = {}
    OmegaConf.update(changed, f"sweep.space.{path}", OmegaConf.create(entry), force_add=True)
    return changed


def is_a_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def means(name, given, found):
    """Tells a meaning that was turned round: no is never yes, a number is the one that was typed."""
    if given is None:
        return  # as if it were left out
    if name == "log":
        assert found.log is (WORDS[given] if isinstance(given, str) else bool(given))
    elif name in ("low", "high", "step"):
        assert is_a_number(given) and getattr(found, name) == given
    elif name == "choices":
        assert isinstance(given, list) and len(found.choices) == len(given) > 0
    else:
        assert (name, type(given)) == ("when", dict)


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize("path", RANGES)
@pytest.mark.parametrize("name", ["log", "high", "step", "low", "choices", "when", "lowest"])
def test_every_part_of_a_range_is_refused_or_understood(name, path):
    cfg = compose([])
    for given in [*WORDS, *NUMBERS, *OTHERS]:
        try:
            found = read_space(with_entry(cfg, path, {**RANGES[path], name: given}))
        except UserError as error:
            assert len(str(error).splitlines()) == 1 and "sweep.space" in str(error), (name, given, error)
            continue
        means(name, given, found[path].distribution)


def test_choices_are_refused_or_kept():
    cfg = compose([])
    for given in [*WORDS, *NUMBERS, *OTHERS]:
        try:
            found = read_space(with_entry(cfg, "regime.batch_size", {"choices": given}))
        except UserError as error:
            assert len(str(error).splitlines()) == 1 and "sweep.space" in str(error), (given, error)
            continue
        means("choices", given, found["regime.batch_size"].distribution)


@pytest.mark.parametrize("given", [None, 3, "x", [], [1], {}, {"model": 3}, {"model": None}, {"": None}, {1: {2: [3]}}])
def test_a_space_that_is_none_is_refused_in_a_line(given):
    cfg = compose([])
    cfg.sweep.space = given
    with pytest.raises(UserError, match=r"sweep\.space") as caught:
        read_space(cfg)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("word", "log"), [("no", False), ("off", False), ("yes", True), (True, True)])
def test_a_word_says_whether_a_range_is_logarithmic(word, log):
    found = read_space(with_entry(compose([]), "regime.optimizer.lr", {"low": 1e-4, "high": 1e-2, "log": word}))
    assert found["regime.optimizer.lr"].distribution == FloatDistribution(1e-4, 1e-2, log=log)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"low": 1e-4, "high": math.inf}, "low and high must be numbers"),
        ({"low": math.nan, "high": 1.0}, "low and high must be numbers"),
        ({"low": 1, "high": 10**400}, "low and high must be numbers"),
        ({"low": "1e-4", "high": 1.0}, "low and high must be numbers, not '1e-4' and 1.0"),
        ({"low": 1.0, "high": 1.0}, "low must be below high"),
        ({"low": 0.1, "high": 1.0, "log": "perhaps"}, "sweep.space.regime.optimizer.lr.log"),
        ({"low": 0.1, "high": 1.0, "step": True}, "step must be a number above 0, not True"),
        ({"low": 0.1, "high": 1.0, "step": "0.1"}, "step must be a number above 0, not '0.1'"),
        ({"low": 0.1, "high": 1.0, "step": math.nan}, "step must be a number above 0, not nan"),
        ({"low": 0.1, "high": 1.0, "step": 0}, "step must be a number above 0, not 0"),
        ({"low": 0.1, "high": 1.0, "step": -0.1}, "step must be a number above 0, not -0.1"),
        ({"low": 1, "high": 9, "step": 2.5}, "step must be a whole number above 0, not 2.5"),
        ({"low": 0.1, "high": 1.0, "when": {"sweep": 1}}, "when: there is no sweep=1"),
        ({"low": 0.1, "high": 1.0, "when": {"regime.epochs": "30"}}, "regime.epochs: is never '30'; write 30"),
        ({"low": 0.1, "high": 1.0, "when": {"regime.deterministic": "no"}}, "is never 'no'; write false"),
        ({"low": 0.1, "high": 1.0, "when": {"regime.epochs": "many"}}, "when: regime.epochs: input should be"),
    ],
)
def test_what_a_range_can_not_mean_is_refused(entry, words):
    with pytest.raises(UserError) as caught:
        read_space(with_entry(compose([]), "regime.optimizer.lr", entry))
    assert words in str(caught.value)


def test_whole_numbers_and_values_that_a_path_can_have_stay_as_they_are():
    entry = {"low": 2, "high": 8, "step": 2, "when": {"regime.batch_size": [16, 32.0], "regime.deterministic": True}}
    found = read_space(with_entry(compose([]), "regime.epochs", entry))["regime.epochs"]
    assert found.distribution == IntDistribution(2, 8, step=2)
    assert found.when == {"regime.batch_size": (16, 32.0), "regime.deterministic": (True,)}
    choices = read_space(with_entry(compose([]), "regime.batch_size", {"choices": [8, 16]}))["regime.batch_size"]
    assert choices.distribution == CategoricalDistribution([8, 16])
