"""The whole page, of every kind of task."""

import base64
import getpass
import re
import socket
from pathlib import Path

import pytest
from html_checks import Reader

from medfit.config import folders
from medfit.reporting.formatting import number

KINDS = [
    "regression",
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("diagnosis", "segmentation", "generation")),
]
LARGEST = 1_000_000  # bytes


@pytest.fixture(params=KINDS)
def experiment(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def page(lab, experiment):
    return lab.report(experiment)[0]


def test_tags_match_ids_are_unique_and_links_lead_somewhere(page):
    read = Reader(page)
    assert read.wrong == []
    assert len(read.ids) == len(set(read.ids))
    assert set(read.anchors) <= set(read.ids)


def test_nothing_is_loaded_from_elsewhere(page):
    assert all(link.startswith("data:image/png;base64,") for link in Reader(page).loaded)
    assert "http" not in page
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert len(page.encode()) < LARGEST


def test_neither_machine_nor_user_is_told(lab, page):
    text = re.sub(r"base64,[\w+/=]+", "", page)
    for secret in (str(lab.folder), str(folders.ROOT), str(Path.home()), socket.gethostname(), "mlflow.db", "sqlite:"):
        assert secret not in text
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", Reader(page).text.replace("dataset.root", ""))


def test_patients_appear_among_the_worst_cases_alone(lab, experiment, page):
    hashes = set(re.findall(r"(?<![\w.])[0-9a-f]{16}(?!\w)", re.sub(r"base64,[\w+/=]+", "", page)))
    known = lab.facts(experiment)
    hashes -= {known.schema["sha256"][:16], known.proof["assignment_sha256"][:16]}
    worst = known.tables["patients"].patient.head(1).tolist() if "patients" in known.tables else []
    assert hashes == set(worst)
    for match in worst:
        section = page[: page.index(match)].rpartition("<section id=")[2]
        assert section.startswith('"patients"')


def test_every_score_of_the_results_is_in_the_page(lab, experiment, page):
    text = Reader(page).text.replace("\u00a0", " ")
    table = lab.results(experiment)
    for row in table[~table.metric.str.contains("/")].to_dict("records"):
        if row["estimate"] == row["estimate"]:
            assert f" {number(row['estimate'])} " in text
        if row.get("low", float("nan")) == row.get("low"):
            assert f"{number(row['low'])} to {number(row['high'])}" in text


def test_pictures_are_png(page):
    for data in re.findall(r"base64,([\w+/=]+)", page):
        assert base64.b64decode(data).startswith(b"\x89PNG")


def test_the_summary_holds_question_results_and_commands(lab, experiment):
    summary = lab.report(experiment)[1]
    known = lab.facts(experiment)
    assert summary.startswith(f"# {known.question}\n")
    assert "| metric |" in summary
    assert f"make evaluate EXPERIMENT={experiment}" in summary
    assert str(lab.folder) not in summary
