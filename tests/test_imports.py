import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo', '--no-cache'])"


def broken(folder):
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", LINT], cwd=folder, env=env, capture_output=True, text=True)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return set(re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE))


@pytest.fixture
def copied(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src" / "medfit", tmp_path / "src" / "medfit", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def append(folder, module, text):
    path = folder / "src" / "medfit" / module
    path.write_text(path.read_text() + text)


def test_imports_go_one_way_without_a_circle():
    assert broken(ROOT) == set()


def test_an_import_inside_a_function_can_close_a_circle(copied):
    append(copied, "errors.py", "\n\ndef back():\n    from medfit.terminal import console\n\n    return console\n")
    assert broken(copied) == {"Imports go one way", "No circle among modules"}


def test_a_circle_within_a_room_is_found(copied):
    append(copied, "tracking/store.py", "\n\ndef back():\n    from medfit.tracking.run import Run\n\n    return Run\n")
    assert broken(copied) == {"No circle among modules"}


def test_an_import_upwards_is_found_where_it_closes_no_circle(copied):
    append(
        copied, "data/splits.py", "\nfrom medfit.plots import study as study\nfrom medfit import compare as compare\n"
    )
    assert broken(copied) >= {"Imports go one way"}


def test_a_new_room_needs_a_place(copied):
    (copied / "src" / "medfit" / "attic.py").touch()
    assert broken(copied) == {"Imports go one way"}


def test_statistics_import_no_torch(copied):
    append(copied, "evidence/paired.py", "\n\ndef tensor():\n    import torch\n\n    return torch\n")
    assert broken(copied) == {"Statistics need no torch"}


def uncommented(text):
    """Yields the first line of each group of imports within a function that no comment stands beside or above."""
    lines, last, seen = text.splitlines(), 0, {}
    for function in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)):
        seen |= {node.lineno: node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)}
    for number, node in sorted(seen.items()):
        begins, last = number != last + 1, node.end_lineno
        if begins and not any("#" in line for line in lines[number - 2 : number]):
            yield number


def test_an_import_within_a_function_says_why():
    assert list(uncommented("def f():\n    import a  # late\n    import b\n\n    import c\n")) == [5]
    paths = sorted((ROOT / "src" / "medfit").rglob("*.py"))
    assert len(paths) > 200
    assert [f"{path.name}:{line}" for path in paths for line in uncommented(path.read_text())] == []
