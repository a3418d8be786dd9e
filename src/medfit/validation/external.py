"""One validation: from a model and other patients to a run in MLflow with all that was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf, open_dict

from medfit.deployment import logged
from medfit.deployment.expected_columns import lines
from medfit.deployment.finished_model import AnyModel
from medfit.errors import UserError
from medfit.evidence import subgroups, summary, updating
from medfit.evidence.predictions import Predictions
from medfit.evidence.settings import Settings
from medfit.evidence.summary import Unit
from medfit.evidence.targets.known import named
from medfit.evidence.targets.regions import Segmentation
from medfit.plots.evidence import calibration, figures
from medfit.tracking import recording
from medfit.tracking.run import Run
from medfit.tracking.store import Store
from medfit.validation import data, development, evidence, predictions, voxels
from medfit.validation.comparators import Comparing
from medfit.validation.data import NewData

WHERE = "validate.model"
FILE = "predictions/new.csv"


@dataclass
class Found:
    """What a validation found; see :class:`medfit.validate.Validation`."""

    run_id: str
    opening: int
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class ExternalValidation:
    """Scores a finished model on the patients of another data set (Collins et al., BMJ 2024: TRIPOD+AI).

    Args:
        cfg: Of the command.
        asked: Its section ``validate``, built.
        store: That has the model, and gets the run.

    Attributes:
        model: The model.
        new: The new patients.
    """

    def __init__(self, cfg: DictConfig, asked: Any, store: Store) -> None:
        self.store, self.asked = store, asked
        self.model_id = logged.model_id(store, asked.model, WHERE)
        self.model: AnyModel = logged.load(store, f"models:/{self.model_id}", WHERE)
        self.trained = self.model.singles[0].cfg  # of several trainings, who have data, metrics and rules in common
        dataset = data.settings(self.model, asked.data, asked.dataset) if asked.data else data.of_any(self.model, cfg)
        self.new: NewData = data.load(self.model, dataset, asked.absent)
        self.kind = named(self.new.prepared.task)
        self.samples = predictions.Samples(self.model, self.new.prepared)
        self.groups, self.ungrouped = self._groups()
        self.cfg = self._whole(cfg, dataset)

    def run(self) -> Found:
        """Predicts, scores, and logs it all."""
        read, rows = self.new.read, self.samples.rows
        proof = evidence.proof(self.new, rows)
        data_tags = {"validation.dataset": read.name, "validation.sha256": read.fingerprint()}
        about = {"validation.model": self.model_id, "validation.run": self.model.about["run_id"]}
        tags = {"kind": "validation", "mlflow.runName": f"{self.label} on {read.name}", **about, **data_tags}
        with recording.start_run(self.cfg, read, proof, tags, used_for="validation elsewhere") as run:
            found = Found(run.id, self._count_opening(run, data_tags))
            made = self._predicted(run)
            self._fill(found, made)
            self._log(run, found)
        return found

    @property
    def label(self) -> str:
        """What the network is called in tables."""
        names = "/".join(dict.fromkeys(str(single.cfg.choices.model) for single in self.model.singles))
        number_of = len(self.model.singles)
        return names if number_of == 1 else f"{names} (mean of {number_of})"

    def _predicted(self, run: Run) -> Predictions:
        """Returns the predictions, which the run keeps, with pseudonyms for patients."""
        outputs, whose = predictions.outputs(self.model, self.samples), self.new.prepared.groups[self.samples.rows]
        table = self.model.singles[0].task.table(*outputs)
        if table is None:
            raise UserError(f"{WHERE}: predictions of task={self.trained.choices.task} fit in no table to be scored")
        files = recording.prediction_files(run, self.new.read.name, {"new": table}, lambda _: whose)
        run.log_files(files)
        return self.kind.read(files[FILE])

    def _fill(self, found: Found, made: Predictions) -> None:
        e = self.trained.evaluate
        settings = Settings(e.threshold, e.at_least, e.cost_ratio, None, e.coverage, self.asked.num_resamples)
        then = development.stored(self.store, self.model, self.kind)
        beside = Comparing(self.model, self.store, self.new, self.samples, made).compared()
        rows, models = self.samples.rows, {self.label: made, **beside.baselines}
        found.notes += beside.notes
        found.tables |= evidence.scored(models, self.groups, then, list(self.trained.task.metrics), settings)
        if beside.membership is not None:
            found.tables["membership"] = beside.membership
        more = {
            "thresholds": evidence.decided(self.model, made, then, settings),
            "intervals_held": evidence.covered(self.model, made),
            "differences": evidence.differing(self.model, self.new, rows, made, then),
        }
        found.tables |= {name: table for name, table in more.items() if table is not None}
        found.notes += self._update(found, made, settings)
        scores = found.tables["scores"]
        of_new = {**found.tables, "scores": scores[scores.patients_of == evidence.NEW]}
        found.notes += summary.left_out([Unit(0, None, made, made)], "the new data")
        found.notes += [*self._notes(found, then), *summary.warnings(of_new, self.kind)]

    def _update(self, found: Found, made: Predictions, settings: Settings) -> list[str]:
        """Fills in the tables of the model after updating, and returns who updated it and who was scored."""
        parts = updating.divided(made, self.asked.update_share, self.asked.seed)
        if parts is None:
            return ["the model was not updated: too few patients"]
        if isinstance(self.kind, Segmentation):
            tables, more = voxels.updated(self.model, self.samples, made, parts, settings, self.asked.seed)
        else:
            lines = self.model.decisions.recalibration(made.names)
            developed = updating.updated(parts.scored, lines) if lines else None
            tables, more = updating.tables(parts, developed, max(100, settings.num_resamples // 8)), []
        found.tables |= tables
        learnt, scored = (len(np.unique(part.patient)) for part in (parts.learnt_from, parts.scored))
        told = [f"updating was learnt from {learnt} patients and is scored on the other {scored}, who taught nothing"]
        failed = dict.fromkeys(tables["updates"].recalibration[tables["updates"].slope.isna()])
        return (
            told
            + more
            + [f"these {learnt} patients are too few, or too alike, to learn '{way}' from" for way in failed]
        )

    def _notes(self, found: Found, then: development.Stored | None) -> list[str]:
        """Returns what a reader must know of data and model."""
        new, rows = self.new, self.samples.rows
        told = [f"{number} samples are left out: {reason}" for reason, number in new.read.excluded.items()]
        if not_taken := len(new.read) - len(new.rows):
            told.append(f"{not_taken} samples are none that the model can predict, and are not scored")
        if left := len(new.rows) - len(rows):
            told.append(f"{left} samples have missing values, and are not scored")
        told += lines(new.odd)
        if then is None and len(development.divisions(self.model)) > 1:
            told.append(
                "the development's own score of this mean is not known: each patient has taught some of its trainings"
            )
        elif then is None:
            told.append("the model's run has stored no predictions that development's scores could be made of")
        elif then.split == "val":
            told.append("the model's run scored no test patients: beside stand the validation patients, who chose it")
        if self.ungrouped:
            told.append(f"no subgroups by {', '.join(self.ungrouped)}: the new data have no such column")
        if found.opening > 1:
            told.append(f"this was validation number {found.opening} on these patients")
        return told

    def _log(self, run: Run, found: Found) -> None:
        table = found.tables["scores"]
        ends = table[(table.patients_of == evidence.NEW) & (table.model == self.label)].set_index("metric")
        names = {"estimate": "elsewhere", "low": "elsewhere_low", "high": "elsewhere_high"}
        metrics = {f"{name}/{metric}": row[end] for metric, row in ends.iterrows() for end, name in names.items()}
        run.log_tested(self.model_id, {name: value for name, value in metrics.items() if np.isfinite(value)})
        run.log_files({f"evidence/{name}.csv": table for name, table in found.tables.items()})
        run.log_files({"evidence/warnings.json": {"warnings": found.notes}})
        if self.cfg.tracking.plots:
            own = {name: table for name, table in found.tables.items() if name != "scores"}
            drawn = figures(own)
            if "updating_curve" in own:
                drawn |= {"updating": calibration({"calibration_curve": own["updating_curve"]})}
            run.log_files({f"plots/{name}.png": figure for name, figure in drawn.items()})

    def _count_opening(self, run: Run, tags: Mapping[str, str]) -> int:
        """Returns how many validations of the experiment have scored the data set, and keeps it in the run.

        Data of one name are the same, and data of one fingerprint.
        """
        opened = {
            one.info.run_id
            for key, value in tags.items()
            for one in self.store.runs_of(run.experiment_id, {"kind": "validation", key: value})
        }
        run.set_tag("test_opening", str(len(opened)))
        return len(opened)

    def _groups(self) -> tuple[pd.DataFrame, list[str]]:
        """Returns the subgroups of each scored sample, and those of the development that the new data can't tell."""
        asked, read, section = dict(self.asked.subgroups), self.new.read, "validate.subgroups"
        lacking: list[str] = []
        if not asked:
            section, asked = "evaluate.subgroups", dict(self.trained.evaluate.subgroups)
            known = {str(name) for table in getattr(read, "tables", list)() for name in table}
            lacking = [name for name in asked if name not in known]
        found = {
            name: subgroups.levels(read.column(name, section), name, edges, section)
            for name, edges in asked.items()
            if name not in lacking
        }
        groups = pd.DataFrame(found, index=range(len(read)))
        return groups.iloc[self.new.rows[self.samples.rows]].reset_index(drop=True), lacking

    def _whole(self, cfg: DictConfig, dataset: DictConfig) -> DictConfig:
        """Returns the config that the run keeps: the model's, with the new data and where it is tracked."""
        whole = self.trained.copy()
        experiment_id = self.store.client.get_logged_model(self.model_id).experiment_id
        with open_dict(whole):
            whole.dataset = OmegaConf.create(OmegaConf.to_container(dataset.dataset, resolve=True))
            whole.experiment = self.store.client.get_experiment(experiment_id).name
            whole.validate, whole.tracking, whole.output_dir = cfg.validate, cfg.tracking, cfg.output_dir
            if not self.asked.data:
                whole.choices.dataset = cfg.choices.dataset
        return whole
