import numpy as np
import pytest

from medfit.reporting import guidelines, history, search_settings
from medfit.reporting.formatting import duration, ordinal, p_value, plural, public, scored


@pytest.mark.parametrize(
    ("place", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (112, "112th")]
)
def test_ordinals(place, word):
    assert ordinal(place) == word


@pytest.mark.parametrize(("value", "word"), [(0.0004, "< .001"), (0.04, ".040"), (1.0, "1"), (np.nan, "–")])
def test_p_values(value, word):
    assert p_value(value) == word


@pytest.mark.parametrize(("seconds", "word"), [(0.25, "0.2 s"), (90, "1.5 min"), (7200, "2.0 h")])
def test_durations(seconds, word):
    assert duration(seconds) == word


def test_counts_have_their_plurals():
    assert [plural(1, "patient"), plural(2, "patient")] == ["1 patient", "2 patients"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dataset.path=/home/anna/clinic/table.csv", "dataset.path=table.csv"),
        ("'/data/my scans/a.nii'", "'/data/my scans/a.nii'".replace("/data/my scans/", "")),
        ("~/clinic/table.csv", "table.csv"),
        ("dataset.root=C:\\Users\\anna\\scans", "dataset.root=scans"),
        ("1/min", "1/min"),
        ("val/auroc and mg/dl", "val/auroc and mg/dl"),
        ("regime/optimizer=sgd", "regime/optimizer=sgd"),
        ("doi:10.24432/C52P4X", "doi:10.24432/C52P4X"),
    ],
)
def test_folders_of_a_machine_are_left_out(text, shown):
    assert public(text) == shown


def test_what_is_undefined_is_a_dash():
    assert scored({"estimate": np.nan}) == "–"
    assert scored({"estimate": 0.5}) == ("0.500", "")


def test_a_space_is_told_by_its_paths():
    node = {
        "regime": {"optimizer": {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}, "batch_size": {"choices": [16, 32]}},
        "model": ["mlp", "linear"],
        "task": None,
    }
    assert search_settings.space(node)[1:] == [
        ["regime.optimizer.lr", "0.0001 to 0.01, logarithmic"],
        ["regime.batch_size", "16, 32"],
        ["model", "mlp, linear"],
    ]


def test_a_command_leaves_out_where_results_go():
    config = {
        "overrides": ["output_dir=/home/anna/runs", "tracking.uri=http://server", "regime.epochs=3"],
        "best": True,
    }
    assert history._command("evaluate", "x", config) == 'make evaluate EXPERIMENT=x/best ARGS="regime.epochs=3"'


@pytest.mark.parametrize(("guideline", "count"), [(guidelines.TRIPOD_AI, 27), (guidelines.CLAIM, 44)])
def test_guidelines_have_all_their_items(guideline, count):
    assert [item.number for item in guideline] == [str(number + 1) for number in range(count)]


def test_an_item_is_filled_in_part_or_left_to_the_author():
    some = [
        guidelines.Item("1", "a", ["x"]),
        guidelines.Item("2", "b", ["x"], "more"),
        guidelines.Item("3", "c", ["y"]),
    ]
    rows = guidelines.checklist(some, {"x": ("data", "known")})
    assert [row.state for row in rows] == ["filled", "part", "author"]
    assert rows[0].filled == [("data", "known")] and rows[2].author == "not known from the runs"
