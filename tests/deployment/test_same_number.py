"""A sample has one prediction, whichever way it goes: stored, from a file, a data frame, a server, or alone."""

import json
import shutil

import pandas as pd
import pytest

import medfit
from asgi import ask
from medfit.serve import application
from medfit.train import train
from medfit.training.parts import prepare
from small_data import RECORDS, target


@pytest.fixture(scope="module")
def trained(tmp_path_factory, store_template):
    """A finished model's files, its rows of the validation split as a CSV, and what its run has stored of them."""
    from medfit.config.compose import compose

    folder = tmp_path_factory.mktemp("same")
    (folder / "runs").mkdir()
    shutil.copy(store_template, folder / "runs" / "mlflow.db")
    fixed = [f"output_dir={folder / 'runs'}", "tracking.plots=false", "regime=smoke", "model=mlp"]
    cfg = compose([*fixed, *RECORDS.write(folder), *target("grade")])
    train(cfg)
    new = RECORDS.pick(folder, prepare(cfg).datamodule.rows["val"], folder)
    stored = pd.read_csv(next((folder / "runs").rglob("val.csv")))
    return next((folder / "runs").rglob("MLmodel")).parent, new, stored


@pytest.fixture(scope="module")
def app(trained, tmp_path_factory):
    """The server's application."""
    return application(shutil.copytree(trained[0], tmp_path_factory.mktemp("served") / "model"))


def as_text(new):
    return pd.read_csv(new, dtype=str, keep_default_na=False)


def answers(app, body, kind):
    status, told = ask(app, body.encode(), kind)
    assert status == 200, told
    return pd.DataFrame(json.loads(told)["predictions"])


def of_csv(model, app, new, folder):
    return model.predict(new)


def of_parquet(model, app, new, folder):
    pd.read_csv(new, keep_default_na=False, na_values=[""]).to_parquet(folder / "new.parquet")
    return model.predict(folder / "new.parquet")


def of_excel(model, app, new, folder):
    pd.read_csv(new, keep_default_na=False, na_values=[""]).to_excel(folder / "new.xlsx", index=False)
    return model.predict(str(folder / "new.xlsx"))


def of_numbers(model, app, new, folder):
    return model.predict(pd.read_csv(new, keep_default_na=False, na_values=[""]))


def of_words(model, app, new, folder):
    return model.predict(as_text(new))


def alone(model, app, new, folder):
    rows = as_text(new)
    return pd.concat([model.predict(rows.iloc[[row]]) for row in range(len(rows))], ignore_index=True)


def alone_in_files(model, app, new, folder):
    head, *rows = new.read_text().splitlines(keepends=True)
    found = []
    for row in rows:
        (folder / "one.csv").write_text(head + row)
        found.append(model.predict(folder / "one.csv"))
    return pd.concat(found, ignore_index=True)


def served_csv(model, app, new, folder):
    return answers(app, new.read_text(), "text/csv")


def served_csv_alone(model, app, new, folder):
    head, *rows = new.read_text().splitlines(keepends=True)
    return pd.concat([answers(app, head + row, "text/csv") for row in rows], ignore_index=True)


def served_json(model, app, new, folder):
    rows = pd.read_csv(new, keep_default_na=False, na_values=[""])
    return answers(app, json.dumps({"dataframe_split": json.loads(rows.to_json(orient="split"))}), "application/json")


def served_records(model, app, new, folder):
    rows = pd.read_csv(new, keep_default_na=False, na_values=[""])
    return answers(
        app, json.dumps({"dataframe_records": json.loads(rows.to_json(orient="records"))}), "application/json"
    )


WAYS = [  # a further one, as an exported file, is a function here
    of_csv,
    of_parquet,
    of_excel,
    of_numbers,
    of_words,
    alone,
    alone_in_files,
    served_csv,
    served_csv_alone,
    served_json,
    served_records,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_gives_the_number_that_was_stored(trained, app, tmp_path, way):
    files, new, stored = trained
    told = way(medfit.load_model(str(files)), app, new, tmp_path)
    names = [name for name in stored if name.startswith("pred/")]
    found = told[[name.replace("pred/", "probability/") for name in names]].to_numpy()
    assert found == pytest.approx(stored[names].to_numpy(), abs=1e-6)
    assert told["class"].tolist() == stored["pred"].tolist()
    if "alone" not in way.__name__:  # a column of one cell is all missing if the cell is
        assert told["remarks"].tolist() == medfit.load_model(str(files)).predict(new)["remarks"].tolist()


def test_rows_have_each_level_that_is_read_differently_alone(trained):
    rows = as_text(trained[1])
    assert "None" in set(rows["stage"]) and {"1", "2", "3"} == set(rows["ward"]) and (rows == "").any(axis=None)
