import pytest

from medfit import evaluate, report, sweep
from medfit.config import folders
from medfit.errors import UserError
from medfit.reporting.formatting import number
from medfit.reporting.results import estimate, wide

SMALL = ["regime=smoke", "sweep=smoke", "evaluate.num_seeds=1", "evaluate.num_folds=null", "evaluate.nested=false"]


@pytest.mark.slow
def test_a_report_goes_to_the_experiments_folder_and_says_where(compose, experiments, capsys):
    (experiments / "heart_disease_diagnosis" / "results.csv").unlink(missing_ok=True)
    cfg = compose(*SMALL, "evaluate.num_resamples=100", experiment="heart_disease_diagnosis")
    evaluate.main(cfg)
    report.main(cfg)
    page = experiments / "heart_disease_diagnosis" / "report.html"
    assert "Can an MLP tell narrowed coronary vessels" in page.read_text()
    assert "Can an MLP tell narrowed" in (experiments / "heart_disease_diagnosis" / "REPORT.md").read_text()
    assert str(page) in capsys.readouterr().out.replace("\n", "")


def test_a_report_of_a_search_alone_shows_its_trials(compose, experiments):
    (experiments / "heart_disease_diagnosis" / "results.csv").unlink(missing_ok=True)
    cfg = compose(*SMALL, experiment="heart_disease_diagnosis")
    sweep.sweep(cfg)
    page = report.report(cfg).page
    assert "3 trials" in page
    assert "Read" in page and "181 patients" in page
    assert "make evaluate EXPERIMENT=heart_disease_diagnosis" in page


@pytest.mark.slow
def test_a_report_of_an_experiment_without_results_says_what_to_run(compose, experiments, client):
    client.create_experiment("heart_rate")
    (experiments / "heart_rate" / "results.csv").unlink(missing_ok=True)
    made = report.report(compose(experiment="heart_rate"))
    assert "make evaluate EXPERIMENT=heart_rate" in made.page
    assert "make sweep EXPERIMENT=heart_rate" in made.page
    assert "Not evaluated yet: `make evaluate EXPERIMENT=heart_rate`" in made.summary


def test_a_report_needs_an_experiment(compose):
    with pytest.raises(UserError, match="report needs an experiment"):
        report.report(compose("dataset=diabetes"))


def test_an_experiment_without_runs_is_told(compose):
    with pytest.raises(
        UserError, match="experiment=heart_rate has no runs yet; run: medfit sweep experiment=heart_rate"
    ):
        report.report(compose(experiment="heart_rate"))


@pytest.mark.parametrize(("value", "word"), [(0.12345, "0.123"), (12.345, "12.35"), (-0.5, "-0.500")])
def test_numbers(value, word):
    assert number(value) == word


def test_an_estimate_without_an_interval_or_spread_is_a_number():
    assert estimate({"estimate": 0.5, "sd": float("nan")}) == "0.500"


def test_the_repository_keeps_reports():
    ignored = (folders.ROOT / ".gitignore").read_text().split()
    assert not any("report" in line.lower() or "html" in line for line in ignored)


def test_models_of_several_sets_of_patients_have_columns_of_their_own():
    import pandas as pd

    rows = {"patients_of": ["5 folds", "test split"], "model": "mlp", "metric": "auroc", "estimate": 0.9, "sd": 0.1}
    assert wide(pd.DataFrame(rows))[0] == ["metric", "mlp, 5 folds", "mlp, test split"]


@pytest.mark.slow
def test_the_evaluation_in_detail_is_that_of_the_model_asked_for(compose, experiments):
    fixed = ["regime=smoke", "evaluate.num_seeds=1", "evaluate.num_resamples=100", "evaluate.num_folds=null"]
    own = [*fixed, "evaluate.nested=false"]
    for model in ("linear", "mlp"):
        evaluate.main(compose(*own, f"model={model}", experiment="diabetes_progression"))
    for model, opening in (("linear", "1st"), ("mlp", "2nd")):
        made = report.report(compose(*own, f"model={model}", experiment="diabetes_progression"))
        assert f"was the {opening}." in made.summary
