import numpy as np
import pandas as pd
import pytest

from medfit.plots.evidence import MOST_PANELS, figures, first_metric, in_order, num_worst


def scores(**columns):
    rows = {
        "model": ["net", "mean"],
        "metric": "auroc",
        "estimate": [0.9, 0.5],
        "low": [0.8, np.nan],
        "high": [0.95, np.nan],
    }
    return pd.DataFrame(rows | columns)


def curve(names=("yes",), **columns):
    return pd.concat(
        pd.DataFrame(
            {"column": n, "predicted": [0.2, 0.8], "observed": [0.1, 0.9], "low": 0.05, "high": 0.95, **columns}
        )
        for n in names
    )


def drawn(figure):
    figure.canvas.draw()
    return [axes for axes in figure.axes if axes.get_visible()]


def test_only_what_there_are_tables_for_is_drawn():
    assert set(figures({"scores": scores(), "trainings": scores()})) == {"scores"}
    assert figures({}) == {}


def test_scores_without_an_interval_are_a_dot():
    (axes,) = drawn(figures({"scores": scores()})["scores"])
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.8, 0.95], [0.9], [0.5]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["net", "mean"]


def test_calibration_stands_before_and_after():
    table = pd.concat([curve(recalibration=name) for name in ("none", "temperature", "platt", "isotonic")])
    (axes,) = drawn(figures({"calibration_curve": table})["calibration"])
    assert [text.get_text() for text in axes.get_legend().texts] == ["as predicted", "after platt scaling"]


def test_numbers_have_one_line_of_tenths_on_their_own_scale():
    table = curve().assign(predicted=[100, 200], observed=[110, 190], low=90, high=210)
    (axes,) = drawn(figures({"calibration_curve": table})["calibration"])
    assert axes.get_legend() is None
    assert axes.get_xlim()[1] > 150


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_several_columns_have_a_panel_each_up_to_a_limit(count):
    table = curve([f"class {k}" for k in range(count)], recalibration="none")
    assert len(drawn(figures({"calibration_curve": table})["calibration"])) == min(count, MOST_PANELS)


def test_decisions_show_the_model_beside_all_and_nobody():
    table = pd.DataFrame(
        {"column": "yes", "threshold": [0.1, 0.5], "model": [0.3, 0.2], "all": [0.3, -0.2], "none": 0.0}
    )
    (axes,) = drawn(figures({"decision_curve": table})["decision"])
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.3, -0.2], [0.0, 0.0], [0.3, 0.2]]


def test_small_subgroups_are_hollow_and_all_patients_a_line():
    table = scores(column="age", level=["60 and above", "below 60"], patients=30, small=[True, False])
    (axes,) = drawn(figures({"subgroups": table, "scores": scores()})["subgroups"])
    dots = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "age: below 60 (n=30)",
        "age: 60 and above (n=30)",
    ]
    assert dots[1] == "white" and dots[0] != "white"
    assert axes.lines[-1].get_xdata() == [0.9, 0.9]


def test_agreement_has_bias_and_limits_of_each_target():
    rows = {
        "measure": ["bias", "lower limit", "upper limit"],
        "estimate": [0, -2, 2],
        "low": [-1, -3, 1],
        "high": [1, -1, 3],
    }
    table = pd.concat([pd.DataFrame(rows).assign(column=name) for name in ("a", "b")])
    assert [axes.get_title(loc="left") for axes in drawn(figures({"agreement": table})["agreement"])] == ["a", "b"]


def test_patients_are_dots_and_the_worst_others():
    table = pd.DataFrame({"patient": list("abcdef"), "dice": np.linspace(0, 1, 6), "dice/lesion": np.linspace(0, 1, 6)})
    (axes,) = drawn(figures({"patients": table})["patients"])
    assert [len(dots.get_offsets()) for dots in axes.collections] == [3, 3]


def test_a_class_that_a_patient_lacks_is_left_out():
    table = pd.DataFrame({"patient": ["a", "b"], "dice": [0.1, 0.9], "dice/lesion": [np.nan, 0.9]})
    assert drawn(figures({"patients": table})["patients"])


@pytest.mark.parametrize(("patients", "worst"), [(1, 1), (3, 1), (8, 4), (100, 5)])
def test_at_most_half_are_the_worst(patients, worst):
    assert num_worst(patients) == worst


def test_the_deciding_metric_is_the_task_s_own():
    assert first_metric(pd.DataFrame({"metric": ["brier", "auroc"]})) == "auroc"
    assert first_metric(pd.DataFrame({"metric": ["frechet", "mmd"]})) == "frechet"


def test_the_lowest_band_is_first_within_its_column():
    table = pd.DataFrame({"column": ["sex", "age", "age"], "level": ["male", "40 and above", "below 40"]})
    assert in_order(table).level.tolist() == ["male", "below 40", "40 and above"]
