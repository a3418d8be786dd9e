import pytest

from medfit.data.inspection import raw
from medfit.errors import UserError

ROWS = "who,part,age,num\n" + "".join(f"p{n // 2},train,{30 + n},{n % 3}\n" for n in range(9))


@pytest.fixture
def node(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS)
    return {"path": str(tmp_path / "t.csv"), "target_rule": None, "target": None}


def test_roles_are_those_of_the_config(node):
    more = {"target": "num", "patient": "who", "split": "part", "exclude": ["age"], "units": {"age": "years"}}
    found = raw.read({**node, **more})
    assert found.roles == {"num": "target", "who": "patient", "part": "split", "age": "left out"}
    assert found.units == {"age": "years"} and list(found.table) == ["who", "part", "age", "num"]


def test_a_rules_column_is_the_target(node):
    assert raw.read({**node, "target_rule": "num > 0"}).roles == {"num": "target"}


def test_a_target_is_a_column_a_rule_or_annotations(node):
    assert not raw.has_target(node) and raw.has_target({})
    assert all(raw.has_target({**node, key: "x"}) for key in ("target", "target_rule", "symbols"))


def test_labels_are_read_in_the_place_of_a_folder(node, tmp_path):
    assert len(raw.read({**node, "path": str(tmp_path), "labels": node["path"]}).table) == 9


def test_what_is_no_file_of_a_table_is_not_read(node, tmp_path):
    assert raw.read({**node, "path": str(tmp_path)}) is None and raw.read({"path": node["path"]}) is None
    assert raw.read({"target_rule": None, "root": str(tmp_path)}) is None


def test_a_column_that_is_not_there_is_named(node):
    with pytest.raises(UserError, match="dataset.patient: there is no column 'whom'; did you mean 'who'"):
        raw.read({**node, "patient": "whom"})
