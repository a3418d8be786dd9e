import pytest

from medfit.__main__ import main
from medfit.errors import UserError
from medfit.evaluate import evaluate
from medfit.register import register
from medfit.train import train

SMALL = ["model=linear", "regime=smoke", "tracking.models=true"]


def models(client):
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_logged_models(ids))


@pytest.fixture
def trained(compose, client):
    train(compose(*SMALL))
    return models(client)[0].source_run_id


def test_versions_of_a_name_go_on_and_an_alias_moves(compose, client, trained, output_dir, capsys):
    for version in (1, 2):
        assert main(["register", trained, "name=masses", "alias=champion", f"output_dir={output_dir}"]) == 0
        assert f"models:/masses/{version}, models:/masses@champion" in capsys.readouterr().out
    found = client.get_model_version_by_alias("masses", "champion")
    assert (found.version, found.run_id) == (2, trained)
    new = output_dir / "new.csv"
    new.write_text("radius error\n1\n")
    assert main(["predict", "models:/masses@champion", f"data={new}", f"output_dir={output_dir}"]) == 2
    assert "there is no column 'mean radius'" in capsys.readouterr().err


def test_a_card_says_what_is_known_and_asks_for_what_is_not(compose, client, trained):
    register(compose(f"register.model={trained}", "register.name=masses"))
    text = client.get_model_version("masses", 1).description
    heads = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert heads == ["Purpose", "Data", "Patients", "Performance", "Limits", "Software", "Licence"]
    assert "*To be written by the authors" in text and "**No test patient was scored.**" in text
    run = client.get_run(trained)
    assert f"| val/auroc | {run.data.metrics['val/auroc']:.3f}".replace("0.", ".") in text.replace("0.", ".")
    assert "- test: 114 patients; malignant: 42; not malignant: 72" in text and "- left out: none" in text
    assert "- 30 inputs: mean radius" in text and "- predicted: binary (malignant)" in text
    assert "- The model decides, by validation patients: malignant at ." in text.replace("0.", ".")
    assert "- The model gives probabilities as they are and recalibrated on validation patients." in text
    register(compose(f"register.model={trained}", "register.name=masses", "register.purpose='To test.'"))
    assert "To test." in client.get_model_version("masses", 2).description


@pytest.mark.slow
def test_the_card_of_an_evaluations_member_has_its_test_scores(compose, client):
    evaluate(compose(*SMALL, "evaluate.num_seeds=2", "evaluate.num_resamples=100"))
    first, second = (m for m in models(client) if client.get_run(m.source_run_id).data.tags["kind"] == "seed")
    assert first.source_run_id != second.source_run_id
    register(compose(f"register.model={first.source_run_id}", "register.name=masses"))
    text = client.get_model_version("masses", 1).description
    assert "Scored on: test split" in text and "| auroc |" in text and "Calibration:" in text
    assert "No test patient was scored" not in text and len(text) < 5000


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["register.name=a"], "register.model is needed"),
        (["register.model=none"], "register.name is needed"),
        (["register.model=none", "register.name=a"], "register.model: there is no run 'none'"),
    ],
)
def test_what_lacks_is_told_in_a_line(compose, overrides, told):
    with pytest.raises(UserError, match=f"^{told}"):
        register(compose(*overrides))


def test_a_name_that_the_registry_refuses_is_told(compose, trained):
    with pytest.raises(UserError, match=r"^register: .*name"):
        register(compose(f"register.model={trained}", "register.name='a/b:c'"))
