"""What each part of a page says, and what stands in the place of a part that is missing."""

import re

import pandas as pd
import pytest
from html_checks import Reader

from medfit.config import folders
from medfit.reporting import markdown, page, page_figures, statements, tables
from medfit.reporting.collect import ReportData


def section(html, name):
    """The text of a section."""
    body = html[html.index(f'<section id="{name}"') :]
    return re.sub(r"\s+", " ", Reader(body[: body.index("</section>") + len("</section>")]).text.replace("\u00a0", " "))


@pytest.fixture
def diagnosed(lab, diagnosis):
    return lab.report(diagnosis)[0]


@pytest.mark.slow
def test_the_diagram_counts_patients_of_each_split(diagnosed):
    text = section(diagnosed, "data")
    assert "Read 303 samples" in text
    assert "Left out none" in text
    assert "Divided by patient 303 patients 303 samples" in text
    assert "Test 61 patients narrowed: 28 not narrowed: 33" in text


@pytest.mark.slow
def test_missing_values_are_counted(diagnosed):
    text = section(diagnosed, "data")
    assert "major vessels colored feature numeric – 4 (1.3%)" in text
    assert "age feature numeric years 0" in text


@pytest.mark.slow
def test_the_leak_scan_is_told(diagnosed):
    assert "The leak scan found nothing." in section(diagnosed, "data")


def test_findings_of_the_leak_scan_are_a_warning():
    html = page.render(ReportData("x", "Why?", proof={"leaks": ["column 'a' tells the target alone"]}))
    assert "Warning: the leak scan found: column 'a' tells the target alone" in section(html, "summary")


GAP = "near-duplicates were not looked for among DNA sequences"


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        ({}, "the leak scan was not run"),
        ({"leaks": []}, "the leak scan found nothing"),  # of runs that stored no more
        ({"leaks": [], "leak_scan": {"not_looked_at": []}}, "the leak scan found nothing"),
        ({"leaks": [], "leak_scan": {"not_looked_at": [GAP]}}, f"the leak scan was not complete; {GAP}"),
        ({"leaks": ["a leak"], "leak_scan": {"not_looked_at": [GAP]}}, f"the leak scan found: a leak; {GAP}"),
    ],
)
def test_a_scan_that_left_something_out_never_found_nothing(proof, told):
    assert statements.leaks(proof) == told


@pytest.mark.slow
def test_a_second_opening_is_marked(lab, diagnosis, diagnosed):
    assert "This was the 2nd opening of the test patients." in section(diagnosed, "summary")
    assert "opening 2nd 2nd" in section(diagnosed, "results")
    told = section(diagnosed, "openings")
    assert "1st" in told and "2nd" in told
    assert "was the 2nd" in lab.report(diagnosis)[1]
    assert set(lab.results(diagnosis).opening) == {2}


def test_a_first_opening_is_no_warning(lab, regression):
    assert "opening of the test patients." not in section(lab.report(regression)[0], "summary")


@pytest.mark.slow
def test_a_network_that_does_not_beat_the_baselines_is_told_plainly(lab, diagnosis, diagnosed):
    table = lab.facts(diagnosis).tables["against"]
    row = table[(table.metric == "auroc") & (table.baseline == "logistic")].iloc[0]
    assert row.low <= 0
    beaten = "is worse than" if row.high < 0 else "does not beat"
    assert f"The network {beaten} the baseline “logistic” (gain in auroc {row.gain:.3f}" in section(
        diagnosed, "summary"
    )
    assert f"The network {beaten} the baseline “logistic”" in lab.report(diagnosis)[1]


@pytest.mark.slow
def test_the_search_tells_space_trials_and_the_best(diagnosed):
    text = section(diagnosed, "search")
    assert "3 trials" in text
    assert "regime.optimizer.lr 0.0001 to 0.01, logarithmic" in text


@pytest.mark.slow
def test_subgroups_stand_in_order_with_small_ones_marked(diagnosed):
    text = section(diagnosed, "subgroups")
    assert text.index("age: below 50") < text.index("age: 50 to 60") < text.index("age: 60 and above")
    assert "too small to say much" in text


@pytest.mark.slow
def test_explanations_are_shown_but_no_patients_values(diagnosed):
    text = section(diagnosed, "explanations")
    assert "feature ablation :" in text
    assert "Pictures of single cases are left out here" in text
    assert "most confident" not in text.lower()


@pytest.mark.slow
def test_times_software_and_seeds_are_told(lab, diagnosis, diagnosed):
    versions = lab.facts(diagnosis).environment["versions"]
    assert f"torch {versions['torch']}" in section(diagnosed, "software")
    assert "2 trainings:" in section(diagnosed, "software")
    assert "epochs time" in section(diagnosed, "seeds")


def test_numbers_have_agreement_and_prediction_intervals(lab, regression):
    html = lab.report(regression)[0]
    assert "upper limit" in section(html, "agreement")
    assert "Prediction intervals" in section(html, "agreement")
    assert '<section id="calibration"' not in html


@pytest.mark.slow
def test_masks_have_their_worst_cases_and_claim(lab, segmentation):
    html = lab.report(segmentation)[0]
    assert "Lowest Dice" in section(html, "patients")
    assert "CLAIM:" in section(html, "checklist")


@pytest.mark.slow
def test_a_generator_has_scores_and_trainings(lab, generation):
    html = lab.report(generation)[0]
    assert "frechet" in section(html, "results")
    assert "frechet" in section(html, "seeds")
    assert "No baseline was scored beside the model." in section(html, "summary")


def test_what_is_missing_names_its_command():
    html = page.render(ReportData("x", "Why?"))
    for name in ("summary", "results", "seeds", "subgroups", "openings", "plots"):
        assert "make evaluate EXPERIMENT=x" in section(html, name)
    for name in ("data", "search", "software"):
        assert "make sweep EXPERIMENT=x" in section(html, name)
    assert "make explain" in section(html, "explanations")
    assert "make train EXPERIMENT=x" in section(html, "model")
    assert Reader(html).wrong == []


def test_results_alone_are_shown_with_the_command_for_the_rest():
    rows = {"patients_of": ["5 folds"], "model": ["mlp"], "metric": ["auroc"], "estimate": [0.9], "sd": [0.01]}
    html = page.render(ReportData("x", "Why?", results=pd.DataFrame(rows | {"trainings": [5], "opening": [1]})))
    assert "Scored on: 5 folds" in section(html, "results")
    assert "Only results.csv is here" in section(html, "results")


def test_results_of_an_older_kind_are_passed_over(lab, regression):
    path = folders.EXPERIMENTS / regression / "results.csv"
    whole = path.read_text()
    path.write_text("patients,model,fold,seed,auroc\ntest split,mlp,0,0,0.9\n")
    known = lab.facts.__wrapped__(lab, regression)
    path.write_text(whole)
    assert known.results is None


def test_rows_of_folds_and_of_the_test_split_stand_side_by_side(lab, regression):
    known = lab.facts(regression)
    other = known.results.assign(patients_of="5 folds", opening=3)
    html = page.render(ReportData("x", "Why?", results=pd.concat([known.results, other])))
    text = section(html, "results")
    assert "Scored on: test split" in text and "Scored on: 5 folds" in text
    assert text.count("Scored again") == 1


@pytest.mark.slow
def test_the_figures_are_with_the_evaluations_run(lab, diagnosis):
    names = lab.facts(diagnosis).evaluation.names("plots")
    assert names == [f"plots/{name}.png" for name in ("calibration", "decision", "scores", "subgroups")]


@pytest.mark.slow
def test_single_patients_images_are_shown_only_where_that_is_asked_for(lab, segmentation):
    shown = [picture.title for picture in page_figures.of_training(lab.facts(segmentation).trained, cases=True)]
    hidden = [picture.title for picture in page_figures.of_training(lab.facts(segmentation).trained, cases=False)]
    assert {"Overlay best", "Overlay worst"} <= set(shown)
    assert hidden == [title for title in shown if "verlay" not in title]


@pytest.mark.slow
def test_subgroups_are_in_the_short_report_too(lab, diagnosis):
    text = lab.report(diagnosis)[1]
    assert "## Subgroups" in text and "age: below 50" in text


def test_trainings_and_optimism_of_sites_have_their_names():
    scores = {"model": "net", "fold": [0, 1], "site": ["north", "south"], "seed": 0, "brier": [0.1, 0.2]}
    header, *rows = tables.trainings(pd.DataFrame(scores), [])
    assert header[:4] == ["model", "site", "seed", "brier"]
    assert [row[1] for row in rows] == ["north", "south"]
    gaps = {"fold": [0, 1], "site": ["north", "south"], "metric": "auroc", "inner": 0.9, "outer": 0.8, "optimism": 0.1}
    assert [row[0] for row in tables.optimism(pd.DataFrame(gaps))] == ["site", "north", "south"]


def test_the_mean_of_the_trainings_stands_beside_them():
    rows = {"patients_of": ["test split"], "model": ["mlp"], "metric": ["auroc"], "estimate": [0.8125], "sd": [0.01]}
    results = pd.DataFrame(rows | {"low": [0.7], "high": [0.9], "trainings": [5], "patients": [40], "opening": [1]})
    own = results.assign(model="ensemble", estimate=0.838, low=0.75, high=0.9, sd=float("nan"), trainings=1)
    facts = ReportData("x", "Why?", results=results, tables={"ensemble": own})
    html, text = section(page.render(facts), "results"), markdown.render(facts)
    assert "mean of the trainings, as one model" in html and "0.838" in html and "0.750 to 0.900" in html
    mean = text[text.index("The mean of the trainings as one model, scored on: test split.") :]
    assert (
        "| metric | ensemble |" in mean and "| auroc | 0.838 (0.750 to 0.900) |" in mean and "trainings |" not in mean
    )
    alone = ReportData("x", "Why?", results=results)
    assert "mean of the trainings" not in page.render(alone) + markdown.render(alone)


@pytest.mark.slow
def test_a_report_reads_the_score_of_the_mean_from_the_evaluation(lab, diagnosis):
    html, text = lab.report(diagnosis)
    assert "The mean of the trainings as one model, scored on: " in text and "mean of the trainings, as" in html
