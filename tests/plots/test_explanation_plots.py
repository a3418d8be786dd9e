import numpy as np
import pandas as pd

from medfit.plots import explanation_maps, explanations

RNG = np.random.default_rng(0)


def drawn(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    return figure


def test_of_many_features_the_fifteen_of_most_weight_are_shown(tmp_path):
    values, ranks = RNG.choice([-1, 1], (30, 40)) * np.arange(40), RNG.random((30, 40))
    names = [f"feature {i} of $a^$ name that is far too long" for i in range(40)]
    figure = drawn(explanations.features({"ill": (values, ranks)}, names, "SHAP", "effect"), tmp_path)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(labels) == 15
    assert labels[-1].startswith("feature 39")
    assert max(map(len, labels)) <= 45
    case = drawn(
        explanations.features_of_case({"SHAP": values[0], "LIME": values[1]}, names, "why", "effect"), tmp_path
    )
    assert len(case.axes[0].get_yticklabels()) == 15


def test_features_without_order_and_without_effect_are_drawn(tmp_path):
    found = {"ill": (np.zeros((4, 2)), np.full((4, 2), np.nan))}
    drawn(explanations.features(found, ["a", "b"], "SHAP", "effect"), tmp_path)


def test_of_many_channels_those_of_most_weight_are_shown(tmp_path):
    time, values = np.arange(20), RNG.random((12, 20))
    values[[2, 5, 7, 11]] += 5
    names = [f"lead {i}" for i in range(12)]
    labels = ("time (s)", "mV", "effect")
    figure = drawn(explanations.along_time(time, {"x": values}, {"x": values}, names, labels, "occlusion"), tmp_path)
    assert [axes.get_title() for axes in figure.axes[:4]] == ["lead 2", "lead 5", "lead 7", "lead 11"]
    drawn(explanations.coloured_signal(time, values, {"occlusion": values - 1}, names, labels, "why"), tmp_path)


def test_of_a_volume_the_slice_with_most_attribution_is_shown(tmp_path):
    volume, values = np.arange(60.0).reshape(3, 4, 5), np.zeros((3, 4, 5))
    values[2, 1] = 1
    figure = drawn(explanation_maps.maps(volume, {"occlusion": (values, "effect")}, "why"), tmp_path)
    assert np.array_equal(figure.axes[0].images[0].get_array(), volume[2].T[::-1])


def test_of_a_volume_with_a_region_a_slice_that_cuts_it_is_shown(tmp_path):
    volume, values = np.arange(60.0).reshape(3, 4, 5), np.zeros((3, 4, 5))
    values[2, 1], values[1, 1] = 1, 0.1
    region = np.zeros((3, 4, 5), dtype=bool)
    region[1, 1:3, 1:3] = True
    found = {"occlusion": (values, "effect")}
    figure = drawn(explanation_maps.maps(volume, found, "why", region, (1.0, 3.0)), tmp_path)
    assert np.array_equal(figure.axes[0].images[0].get_array(), volume[1].T[::-1])


def test_maps_without_attribution_are_drawn(tmp_path):
    image, nothing = np.ones((6, 6)), np.zeros((6, 6))
    drawn(explanation_maps.maps(image, {"Grad-CAM": (nothing, "slope")}, "why"), tmp_path)
    drawn(explanation_maps.mean_maps({"ill": (image, nothing)}, "Grad-CAM", "slope"), tmp_path)


def test_distances_are_drawn_for_each_class(tmp_path):
    means = pd.DataFrame({"target": ["a", "a", "b", "b"], "distance_mm": [-1, 1, -1, 1], "mean_size": [1, 0.5, 1, 0.2]})
    assert len(drawn(explanation_maps.by_distance(means, "occlusion", "effect"), tmp_path).axes[0].lines) == 3
