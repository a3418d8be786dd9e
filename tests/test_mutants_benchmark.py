import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import mutants
import planted

SOURCE = '''"""A module."""


def half(value: int | None, *, least: float = 1.5) -> float | None:
    return None if value is None else max(value / 2, least)
'''


def changes(source):
    return {fault.shown(source)[1] for fault in planted.faults(source)}


def test_faults_are_of_what_a_module_does_and_not_of_its_annotations():
    found = changes(SOURCE)
    assert "return None if value is None else max(value * 2, least)" in found
    assert "return None if value is not None else max(value / 2, least)" in found
    assert "def half(value: int | None, *, least: float = 2.5) -> float | None:" in found
    assert not any("int +" in line or "float +" in line or "/, least" in line for line in found)
    assert not any(sign in line for line in found for sign in ("value << 2", "value & 2", "value ^ 2"))
    assert changes("x = {1} | {2}\n") >= {"x = {1} & {2}", "x = {1} ^ {2}"}


def test_each_fault_is_a_program_that_differs():
    for fault in planted.faults(SOURCE):
        compile(fault.planted(SOURCE), "module", "exec")
        assert fault.planted(SOURCE) != SOURCE


def test_a_sample_follows_from_its_seed():
    found = planted.faults(SOURCE)
    one, again, other = (planted.sampled(found, 5, seed) for seed in ("1", "1", "2"))
    assert one == again != other and len(set(one)) == 5
    assert planted.sampled(found, 10**6, "1") == planted.sampled(found, None, "1") == found


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "src/medfit").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "src/medfit/__init__.py").touch()
    (tmp_path / "src/medfit/halves.py").write_text(SOURCE)
    test = "from medfit.halves import half\n\n\ndef test_it():\n    assert half(8) == 4\n"
    (tmp_path / "tests/test_halves.py").write_text(test)
    monkeypatch.setattr(planted, "HEAVY", ())
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "modules", lambda: {"halves.py": ["test_halves.py"]})
    for name in [name for name in sys.modules if name.split(".")[0] == "medfit"]:
        monkeypatch.delitem(sys.modules, name)  # the forks are to import the copy's
    return tmp_path


def test_what_no_test_sees_is_on_the_page_with_its_reason(repository, tmp_path, capsys):
    results = tmp_path / "mutants.yaml"
    line = ["--results", str(results), "--timeout", "60", "--sample", "7"]
    mutants.main(line)
    (found,) = yaml.safe_load(results.read_text()).values()
    survivors = [one["becomes"] for one in found["survivors"]]
    assert found["planted"] == 7 and 0 < found["seen"] < 7 and found["seen"] == 7 - len(survivors)
    assert not any("value * 2" in change for change in survivors)
    found["survivors"][0]["reason"] = "too small to matter"
    results.write_text(yaml.safe_dump({"halves.py": found}))
    capsys.readouterr()
    assert mutants.main(line) == 1  # fewer than nine in ten; nothing is planted anew
    assert "seen" not in capsys.readouterr().out
    page = (tmp_path / "mutants.md").read_text()
    assert f"| 7 | {found['seen']} | 0 | {found['measured']} |" in page
    assert "too small to matter" in page and f"7 were planted, and {found['seen']} of them seen" in page
    assert (repository / "src/medfit/halves.py").read_text() == SOURCE
    mutants.main([*line, "--only", "halves.py"])
    assert yaml.safe_load(results.read_text())["halves.py"]["survivors"][0]["reason"] == "too small to matter"


def test_tests_that_fail_without_any_fault_are_told(repository):
    (repository / "tests/test_halves.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(RuntimeError, match="the tests of halves.py fail without any fault"):
        mutants.main(["--results", str(repository / "mutants.yaml")])


def test_modules_count_as_much_as_they_have_faults():
    found = {"a": {"faults": 900, "planted": 10, "seen": 10}, "b": {"faults": 100, "planted": 10, "seen": 0}}
    share, low, high = mutants.share_seen(found)
    assert share == 0.9 and low < 0.9 < high
    equal = {name: {"faults": 10, "planted": 10, "seen": 9} for name in "ab"}
    share, low, high = mutants.share_seen(equal)
    assert share == 0.9 and (low, high) == pytest.approx((0.699, 0.972), abs=0.001)  # Wilson's of 18 of 20


def test_every_module_that_scores_and_stores_has_tests_that_are_there():
    known = mutants.modules()
    assert {"evidence/delong.py", "data/splits.py", "tasks/metrics.py", "study/repair.py", "tracking/outbox.py"} <= set(
        known
    )
    assert all((mutants.ROOT / "tests" / test).exists() for tests in known.values() for test in tests)
    assert all((mutants.ROOT / "src/medfit" / module).exists() for module in known)
