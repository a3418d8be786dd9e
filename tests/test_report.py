import pytest

from medfit import evaluate, report, sweep
from medfit.errors import UserError

SMALL = ["regime=smoke", "sweep=smoke", "evaluate.num_seeds=2", "evaluate.num_folds=null", "evaluate.nested=false"]


def test_a_report_shows_question_split_search_results_and_plots(compose, experiments, output_dir):
    cfg = compose(*SMALL, "tracking.plots=true", experiment="heart_disease_diagnosis")
    sweep.main(cfg)
    evaluate.main(cfg)
    report.main(cfg)
    page = (output_dir / "reports" / "heart_disease_diagnosis.html").read_text()
    assert "Can an MLP tell narrowed coronary vessels" in page
    assert "<td>train</td><td>181</td>" in page
    assert "3 trials" in page
    assert "logistic" in page
    assert page.count('src="data:image/png;base64,') == 9
    assert "http://" not in page
    assert "https://" not in page


def test_a_report_of_an_experiment_without_results_says_what_to_run(compose, experiments, client):
    client.create_experiment("heart_rate")
    (experiments / "heart_rate" / "results.csv").unlink(missing_ok=True)
    page = report.report(compose(experiment="heart_rate"))
    assert "make evaluate EXPERIMENT=heart_rate" in page
    assert "make sweep EXPERIMENT=heart_rate" in page


def test_a_report_needs_an_experiment(compose):
    with pytest.raises(UserError, match="report needs an experiment"):
        report.report(compose("dataset=diabetes"))


def test_an_experiment_without_runs_is_told(compose):
    with pytest.raises(
        UserError, match="experiment=heart_rate has no runs yet; run: medfit sweep experiment=heart_rate"
    ):
        report.report(compose(experiment="heart_rate"))
