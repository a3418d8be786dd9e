import re
import shlex
import shutil
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

import medfit
import medfit.models
from medfit.__main__ import COMMANDS, _named, expand, main
from medfit.config import folders
from medfit.config.compose import _compose, _spelled_out
from medfit.errors import UserError
from medfit.train import train

README = (folders.ROOT / "README.md").read_text()


def block(path):
    """The README's code block that opens with a file's path."""
    return re.search(rf"```\w+\n# {re.escape(path)}\n(.*?)```", README, re.DOTALL)[1]


@pytest.fixture
def gru(tmp_path, monkeypatch):
    """The README's family, in folders beside the project's own."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "gru.py").write_text(block("src/medfit/models/gru.py"))
    monkeypatch.setattr(medfit.models, "__path__", [*medfit.models.__path__, str(tmp_path / "models")])
    shutil.copytree(folders.CONF, tmp_path / "conf")
    (tmp_path / "conf" / "model" / "gru.yaml").write_text(block("conf/model/gru.yaml"))
    monkeypatch.setattr(folders, "CONF", tmp_path / "conf")
    yield
    sys.modules.pop("medfit.models.gru", None)


@pytest.mark.slow
def test_the_worked_family_trains_by_its_two_files(compose, gru):
    scores = train(compose("dataset=ecg5000", "model=gru", "model.width=32", "regime=smoke", "regime.epochs=4"))
    assert scores["val/accuracy"] > 0.6  # the commonest class alone gives .58


def test_the_worked_family_refuses_other_data_in_its_own_words(compose, gru):
    with pytest.raises(UserError, match="model: gru takes series of shape"):
        train(compose("dataset=breast_cancer", "model=gru", "regime=smoke"))


def test_the_worked_family_is_listed_by_the_help(gru):
    from medfit.config import help

    assert "gru                 Gated recurrent units for time series (Cho et al. 2014)" in help.describe()


def test_the_worked_callback_logs_its_metric_by_the_readmes_command(output_dir, client, tmp_path, monkeypatch):
    (tmp_path / "my_callbacks.py").write_text(block("my_callbacks.py"))
    monkeypatch.syspath_prepend(tmp_path)
    command = re.search(r'PYTHONPATH=. make train ARGS="(.*)"', README)[1]
    lines = [f"output_dir={output_dir}", "tracking.plots=false", "regime.epochs=2", *command.split()]
    assert main(["train", *lines]) == 0
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    norms = client.get_metric_history(run.info.run_id, "train/gradient_norm")
    assert [point.step for point in norms] == [0, 1] and all(point.value > 0 for point in norms)
    sys.modules.pop("my_callbacks")


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", README))
def test_what_the_readme_links_to_is_there(path):
    assert (folders.ROOT / path).exists()


CONTEXTS = [  # what a line may be added to
    [],
    ["dataset=table"],
    ["dataset=ecg5000", "preprocessing=series"],
    ["dataset=mni_slices", "preprocessing=image", "task=segmentation"],
    ["dataset=image_masks", "preprocessing=patches", "task=segmentation"],
    ["dataset=image_classes", "preprocessing=image"],
    ["model=gan", "task=adversarial"],
]


def typed_lines():
    """Yields the overrides of each line in the README's tables and blocks, as a shell hands them to medfit."""
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    blocks = re.findall(r"^(?:make|medfit) (?:train|sweep|evaluate|report|predict)\b.*$", README, re.MULTILINE)
    for code in [*inline, *blocks]:
        words = shlex.split(code, comments=True)
        command = words[1] if words[:1] in (["make"], ["medfit"]) and words[1:2] and words[1] in COMMANDS else None
        if words[:1] == ["make"]:
            words = [part for word in words if word.startswith("ARGS=") for part in shlex.split(word[5:])]
        elif words[:1] == ["medfit"]:
            words = words[2:] if command else []  # of a command that there is
        words = _named(command, words) if command else words
        lines = [word for word in words if re.match(r"\+?[a-z_/]+(\.\w+)*=", word) and "<" not in word]
        if lines and "model=gru" not in lines:
            yield lines


def composes(context, lines):
    try:
        _compose([spelled for line in [*context, *lines] for spelled in _spelled_out(line)])
    except UserError:
        return False
    return True


@pytest.mark.mostly_slow(fast=8)
@pytest.mark.parametrize("lines", list(typed_lines()), ids=" ".join)
def test_a_line_of_the_readme_is_read_as_it_stands(lines):
    for combination in expand(lines):
        assert any(composes(context, combination) for context in CONTEXTS)


def written(section):
    """What the README's table of a section says to write, the first line of each row."""
    table = re.search(rf"## {section}\n(.*?)\n## ", README, re.DOTALL)[1]
    return re.findall(r"^\| [^|`]+ \| `([^`]+)`", table, re.MULTILINE)


@pytest.mark.slow
def test_the_lines_of_use_it_run_as_they_stand(compose, client, output_dir, tmp_path, monkeypatch, capsys):
    train(compose("model=linear", "regime=smoke", "tracking.models=true"))
    run = client.search_runs([e.experiment_id for e in client.search_experiments()])[0].info.run_id
    monkeypatch.chdir(tmp_path)
    rows = load_breast_cancer(as_frame=True).data.head(5)
    rows.assign(patient_id=[f"0{row}" for row in range(5)]).to_csv("new_patients.csv", index=False)
    first = re.search(r"## Use it\n\n```\nmake predict ARGS=\"(.*)\"", README)[1]
    lines = [f"medfit predict {first}", *written("Use it")]
    own = [line for line in lines if line.startswith(("medfit register", "medfit predict"))]
    own = [line for line in own if "new_patients.csv" in line or "register" in line]
    assert len(own) >= 3
    for line in own:
        words = shlex.split(line.replace("<run id>", run).replace("<evaluation id>", run))
        assert main([*words[1:], f"output_dir={output_dir}"]) == 0, line
    told = pd.read_csv("predictions.csv")
    assert len(told) == 5 and told["probability/malignant"].between(0, 1).all()
    (call,) = (line for line in lines if line.startswith("medfit.load_model"))
    models = SimpleNamespace(load_model=lambda address: medfit.load_model(address, f"output_dir={output_dir}"))
    again = eval(call.replace("<run id>", run), {"medfit": models})
    assert again["probability/malignant"].tolist() == pytest.approx(told["probability/malignant"].tolist())
