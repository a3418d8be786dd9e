"""Every path of the schema is given each type's near misses: a line for the user, or the value that is meant."""

import math

import pytest
from omegaconf import DictConfig, OmegaConf

from medfit.config import folders, schema
from medfit.config.compose import compose
from medfit.config.overrides import leaves
from medfit.errors import UserError
from medfit.search.values import set_values

OR_WORDS = {"sample.label", "sweep.pruner.min_resource"}  # numbers, or a word by their signature: a class, "auto"
WORDS = {"no": False, "off": False, "false": False, "n": False, "0": False, "yes": True, "on": True, "true": True}
NUMBERS = ["3", "1e-3", "2.0", "-1", "nan", "inf", "0x10", " 7 "]
OTHERS = [
    True,
    False,
    1.0,
    3.0,
    2.5,
    -1,
    0,
    10**30,
    math.inf,
    math.nan,
    None,
    "",
    "${nowhere}",
    "???",
    [],
    {},
    [1.0],
    ["2"],
]
OTHERS += [[True], {"a": 1}, {"1": "x"}, {1: "x"}, "2026-01-01", "é"]


def paths(cfg: DictConfig) -> list[str]:
    """Returns the config paths of all that a signature is asked of; the space is read by the search itself."""
    left_out = ("choices", "overrides", "experiment", "best", "sweep.space")
    return [path for path, _ in leaves(cfg) if not path.startswith(left_out)]


def near_misses(cfg: DictConfig, path: str, known: set[tuple[str, ...]] | None = None) -> None:
    """Sets each near miss at a path: it is refused in a line, or held as what it means.

    Args:
        cfg: The config.
        path: In it.
        known: What has been asked, of a signature's argument and the kind of its value; it is not asked again.
    """
    changed = cfg.copy()
    parent, _, name = path.rpartition(".")
    node = OmegaConf.select(changed, parent) if parent else changed
    original = OmegaConf.select(cfg, path)
    if known is not None:
        asked = str(node.get("_target_", parent)), name, type(original).__name__
        if asked in known:
            return
        known.add(asked)
    whole = node._content[name]
    for given in [*WORDS, *NUMBERS, *OTHERS]:
        node = OmegaConf.select(changed, parent) if parent else changed  # validation may have put another in its place
        node._content[name] = whole
        node[name] = given
        try:
            schema.check_sections(changed, [path])
        except UserError as error:
            assert str(error) and len(str(error).splitlines()) == 1, (path, given, error)
            continue
        means(path, original, given, OmegaConf.select(changed, path))


def means(path: str, original: object, given: object, held: object) -> None:
    """Tells a meaning that was turned round: no is never yes, and a number is the one that was typed."""
    told = path, given, held
    if isinstance(original, bool) and isinstance(given, str) and not isinstance(held, str):
        assert held is None or held is WORDS[given], told
    if isinstance(held, bool) and isinstance(given, str):
        assert held is WORDS[given], told
    if isinstance(held, int | float) and not isinstance(held, bool):
        assert not isinstance(given, bool), told
        assert repr(float(held)) == repr(float(given)), told  # type: ignore[arg-type]
        assert math.isfinite(held) or not isinstance(original, int | float), told
    if type(original) is int and path not in OR_WORDS:
        assert not isinstance(held, str), told


def test_every_path_of_the_default_config_refuses_or_understands_near_misses():
    cfg = compose([])
    found = paths(cfg)
    assert len(found) > 80
    for path in found:
        near_misses(cfg, path)


@pytest.mark.slow
@pytest.mark.parametrize("group", ["model", "regime", "sweep", "sweep/sampler", "sweep/pruner", "regime/scheduler"])
def test_every_path_of_every_choice_refuses_or_understands_near_misses(group):
    known = set()
    for choice in folders.groups()[group]:
        cfg = compose([f"{group}={choice}"])
        for path in paths(cfg):
            if path.startswith(f"{group.replace('/', '.')}."):
                near_misses(cfg, path, known)
    assert known


@pytest.mark.slow
@pytest.mark.parametrize("preprocessing", folders.groups()["preprocessing"])
def test_every_path_of_preprocessing_refuses_or_understands_near_misses(preprocessing):
    cfg = compose(["dataset=mni_slices", f"preprocessing={preprocessing}"])
    for path in paths(cfg):
        if path.startswith(("preprocessing.", "dataset.", "task.")):
            near_misses(cfg, path)


@pytest.mark.parametrize(
    ("line", "path", "held"),
    [
        ("sweep.accept_changes=no", "sweep.accept_changes", False),
        ("report.cases=no", "report.cases", False),
        ("dataset.strict=off", "dataset.strict", False),
        ("tracking.plots=yes", "tracking.plots", True),
        ("regime.epochs=1.0", "regime.epochs", 1),
        ("seed=1.0", "seed", 1),
        ("seed='3'", "seed", 3),
        ("regime.batch_size=32.0", "regime.batch_size", 32),
        ("regime.optimizer.lr='1e-3'", "regime.optimizer.lr", 1e-3),
        ("model.widths=['3',4.0]", "model.widths", [3, 4]),
    ],
)
def test_a_config_holds_what_validation_returned(line, path, held):
    assert repr(OmegaConf.select(compose([line]), path)) == repr(held)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("task.monitor=3", ": input should be a valid string, not 3"),
        ("regime.epochs=true", "regime.epochs: input should be a number, not True"),
        ("model.widths=[3,true]", "model.widths: input should be a number, not [3, True]"),
        ("regime.epochs=${nowhere}", "regime.epochs: Interpolation key 'nowhere' not found"),
        ("seed=${oc.env:NOT_THERE}", "seed: KeyError raised while resolving interpolation"),
        ("seed=-1", "seed: input should be greater than or equal to 0, not -1"),
        ("seed=???", "seed: Missing mandatory value"),
        ("split=null", "split: is needed, not None"),
        ("regime.optimizer.lr=inf", "regime.optimizer.lr: input should be a finite number, not inf"),
        ("regime.optimizer._partial_=perhaps", "regime.optimizer._partial_: input should be a valid boolean"),
        ("sweep.objective=[]", "sweep.objective: "),
    ],
)
def test_what_can_mean_nothing_is_refused_in_a_line(line, words):
    with pytest.raises(UserError) as caught:
        compose([line])
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_interpolation_stays_one_and_follows_what_it_points_at():
    cfg = compose(["regime.patience=${regime.epochs}", "regime.epochs='7'"])
    assert cfg.regime.patience == 7
    cfg.regime.epochs = 9
    assert cfg.regime.patience == 9
    assert list(cfg.overrides) == ["regime.patience=${regime.epochs}", "regime.epochs='7'"]
    assert set_values(cfg, {"model": "linear", "regime.epochs": 5}).regime.patience == 5


def test_a_text_from_elsewhere_is_no_number_unless_it_is_read_as_one(monkeypatch):
    monkeypatch.setenv("EPOCHS", "5")
    with pytest.raises(UserError, match=r"regime.epochs: \$\{oc.env:EPOCHS\} gives '5', not 5"):
        compose(["regime.epochs=${oc.env:EPOCHS}"])
    assert compose(["regime.epochs=${oc.decode:${oc.env:EPOCHS}}"]).regime.epochs == 5


def test_whole_numbers_stay_as_they_were_where_any_number_is_taken():
    assert repr(compose(["regime.optimizer.lr=1"]).regime.optimizer.lr) == "1"
