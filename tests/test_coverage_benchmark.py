import argparse
import re
import sys
from itertools import count

import numpy as np
import pytest

from medfit.config import folders
from medfit.config.compose import compose
from medfit.evidence.intervals import Interval
from medfit.evidence.settings import Settings

sys.path.append(str(folders.ROOT / "benchmarks"))

import coverage_designs
import coverage_readouts
import interval_coverage
import noise

BY_NAME = {design.name: design for design in coverage_designs.DESIGNS}
MAE, DICE = BY_NAME["MAE"], BY_NAME["Dice, mean of patients"]
NUM_MANY = 100_000
GUIDE = (folders.ROOT / "docs" / "evidence.md").read_text()
MEASURED = r"^\| ([\w, ]+) \| (\d+) \| (DeLong|BCa) \| ([\d.]+ ± [\d.]+) \|"


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("name", [name for name, design in BY_NAME.items() if design.metric != "dice"])
def test_a_truth_by_formula_is_that_of_a_large_study(name, rng):
    made = BY_NAME[name].simulate(rng, NUM_MANY)
    found = made.metrics()[BY_NAME[name].metric](np.ones((1, len(made))))[0]
    assert found == pytest.approx(BY_NAME[name].truth().value, rel=0.01)


@pytest.mark.parametrize("by_patient", [True, False])
def test_the_truth_by_simulation_is_the_mean_of_another_one_within_its_error(by_patient, rng):
    truth = coverage_designs.mean_dice(by_patient, NUM_MANY)
    made = coverage_designs.masks(rng, 4000)
    found, predicted, true = made.target[:, :, 0].T
    whose = made.patient if by_patient else np.arange(len(made))
    dice = [2 * found[whose == k].sum() / (predicted + true)[whose == k].sum() for k in range(whose[-1] + 1)]
    between = np.std([np.mean(dice[k::20]) for k in range(20)]) / np.sqrt(20)
    assert abs(np.mean(dice) - truth.value) < 4 * np.hypot(truth.error, 1.5 * between)


def test_patients_have_one_to_four_measurements_that_are_alike(rng):
    made = coverage_designs.numbers(rng, 20_000)
    number = np.bincount(made.patient)
    assert set(number) == {1, 2, 3, 4}
    error = (made.preds - made.target)[:, 0]
    first = np.flatnonzero(np.diff(made.patient) == 0)
    assert np.corrcoef(error[first], error[first + 1])[0, 1] == pytest.approx(coverage_designs.ALIKE, abs=0.02)


def test_intervals_that_hold_lie_below_lie_above_or_are_none_are_told_apart():
    ends = np.array([[0.0, 2.0], [1.0, 3.0], [0.0, 0.5], [1.5, 2.0], [np.nan, np.nan]])
    assert interval_coverage.coverage(ends, 1.0) == (0.4, 0.2, 0.2)


def halved(study):
    whole = study.drawn.bca()[study.metric]
    middle, quarter = (whole.low + whole.high) / 2, (whole.high - whole.low) / 4
    return Interval(whole.estimate, middle - quarter, middle + quarter, "half")


def test_an_interval_of_half_the_width_is_flagged():
    ends = interval_coverage.simulate(MAE, 60, 60, 200, 0, {"BCa": halved})
    ((*_, held, _, below, above),), problems = interval_coverage.rows(MAE, 60, ends)
    assert float(held.split(" ")[0]) < 85
    assert float(below) > 2 < float(above)
    assert len(problems) == 1 and "MAE, 60 patients: BCa covers the truth in" in problems[0]


def test_the_interval_that_users_get_covers_more_than_one_that_resamples_rows():
    tried = interval_coverage.methods(MAE)
    ends = interval_coverage.simulate(MAE, 60, 60, 200, 0, tried)
    own, of_rows = (
        interval_coverage.coverage(ends[name], MAE.truth().value)[0] for name in ("BCa", interval_coverage.ROWS)
    )
    assert own > 0.85
    assert own > of_rows
    width = {name: np.mean(pairs[:, 1] - pairs[:, 0]) for name, pairs in ends.items()}
    assert width[interval_coverage.ROWS] < 0.9 * width["BCa"]


def test_the_same_seed_draws_the_same_studies():
    one, two, other = (interval_coverage.simulate(MAE, 20, 2, 100, seed, {"BCa": halved})["BCa"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert (one != other).all()


@pytest.mark.parametrize(("every", "status"), [(20, 0), (4, 1), (1000, 1)])
def test_the_exit_status_tells_whether_what_users_get_covers_enough_and_not_too_much(
    every, status, monkeypatch, tmp_path, capsys
):
    number = count(1)

    def misses_now_and_then(study):
        shift = 10.0 if next(number) % every == 0 else 0.0
        return Interval(6.5, 6.0 + shift, 7.0 + shift, "BCa")

    monkeypatch.setattr(interval_coverage, "DESIGNS", [MAE])
    monkeypatch.setattr(interval_coverage.coverage_readouts, "READOUTS", [])
    monkeypatch.setattr(interval_coverage, "NUM_PATIENTS", (10,))
    monkeypatch.setattr(interval_coverage, "methods", lambda design, only: {"BCa": misses_now_and_then})
    monkeypatch.setattr(interval_coverage, "mean_dice", lambda by_patient: coverage_designs.Truth(0.8, 0.001))
    path = tmp_path / "coverage.md"
    assert interval_coverage.main(["--studies", "20", "--resamples", "100", "--results", str(path)]) == status
    page = path.read_text()
    assert 'make coverage ARGS="--studies 20 --resamples 100 --seed 0"' in page
    assert ("covers the truth in" in page) == bool(status)
    assert "BCa*" in page


def test_each_metrics_own_interval_is_among_those_tried():
    for design in coverage_designs.DESIGNS:
        assert design.default in interval_coverage.methods(design)


def test_one_interval_alone_is_tried_and_the_page_of_results_left_as_it_is(tmp_path, capsys):
    path = tmp_path / "coverage.md"
    own = ["--studies", "3", "--patients", "60", "--only", "DeLong", "--results", str(path)]
    interval_coverage.main(own)
    shown = capsys.readouterr().out
    assert "AUROC, a finding" in shown and "MAE" not in shown and "BCa" not in shown
    assert not path.exists()


def fixed(held):
    return coverage_readouts.Readout("Bias", "Student", lambda rng, n, settings: iter([(0.0, 2.0, held)]), smaller=(5,))


def test_a_readout_replaces_its_own_lines_of_the_page_alone(tmp_path, monkeypatch, capsys):
    other = coverage_readouts.Readout("Slope", "BCa", lambda rng, n, settings: iter([(0.0, 1.0, 0.5)]), highest=1)
    monkeypatch.setattr(interval_coverage, "NUM_PATIENTS", (10,))
    monkeypatch.setattr(coverage_readouts, "READOUTS", [other, fixed(1.0)])
    own = ["--patients", "10", "--results", str(tmp_path / "coverage.md"), "--studies"]
    assert interval_coverage.main([*own, "3", "--only", "readouts"]) == 1  # that the bias is always held is too often
    monkeypatch.setattr(coverage_readouts, "READOUTS", [other, fixed(3.0)])
    assert interval_coverage.main([*own, "2", "--only", "Bias"]) == 1
    page = (tmp_path / "coverage_readouts.md").read_text()
    table = [line for line in page.splitlines() if line.startswith(("| Slope", "| Bias"))]
    assert table == [
        "| Slope | 10 | BCa | 100.0 ± 0.0 | 1 | 0.0 | 0.0 | 3 | 2000 |",
        "| Bias | 5 | Student | 0.0 ± 0.0 | 2 | 100.0 | 0.0 | 2 | 2000 |",
        "| Bias | 10 | Student | 0.0 ± 0.0 | 2 | 100.0 | 0.0 | 2 | 2000 |",
    ]
    assert "- Bias, 5 patients: Student covers the truth in 0.0 %" in page and "Slope, 10 patients" not in page


def test_noise_is_balanced_repeatable_and_says_nothing():
    one, two, other = (noise.table(seed) for seed in (0, 0, 1))
    assert one.equals(two)
    assert not one.equals(other)
    assert one.ill.mean() == 0.5
    assert one.drop(columns="ill").corrwith(one.ill).abs().max() < 0.3


def outcome(naive, nested, warnings):
    low, high = naive
    return noise.Outcome(0, Interval(0.7, low, high, "DeLong"), 0.7, Interval(0.5, *nested, "DeLong"), warnings)


def test_what_is_not_as_it_should_be_is_told():
    line = "the network does not beat the baseline 'prevalence' in auroc (gain 0, 95 % interval -0.1 to 0.1)"
    assert outcome((0.6, 0.8), (0.4, 0.6), [line]).problems == []
    wrong = outcome((0.4, 0.8), (0.55, 0.6), []).problems
    assert [problem.split(": ")[1] for problem in wrong] == [
        "the best trial's interval holds 0.5",
        "the nested interval does not hold 0.5",
        "nothing is said of the baseline",
    ]
    page = noise.page([outcome((0.4, 0.8), (0.4, 0.6), [line])], 100)
    assert 'make noise ARGS="--seeds 0 --trials 100"' in page
    assert "| 0 | 0.700 (0.400 to 0.800) | 0.700 | 0.500 (0.400 to 0.600) | 0.200 | yes |" in page


@pytest.mark.slow
def test_a_short_search_of_noise_is_told_to_be_no_better_than_the_baseline(output_dir):
    found = noise.play(0, output_dir, num_trials=3, num_folds=2)
    assert found.told
    assert found.nested.low < 0.5 < found.nested.high
    assert found.naive.low < found.naive.estimate < found.naive.high
    assert 0.5 < found.inner < 1


def test_the_number_of_resamples_is_what_users_get():
    arguments = interval_coverage._parser().parse_args([])
    assert isinstance(arguments, argparse.Namespace)
    assert arguments.resamples == compose([]).evaluate.num_resamples
    assert arguments.studies >= 1000


def test_the_guide_has_the_figures_that_were_measured():
    page = interval_coverage.RESULTS.read_text()
    found = re.findall(MEASURED, GUIDE, re.MULTILINE)
    assert len(found) == len(coverage_designs.DESIGNS) * len(interval_coverage.NUM_PATIENTS)
    for name, number, interval, share in found:
        assert f"| {name} | {number} | {interval}* | {share} |" in page


@pytest.mark.parametrize("line", re.findall(r"^\| \d \| \d.*", GUIDE, re.MULTILINE))
def test_the_guide_has_what_was_found_in_noise(line):
    assert line in noise.RESULTS.read_text()


@pytest.mark.parametrize("override", re.findall(r"`((?:evaluate|dataset)\.\w+=[^`\s]+)`", GUIDE))
def test_a_setting_of_the_guide_composes(compose, override):
    assert override in compose(override).overrides


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", GUIDE))
def test_what_the_guide_links_to_is_there(path):
    assert (folders.ROOT / "docs" / path).exists()


@pytest.mark.mostly_slow
@pytest.mark.parametrize("readout", coverage_readouts.READOUTS, ids=lambda readout: readout.name)
def test_an_interval_of_the_other_tables_holds_its_truth_now_and_then_at_least(readout, monkeypatch):
    monkeypatch.setattr(coverage_readouts, "NUM_LARGE", 4000)
    found = coverage_readouts.measured(readout, 40, 8, Settings(num_resamples=100), 0)
    line = coverage_readouts.row(readout, 40, found)
    assert float(line[3].split(" ")[0]) > 60
    for cached in (coverage_readouts._gain, coverage_readouts._mean_area):
        cached.cache_clear()


@pytest.mark.parametrize(("missed", "wrong"), [(0, True), (4, False), (20, True)])
def test_an_interval_of_the_other_tables_that_covers_too_little_or_too_much_is_told(missed, wrong, monkeypatch):
    readout = coverage_readouts.Readout("Rate", "Wilson", lambda *_: iter(()))
    monkeypatch.setattr(coverage_readouts, "READOUTS", [readout])
    found = [np.array([[0.0, 1.0, 2.0 if study < missed else 0.5]]) for study in range(100)]
    line = coverage_readouts.row(readout, 60, found)
    assert line[3].split(" ")[0] == f"{100 - missed:.1f}"
    assert (coverage_readouts.problem(line) is not None) is wrong
    assert line[5:] == [f"{missed:.1f}", "0.0", "100"]


def test_no_interval_holds_nothing():
    readout = coverage_readouts.Readout("Rate", "Wilson", lambda *_: iter(()))
    found = [np.array([[0.0, 1.0, 0.5], [np.nan, np.nan, 0.5]]) for _ in range(10)]
    assert coverage_readouts.row(readout, 60, found)[3].startswith("50.0")


def test_the_other_tables_have_a_page_of_their_own(monkeypatch, tmp_path, capsys):
    bias = next(readout for readout in coverage_readouts.READOUTS if readout.name == "Bias")
    monkeypatch.setattr(coverage_readouts, "READOUTS", [bias])
    monkeypatch.setattr(interval_coverage, "NUM_PATIENTS", (10,))
    own = ["--only", "readouts", "--studies", "20", "--patients", "10", "--results", str(tmp_path / "coverage.md")]
    interval_coverage.main(own)
    assert not (tmp_path / "coverage.md").exists()
    page = (tmp_path / "coverage_readouts.md").read_text()
    assert "| Bias | 10 | Student | " in page and "| 20 | 2000 |" in page and "--only readouts" in page


def test_the_guide_has_the_figures_of_the_other_tables():
    page = interval_coverage.RESULTS.with_name("coverage_readouts.md").read_text()
    found = re.findall(r"^\| ([\w,% ]+) \| ([\w ]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", GUIDE, re.MULTILINE)
    assert len(found) == len(coverage_readouts.READOUTS)
    for name, method, *shares in found:
        for number, share in zip(interval_coverage.NUM_PATIENTS, shares, strict=True):
            assert f"| {name} | {number} | {method} | {share} ± " in page
