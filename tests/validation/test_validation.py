import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import medfit
from medfit.__main__ import main
from medfit.errors import UserError
from medfit.evaluate import evaluate

NEW, VAL = "new patients", "development, validation split"


def rows_of(found, name, **where):
    table = found.tables[name]
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def test_new_patients_are_scored_as_the_model_predicts_beside_the_development(
    trained, validated, hospital, client, output_dir, tmp_path
):
    run, path = trained(), hospital("other.csv", 1, shift=1.0)
    found = validated(run, f"validate.data={path}")
    table = pd.read_csv(path)
    predicted = medfit.load_model(run.info.run_id, f"output_dir={output_dir}").predict(path)
    risk, truth = predicted["probability/dx: ill"], table.dx == "ill"
    (auroc,) = rows_of(found, "scores", patients_of=NEW, metric="auroc", model="linear").to_dict("records")
    assert auroc["estimate"] == pytest.approx(roc_auc_score(truth, risk), abs=1e-6)
    assert auroc["low"] < auroc["estimate"] < auroc["high"] and auroc["patients"] == 60
    (then,) = rows_of(found, "scores", patients_of=VAL, metric="auroc").estimate
    assert then == pytest.approx(run.data.metrics["val/auroc"], abs=1e-5)
    (sensitivity,) = rows_of(found, "thresholds", patients_of=NEW, rate="sensitivity").estimate
    assert sensitivity == pytest.approx((predicted["decision/dx: ill"] == "yes")[truth].mean())
    made = client.get_run(found.run_id)
    stored = pd.read_csv(client.download_artifacts(found.run_id, "predictions/new.csv", str(tmp_path)))
    assert stored["pred/dx: ill"].to_numpy() == pytest.approx(risk.to_numpy(), abs=1e-5)
    assert not set(stored.patient) & set(table.mrn) and stored.patient.nunique() == 60
    assert made.data.tags["kind"] == "validation" and made.data.tags["validation.run"] == run.info.run_id
    assert made.data.metrics["elsewhere/auroc"] == pytest.approx(auroc["estimate"])
    assert "scored no test patients" in " ".join(found.notes)
    kept = [file for file in output_dir.rglob("*") if file.suffix in (".csv", ".json", ".yaml", ".txt")]
    assert len(kept) > 10 and not any("p001" in file.read_text() for file in kept)


def test_the_model_knows_its_validations(trained, validated, hospital, client):
    run = trained()
    found = validated(run, f"validate.data={hospital('other.csv', 1)}")
    (model,) = client.search_logged_models([run.info.experiment_id])
    scores = {metric.key: (metric.run_id, metric.value) for metric in model.metrics}
    made = client.get_run(found.run_id)
    assert scores["elsewhere/auroc"] == (found.run_id, made.data.metrics["elsewhere/auroc"])
    assert [used.model_id for used in made.inputs.model_inputs] == [model.model_id]
    assert made.info.experiment_id == run.info.experiment_id


def test_openings_are_counted_by_the_patients(trained, validated, hospital):
    run, path = trained(), hospital("other.csv", 1)
    assert [validated(run, f"validate.data={path}").opening for _ in range(2)] == [1, 2]
    copy = path.with_name("copy.csv")
    copy.write_text(path.read_text())
    third = validated(run, f"validate.data={copy}")
    assert third.opening == 3 and "this was validation number 3 on these patients" in third.notes
    assert validated(run, f"validate.data={hospital('third.csv', 2)}").opening == 1


def test_patients_who_taught_the_model_are_counted(trained, validated, hospital):
    def with_labs(seed):
        noise = np.random.default_rng(seed).normal(size=(120, 2))
        return lambda table: table.assign(ldh=noise[:, 0], alt=noise[:, 1])

    def told(path):
        notes = validated(run, f"validate.data={path}").notes
        return [note.split(" new samples")[0] for note in notes if "who taught the model" in note]

    own, other = hospital("labs.csv", 0, change=with_labs(0)), hospital("other.csv", 1, change=with_labs(1))
    run = trained(f"dataset.path={own}")
    assert told(other) == []
    known, new = pd.read_csv(own).head(40), pd.read_csv(other).tail(60)
    pd.concat([known.assign(mrn="x" + known.mrn), new]).to_csv(mixed := own.with_name("mixed.csv"), index=False)
    assert told(mixed) == ["40 of 100"]


def test_a_table_tells_how_the_patients_differ(trained, validated, hospital):
    def change(table):
        table.loc[:11, "stage"] = "IV"
        table.loc[:23, "crp"] = np.nan
        return table.assign(name=[f"n{row}" for row in range(len(table))])  # no feature, so nobody asks what it is

    run = trained()
    own, other = (pd.read_csv(hospital(*asked)) for asked in (("own.csv", 0), ("other.csv", 1, 60, 2.0, change)))
    found = validated(run, f"validate.data={hospital('other.csv', 1, shift=2.0, change=change)}")
    (crp,) = rows_of(found, "differences", column="crp").to_dict("records")
    assert crp["new"] == pytest.approx(other.crp.mean()) and crp["new_sd"] == pytest.approx(other.crp.std())
    assert crp["missing_new"] == pytest.approx(0.2) and crp["missing_development"] == 0
    assert abs(crp["development"] - own.crp.mean()) < 0.5  # the training rows are three in five of these
    assert crp["standardised_difference"] == pytest.approx(2 / 3, abs=0.25)
    stages = rows_of(found, "differences", column="stage").set_index("level")
    assert stages.new["IV"] == 0.1 and stages.development["IV"] == 0 and stages.unseen.iloc[0] == 0.1
    assert rows_of(found, "differences", column="outcome dx: ill").new.item() == pytest.approx(
        (other.dx == "ill").mean()
    )
    assert not set(found.tables["differences"].column) & {"name", "mrn"}
    assert any("a level that no training row had: 'stage' (12)" in note for note in found.notes)


def test_the_data_may_be_any_data_set_of_the_models_kind(trained, validated, hospital):
    run, path = trained(), hospital("other.csv", 1)
    renamed = hospital("renamed.csv", 1, change=lambda table: table.rename(columns={"dx": "finding", "mrn": "id"}))
    plain = validated(run, f"validate.data={path}").tables["scores"]
    for same in (
        validated(run, f"validate.data={renamed}", "validate.dataset.target=finding", "validate.dataset.patient=id"),
        validated(run, "dataset=table", f"dataset.path={renamed}", "dataset.target=finding", "dataset.patient=id"),
    ):
        of = same.tables["scores"]
        new, other = (table[table.patients_of == NEW].drop(columns="model") for table in (plain, of))
        pd.testing.assert_frame_equal(new.reset_index(drop=True), other.reset_index(drop=True))


def test_a_column_that_is_not_measured_there_must_be_named(trained, validated, hospital, refused):
    run, path = trained(), hospital("other.csv", 1, change=lambda table: table.drop(columns="sex"))
    line = refused(run.info.run_id, f"data={path}")
    assert "validate.data: there is no column 'sex', which the model needs; validate.absent=[sex] fills" in line
    found = validated(run, f"validate.data={path}", "validate.absent=[sex]")
    assert any("all missing, and filled as in training: 'sex' (120)" in note for note in found.notes)
    assert rows_of(found, "differences", column="sex").missing_new.iloc[0] == 1
    assert "the new data have it" in refused(run.info.run_id, f"data={path}", "absent=[crp]")
    assert "takes no such column" in refused(run.info.run_id, f"data={path}", "absent=[age]")


def test_subgroups_are_the_developments_or_others(trained, validated, hospital):
    run = trained("evaluate.subgroups.sex=null", "evaluate.subgroups.site=null", "dataset.exclude=[]")
    path = hospital("other.csv", 1)
    found = validated(run, f"validate.data={path}")
    assert set(found.tables["subgroups"].column) == {"sex"}
    assert "no subgroups by site: the new data have no such column" in found.notes
    found = validated(run, f"validate.data={path}", "validate.subgroups.crp=[10]")
    assert set(found.tables["subgroups"].level) == {"below 10", "10 and above"}


def test_the_command_shows_what_it_found(trained, hospital, output_dir, capsys):
    run, path = trained(), hospital("other.csv", 1)
    assert main(["validate", run.info.run_id, f"data={path}", f"output_dir={output_dir}", "tracking.plots=false"]) == 0
    shown = capsys.readouterr().out
    assert "new patients" in shown and "How the new patients differ" in shown
    assert "Results   run " in shown and "p001" not in shown


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.assign(dx=t.dx.replace({"ill": "sick"})), "dataset.positive: 'dx' has no such value"),
        (lambda t: t.drop(columns="dx"), "dataset.target: there is no column 'dx'"),
        (lambda t: t.assign(mrn="p1"), "validate.data: 1 patient says nothing"),
        (lambda t: t[t.dx == "ill"], "column 'dx' is constant"),
        (lambda t: t.head(0), "validate.data: "),
        (lambda t: t.assign(crp="high"), "are not numeric"),
    ],
    ids=["other classes", "no target", "one patient", "one class", "no rows", "words"],
)
def test_data_that_say_nothing_are_refused_in_a_line(trained, hospital, refused, change, told):
    run = trained()
    line = refused(run.info.run_id, f"data={hospital('other.csv', 1, change=change)}")
    assert told in line and "p001" not in line


def test_what_is_asked_wrongly_is_refused_in_a_line(trained, hospital, refused, tmp_path):
    assert "validate.model is needed" in refused("data=new.csv")
    path = hospital("other.csv", 1)
    assert "there is no run '0123'" in refused("0123", f"data={path}")
    run = trained().info.run_id
    assert "validate.data is needed" in refused(run)
    assert "one of them" in refused(run, f"data={path}", "dataset=breast_cancer")
    assert "unknown key 'dataset.tarhet'" in refused(run, f"data={path}", "dataset.tarhet=dx")
    assert "validate.data: " in refused(run, f"data={tmp_path / 'none.csv'}")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert "validate.data: " in refused(run, f"data={empty}")
    assert "it tells of 'malignant', the model of 'dx: ill'" in refused(run, "dataset=breast_cancer")
    assert "the targets are regression, the model's are binary" in refused(run, "dataset=diabetes")
    series = tmp_path / "series.csv"
    rows = [f"{row % 2},{','.join(str(row + k % 5) for k in range(12))}" for row in range(20)]
    series.write_text("\n".join(["dx," + ",".join(f"t{k}" for k in range(12)), *rows]))
    line = refused(run, "dataset=series_table", "dataset.layout=wide", f"dataset.path={series}", "dataset.target=dx")
    assert "validate.data: the data set holds time series, and the model takes records" in line


def test_baselines_are_those_of_development(trained, validated, hospital, compose, client, output_dir):
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    from medfit.training.parts import prepare
    from medfit.validation import data, predictions

    run, path = trained(), hospital("other.csv", 1, shift=3.0)
    found = validated(run, f"validate.data={path}")
    own = ["dataset=table", f"dataset.path={hospital('own.csv', 0)}", "dataset.target=dx", "dataset.patient=mrn"]
    x, y = prepare(compose(*own, "regime=smoke")).datamodule.arrays("train")
    model = medfit.load_model(run.info.run_id, f"output_dir={output_dir}")
    new = data.load(model, data.settings(model, str(path), {}), [])
    new_x = predictions.Samples(model, new.prepared).of(model).data.tensors[0]
    risk = LogisticRegression(max_iter=2000).fit(x.numpy(), y.numpy()[:, 0]).predict_proba(new_x.numpy())[:, 1]
    auroc = rows_of(found, "scores", patients_of=NEW, metric="auroc").set_index("model").estimate
    assert auroc["logistic"] == pytest.approx(roc_auc_score(new.prepared.y[:, 0], risk), abs=1e-6)
    assert list(auroc.index) == ["linear", "prevalence", "logistic", "gradient boosting"]
    share = DummyClassifier(strategy="prior").fit(x, y.numpy()[:, 0]).class_prior_[1]
    brier = rows_of(found, "scores", patients_of=NEW, metric="brier", model="prevalence").estimate.item()
    assert brier == pytest.approx(((share - new.prepared.y) ** 2).mean(), abs=1e-6)
    assert set(found.tables["against"].baseline) == {"prevalence", "logistic", "gradient boosting"}
    assert set(found.tables["membership"].classifier) == {"logistic", "gradient boosting"}
    assert (found.tables["membership"].auroc > 0.5).all()


def test_without_the_developments_data_a_note_says_what_is_missing(trained, validated, hospital, tmp_path):
    run, path = trained(), hospital("other.csv", 1)
    (tmp_path / "own.csv").unlink()
    load_dataset_anew()
    found = validated(run, f"validate.data={path}")
    assert "membership" not in found.tables and "against" not in found.tables
    assert any(note.startswith("no baselines and no membership score: the development's data") for note in found.notes)
    assert len(rows_of(found, "differences", column="crp"))  # the model itself knows what it was made from


def test_developments_data_that_changed_are_not_used(trained, validated, hospital):
    run, path = trained(), hospital("other.csv", 1)
    hospital("own.csv", 5)
    load_dataset_anew()
    found = validated(run, f"validate.data={path}")
    assert "no baselines and no membership score: the development's data have changed since" in found.notes
    assert "against" not in found.tables


def load_dataset_anew():
    """Forgets the data sets that this process has read."""
    from medfit.config import instantiate

    instantiate._load_dataset.cache_clear()


def test_updating_is_learnt_from_patients_who_are_not_scored(trained, validated, hospital):
    run, path = trained(), hospital("other.csv", 1, shift=1.0)
    found = validated(run, f"validate.data={path}", "validate.update_share=0.4")
    table = found.tables["updating"]
    assert set(table.patients) == {36} and set(table[table.recalibration == "intercept"].learnt_from) == {24}
    assert "updating was learnt from 24 patients and is scored on the other 36, who taught nothing" in found.notes
    assert "as at development" in set(table.recalibration)
    again = validated(run, f"validate.data={path}", "validate.update_share=0.4", "validate.seed=1")
    assert not again.tables["updating"].estimate.equals(table.estimate)


def test_a_report_tells_of_it_in_the_same_words(trained, validated, hospital, compose, client):
    from medfit.reporting import markdown, page, validations
    from medfit.reporting.collect import ReportData
    from medfit.reporting.finished_runs import Record
    from medfit.reporting.formatting import number
    from medfit.tracking.store import Store

    run = trained()
    found = validated(run, f"validate.data={hospital('other.csv', 1)}")
    store = Store(compose())
    told = validations.of_run(Record(store, client.get_run(found.run_id)))
    assert told["title"].startswith("linear on other, ") and told["title"].endswith("1st opening of these patients")
    assert list(told["tables"].values()) == list(validations.shown(found.tables).values())
    assert told["notes"] == found.notes
    facts = ReportData("own", "Does it hold elsewhere?", validations=[Record(store, client.get_run(found.run_id))])
    for text in (page.render(facts), markdown.render(facts)):
        assert "Validation elsewhere" in text and told["title"] in text
        assert number(rows_of(found, "scores", patients_of=NEW, metric="auroc").estimate.iloc[0]) in text
    assert "No model was scored on other patients" in page.render(ReportData("own", ""))


def test_other_units_are_refused(trained, hospital, refused):
    run = trained("dataset.units.crp=mg/L")
    line = refused(run.info.run_id, f"data={hospital('other.csv', 1)}", "dataset.units={crp:mg/dL}")
    assert "'crp' is in mg/dL, the model's in mg/L" in line or "'crp' is in mg/dL, the training data in mg/L" in line


def test_classes_that_are_lacking_there_keep_their_place(trained, validated, hospital):
    def graded(number):
        def change(table):
            grades = np.array(["g1", "g2", "g3"])[:number]
            return table.assign(dx=grades[(table.crp.rank(pct=True) * number * 0.999).astype(int)])

        return change

    whole = hospital("graded.csv", 0, change=graded(3))
    run = trained(f"dataset.path={whole}", "dataset.target_kind=multiclass")
    found = validated(run, f"validate.data={hospital('other.csv', 1, change=graded(2))}")
    (accuracy,) = rows_of(found, "scores", patients_of=NEW, metric="accuracy", model="linear").estimate
    outcome = rows_of(found, "differences").set_index("column").new
    assert (outcome["outcome g1"], outcome["outcome g2"], outcome["outcome g3"]) == pytest.approx(
        (0.5, 0.5, 0), abs=0.01
    )
    assert 0 <= accuracy <= 1 and {"temperature", "vector"} & set(found.tables["updating"].recalibration)
    assert any("'g3' in the new data: its AUROC is undefined" in note for note in found.notes)
    other = hospital("four.csv", 1, change=other_grades)
    with pytest.raises(UserError, match="the model knows no class 'g9'; its classes are 'g1', 'g2', 'g3'"):
        validated(run, f"validate.data={other}")


def other_grades(table):
    return table.assign(dx=np.where(table.crp > 10, "g9", np.where(table.crp > 8, "g2", "g1")))


def test_numbers_are_shifted_and_their_intervals_held_to_account(trained, validated, hospital):
    def measured(bias):
        return lambda table: table.assign(dx=table.crp * 3 + bias + np.arange(len(table)) % 5)

    whole = hospital("measured.csv", 0, change=measured(0))
    run = trained(f"dataset.path={whole}")
    path = hospital("other.csv", 1, change=measured(20))
    found = validated(run, f"validate.data={path}", "validate.update_share=0.5")
    cell = found.tables["updating"].set_index(["recalibration", "measure"]).estimate
    assert abs(cell["shift", "bias"]) < 5 < -cell["none", "bias"]
    (held,) = found.tables["intervals_held"].to_dict("records")
    assert held["patients"] == 60 and 0 <= held["held"] <= 1 and held["asked"] == 0.9
    assert "thresholds" not in found.tables


def test_baselines_that_an_evaluation_kept_need_no_data(validated, hospital, compose, client):
    own = hospital("own.csv", 0)
    fixed = ["dataset=table", f"dataset.path={own}", "dataset.target=dx", "dataset.patient=mrn", "regime=smoke"]
    more = ["model=linear", "evaluate.num_seeds=1", "evaluate.num_resamples=100", "tracking.models=true"]
    evaluate(compose(*fixed, *more))
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(ids, "tags.kind = 'seed'")
    path = hospital("other.csv", 1)
    before = validated(run, f"validate.data={path}")
    assert rows_of(before, "scores", patients_of="development, test split").patients.max() == 12
    own.unlink()
    load_dataset_anew()
    after = validated(run, f"validate.data={path}")
    assert any(
        note.startswith("of baselines only prevalence, logistic and no membership score") for note in after.notes
    )
    then, now = (rows_of(found, "scores", patients_of=NEW).set_index(["model", "metric"]) for found in (before, after))
    assert set(now.index.levels[0]) == {"linear", "prevalence", "logistic"}
    columns = ["estimate", "low", "high"]
    pd.testing.assert_frame_equal(now[columns], then[columns].loc[now.index], rtol=1e-6)
