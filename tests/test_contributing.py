import re

import pytest
import yaml

from medfit.config import folders

GUIDE = (folders.ROOT / "CONTRIBUTING.md").read_text()
ROOMS = sorted(path.parent.name for path in (folders.ROOT / "src" / "medfit").glob("*/__init__.py"))
LINT = (folders.ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", GUIDE))
def test_what_the_guide_links_to_is_there(path):
    assert (folders.ROOT / path).exists()


def test_the_map_shows_each_room_once():
    assert sorted(re.findall(r"^\| \[(\w+)\]\(src/medfit/\1\) \|", GUIDE, re.MULTILINE)) == ROOMS


@pytest.mark.parametrize("override", re.findall(r"`([a-z_.]+=[\w/]+)`", GUIDE.partition("## Debug")[2]))
def test_what_helps_to_debug_composes(compose, override):
    compose(override)


@pytest.mark.parametrize("path", re.findall(r"pytest (\S+)", GUIDE))
def test_what_the_guide_tests_is_there(path):
    assert (folders.ROOT / path).exists()


def test_the_readme_names_each_room():
    built = (folders.ROOT / "README.md").read_text().partition("## How it is built")[2]
    assert [room for room in ROOMS if f"{room}/" not in built] == []


def test_hooks_before_a_commit_run_what_lint_runs():
    (local,) = yaml.safe_load((folders.ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in local["hooks"]] == re.findall(
        r"\.venv/bin/[^&\n]*[^&\n ]", LINT.replace("format --check .", "format --check").replace("check .", "check")
    )
