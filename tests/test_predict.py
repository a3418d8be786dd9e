import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from medfit.__main__ import main
from medfit.train import train


@pytest.fixture
def rows():
    """The default experiment's rows, with identifiers."""
    x = load_breast_cancer(as_frame=True).data.head(20)
    x.insert(0, "mrn", [f"{row:04}" for row in range(len(x))])
    return x


@pytest.fixture
def predict(compose, client, output_dir, capsys):
    """Predicts with a finished model; returns the exit status and what was told."""
    train(compose("model=linear", "regime=smoke", "tracking.models=true"))
    run = client.search_runs([one.experiment_id for one in client.search_experiments()])[0].info.run_id
    capsys.readouterr()

    def told(*arguments, model=run):
        status = main(["predict", model, *arguments, f"output_dir={output_dir}"])
        said = capsys.readouterr()
        return status, said.err if status else said.out

    return told


def test_one_patient_and_one_class_are_enough(predict, rows, tmp_path):
    new, out = tmp_path / "new.csv", tmp_path / "p.csv"
    rows.head(1).assign(target="another word").to_csv(new, index=False)
    assert predict(f"data={new}", f"out={out}", "id=[mrn,target]") == (0, f"1 rows of predictions in {out}\n")
    (one,) = pd.read_csv(out, dtype=str).to_dict("records")
    assert (one["row"], one["mrn"], one["target"]) == ("1", "0000", "another word")
    rows.to_csv(new, index=False)
    assert predict(f"data={new}", f"out={out}")[0] == 0  # replaces what was there
    many = pd.read_csv(out)
    assert len(many) == 20
    assert many["probability/malignant"][0] == pytest.approx(float(one["probability/malignant"]), abs=1e-6)


def test_what_cannot_be_predicted_is_told_in_a_line(predict, rows, tmp_path):
    good = tmp_path / "good.csv"
    rows.to_csv(good, index=False)
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "header.csv").write_text(good.read_text().splitlines()[0])
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (tmp_path / "broken.parquet").write_text("PAR1")
    (tmp_path / "broken.xlsx").write_text("PK")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    (tmp_path / "twice.csv").write_text("mean radius,mean radius\n1,2\n")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for data, told in {
        "empty.csv": "is empty",
        "header.csv": "has a header but no rows",
        "image.csv": "is not utf-8 text",
        "broken.parquet": "is not a whole Parquet file",
        "broken.xlsx": "is not a whole Excel file",
        "photo.png": "has none of the endings .csv, .tsv",
        "none.csv": "there is no file",
        ".": "there is no file",
        "twice.csv": "has two columns named 'mean radius'",
        "other.csv": "there is no column 'mean radius', 'mean texture'",
    }.items():
        status, line = predict(f"data={tmp_path / data}", f"out={tmp_path / 'p.csv'}")
        assert (status, line.count("\n")) == (2, 1), data
        assert line.startswith("medfit: predict.data: ") and told in line, (data, line)
        assert not (tmp_path / "p.csv").exists()
    for arguments, told in (
        (["id=ward"], "predict.id: there is no column 'ward'"),
        ([f"out={tmp_path / 'none' / 'p.csv'}"], f"predict.out: there is no folder '{tmp_path / 'none'}'"),
        ([f"out={tmp_path}"], f"predict.out: cannot write to '{tmp_path}'"),
    ):
        status, line = predict(f"data={good}", f"out={tmp_path / 'p.csv'}", *arguments)
        assert (status, line.count("\n")) == (2, 1) and line.startswith(f"medfit: {told}"), line


@pytest.mark.parametrize("model", ["models:/none@champion", "models:/none/1", "models:/none", "models:/", "runs:/a/b"])
def test_an_address_of_no_model_is_told_in_a_line(predict, model):
    status, line = predict("data=x.csv", model=model)
    assert status == 2 and line.startswith(f"medfit: predict.model: no model is registered as {model}; medfit ui")
