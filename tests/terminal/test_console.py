"""Tables on a terminal: no number is divided, and each row says what it is."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from medfit.terminal import console

SCORE = "0.912 (0.850 to 0.960) ± 0.010"
SCORES = ["metric", "mlp", "prevalence", "logistic", "gradient boosting"]


@pytest.fixture
def shown(monkeypatch):
    """Shows a table on a terminal of some width, and returns the lines."""

    def show(*table, width=80, **more):
        file = io.StringIO()
        monkeypatch.setattr(console, "console", Console(file=file, width=width, soft_wrap=True, highlight=False))
        console.show_table(*table, **more)
        return file.getvalue().splitlines()

    return show


def test_a_tables_cells_are_shown_as_they_are(capsys):
    console.show_table("Scores", ["model", "[auroc]"], [["unet dataset.classes=[background,tumour]", "0.5"]])
    shown = capsys.readouterr().out
    assert "unet dataset.classes=[background,tumour]" in shown and "[auroc]" in shown


def test_a_table_that_fits_is_one(shown):
    lines = shown("Scores", ["metric", "value"], [["auroc", "0.9"], ["brier", "0.1"]])
    assert [line.split() for line in lines] == [["Scores"], ["metric", "value"], ["auroc", "0.9"], ["brier", "0.1"]]


def test_scores_that_do_not_fit_stand_below_each_other_undivided(shown):
    lines = shown("Scores", SCORES, [["auroc", *[SCORE] * 4], ["brier", *[SCORE] * 4]])
    assert max(map(cell_len, lines)) <= 80
    assert [line.split("  ")[0] for line in lines] == [
        "Scores",
        "metric",
        "auroc",
        "brier",
        "",
        "metric",
        "auroc",
        "brier",
    ]
    assert sum(line.count(SCORE) for line in lines) == 8
    heads = [line.split() for line in lines if line.startswith("metric")]
    assert heads == [["metric", "mlp", "prevalence"], ["metric", "logistic", "gradient", "boosting"]]


def test_each_part_says_what_its_rows_are(shown):
    columns = ["metric", "over", "gain", "95 % interval", "p"]
    lines = shown("Gains", columns, [["auroc", "logistic", "0.1", "0.0 to 0.2", "–"]], width=34)
    rows = [line.split() for line in lines if line.startswith("auroc")]
    assert rows == [["auroc", "logistic", "0.1"], ["auroc", "logistic", "0.0", "to", "0.2", "–"]]


def test_levels_that_are_numbers_name_a_row_below_an_empty_heading(shown):
    lines = shown(
        "", ["", "", "then", "now"], [["stage", "1", "20.5 %", "30.5 %"], ["", "2", "79.5 %", "69.5 %"]], width=18
    )
    assert [line.split() for line in lines if "." in line][2:] == [["stage", "1", "30.5", "%"], ["2", "69.5", "%"]]


def test_words_of_a_table_of_words_stand_in_several_lines_and_its_numbers_in_one(shown):
    words = "a long word and another one " * 4
    lines = shown("Columns", ["name", "values", "missing"], [["age", words, "12 (3.5 %)"]], width=40, left=["values"])
    assert sum("12 (3.5 %)" in line for line in lines) == 1 and sum(line.startswith("age") for line in lines) == 1
    assert " ".join(lines).split().count("word") == 4


@given(
    st.lists(
        st.lists(st.sampled_from(["", "–", "x", "0.5", SCORE, "word " * 9, "é患者"]), min_size=5, max_size=5),
        min_size=1,
    ),
    st.integers(20, 200),
)
def test_every_cell_is_shown_once_and_fits_if_it_can(rows, width):
    parts = console._parts(SCORES, rows, width)
    assert {place for part in parts for place in part} == set(range(5)) and all(part[0] == 0 for part in parts)
    last = [part[-1] for part in parts]
    assert last == sorted(set(last)) and last[-1] == 4
    sizes = [max(map(cell_len, cells)) for cells in zip(SCORES, *rows, strict=True)]
    for part in parts:
        fits = sum(sizes[place] for place in part) + 2 * (len(part) - 1) <= width
        assert fits or len(part) <= len(console._names(SCORES, rows)) + 1
