import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from medfit.__main__ import expand
from medfit.config import typed
from medfit.config.compose import _split_experiment, compose
from medfit.config.instantiate import load_dataset
from medfit.config.overrides import as_override
from medfit.errors import UserError

NAMES = ["données.csv", "a b (1).csv", "a=b.csv", "x#y[1].csv", "~/x.csv", "it's.csv", "[1] a.csv", r"C:\d x\y.csv"]
NAMES += ["{a}b.csv", "50%.csv", "a;b|c.csv", '"x" y.csv', "患者.csv", "a&b (2) [v3].csv", "x!.csv", "a: b.csv"]


@pytest.fixture
def table(tmp_path):
    """Overrides of a small table whose columns have names as clinics give them."""
    path = tmp_path / "Étude (1) = [neu] #2.csv"
    head = "Age (years),CK-MB [U/L],Hb.A1c %,y\n"
    path.write_text(head + "".join(f"{i % 40 + 30},{i % 7},{i % 5},{i % 2}\n" for i in range(40)))
    return ["dataset=table", f"dataset.path={path}", "dataset.target=y"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_typed_as_it_is_called(name):
    [[line]] = expand([f"dataset.path={name}"])
    assert typed.value(line.partition("=")[2]) == name


def test_a_file_with_a_comma_in_its_name_is_one_file_and_other_values_are_several(tmp_path, monkeypatch):
    (tmp_path / "a,b.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert list(expand(["dataset.path=a,b.csv"])) == [["dataset.path='a,b.csv'"]]
    assert list(expand([f"dataset.path={tmp_path}/a,b.csv"])) == [[f"dataset.path='{tmp_path}/a,b.csv'"]]
    assert list(expand(["dataset.path=a.csv,b.csv"])) == [["dataset.path=a.csv"], ["dataset.path=b.csv"]]
    assert next(expand(["model=mlp,linear", f"+dataset.path={'x,' * 4000}y"]))[0] == "model=mlp"


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
def test_whatever_text_is_spelled_is_read_back(text):
    line = f"dataset.path={as_override(text)}"
    assert typed.spelled(line) == line
    assert typed.value(line.partition("=")[2]) == text


@given(st.text(alphabet="ab(){}[]:,='\"\\ é#~%$", max_size=12))
def test_no_text_is_more_than_a_line_for_the_user(text):
    try:
        spelled = typed.spelled(f"dataset.path={text}")
    except UserError as error:
        assert "cannot read the override" in str(error)
    else:
        assert typed.choices(spelled)


@pytest.mark.slow
def test_columns_are_named_as_the_table_names_them(table):
    cfg = compose(
        [
            *table,
            "dataset.kinds.Age (years)=categorical",
            "dataset.kinds.Hb.A1c %=categorical",
            "dataset.exclude=[CK-MB [U/L]]",
            "evaluate.subgroups.Age (years)=[40,60]",
        ]
    )
    assert cfg.dataset.kinds == {"Age (years)": "categorical", "Hb.A1c %": "categorical"}
    assert cfg.dataset.exclude == ["CK-MB [U/L]"]
    assert cfg.evaluate.subgroups == {"Age (years)": [40, 60]}


def test_a_columns_name_may_hold_the_sign_that_ends_a_key(tmp_path):
    (tmp_path / "t.csv").write_text(
        "a=b,c=d,e=f,y\n" + "".join(f"{i % 3},{i % 7},{i % 5},{i % 2}\n" for i in range(40))
    )
    lines = ["dataset=table", f"dataset.path={tmp_path / 't.csv'}", "dataset.target=y"]
    own = [
        "dataset.kinds.a=b=categorical",
        "dataset.units.c=d=mg/l",
        "dataset.missing_in.c=d=[6]",
        "dataset.exclude=[e=f]",
    ]
    dataset = load_dataset(compose([*lines, *own, "evaluate.subgroups.a=b=null"]))
    assert list(dataset.x) == ["a=b", "c=d"] and dataset.kinds == {"a=b": "categorical", "c=d": "numeric"}
    assert dataset.units == {"c=d": "mg/l"} and dataset.x["c=d"].isna().sum() == 5
    assert load_dataset(compose([*lines, "dataset.kinds={a=b: categorical}"])).kinds["a=b"] == "categorical"
    assert load_dataset(compose([*lines, "dataset.kinds.'a=b'=categorical"])).kinds["a=b"] == "categorical"


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("dataset.units.a=b=mg", ("dataset.units", {"a=b": "mg"})),
        ("dataset.units.Dose (=total)=mg", ("dataset.units", {"Dose (=total)": "mg"})),
        ("+dataset.parse.a=b=number", ("dataset.parse", {"a=b": "number"})),
        ("dataset.kinds.'a=b'=numeric", ("dataset.kinds", {"a=b": "numeric"})),
        ("dataset.kinds.it's=numeric", ("dataset.kinds", {"it's": "numeric"})),
        ("validate.subgroups.a b=null", ("validate.subgroups", {"a b": None})),
        ("validate.dataset.kinds.a=b=numeric", ("validate.dataset.kinds", {"a=b": "numeric"})),
        ("dataset.symbols.N=a=b", ("dataset.symbols", {"N": "a=b"})),  # whose values are words of any kind
        ("dataset.symbols.'='=noise", ("dataset.symbols", {"=": "noise"})),
        ("dataset.symbols.N='='", ("dataset.symbols", {"N": "="})),
        ("dataset.kinds.a [b=numeric", ("dataset.kinds", {"a [b": "numeric"})),
    ],
)
def test_key_and_value_are_told_apart_by_the_sign_that_is_meant(line, own):
    assert typed.spelled(line) == line and typed.own(line) == own


def test_several_kinds_of_an_odd_name_are_several_runs():
    made = list(expand(["dataset.kinds.a=b=numeric,categorical"]))
    assert made == [["dataset.kinds.a=b=numeric"], ["dataset.kinds.a=b=categorical"]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{Age (years): numeric, CK-MB [U/L]: [1, 2]}", {"Age (years)": "numeric", "CK-MB [U/L]": [1, 2]}),
        ("{'a:b': x, \"c,d\": y}", {"a:b": "x", "c,d": "y"}),
        ("[Age (years),it's,'a,b']", ["Age (years)", "it's", "a,b"]),
        ("{1: é}", {1: "é"}),
        ("[1, é, null, true]", [1, "é", None, True]),
        ("[]é[]", "[]é[]"),
    ],
)
def test_lists_and_mappings_of_odd_names_are_read(text, value):
    assert typed.value(text) == value
    assert typed.value(as_override(value)) == value


def test_a_kind_is_given_by_its_path():
    cfg = compose(["dataset=breast_cancer"])
    typed.add(cfg, "dataset.kinds", {"stage": "categorical"})
    assert OmegaConf.to_container(cfg.dataset.kinds) == {"stage": "categorical"}
    assert typed.own("dataset.kinds.stage=categorical") == ("dataset.kinds", {"stage": "categorical"})
    assert typed.own("regime.optimizer.lr=1") is None


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("dataset.kinds", {"Age (years)": "numeric"}),
        ("dataset.units", {"age": "years"}),
        ("evaluate.subgroups", {"mean radius": [14]}),
        ("regime.trainer", {"fast_dev_run": True}),
        ("validate.dataset", {"target": "ill"}),
    ],
)
def test_a_mapping_of_the_users_own_keys_is_given_as_a_whole(path, keys, tmp_path):
    (tmp_path / "own.csv").write_text("age,Age (years),ill\n" + "40,41,1\n50,51,0\n" * 30)
    table = ["dataset=table", f"dataset.path={tmp_path / 'own.csv'}", "dataset.target=ill"]
    cfg = compose([*table, f"{path}={as_override(keys)}"])
    assert OmegaConf.to_container(OmegaConf.select(cfg, path)) == keys


def test_mappings_for_several_runs_are_divided():
    lines = list(expand(["dataset.kinds={a: numeric},{a: categorical}"]))
    assert [typed.own(line) for (line,) in lines] == [
        ("dataset.kinds", {"a": "numeric"}),
        ("dataset.kinds", {"a": "categorical"}),
    ]


def test_several_values_are_several_runs_for_odd_names_too():
    assert list(expand(["dataset.kinds.Age (years)=numeric,categorical"])) == [
        ["dataset.kinds.Age (years)=numeric"],
        ["dataset.kinds.Age (years)=categorical"],
    ]


@pytest.mark.parametrize("line", ["fôo=3", "model.widths=[1", "dataset.path={a", "x y=1"])
def test_what_is_no_override_is_told(line):
    with pytest.raises(UserError, match="cannot read the override"):
        list(expand([line]))


def test_an_experiment_that_looks_like_a_number_keeps_its_name():
    assert _split_experiment(["experiment=2024_05"]) == ("2024_05", [])
    assert _split_experiment(["experiment='Étude 1'"]) == ("Étude 1", [])
    assert _split_experiment(["experiment=null"]) == _split_experiment(["experiment="]) == (None, [])


@pytest.mark.slow
def test_an_experiment_may_have_any_name(experiments):
    folder = experiments / "Étude 1"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /dataset: breast_cancer\nseed: 4\n"
    )
    (folder / "best.yaml").write_text("# @package _global_\ndefaults:\n  - Étude 1/config\nregime:\n  epochs: 3\n")
    cfg = compose(["experiment=Étude 1"])
    assert (cfg.experiment, cfg.seed) == ("Étude 1", 4)
    best = compose(["experiment=Étude 1/best"])
    assert (best.best, best.seed, best.regime.epochs) == (True, 4, 3)
