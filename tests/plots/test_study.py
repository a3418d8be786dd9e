import re
from html.parser import HTMLParser

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from medfit.plots.study import study_page

LR = FloatDistribution(1e-4, 1e-1, log=True)
WIDTH = IntDistribution(8, 64)
MODEL = CategoricalDistribution(["relu", "tanh"])


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def trial(number, value, state=TrialState.COMPLETE):
    params = {"lr": 1e-4 * (1 + number), "model.width": 8 + number, "model.activation": ["relu", "tanh"][number % 2]}
    distributions = {"lr": LR, "model.width": WIDTH, "model.activation": MODEL}
    reported = {0: 0.5} if state is TrialState.PRUNED else {}
    return create_trial(
        params=params, distributions=distributions, value=value, state=state, intermediate_values=reported
    )


def study_of(values, name="diagnosis-1234", **kwargs):
    study = optuna.create_study(study_name=name, **kwargs)
    study.add_trials([trial(number, value) for number, value in enumerate(values)])
    return study


class Elements(HTMLParser):
    """Collects each element with its attributes; what scripts hold is no element."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def num_figures(page):
    return len(re.findall(r"Plotly\.newPlot\(\s*\"", page))


def test_page_has_four_figures():
    assert num_figures(study_page(study_of([0.3, 0.2, 0.4, 0.1]))) == 4


@pytest.mark.parametrize(
    "title", ["Optimization History Plot", "Hyperparameter Importances", "Slice Plot", "Parallel Coordinate Plot"]
)
def test_page_has_the_figure(title):
    assert title in study_page(study_of([0.3, 0.2, 0.4, 0.1]))


def test_page_needs_no_network():
    page = study_page(study_of([0.3, 0.2, 0.4, 0.1]))
    elements = Elements(page).found
    assert {"script", "div"} <= {tag for tag, _ in elements}
    assert not [attrs for _, attrs in elements if {"src", "href"} & set(attrs)]
    assert "<script src=" not in page


def test_page_names_the_study():
    assert "<title>diagnosis-1234</title>" in study_page(study_of([0.3, 0.2]))


def test_name_of_the_study_is_text():
    assert "<title>&lt;b&gt; &amp; co</title>" in study_page(study_of([0.3, 0.2], name="<b> & co"))


def test_study_whose_trials_have_one_value_has_no_importances():
    page = study_page(study_of([0.3, 0.3, 0.3]))
    assert num_figures(page) == 3
    assert "Hyperparameter Importances" not in page


def test_study_of_one_trial_has_a_page():
    assert num_figures(study_page(study_of([0.3]))) == 3


def test_study_of_two_trials_has_a_page():
    assert num_figures(study_page(study_of([0.3, 0.2]))) == 4


def test_study_to_be_maximised_has_a_page():
    assert num_figures(study_page(study_of([0.3, 0.2, 0.4], direction="maximize"))) == 4


def test_pruned_and_failed_trials_do_no_harm():
    study = study_of([0.3, 0.2, 0.4])
    study.add_trials([trial(4, 0.5, TrialState.PRUNED), trial(5, None, TrialState.FAIL)])
    assert num_figures(study_page(study)) == 4


def test_study_of_one_parameter_has_a_page():
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1) ** 2, n_trials=5)
    assert num_figures(study_page(study)) == 4


def test_parameter_whose_trials_have_one_value_does_no_harm():
    study = optuna.create_study()
    study.optimize(
        lambda trial: trial.suggest_float("lr", 0, 1) ** 2 + trial.suggest_categorical("batch_size", [32]), n_trials=5
    )
    assert num_figures(study_page(study)) == 4


def test_space_that_changed_between_trials_has_a_page():
    study = optuna.create_study()
    for number in range(5):
        study.add_trial(create_trial(params={"lr": 0.01 + 0.01 * number}, distributions={"lr": LR}, value=number))
        params, distributions = {"model.width": 9 + number}, {"model.width": WIDTH}
        study.add_trial(create_trial(params=params, distributions=distributions, value=2 * number))
    assert num_figures(study_page(study)) >= 3


def test_several_objectives_have_their_front_and_the_plots_of_each():
    study = optuna.create_study(directions=["maximize", "minimize"])
    for number in range(4):
        params, distributions = {"lr": 1e-4 * (1 + number)}, {"lr": LR}
        study.add_trial(create_trial(params=params, distributions=distributions, values=[number, number**2]))
    page = study_page(study)
    assert "Pareto-front Plot" in page
    assert num_figures(page) == 1 + 2 * 3


def test_a_setting_that_only_some_trials_have_is_shown():
    study = study_of([0.3, 0.2])
    study.add_trial(create_trial(params={"lr": 1e-3}, distributions={"lr": LR}, value=0.1))
    assert num_figures(study_page(study)) == 4
