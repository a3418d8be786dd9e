"""The committed results of an experiment again: a small one, written and evaluated here."""

import subprocess
import sys

import pandas as pd
import pytest

from medfit import sweep
from medfit.config import folders
from medfit.errors import UserError
from medfit.evaluate import main as evaluate

sys.path.append(str(folders.ROOT / "benchmarks"))

import reruns

THEN = {"best.yaml val/auroc": "0.9000", "mlp auroc estimate": "0.912345", "mlp auroc low": "0.8"}


def test_digits_are_compared_as_they_are_committed():
    assert reruns.Compared("a", THEN, {**THEN, "more": "1"}).differing == []
    other = reruns.Compared("a", THEN, {**THEN, "mlp auroc low": "0.800001", "mlp auroc estimate": "0.912"})
    assert other.differing == ["mlp auroc estimate", "mlp auroc low"]
    assert other.largest == "mlp auroc estimate: 0.912345 -> 0.912"


def test_what_is_not_there_today_is_no_equal():
    gone = reruns.Compared("a", THEN, {"best.yaml val/auroc": "0.9000"})
    assert len(gone.differing) == 2 and gone.largest == "2 are not there today"


def test_a_page_keeps_other_experiments_and_says_which_were_not_run():
    first = reruns.page({"heart_disease_diagnosis": "| heart_disease_diagnosis | then |"}, "")
    second = reruns.page({"breast_cancer_diagnosis": "| breast_cancer_diagnosis | now |"}, first)
    assert "| heart_disease_diagnosis | then |\n" in second and "| breast_cancer_diagnosis | now |\n" in second
    assert "| tissue_segmentation | not run | – | – | – | – |" in second
    assert "Without a `best.yaml`, and so not compared: ecg_few_labels, heart_rate." in second
    assert second.count("\n| ") == 1 + sum(name.endswith("/best") for name in folders.experiments())


def test_the_committed_page_names_each_experiment_once():
    text = reruns.PAGE.read_text()
    for name in (name.removesuffix("/best") for name in folders.experiments() if name.endswith("/best")):
        assert text.count(f"| {name} |") == 1


def test_an_unknown_experiment_is_a_users_mistake(capsys):
    with pytest.raises(SystemExit) as told:
        reruns.main(["--only", "nothing"])
    assert told.value.code == 2 and "breast_cancer_diagnosis" in capsys.readouterr().err


@pytest.fixture
def committed(write_experiment, compose, experiments, tmp_path, monkeypatch):
    """An experiment that was swept and, with its best values, evaluated."""
    text = "sweep: {num_trials: 2}\nregime: {epochs: 2}\nevaluate: {num_seeds: 2, num_resamples: 100}"
    sweep.main(write_experiment(text))
    evaluate(compose(experiment="own/best"))
    monkeypatch.setattr(reruns, "PAGE", tmp_path / "reruns.md")
    return experiments / "own"


@pytest.mark.slow
def test_an_experiment_again_has_the_same_digits_and_is_left_as_it_is(committed, capsys):
    before = {path.name: path.read_bytes() for path in committed.iterdir()}
    assert reruns.main(["--only", "own", "--set", "regime.epochs=2"]) == 0  # as the experiment has it
    assert {path.name: path.read_bytes() for path in committed.iterdir()} == before
    lines = [line for line in reruns.PAGE.read_text().splitlines() if line.startswith("| own |")]
    assert len(lines) == 1 and "numbers of best.yaml, results.csv" in lines[0] and lines[0].endswith("| – | – |")

    table = pd.read_csv(committed / "results.csv", dtype=str)
    table.loc[0, "estimate"] = "0.1"
    table.to_csv(committed / "results.csv", index=False)
    assert reruns.main(["--only", "own"]) == 3
    (line,) = [line for line in reruns.PAGE.read_text().splitlines() if line.startswith("| own |")]
    assert (
        "nobody knows: they are in no commit" in line and f"{table.model[0]} {table.metric[0]} estimate: 0.1 ->" in line
    )
    assert f"{table.metric[0]} estimate: 0.1 -> " in capsys.readouterr().out


@pytest.mark.slow
def test_without_an_evaluation_of_best_the_test_split_stays_closed(committed, monkeypatch):
    (committed / "results.csv").unlink()
    monkeypatch.setattr(reruns, "evaluate", lambda cfg: pytest.fail("it opens the test split"))
    done = reruns.again("own")
    assert list(done.then) == ["best.yaml val/cross_entropy"] and not done.differing


def test_best_values_without_a_score_are_refused(write_experiment, experiments):
    write_experiment("sweep: {num_trials: 2}")
    (experiments / "own" / "best.yaml").write_text("# @package _global_\ndefaults: [own/config, _self_]\nseed: 1\n")
    with pytest.raises(UserError, match="tells no score of one training"):
        reruns.again("own")


def test_what_changed_since_is_told(tmp_path, monkeypatch):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    monkeypatch.setattr(folders, "ROOT", tmp_path)
    for path in ("experiments/own/best.yaml", "experiments/own/config.yaml", "src/a.py", "src/b.py", "constraints.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("one\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    assert reruns._since("own").endswith(": nothing changed")
    for path in ("src/a.py", "constraints.txt"):
        (tmp_path / path).write_text("two\n")
    assert reruns._since("own").endswith(": constraints.txt, 1 file of code and configs changed")
